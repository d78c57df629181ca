// Package longer has a run without disturbances that is far shorter than others.
package longer

import (
	"runtime"
	"sync"
	"testing"
)

// TestTakesTurns has a few points in the undisturbed run, which has one P, and many in those with
// more.
func TestTakesTurns(t *testing.T) {
	turns := 100_000
	if runtime.GOMAXPROCS(0) == 1 {
		turns = 1
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range turns {
				mu.Lock()
				mu.Unlock()
			}
		})
	}
	all.Wait()
}
