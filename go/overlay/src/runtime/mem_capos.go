// The runtime's memory hooks on VirtualMemory.
//
// Reserved and Prepared memory is only reserved. sysUsed commits, and the kernel charges what it
// commits at once. So the heap grows by 4 MiB of address space at a time, and only the spans in use
// are charged. Running out of memory is an error of sysUsed, not a fault later. Tables that are
// mostly never touched (sysAlloc of more than demandZeroAbove) are committed demand-zero instead
// and charged by page. Decommitted pages read as zero when they come back.
//
// The heap gets no address space for what the process can never commit. Otherwise the tables for
// such a range would take all memory before sysUsed is asked for it, and a touch of them would
// fault.

//go:build capos

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

// demandZeroAbove is the size up to which sysAlloc's memory is charged at once. Smaller pieces are
// filled soon.
const demandZeroAbove = 64 << 10

const protReadWrite = abiProtRead | abiProtWrite

// vmCall calls a VirtualMemory method that takes an address, a size and perhaps a protection.
//
//go:nosplit
func vmCall(method uintptr, v unsafe.Pointer, n, prot uintptr) uintptr {
	return capCall(caps.vm, method, uintptr(v), n, prot, 0, 0)
}

// sysAllocOS makes the call without vmCall, because setAside calls it at the end of a chain of
// nosplit functions. That chain has no room for another frame in programs built without
// optimisation (-N -l).
//
//go:nosplit
func sysAllocOS(n uintptr, _ string) unsafe.Pointer {
	prot := uintptr(protReadWrite)
	if n > demandZeroAbove {
		prot |= abiCommitDemandZero
	}
	p := capCall(caps.vm, abiVirtualMemoryMap, 0, n, prot, 0, 0)
	if capError(p) != 0 {
		return nil
	}
	return unsafe.Pointer(p)
}

func sysUnusedOS(v unsafe.Pointer, n uintptr) {
	vmMust("decommit", vmCall(abiVirtualMemoryDecommit, v, n, 0), v, n)
}

func sysUsedOS(v unsafe.Pointer, n uintptr) {
	result := vmCall(abiVirtualMemoryCommit, v, n, protReadWrite)
	if capError(result) == errorNumber(abiErrorNoMemory) {
		usage := memoryUsage()
		usage.explain(n)
		throw("out of memory")
	}
	vmMust("commit", result, v, n)
}

// vmMust ends the program if a call failed that can only fail by a mistake of the runtime.
func vmMust(operation string, result uintptr, v unsafe.Pointer, n uintptr) {
	if err := capError(result); err != 0 {
		print("runtime: ", operation, " of ", n, " bytes at ", v, " failed with ", err,
			"\n")
		throw("memory operation failed")
	}
}

//go:nosplit
func sysFreeOS(v unsafe.Pointer, n uintptr) {
	if capError(vmCall(abiVirtualMemoryUnmap, v, n, 0)) != 0 {
		systemstack(func() { throw("unmap failed") })
	}
}

func sysFaultOS(v unsafe.Pointer, n uintptr) {
	vmMust("decommit", vmCall(abiVirtualMemoryDecommit, v, n, 0), v, n)
}

// sysReserveOS takes the hint when the range is free. Otherwise the kernel chooses an address.
//
//go:nosplit
func sysReserveOS(v unsafe.Pointer, n uintptr, name string) unsafe.Pointer {
	if n > heapReserveUnchecked && (name == "heap" || name == "heap reservation") {
		excessive := false
		systemstack(func() { excessive = exceedsMemory(n) })
		if excessive {
			return nil
		}
	}
	p := vmCall(abiVirtualMemoryReserve, v, n, 0)
	if capError(p) != 0 {
		return nil
	}
	return unsafe.Pointer(p)
}

func sysMapOS(v unsafe.Pointer, n uintptr, _ string) {}

func sysHugePageOS(v unsafe.Pointer, n uintptr) {}

func sysNoHugePageOS(v unsafe.Pointer, n uintptr) {}

func sysHugePageCollapseOS(v unsafe.Pointer, n uintptr) {}

func needZeroAfterSysUnusedOS() bool { return false }

// ---- what there is
// ------------------------------------------------------------------------------------------

// heapReserveUnchecked is what the heap may reserve however little memory there is: it grows by
// whole arenas, and reserves one more when it has to align them.
const heapReserveUnchecked = 2 * heapArenaBytes

// memoryUsage asks the kernel. committedLimit is what the process may have at most, even if only
// the machine sets a limit.
func memoryUsage() (usage abiMemoryUsage) {
	capCall(caps.vm, abiVirtualMemoryUsage, uintptr(noescape(unsafe.Pointer(&usage))),
		unsafe.Sizeof(usage), 0, 0, 0)
	if usage.committedLimit == 0 || usage.committedLimit > usage.machinePages {
		usage.committedLimit = usage.machinePages
	}
	return usage
}

