package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"capos.dev/bench/measure"
)

const (
	pageSize   = 4096
	blockPages = 16384 // 64 MiB: as much as the runtime takes from the system at a time
)

// blocks keeps the allocations, so that each sample of a first touch gets untouched memory.
var blocks [][]byte

// measureMemory is about heap pages that the kernel has to find and clear. It comes first, while
// the heap is small and nothing freed is around to be used again. Allocation and touch are measured
// together: systems differ in which of the two does the work.
func measureMemory() {
	percent := debug.SetGCPercent(-1)
	measure.All([]measure.Row{
		{Name: "mem.first_touch", Unit: measure.PerPage, Ops: blockPages, Run: touchFresh},
		{Name: "mem.give_back", Unit: measure.PerPage, Ops: blockPages, Prepare: keepOne,
			Run: giveBack},
		{Name: "mem.retouch", Unit: measure.PerPage, Ops: blockPages, Prepare: giveBackOne,
			Run: touchFresh},
		{Name: "mem.touch_again", Unit: measure.PerPage, Ops: blockPages, Prepare: keepOne,
			Run: touchKept},
	})
	giveBack(0)
	debug.SetGCPercent(percent)
}

func touchFresh(pages int) uint64 {
	block := make([]byte, pages*pageSize)
	for offset := 0; offset < len(block); offset += pageSize {
		block[offset] = 1
	}
	blocks = append(blocks, block)
	return 0
}

// touchKept writes to pages that are there already: the cost of the loop itself.
func touchKept(pages int) uint64 {
	block := blocks[0]
	for offset := 0; offset < pages*pageSize; offset += pageSize {
		block[offset]++
	}
	return 0
}

// keepOne leaves one touched block allocated and frees the others.
func keepOne() {
	if len(blocks) == 0 {
		touchFresh(blockPages)
	}
	clear(blocks[1:])
	blocks = blocks[:1]
	runtime.GC()
}

// giveBack frees everything and returns it to the system.
func giveBack(int) uint64 {
	clear(blocks)
	blocks = blocks[:0]
	debug.FreeOSMemory()
	return 0
}

func giveBackOne() {
	keepOne()
	giveBack(0)
	checkZero()
}

// checkZero makes sure that memory which was given back comes back cleared. It looks at a smaller
// block than the one measured, which leaves most of the pages alone.
func checkZero() {
	block := make([]byte, blockPages/16*pageSize)
	for offset, b := range block {
		if b != 0 {
			fmt.Printf("fail mem.retouch: byte %d of a new block is %d\n", offset, b)
			os.Exit(1)
		}
	}
	clear(block) // keeps it alive up to here
	block = nil
	debug.FreeOSMemory()
}
