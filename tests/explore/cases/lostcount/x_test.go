// Two atomic operations are not one: a count is lost.
package lostcount

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestCount(t *testing.T) {
	var n int32
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { atomic.StoreInt32(&n, atomic.LoadInt32(&n)+1) })
	}
	wg.Wait()
	if n != 2 {
		t.Fatalf("counted %d, want 2", n)
	}
}
