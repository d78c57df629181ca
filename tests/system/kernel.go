// Package system holds tests of what Go programs may expect of the machine they run on: threads,
// preemption, memory, clocks. They run on capOS (./capos go test ./...); the tests in host/ start
// machines from outside and look at what they do.
//
// This file lets tests ask the kernel itself, by the calls that package syscall is made of: what
// the runtime says about memory and threads is not enough where the runtime's own conduct is the
// question.

//go:build capos

package system

import (
	"fmt"
	"unsafe"
)

//go:linkname capabilities syscall.runtime_capabilities
func capabilities() (stdin, stdout, stderr, vm, boot, system, host uint32)

// capCall calls a method in compact form. Buffers are passed as addresses, so they must not be on a
// stack that may move.
//
//go:linkname capCall syscall.capCall
func capCall(capID uint32, method, a0, a1, a2, a3, a4 uintptr) uintptr

// Methods, as abi/schema numbers them.
const (
	vmUnmap    = 1
	vmReserve  = 3
	vmCommit   = 4
	vmDecommit = 5
	vmUsage    = 7

	systemProcess = 0

	protReadWrite = 3
	pageSize      = 4096
)

// memoryUsage is MemoryUsage of the schema.
type memoryUsage struct {
	reservedPages, reservedLimit, committedPages, committedLimit, residentPages, peakCommitted, machineFreePages, machinePages uint64
}

// processInfo is ProcessInfo of the schema.
type processInfo struct {
	processID             uint64
	threads, capabilities uint32
	cpuTimeNs, startedNs  uint64
	cpusOnline            uint32
	_                     [28]byte
}

// The kernel writes here: globals do not move.
var (
	usageBuffer memoryUsage
	infoBuffer  processInfo
)

func refused(answer uintptr) bool { return answer > ^uintptr(4095) }

func mustCall(what string, answer uintptr) uintptr {
	if refused(answer) {
		panic(fmt.Sprintf("%s: the kernel answers %d", what, int(answer)))
	}
	return answer
}

// ledger returns what the kernel's ledgers hold for this process. One goroutine at a time.
func ledger() memoryUsage {
	_, _, _, vm, _, _, _ := capabilities()
	mustCall("usage", capCall(vm, vmUsage, uintptr(unsafe.Pointer(&usageBuffer)),
		unsafe.Sizeof(usageBuffer), 0, 0, 0))
	return usageBuffer
}

// process returns what the kernel knows of this process. One goroutine at a time.
func process() processInfo {
	_, _, _, _, _, system, _ := capabilities()
	mustCall("process", capCall(system, systemProcess, uintptr(unsafe.Pointer(&infoBuffer)),
		unsafe.Sizeof(infoBuffer), 0, 0, 0))
	return infoBuffer
}

// vmCall makes a call of VirtualMemory. Any goroutine may.
func vmCall(what string, method, a0, a1, a2 uintptr) uintptr {
	_, _, _, vm, _, _, _ := capabilities()
	return mustCall(what, capCall(vm, method, a0, a1, a2, 0, 0))
}
