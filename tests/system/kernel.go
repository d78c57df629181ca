// Package system holds tests of what Go programs may expect of the machine they run on: threads,
// preemption, memory, clocks. They run on capOS (./capos go test ./...); the tests in host/ start
// machines from outside and look at what they do.
//
// This file lets tests ask the kernel itself, by the calls of which package syscall is made. The
// runtime's own figures about memory and threads are not enough for tests of the runtime.

//go:build capos

package system

import (
	"fmt"
	"unsafe"

	"capos.dev/tests/system/internal/abi"
)

// capabilities returns the CapIds with which the program was started, by abi.GrantX.
//
//go:linkname capabilities syscall.runtime_capabilities
func capabilities() *[abi.GrantCount]uint32

// capCall calls a method in compact form. Buffers are passed as addresses, so they must not be on a
// stack that may move.
//
//go:linkname capCall syscall.capCall
func capCall(capID uint32, method, a0, a1, a2, a3, a4 uintptr) uintptr

// The kernel writes here, because globals do not move.
var (
	usageBuffer abi.MemoryUsage
	infoBuffer  abi.ProcessInfo
)

func failed(answer uintptr) bool { return answer > ^uintptr(4095) }

func mustCall(what string, answer uintptr) uintptr {
	if failed(answer) {
		panic(fmt.Sprintf("%s: the kernel answers %d", what, int(answer)))
	}
	return answer
}

// ledger returns what the kernel's ledgers hold for this process. One goroutine at a time.
func ledger() abi.MemoryUsage {
	vm := capabilities()[abi.GrantVm]
	mustCall("usage", capCall(vm, abi.VirtualMemoryUsage, uintptr(unsafe.Pointer(&usageBuffer)),
		unsafe.Sizeof(usageBuffer), 0, 0, 0))
	return usageBuffer
}

// process returns what the kernel knows of this process. One goroutine at a time.
func process() abi.ProcessInfo {
	system := capabilities()[abi.GrantSystem]
	mustCall("process", capCall(system, abi.SystemInfoProcess,
		uintptr(unsafe.Pointer(&infoBuffer)), unsafe.Sizeof(infoBuffer), 0, 0, 0))
	return infoBuffer
}

// vmCall makes a call of VirtualMemory. Any goroutine may.
func vmCall(what string, method, a0, a1, a2 uintptr) uintptr {
	vm := capabilities()[abi.GrantVm]
	return mustCall(what, capCall(vm, method, a0, a1, a2, 0, 0))
}
