// The decision points of this package in an explore build; see runtime/explore_capos.go.

//go:build capos

package testing

import _ "unsafe" // for go:linkname

// exploreTest tells that the goroutine enters or leaves the function of a test.
//
//go:linkname exploreTest runtime.exploreTest
func exploreTest(enters bool)

// exploreNameTest names the goroutine after its test.
//
//go:linkname exploreNameTest runtime.exploreNameTest
func exploreNameTest(name string)

// exploreTimedOut is called when the tests took too long, before they are told so.
//
//go:linkname exploreTimedOut runtime.exploreTimedOut
func exploreTimedOut()
