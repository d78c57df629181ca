// No order between the write of data and the flag: a data race, wrong on some machines, never on
// most.
package publish

import (
	"runtime"
	"testing"
)

var (
	text  string
	ready bool
)

func TestPublish(t *testing.T) {
	go func() {
		text = "complete"
		ready = true
	}()
	for i := 0; i < 1000 && !ready; i++ {
		runtime.Gosched()
	}
	if ready && text != "complete" {
		t.Fatal(text)
	}
}
