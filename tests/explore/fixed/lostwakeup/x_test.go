// The condition is looked at, and changed, with the lock held.
package lostwakeup

import (
	"sync"
	"testing"
)

func TestGate(t *testing.T) {
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	open := false
	done := make(chan bool)
	go func() {
		mu.Lock()
		for !open {
			cond.Wait()
		}
		mu.Unlock()
		close(done)
	}()
	mu.Lock()
	open = true
	cond.Signal()
	mu.Unlock()
	<-done
}
