// Descriptor flags, which package syscall keeps.

//go:build capos

package unix

import (
	"syscall"
	_ "unsafe" // for linkname
)

//go:linkname control syscall.control
func control(fd, command, argument int) (int, syscall.Errno)

func Fcntl(fd int, cmd int, arg int) (int, error) {
	value, errno := control(fd, cmd, arg)
	if errno != 0 {
		return value, errno
	}
	return value, nil
}
