// The decision points of this package in an explore build; see runtime/explore_capos.go.

//go:build capos

package atomic

import "unsafe"

//go:linkname explorePoint runtime.explorePoint
func explorePoint(operation uint8)

// exploreAcquire and exploreRelease tell the race detector what orders others; a release keeps what
// the address had, because it comes before the operation.
//
//go:linkname exploreAcquire runtime.RaceAcquire
//go:noescape
func exploreAcquire(addr unsafe.Pointer)

//go:linkname exploreRelease runtime.RaceReleaseMerge
//go:noescape
func exploreRelease(addr unsafe.Pointer)

// exploreReads and exploreWrites are what functions do before their operation: a decision point and
// an access, which races with one that is not atomic.
//
//go:linkname exploreReads runtime.exploreReads
//go:noescape
func exploreReads(addr unsafe.Pointer, size uintptr)

//go:linkname exploreWrites runtime.exploreWrites
//go:noescape
func exploreWrites(addr unsafe.Pointer, size uintptr)
