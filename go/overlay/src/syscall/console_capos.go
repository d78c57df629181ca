// The console's streams as open files.

//go:build capos

package syscall

import "unsafe"

// A console is a capability for one direction of the machine's console.
type console struct {
	fileDefaults
	capability capability
}

// read waits for at least one byte. It returns none at the end of the stream.
func (c *console) read(p []byte, flags int) (int, Errno) {
	size := uintptr(min(len(p), 1<<20))
	for {
		got := callBlocking(c.capability, abiConsoleRead, size,
			uintptr(unsafe.Pointer(&p[0])), size, 0, 0)
		switch number := failure(got); number {
		case 0:
			return int(got), 0
		case abiErrorBase + abiErrorInterrupted:
		default:
			return 0, errnoOf(number)
		}
	}
}

func (c *console) write(p []byte, flags int) (int, Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	answer := callBlocking(c.capability, abiConsoleWrite, uintptr(unsafe.Pointer(&p[0])),
		uintptr(len(p)), 0, 0, 0)
	if number := failure(answer); number != 0 {
		return 0, errnoOf(number)
	}
	return len(p), 0
}

// settable leaves O_NONBLOCK out, because a console always blocks. A program that relied on the
// flag would wait for events that never come.
func (c *console) settable() int { return O_APPEND }

// stat makes each stream a device of its own. Inode numbers of the tree never get this high.
func (c *console) stat(st *Stat_t) {
	*st = Stat_t{Dev: 2, Ino: 1<<63 | uint64(c.capability), Nlink: 1, Mode: S_IFCHR | 0o620,
		Uid: ownerUid, Gid: ownerGid, Rdev: uint64(deviceConsole), Blksize: 1024}
}
