// Add is called before the goroutine that is to be waited for exists.
package addlate

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestAll(t *testing.T) {
	var wg sync.WaitGroup
	var n atomic.Int32
	started := make(chan bool, 4)
	for range 4 {
		wg.Add(1)
		go func() {
			started <- true
			defer wg.Done()
			n.Add(1)
		}()
	}
	for range 4 {
		<-started
	}
	wg.Wait()
	if n.Load() != 4 {
		t.Fatalf("%d of 4 were waited for", n.Load())
	}
}
