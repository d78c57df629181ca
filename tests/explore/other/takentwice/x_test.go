// A data race in any order of the goroutines. It has a consequence only when one of them stops
// between two accesses of the memory, where no lock, channel or atomic operation is.
package takentwice

import (
	"sync"
	"testing"
)

type shelf struct {
	count int
	items [4]string
}

func (s *shelf) take() (string, bool) {
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
