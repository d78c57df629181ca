// A lock holds the accesses together.
package takentwice

import (
	"sync"
	"testing"
)

type shelf struct {
	mu    sync.Mutex
	count int
	items [4]string
}

func (s *shelf) take() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return "", false
	}
	s.count--
	return s.items[s.count], true
}

func TestTake(t *testing.T) {
	s := &shelf{count: 1, items: [4]string{"last"}}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { s.take() })
	}
	wg.Wait()
}
