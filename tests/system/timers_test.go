//go:build capos

package system

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Of a hundred thousand timers over two seconds, none is early, each fires, and half of them within
// a tenth of a second. Starting and running them takes a CPU about two seconds as well. Timers that
// fire together leave tens of thousands of ended goroutines, and every later collection looks at
// each. So the test is in the last file.
func TestManyTimers(t *testing.T) {
	timers := 100_000
	late := make(times, timers)
	var all sync.WaitGroup
	all.Add(timers)
	for i := range timers {
		delay := rand.N(2 * time.Second)
		start := time.Now()
		time.AfterFunc(delay, func() {
			late[i] = time.Since(start) - delay
			all.Done()
		})
	}
	all.Wait()
	if first := late.quantile(0); first < 0 {
		t.Errorf("a timer fired %v early", -first)
	}
	late.check(t, "timer among many", 100*time.Millisecond, 2*time.Second)
}
