// Package dies has a test that ends in a panic, whatever its two goroutines do before.
package dies

import (
	"sync"
	"testing"
)

func TestDies(t *testing.T) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range 20 {
				mu.Lock()
				mu.Unlock()
			}
		})
	}
	all.Wait()
	panic("after some turns")
}
