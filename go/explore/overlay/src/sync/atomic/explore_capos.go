// The decision points of this package in an explore build; see runtime/explore_capos.go.

//go:build capos

package atomic

import _ "unsafe" // for go:linkname

//go:linkname explorePoint runtime.explorePoint
func explorePoint(operation uint8)
