// What a finalizer or a cleanup looks at was written before by others, without a lock.
package cleanup

import (
	"runtime"
	"sync"
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

// What the collector writes while it queues the cleanups of several Ps is no access of the program,
// though it does so on whatever goroutine the last sweep is on.
func TestQueue(t *testing.T) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				for range 8 {
					runtime.AddCleanup(&handle{}, func(int) {}, 0)
					runtime.Gosched()
				}
				runtime.GC()
			}
		})
	}
	all.Wait()
}
