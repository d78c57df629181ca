// What a finalizer or a cleanup looks at was written before by others, without a lock.
package cleanup

import (
	"runtime"
	"testing"
)

type handle struct{ number *int }

func open(told chan int) {
	h := &handle{new(int)}
	*h.number = 7
	runtime.AddCleanup(h, func(number *int) { told <- *number }, h.number)
	h = &handle{new(int)}
	*h.number = 7
	runtime.SetFinalizer(h, func(h *handle) { told <- *h.number })
}

func TestCleanup(t *testing.T) {
	told := make(chan int)
	go open(told)
	for range 2 {
		for done := false; !done; {
			select {
			case number := <-told:
				if done = true; number != 7 {
					t.Errorf("the number is %d", number)
				}
			default:
				runtime.GC()
			}
		}
	}
}
