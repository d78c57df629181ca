// The channel is closed once, by the first that asks.
package doubleclose

import (
	"sync"
	"testing"
)

type stopper struct {
	c    chan struct{}
	once sync.Once
}

func (s *stopper) stop() { s.once.Do(func() { close(s.c) }) }

func TestStop(t *testing.T) {
	s := &stopper{c: make(chan struct{})}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(s.stop)
	}
	wg.Wait()
}
