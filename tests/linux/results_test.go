//go:build linux

package linux

import (
	. "syscall"
	"testing"
)

// A call leaves the register of its third argument, which programs take for a second result.
func TestSecondResult(t *testing.T) {
	scripted(t, func(s *script) {
		for _, c := range []struct {
			what string
			trap uintptr
			args [3]uintptr
		}{
			{"no arguments", SYS_GETUID, [3]uintptr{1, 2, 3}},
			{"a failure", SYS_LSEEK, [3]uintptr{^uintptr(0), 0, 2}},
			{"kept", SYS_SCHED_YIELD, [3]uintptr{0, 0, ^uintptr(0)}},
		} {
			a := c.args
			_, r2, e := Syscall(c.trap, a[0], a[1], a[2])
			s.say("%s: %#x, %d", c.what, r2, int(e))
			_, r2, e = Syscall6(c.trap, a[0], a[1], a[2], 4, 5, 6)
			s.say("%s: %#x, %d", c.what, r2, int(e))
			_, r2, _ = RawSyscall(c.trap, a[0], a[1], a[2])
			s.say("%s: %#x", c.what, r2)
			_, r2, _ = RawSyscall6(c.trap, a[0], a[1], a[2], 4, 5, 6)
			s.say("%s: %#x", c.what, r2)
		}
	})
}
