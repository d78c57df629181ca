//go:build linux

package linux

import (
	. "syscall"
	"testing"
)

// What devices give, and what they do with what is written.
func TestDevices(t *testing.T) {
	scripted(t, func(s *script) {
		for _, name := range []string{"null", "zero", "full"} {
			fd := s.open(name, SYS_OPEN, s.text("/dev/"+name), O_RDWR)
			s.say("read: %v", s.read(name, fd, 4))
			s.write("write "+name, fd, "bytes")
		}
	})
}
