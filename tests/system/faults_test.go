//go:build capos

package system

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"capos.dev/tests/system/internal/abi"
)

func divide(a, b uint64) uint64

type big struct {
	_    [100]byte
	word int
}

// Each of these faults in its own first lines, from frames of different sizes.

//go:noinline
func readNil(p *big) int { return p.word }

//go:noinline
func writeNil(p *big) int {
	var pad [77]byte
	pad[p8(p)] = 1
	p.word = int(pad[3])
	return p.word
}

func p8(p *big) int {
	if p == nil {
		return 3
	}
	return 4
}

//go:noinline
func divideByZero(*big) int { return int(divide(1, 0)) }

// deep calls f with depth frames of varying size above it, on a stack that grows on the way.
//
//go:noinline
func deep(depth int, f func(*big) int) int {
	var pad [48]byte
	pad[depth%48] = byte(depth)
	if depth == 0 {
		return f(nil)
	}
	if depth%3 == 0 {
		return wide(depth, f) + int(pad[depth%48])
	}
	return deep(depth-1, f) + int(pad[depth%48])
}

//go:noinline
func wide(depth int, f func(*big) int) int {
	var pad [1000]byte
	pad[depth%1000] = 1
	return deep(depth-1, f) + int(pad[depth%1000])
}

// recovered runs f at a depth and returns the panic's error and the function of the first frame
// outside the runtime, where the panic came from.
func recovered(depth int, f func(*big) int) (err runtime.Error, origin string) {
	defer func() {
		err, _ = recover().(runtime.Error)
		var pcs [64]uintptr
		frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
		for {
			frame, more := frames.Next()
			if !strings.HasPrefix(frame.Function, "runtime.") {
				origin = frame.Function
				return
			}
			if !more {
				return
			}
		}
	}()
	deep(depth, f)
	return
}

// Faults are panics that can be recovered from, at any depth and alignment of a stack that has just
// grown. Their trace begins with the function that faulted.
func TestFaultsAreRecovered(t *testing.T) {
	for _, c := range []struct {
		name, origin, text string
		f                  func(*big) int
	}{
		{"nil read", "readNil", "nil pointer dereference", readNil},
		{"nil write", "writeNil", "nil pointer dereference", writeNil},
		{"division", "divide", "integer divide by zero", divideByZero},
	} {
		for depth := 0; depth < 1200; depth = depth*5/4 + 1 {
			done := make(chan bool)
			go func() { // a new stack each time, so that it grows
				defer close(done)
				err, origin := recovered(depth, c.f)
				if err == nil || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%s at depth %d: recovered %v", c.name, depth, err)
				}
				if !strings.HasSuffix(origin, "."+c.origin) {
					t.Errorf("%s at depth %d: traced to %s", c.name, depth,
						origin)
				}
			}()
			<-done
		}
	}
}

// A bad address is fatal unless the goroutine asks for a panic, which then has the address. The
// fatal end is tested from outside.
func TestPanicOnFault(t *testing.T) {
	address := vmCall("reserve", abi.VirtualMemoryReserve, 0, abi.PageSize, 0)
	defer vmCall("unmap", abi.VirtualMemoryUnmap, address, abi.PageSize, 0)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for _, offset := range []uintptr{0, 9, abi.PageSize - 1} {
		func() {
			defer func() {
				fault, ok := recover().(interface{ Addr() uintptr })
				if !ok || fault.Addr() != address+offset {
					t.Errorf("address %#x: recovered %v", address+offset, fault)
				}
			}()
			t.Error("read", *(*byte)(unsafe.Pointer(address + offset)))
		}()
	}
}
