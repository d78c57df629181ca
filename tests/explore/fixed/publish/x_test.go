// The flag is atomic: a goroutine that sees it sees the data too.
package publish

import (
	"runtime"
	"sync/atomic"
	"testing"
)

var (
	text  string
	ready atomic.Bool
)

func TestPublish(t *testing.T) {
	go func() {
		text = "complete"
		ready.Store(true)
	}()
	for i := 0; i < 1000 && !ready.Load(); i++ {
		runtime.Gosched()
	}
	if ready.Load() && text != "complete" {
		t.Fatal(text)
	}
}
