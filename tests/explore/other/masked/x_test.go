// Package masked has two tests that fail. The first one ends the program with each seed, so that
// the second does not run.
package masked

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestAlwaysWaits(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	mu.Lock()
}

func TestPasses(t *testing.T) {}

func TestParts(t *testing.T) {
	t.Run("same", func(t *testing.T) {})
	t.Run("some lost", func(t *testing.T) {
		var n int32
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { atomic.StoreInt32(&n, atomic.LoadInt32(&n)+1) })
		}
		all.Wait()
		if n != 2 {
			t.Fatalf("counted %d, want 2", n)
		}
	})
}
