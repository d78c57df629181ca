// What the race detector has of the system. The detector is C (go/race), is called on the stack of
// g0 or gsignal, and makes no system call itself.

//go:build capos && race

package runtime

import (
	"internal/abi"
	"internal/goarch"
	"unsafe"
)

//go:linkname __race_set_host __race_set_host
var __race_set_host byte

//go:cgo_import_static __race_set_host

// Operations of racehost, as enum race_host_op of go/race/race.h has them.
const (
	raceHostMap = iota
	raceHostMapLazily
	raceHostWrite
	raceHostYield
	raceHostSleep
	raceHostExit
	raceHostMemory
)

// racehostthunk is racehost for C.
func racehostthunk()

// raceHostInit runs before raceinit. It gives the detector the environment for its options.
func raceHostInit() {
	variables := add(unsafe.Pointer(argv), (uintptr(argc)+1)*goarch.PtrSize)
	racecall(&__race_set_host, abi.FuncPCABI0(racehostthunk), uintptr(variables), 0, 0)
}

// racehost runs with whatever g has the stack that it is on. The detector's memory is charged like
// that of the runtime's tables.
//
//go:nosplit
func racehost(operation, a, b uintptr) uintptr {
	switch operation {
	case raceHostMap:
		return raceMap(a, protReadWrite)
	case raceHostMapLazily:
		return raceMap(a, protReadWrite|abiCommitDemandZero)
	case raceHostWrite:
		write(2, unsafe.Pointer(a), int32(b))
	case raceHostYield:
		osyield()
	case raceHostSleep:
		usleep(uint32(a))
	case raceHostExit:
		flushText()
		exit(int32(a))
	case raceHostMemory:
		usage := memoryUsage()
		left := usage.committedLimit - min(usage.committedLimit, usage.committedPages)
		return uintptr(min(left, usage.machineFreePages) * abiPageSize)
	}
	return 0
}

//go:nosplit
func raceMap(size, prot uintptr) uintptr {
	p := capCall(caps.vm, abiVirtualMemoryMap, 0, size, prot, 0, 0)
	if capError(p) != 0 {
		return 0
	}
	return p
}
