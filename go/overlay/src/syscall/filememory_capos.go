// Where the bytes of files in memory are.
//
// They lie in mappings of their own. On the Go heap they would move the goal of the collector, and
// a heap that cannot grow ends the program. When a commit fails here, the write fails with ENOSPC.
//
// Address space is reserved in arenas, cut into slots of one chunk each. The pages of a slot are
// committed as they are written and decommitted when the file gives them up. The address space is
// kept. Files may have half of the memory of the machine, or of the limit of the process. They
// leave the greatest of these free: a sixteenth, 1 MiB, and what the heap lacks of 4 MiB. The
// runtime hears of what they take, and keeps the heap's goal within the rest.

//go:build capos

package syscall

import (
	"slices"
	"unsafe"
)

const (
	chunkSize  = 64 << 10
	chunkPages = chunkSize / abiPageSize
	arenaSlots = 1024

	shareOfFiles   = 2
	shareLeftFree  = 16
	pagesLeftFree  = 256
	pagesOfHeap    = 1024
	allowancePages = 256 // may be committed before the memory of the machine is looked at again
	pagesPerNode   = 2   // of the process's memory; bounds the nodes, which are on the heap
)

// fileMemory is guarded by the lock of the tree.
var fileMemory struct {
	pages     int // committed
	allowance int // pages that may be committed without another look
	nodes     int // made by the program, and not gone
	nodesMax  int
	free      []slotRun
}

// A slotRun is consecutive slots whose pages are not committed.
type slotRun struct {
	address uintptr
	slots   int
}

// memoryUsage asks the kernel. committedLimit is what the process may have at most, even if only
// the machine sets a limit.
func memoryUsage() *abiMemoryUsage {
	usage := new(abiMemoryUsage)
	call(granted.vm, abiVirtualMemoryUsage, uintptr(unsafe.Pointer(usage)),
		unsafe.Sizeof(*usage), 0, 0, 0)
	if usage.committedLimit == 0 || usage.committedLimit > usage.machinePages {
		usage.committedLimit = usage.machinePages
	}
	return usage
}

// memoryForFiles returns how many more pages files may have now.
func memoryForFiles() int {
	usage := memoryUsage()
	total := int(usage.committedLimit)
	free := min(int(usage.machineFreePages), total-int(usage.committedPages))
	heap := int(runtime_heapBytes() / abiPageSize)
	free -= max(total/shareLeftFree, pagesLeftFree, pagesOfHeap-heap)
	return max(0, min(total/shareOfFiles-fileMemory.pages, free))
}

// runtime_heapBytes returns what is committed for the heap.
func runtime_heapBytes() uint64

// runtime_memoryTaken tells the runtime that the heap may have less.
func runtime_memoryTaken()

// allowPages returns how many of the pages may be committed, at least one or none.
func allowPages(wanted int) int {
	if fileMemory.allowance < wanted {
		fileMemory.allowance = min(allowancePages, memoryForFiles())
		runtime_memoryTaken()
	}
	return min(wanted, fileMemory.allowance)
}

// nodesMax returns how many nodes the program may make.
func nodesMax() int {
	m := &fileMemory
	if m.nodesMax == 0 {
		m.nodesMax = max(1024, int(memoryUsage().committedLimit)/pagesPerNode)
	}
	return m.nodesMax
}

// allowNode reports whether there may be another node, and counts it.
func allowNode() bool {
	if fileMemory.nodes >= nodesMax() {
		return false
	}
	fileMemory.nodes++
	return true
}

// takeSlot returns the address of a slot, 0 if there is no address space.
func takeSlot() uintptr {
	m := &fileMemory
	if len(m.free) == 0 {
		arena, err := reserveMemory(0, arenaSlots*chunkSize)
		if err != 0 {
			return 0
		}
		m.free = append(m.free, slotRun{arena, arenaSlots})
	}
	run := &m.free[len(m.free)-1]
	slot := run.address
	run.address += chunkSize
	if run.slots--; run.slots == 0 {
		m.free = m.free[:len(m.free)-1]
	}
	return slot
}

// freeSlots decommits all pages of the slots. It takes neighbours together, because each decommit
// interrupts other CPUs.
func freeSlots(slots []uintptr) {
	slices.Sort(slots)
	for len(slots) > 0 {
		run := slotRun{slots[0], 1}
		for run.slots < len(slots) && slots[run.slots] == run.address+
			uintptr(run.slots)*chunkSize {
			run.slots++
		}
		slots = slots[run.slots:]
		decommit(run.address, run.slots*chunkPages)
		fileMemory.free = append(fileMemory.free, run)
	}
}

// commit makes as many of the pages usable, from the first on, as there is memory for, and returns
// how many those are. Pages committed before keep their contents.
func commit(address uintptr, pages int) int {
	for pages > 0 {
		if commitMemory(address, uintptr(pages)*abiPageSize, 0) == 0 {
			return pages
		}
		pages /= 2
	}
	return 0
}

func decommit(address uintptr, pages int) {
	call(granted.vm, abiVirtualMemoryDecommit, address, uintptr(pages)*abiPageSize, 0, 0, 0)
}
