// What this package asks of an explore build; see runtime/explore_inject_capos.go.

//go:build capos

package syscall

import _ "unsafe" // for go:linkname

//go:linkname exploreInject runtime.exploreInject
func exploreInject(ways uint64) uint64
