package main

import (
	"runtime"
	"runtime/debug"

	"capos.dev/bench/measure"
)

// node is an object of 64 bytes: two pointers and data.
type node struct {
	left, right *node
	payload     [6]uint64
}

const (
	liveNodes  = 1 << 19 // 32 MiB
	nodesPerMB = 1 << 20 / 64
)

var (
	live       *node
	small      *[2]uint64
	medium     []byte
	keepPauses debug.GCStats
)

// collectorRows are about allocation and garbage collection. Objects of a live heap are linked as
// one balanced tree, in the order they were allocated.
func collectorRows() []measure.Row {
	return []measure.Row{
		{Name: "gc.cycle_per_mb", Unit: measure.PerOp, Ops: liveNodes / nodesPerMB,
			Prepare: growLiveHeap, Run: collect},
		{Name: "gc.cycle_small", Unit: measure.PerOp, Ops: 10, Prepare: dropLiveHeap,
			Run: collectMany},
		{Name: "gc.pause", Unit: measure.Delay, Ops: 1, Prepare: growLiveHeap,
			Own: pauseOfOne},
		{Name: "alloc.16", Unit: measure.PerOp, Ops: 200000, Prepare: dropLiveHeap,
			Run: func(n int) uint64 {
				for range n {
					small = new([2]uint64)
				}
				return 0
			}},
		{Name: "alloc.1k", Unit: measure.PerOp, Ops: 50000, Prepare: runtime.GC,
			Run: func(n int) uint64 { return allocate(n, 1<<10) }},
		{Name: "alloc.64k", Unit: measure.PerOp, Ops: 2000, Prepare: runtime.GC,
			Run: func(n int) uint64 { return allocate(n, 64<<10) }},
		{Name: "alloc.1m", Unit: measure.PerOp, Ops: 100, Prepare: runtime.GC,
			Run: func(n int) uint64 { return allocate(n, 1<<20) }},
	}
}

func allocate(n, size int) uint64 {
	for range n {
		medium = make([]byte, size)
	}
	medium = nil
	return 0
}

func growLiveHeap() {
	if live == nil {
		live = grow(liveNodes)
	}
	runtime.GC()
}

func dropLiveHeap() {
	live = nil
	runtime.GC()
}

func grow(nodes int) *node {
	if nodes == 0 {
		return nil
	}
	half := (nodes - 1) / 2
	return &node{left: grow(half), right: grow(nodes - 1 - half)}
}

func collect(int) uint64 {
	runtime.GC()
	return 0
}

func collectMany(n int) uint64 {
	for range n {
		runtime.GC()
	}
	return 0
}

// pauseOfOne gives the time during which one collection stopped everything.
func pauseOfOne(int) uint64 {
	debug.ReadGCStats(&keepPauses)
	before := keepPauses.PauseTotal
	runtime.GC()
	debug.ReadGCStats(&keepPauses)
	return uint64(keepPauses.PauseTotal - before)
}