// explain says what was asked for, what there is, and which flag gives more.
func (usage *abiMemoryUsage) explain(asked uintptr) {
	print("runtime: ", asked, " bytes asked for; the process has ",
		usage.committedPages*abiPageSize, " of at most ", usage.committedLimit*abiPageSize,
		", the machine has ", usage.machineFreePages*abiPageSize, " free\n")
	if usage.committedLimit < usage.machinePages {
		print("runtime: ./capos run --limit memory=SIZE sets the most of a process\n")
	} else {
		print("runtime: ./capos run -m SIZE sets the memory of the machine\n")
	}
}

var excessExplained bool // the runtime tries several addresses for one request

// exceedsMemory tells whether the process can never commit as much as a reservation of the heap
// holds. Its caller holds the heap's lock.
func exceedsMemory(n uintptr) bool {
	usage := memoryUsage()
	if uint64(n-heapReserveUnchecked) <= usage.committedLimit*abiPageSize {
		return false
	}
	if !excessExplained {
		excessExplained = true
		usage.explain(n)
	}
	return true
}

// ---- the heap beside the memory of files
// ------------------------------------------------------------------------------------------

// Files in memory, other processes and the kernel take memory that the heap cannot have, and the
// collector knows nothing of them. So its goal stays within the heap's share: what the heap has and
// what is free. An eighth of that is for parts of spans that are not used. A sixteenth of all
// memory, and at least 1 MiB, is for everything else, such as threads and the collector's tables.
//
// A goroutine that allocates can take 10 MiB and more until the scheduler gives the collector its
// turn, after 10 ms. Where less than shortBelow is free, no goroutine runs while it marks.
const shortBelow = 32 << 20

var heapShare atomic.Uint64 // 0: not known yet

func heapInit() {
	heapGoalWithin = heapShareGoal
	memoryIsShort = updateHeapShare
}

// heapShareGoal leaves a little beyond what the last collection found, so that the collector does
// not run all the time where nothing helps.
func heapShareGoal(marked uint64) uint64 {
	share := heapShare.Load()
	if share == 0 {
		return ^uint64(0)
	}
	return max(share, marked+marked/8+256<<10)
}

// updateHeapShare reports whether memory is short.
func updateHeapShare() bool {
	usage := memoryUsage()
	left := usage.committedLimit - min(usage.committedLimit, usage.committedPages)
	free := min(left, usage.machineFreePages) * abiPageSize
	share := heapBytes() + free
	share -= min(share, max(1<<20, usage.committedLimit*abiPageSize/16))
	heapShare.Store(max(1, share-share/8))
	return free < shortBelow
}

//go:linkname heapBytes syscall.runtime_heapBytes
func heapBytes() uint64 {
	return gcController.heapInUse.load() + gcController.heapFree.load()
}

//go:linkname syscall_memoryTaken syscall.runtime_memoryTaken
func syscall_memoryTaken() { updateHeapShare() }

// ---- mmap
// ------------------------------------------------------------------------------------------

// mapPages is mmap without files, for tests and the few packages that link to the runtime's mmap.
// Protection 0 reserves. MAP_FIXED replaces what is there.
func mapPages(addr unsafe.Pointer, n uintptr, prot, flags, fd int32, off uint32) (unsafe.Pointer,
	int) {
	if flags&_MAP_ANON == 0 || n == 0 {
		return nil, _EINVAL
	}
	fixed := flags&_MAP_FIXED != 0
	if fixed {
		if uintptr(addr)%physPageSize != 0 {
			return nil, _EINVAL
		}
		vmCall(abiVirtualMemoryUnmap, addr, n, 0)
	}
	method, kernelProt := uintptr(abiVirtualMemoryMap), uintptr(prot&7)
	if kernelProt == 0 {
		method = abiVirtualMemoryReserve
	}
	p := vmCall(method, addr, n, kernelProt|abiCommitDemandZero)
	switch err := capError(p); {
	case err == errorNumber(abiErrorInvalidArgument) || err == errorNumber(abiErrorMisaligned):
		return nil, _EINVAL
	case err != 0:
		return nil, _ENOMEM
	case fixed && unsafe.Pointer(p) != addr:
		vmCall(abiVirtualMemoryUnmap, unsafe.Pointer(p), n, 0)
		return nil, _ENOMEM
	}
	return unsafe.Pointer(p), 0
}

func unmapPages(addr unsafe.Pointer, n uintptr) {
	vmCall(abiVirtualMemoryUnmap, addr, n, 0)
}
