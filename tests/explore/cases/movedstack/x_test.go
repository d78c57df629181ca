// Where an answer goes is kept as a number, which does not change when the stack moves that the
// variable is on. On Linux the stack happens to be large enough.
package movedstack

import (
	"sync/atomic"
	"testing"
	"unsafe"
)

var place uintptr

func answer(n int) { *(*int)(unsafe.Pointer(atomic.LoadUintptr(&place))) = n }

func TestAnswer(t *testing.T) {
	result := 0
	atomic.StoreUintptr(&place, uintptr(unsafe.Pointer(&result)))
	answer(42)
	if result != 42 {
		t.Fatalf("the answer is %d, want 42", result)
	}
}
