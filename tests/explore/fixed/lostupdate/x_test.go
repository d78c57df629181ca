// The whole step holds the lock.
package lostupdate

import (
	"sync"
	"testing"
)

type ledger struct {
	mu  sync.RWMutex
	sum int
}

func (l *ledger) get() int  { l.mu.RLock(); defer l.mu.RUnlock(); return l.sum }
func (l *ledger) add(n int) { l.mu.Lock(); defer l.mu.Unlock(); l.sum += n }

func TestLedger(t *testing.T) {
	l := &ledger{sum: 10}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { l.add(-1) })
	}
	wg.Wait()
	if l.get() != 8 {
		t.Fatalf("sum is %d, want 8", l.get())
	}
}
