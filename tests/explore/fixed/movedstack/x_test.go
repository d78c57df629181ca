// Where an answer goes is kept as a pointer.
package movedstack

import (
	"sync/atomic"
	"testing"
)

var place atomic.Pointer[int]

func answer(n int) { *place.Load() = n }

func TestAnswer(t *testing.T) {
	result := 0
	place.Store(&result)
	answer(42)
	if result != 42 {
		t.Fatalf("the answer is %d, want 42", result)
	}
}
