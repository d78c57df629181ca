// Package capos lets a Go program use capabilities directly: hold them, call methods and servers
// with them, serve calls, and hand them to programs that it starts. docs/go-capabilities.md is the
// guide.
//
// A capability is a number in the table of this process, and a value of one of this package's types
// is that number. Copies of a value are the same capability. Close drops it, once; a use after that
// fails with ErrInvokeFailed. Nothing else drops it, and there are no finalizers. A server is told
// when the last holder of a facet has dropped it, so that moment has a meaning for others, and the
// collector would choose it by chance. It also cannot see where else the number is: in a table, in
// a child's grants.
//
// The types with their methods are generated of abi/schema. Waits take the time at which they fail
// with ErrTimedOut. The zero time is no deadline.
//
// On other systems than capOS the package compiles and nothing is granted.
package capos

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"
)

// A Capability is what this process holds of an object of the kernel, or of a server. The zero
// Capability is none.
type Capability struct{ id uint32 }

// Held is a capability of any type.
type Held interface{ ID() uint32 }

// FromID makes a value of a CapId, which is how package syscall knows a capability.
func FromID(id uint32) Capability { return Capability{id} }

// ID is the CapId: the number by which the kernel knows the capability in this process.
func (c Capability) ID() uint32 { return c.id }

// Close drops the capability. What it stands for ends when that was the last one.
func (c Capability) Close() error { return asError(release(c.id)) }

// Typed are the types of this package that have the methods of one interface.
type Typed interface{ ~struct{ Capability } }

// Of says which interface a capability has. Calls fail with ErrInvokeFailed if it has another.
func Of[T Typed](c Capability) T { return T(struct{ Capability }{c}) }

// manifestLine is what a service's manifest says for it to hold a capability of that name.
func manifestLine(name string, endpoint bool) string {
	switch {
	case slices.Contains(grantNames[:], name), name == "init_log", name == "init_processes":
		return fmt.Sprintf("grants: [%q]", name)
	case name == "ready":
		return "ready: true"
	case name == "heartbeat":
		return "heartbeatMs: 1000"
	case strings.HasPrefix(name, "virtio-"), strings.HasPrefix(name, "pci:"):
		return fmt.Sprintf("devices: [%q]", name)
	case endpoint:
		return fmt.Sprintf("serves: %q: {}", name)
	}
	return fmt.Sprintf("uses: %q: {}", name)
}

// Granted gives a capability with which the program was started, by its name. The program goes on
// holding it under that name, so it is closed once for all. The error for one that it does not hold
// says what the manifest has to say.
func Granted[T Typed](name string) (T, error) {
	id := granted(name)
	if id == 0 {
		var none T
		_, endpoint := any(none).(Endpoint)
		return none, fmt.Errorf("capos: %w: the program was started without %q; say in "+
			"the manifest: %s", fs.ErrPermission, name, manifestLine(name, endpoint))
	}
	return Of[T](Capability{id}), nil
}

// deadlineWord is a deadline as the kernel takes it. One that is past stays past.
func deadlineWord(deadline time.Time) uintptr {
	if deadline.IsZero() {
		return uintptr(abiWaitForever)
	}
	return deadlineAfter(clock(), time.Until(deadline))
}

func deadlineAfter(now int64, left time.Duration) uintptr {
	if int64(left) > math.MaxInt64-now {
		return uintptr(abiWaitForever)
	}
	return uintptr(max(0, now+int64(left)))
}

// timeoutWord is the time until a deadline as the kernel takes it.
func timeoutWord(deadline time.Time) uintptr {
	if deadline.IsZero() {
		return uintptr(abiWaitForever)
	}
	return uintptr(max(0, time.Until(deadline)))
}
