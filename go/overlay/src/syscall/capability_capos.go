// Capabilities for programs. The module capos.dev/capos (go/capos) has types for them, and stands
// on these functions, because a module outside the Go root cannot reach the runtime.

//go:build capos

package syscall

// CapCall calls a method in compact form (docs/abi.md). The answer is the result word, or minus an
// error number, from -4095 to -1. Pointers that are converted in the argument list stay where they
// are until it returns. The method must not wait.
//
//go:uintptrescapes
func CapCall(capID uint32, method, a0, a1, a2, a3, a4 uintptr) uintptr {
	return call(capability(capID), method, a0, a1, a2, a3, a4)
}

// CapCallBlocking is CapCall for methods that may wait. Other goroutines run meanwhile.
//
//go:uintptrescapes
func CapCallBlocking(capID uint32, method, a0, a1, a2, a3, a4 uintptr) uintptr {
	return callBlocking(capability(capID), method, a0, a1, a2, a3, a4)
}

// CapRegisters are the registers of an operation on an endpoint, before it and after it.
type CapRegisters struct {
	RAX   uint64 // after: a result, or minus an error number
	RDI   uint64 // a CapId or 0; after a receive: the tag
	Words [8]uint64
	R14   uint64 // the deadline; after: a capability that has come
	R15   uint64 // a capability that goes; of a reply also an ErrorCode
}

//go:noescape
func capEndpoint(r *CapRegisters)

// CapEndpoint does an operation on an endpoint, by its opcode. Other goroutines run meanwhile. A
// call that was received has to be answered by the same thread, so the goroutine has to be locked
// to it until then.
func CapEndpoint(opcode uint8, r *CapRegisters) {
	r.RAX = abiSysCapEnter | uint64(opcode)<<8
	capEndpoint(r)
}

func capRing() uintptr
func capEnter(minComplete, timeout uintptr) uintptr

// CapRing returns the address of the ring page of the calling thread, to which the goroutine has to
// be locked. The runtime and this package leave the ring alone.
func CapRing() uintptr { return capRing() }

// CapEnter has the kernel execute what is in the thread's ring, and waits for that many
// completions, or so many nanoseconds. A notification ends the wait. Other goroutines run
// meanwhile. The answer is the number of completions in the ring, or minus an error number. What
// submissions point to must not move or be freed before their completion.
func CapEnter(minComplete, timeout uintptr) uintptr { return capEnter(minComplete, timeout) }

// CapRelease drops a capability. The answer is 0 or minus an error number.
func CapRelease(capID uint32) uintptr { return runtime_release(capability(capID)) }

// CapClock returns the time by which the kernel's deadlines are, in nanoseconds since start.
func CapClock() int64 { return runtime_nanotime() }
