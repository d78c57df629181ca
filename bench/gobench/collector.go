package main

import (
	"runtime"
	"runtime/debug"
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
func collectorRows() []row {
	return []row{
		{name: "gc.cycle_per_mb", unit: perOp, ops: liveNodes / nodesPerMB,
			prepare: growLiveHeap, run: collect},
		{name: "gc.cycle_small", unit: perOp, ops: 10, prepare: dropLiveHeap,
			run: collectMany},
		{name: "gc.pause", unit: delay, ops: 1, prepare: growLiveHeap, own: pauseOfOne},
		{name: "alloc.16", unit: perOp, ops: 200000, prepare: dropLiveHeap,
			run: func(n int) uint64 {
				for range n {
					small = new([2]uint64)
				}
				return 0
			}},
		{name: "alloc.1k", unit: perOp, ops: 50000, prepare: runtime.GC,
			run: func(n int) uint64 { return allocate(n, 1<<10) }},
		{name: "alloc.64k", unit: perOp, ops: 2000, prepare: runtime.GC,
			run: func(n int) uint64 { return allocate(n, 64<<10) }},
		{name: "alloc.1m", unit: perOp, ops: 100, prepare: runtime.GC,
			run: func(n int) uint64 { return allocate(n, 1<<20) }},
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
