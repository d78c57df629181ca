// Only the outer function takes the lock.
package rereader

import (
	"sync"
	"testing"
)

type registry struct {
	mu    sync.RWMutex
	names []string
}

// size is called with the lock held.
func (r *registry) size() int { return len(r.names) }

func (r *registry) last() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n := r.size(); n > 0 {
		return r.names[n-1]
	}
	return ""
}
func (r *registry) add(s string) { r.mu.Lock(); defer r.mu.Unlock(); r.names = append(r.names, s) }

func TestRegistry(t *testing.T) {
	r := &registry{names: []string{"a"}}
	var wg sync.WaitGroup
	wg.Go(func() { r.add("b") })
	wg.Go(func() { r.last() })
	wg.Wait()
}
