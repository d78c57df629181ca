package batch

import (
	"sync"
	"time"
)

// patience ends a program that takes longer than its limit. The time counts in which the machine
// computes or waits for something of its own, and not the time in which it could go on and the host
// gave its CPUs to others, because that says nothing of the program.
type patience struct {
	waited func() time.Duration // for a CPU of the host, since the machine was started
	expire func()

	mu     sync.Mutex // guards all below
	timer  *time.Timer
	limit  time.Duration
	began  time.Time
	before time.Duration // waited, when the program began
}

// patienceGrain is the least for which it is worth looking again.
const patienceGrain = 10 * time.Millisecond

// restart begins with a program.
func (p *patience) restart(limit time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit, p.began, p.before = limit, time.Now(), p.waited()
	if p.timer == nil {
		p.timer = time.AfterFunc(limit, p.look)
	} else {
		p.timer.Reset(limit)
	}
}

// look runs when the limit may be reached.
func (p *patience) look() {
	p.mu.Lock()
	own := time.Since(p.began) - (p.waited() - p.before)
	left := p.limit - own
	if left > patienceGrain {
		p.timer.Reset(left)
	}
	p.mu.Unlock()
	if left <= patienceGrain {
		p.expire()
	}
}

func (p *patience) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer.Stop()
}
