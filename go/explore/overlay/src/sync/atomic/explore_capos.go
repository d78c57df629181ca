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
