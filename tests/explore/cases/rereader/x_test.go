// A second RLock of the same goroutine waits behind a writer that waits for the first: a deadlock
// of two.
package rereader

import (
	"sync"
	"testing"
)

type registry struct {
	mu    sync.RWMutex
	names []string
}

func (r *registry) size() int { r.mu.RLock(); defer r.mu.RUnlock(); return len(r.names) }
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
