// What the standard library tells the race detector of an explore build; see
// runtime/explore_race_capos.go.

//go:build capos

package race

import (
	"internal/abi"
	"unsafe"
)

// Enabled is a constant of Go's own. Here a run has the detector or not.
var Enabled = enabled()

//go:linkname enabled runtime.RaceEnabled
func enabled() bool

//go:linkname Acquire runtime.RaceAcquire
func Acquire(addr unsafe.Pointer)

//go:linkname Release runtime.RaceRelease
func Release(addr unsafe.Pointer)

//go:linkname ReleaseMerge runtime.RaceReleaseMerge
func ReleaseMerge(addr unsafe.Pointer)

//go:linkname Disable runtime.RaceDisable
func Disable()

//go:linkname Enable runtime.RaceEnable
func Enable()

//go:linkname Read runtime.RaceRead
func Read(addr unsafe.Pointer)

//go:linkname Write runtime.RaceWrite
func Write(addr unsafe.Pointer)

//go:linkname ReadRange runtime.RaceReadRange
func ReadRange(addr unsafe.Pointer, len int)

//go:linkname WriteRange runtime.RaceWriteRange
func WriteRange(addr unsafe.Pointer, len int)

//go:linkname Errors runtime.RaceErrors
func Errors() int

func ReadPC(addr unsafe.Pointer, callerpc, pc uintptr) { Read(addr) }

func ReadObjectPC(t *abi.Type, addr unsafe.Pointer, callerpc, pc uintptr) {
	ReadRange(addr, int(t.Size()))
}

func WritePC(addr unsafe.Pointer, callerpc, pc uintptr) { Write(addr) }

func WriteObjectPC(t *abi.Type, addr unsafe.Pointer, callerpc, pc uintptr) {
	WriteRange(addr, int(t.Size()))
}
