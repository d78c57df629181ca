package hostchannel

import "sync"

// Credit counts how much the other side of the channel still takes. Several goroutines may use it
// at once.
type Credit struct {
	mu     sync.Mutex
	change *sync.Cond
	left   uint64
	closed bool
}

// NewCredit begins with nothing.
func NewCredit() *Credit {
	c := &Credit{}
	c.change = sync.NewCond(&c.mu)
	return c
}

// Add lets so much more be taken.
func (c *Credit) Add(n uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left += uint64(n)
	c.change.Broadcast()
}

// Wait returns how much can be taken, up to most, when that is anything. It takes nothing, and
// returns 0 once the credit is closed.
func (c *Credit) Wait(most int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left == 0 && !c.closed {
		c.change.Wait()
	}
	if c.closed {
		return 0
	}
	return int(min(uint64(most), c.left))
}

// Take uses up n, which Wait has told of.
func (c *Credit) Take(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left -= uint64(n)
}

// Close ends all waiting: the other side is gone.
func (c *Credit) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.change.Broadcast()
}
