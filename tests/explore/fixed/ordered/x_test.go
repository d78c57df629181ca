// Functions of sync/atomic order what happens, of each kind and size: who sees the number sees the
// text too.
package ordered

import (
	"sync/atomic"
	"testing"
	"unsafe"
)

var (
	texts   [3]string
	number  uint64
	address uintptr
	pointer unsafe.Pointer
)

func TestOrdered(t *testing.T) {
	go func() {
		texts[0] = "complete"
		atomic.StoreUint64(&number, 1)
		texts[1] = "complete"
		atomic.AddUintptr(&address, 1)
		texts[2] = "complete"
		atomic.CompareAndSwapPointer(&pointer, nil, unsafe.Pointer(&number))
	}()
	for range 100 {
		seen := [3]bool{atomic.LoadUint64(&number) != 0, atomic.LoadUintptr(&address) != 0,
			atomic.LoadPointer(&pointer) != nil}
		for i := range texts {
			if seen[i] && texts[i] != "complete" {
				t.Fatal(i, texts[i])
			}
		}
	}
}
