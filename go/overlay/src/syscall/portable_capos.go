// Functions that portable unix code names and the rest of this package has no use for.
//
// goport says which those are ("goport names") and generates their constants and types. What a
// process without privileges may not do on Linux fails with EPERM here. What would need other
// processes or devices fails with ENOSYS.

//go:build capos

package syscall

import (
	"internal/strconv"
	"unsafe"
)

// SocketDisableIPv6 makes Socket fail for sockets of IPv6.
var SocketDisableIPv6 bool

func (h *Msghdr) SetControllen(length int) { h.Controllen = uint64(length) }

func (h *Cmsghdr) SetLen(length int) { h.Len = uint64(length) }

// ---- strings
// ------------------------------------------------------------------------------------------

// StringSlicePtr is SlicePtrFromStrings for strings without a NUL. It panics when one has a NUL.
func StringSlicePtr(ss []string) []*byte {
	pointers, err := SlicePtrFromStrings(ss)
	if err != nil {
		panic("syscall: string with NUL passed to StringSlicePtr")
	}
	return pointers
}

// SlicePtrFromStrings returns pointers to copies of the strings, each with a NUL behind it, and a
// nil behind them.
func SlicePtrFromStrings(ss []string) ([]*byte, error) {
	pointers := make([]*byte, len(ss)+1)
	for i, s := range ss {
		p, err := BytePtrFromString(s)
		if err != nil {
			return nil, err
		}
		pointers[i] = p
	}
	return pointers, nil
}

// ---- identity
// ------------------------------------------------------------------------------------------

// ownID accepts the one identity that a process has.
func ownID(own int, ids ...int) error {
	for _, id := range ids {
		if id != own {
			return EPERM
		}
	}
	return nil
}

func Setuid(uid int) error  { return ownID(ownerUid, uid) }
func Setgid(gid int) error  { return ownID(ownerGid, gid) }
func Seteuid(uid int) error { return ownID(ownerUid, uid) }
func Setegid(gid int) error { return ownID(ownerGid, gid) }

func Setreuid(ruid, euid int) error {
	return ownID(ownerUid, orOwn(ruid, ownerUid), orOwn(euid, ownerUid))
}

func Setregid(rgid, egid int) error {
	return ownID(ownerGid, orOwn(rgid, ownerGid), orOwn(egid, ownerGid))
}

// orOwn is for calls in which -1 leaves an identity alone.
func orOwn(id, own int) int {
	if id == -1 {
		return own
	}
	return id
}

func Setgroups(gids []int) error { return EPERM }

// The process is the leader of its group and of its session, which it stays.

func Setpgid(pid, pgid int) error {
	switch {
	case pid != 0 && pid != Getpid():
		return ESRCH
	case pgid != 0 && pgid != Getpid():
		return EPERM
	}
	return nil
}

func Setsid() (pid int, err error) { return -1, EPERM }

// ---- time
// ------------------------------------------------------------------------------------------

// Nanosleep lets other goroutines run. No signal ends it early.
func Nanosleep(time, leftover *Timespec) error {
	if time.Sec < 0 || time.Nsec < 0 || time.Nsec >= 1e9 {
		return EINVAL
	}
	runtime_sleep(time.Nano())
	if leftover != nil {
		*leftover = Timespec{}
	}
	return nil
}

func Settimeofday(tv *Timeval) error { return EPERM }

// ---- files
// ------------------------------------------------------------------------------------------

func Chroot(path string) error               { return EPERM }
func Unmount(target string, flags int) error { return EPERM }

// Sync has nothing to do, because files are in memory, and the host gets its own when they are
// closed.
func Sync() {}

// Mknod makes files and named pipes. Devices exist only in /dev. Linux lets only privileged
// processes make more.
func Mknod(path string, mode uint32, dev int) error { return Mknodat(AT_FDCWD, path, mode, dev) }

func Mknodat(dirfd int, path string, mode uint32, dev int) error {
	switch mode & S_IFMT {
	case 0:
		mode |= S_IFREG
	case S_IFREG, S_IFIFO, S_IFSOCK:
	case S_IFCHR, S_IFBLK, S_IFDIR:
		return EPERM
	default:
		return EINVAL
	}
	return makeEntry(dirfd, path, mode&(S_IFMT|0o7777), "")
}

// Dup3 fails where Dup2 does nothing.
func Dup3(oldfd, newfd, flags int) error {
	if oldfd == newfd || flags&^O_CLOEXEC != 0 {
		return EINVAL
	}
	err := Dup2(oldfd, newfd)
	if err == nil && flags != 0 {
		CloseOnExec(newfd)
	}
	return err
}

func Getdents(fd int, buf []byte) (n int, err error) { return ReadDirent(fd, buf) }

// Getcwd writes the path with a NUL behind it and returns the length of both.
func Getcwd(buf []byte) (n int, err error) {
	path, err := Getwd()
	switch {
	case err != nil:
		return -1, err
	case len(path) >= len(buf):
		return -1, ERANGE
	}
	buf[copy(buf, path)] = 0
	return len(path) + 1, nil
}

// Files have no extended attributes.

func Listxattr(path string, dest []byte) (size int, err error) {
	if err := existing(path); err != 0 {
		return -1, err
	}
	return 0, nil
}

func Getxattr(path, attr string, dest []byte) (size int, err error) {
	return -1, noAttribute(path)
}

func Setxattr(path, attr string, data []byte, flags int) error { return noAttribute(path) }
func Removexattr(path, attr string) error                      { return noAttribute(path) }

func noAttribute(path string) Errno {
	if err := existing(path); err != 0 {
		return err
	}
	return EOPNOTSUPP
}

func existing(path string) Errno {
	lockTree()
	defer tree.Unlock()
	_, err := walkExistingAt(AT_FDCWD, path, true)
	return err
}

func Futimes(fd int, tv []Timeval) error {
	if len(tv) != 2 {
		return EINVAL
	}
	return changeOpen(fd, func(n *node) Errno {
		n.accessed, n.modified = tv[0].Nano(), tv[1].Nano()
		return 0
	})
}

// Sendfile copies from a file, from the offset on or from where it is read next.
func Sendfile(outfd, infd int, offset *int64, count int) (written int, err error) {
	from, _, e := access(infd, O_RDONLY)
	if e == 0 {
		if _, ok := from.(*treeFile); !ok {
			e = EINVAL
		}
	}
	if e != 0 {
		return -1, e
	}
	cursor := offset
	if cursor == nil {
		cursor = new(int64)
		*cursor, _ = from.seek(0, 1)
	}
	buffer := make([]byte, min(max(count, 0), chunkSize))
	for written < count {
		n, _ := from.pread(buffer[:min(len(buffer), count-written)], *cursor)
		if n == 0 {
			break
		}
		if n, err = Write(outfd, buffer[:n]); n <= 0 {
			break
		}
		written += n
		*cursor += int64(n)
	}
	if offset == nil {
		from.seek(*cursor, 0)
	}
	if written > 0 || err == nil {
		return written, nil
	}
	return -1, err
}

const (
	memoryFileSystem = 0x01021994 // what Linux calls tmpfs
	readOnly         = 1          // in Statfs_t.Flags
)

// Statfs describes the memory of files. Parts of the boot image that cannot be changed are
// read-only.
func Statfs(path string, buf *Statfs_t) error {
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(AT_FDCWD, path, true)
	if err == 0 {
		p.node.statfs(buf)
	}
	return result(err)
}

func Fstatfs(fd int, buf *Statfs_t) error {
	d, _ := descriptor(fd)
	if d == nil {
		return EBADF
	}
	n := d.file.treeNode()
	if n == nil {
		return ENOSYS
	}
	lockTree()
	defer tree.Unlock()
	n.statfs(buf)
	return nil
}

func (n *node) statfs(buf *Statfs_t) {
	free := memoryForFiles()
	*buf = Statfs_t{Type: memoryFileSystem, Bsize: abiPageSize, Frsize: abiPageSize,
		Blocks: uint64(fileMemory.pages + free), Bfree: uint64(free), Bavail: uint64(free),
		Files: uint64(nodesMax()), Ffree: uint64(nodesMax() - fileMemory.nodes),
		Namelen: nameMax}
	if n.fixed {
		buf.Flags = readOnly
	}
}

// ---- memory
// ------------------------------------------------------------------------------------------

// Memory stays where it is once it has been touched.

func Mlock(b []byte) error   { return nil }
func Munlock(b []byte) error { return nil }
func Munlockall() error      { return nil }

func Mlockall(flags int) error {
	if flags == 0 || flags&^(MCL_CURRENT|MCL_FUTURE) != 0 {
		return EINVAL
	}
	return nil
}

// Madvise takes what is only advice. Mappings of files are copies, so their pages cannot be given
// back to be read again.
func Madvise(b []byte, advice int) error {
	if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%abiPageSize != 0 {
		return EINVAL
	}
	switch advice {
	case MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED:
		return nil
	}
	return EINVAL
}

// ---- the system
// ------------------------------------------------------------------------------------------

// linuxRelease is what Uname gives as the release. Programs that see the tag linux take it for a
// version of Linux and leave out what came with a later one. Nearly all that they ask it for is
// older than this one, and the rest fails with ENOSYS.
const linuxRelease = "5.10.0-capos"

// Uname gives the version of the interface between programs and kernel as the version.
func Uname(buf *Utsname) error {
	*buf = Utsname{}
	for _, field := range []struct {
		to   *[65]int8
		text string
	}{
		{&buf.Sysname, "capOS"}, {&buf.Nodename, "capos"}, {&buf.Machine, "x86_64"},
		{&buf.Release, linuxRelease}, {&buf.Version, strconv.Itoa(abiAbiVersion)},
	} {
		for i := range len(field.text) {
			field.to[i] = int8(field.text[i])
		}
	}
	return nil
}

// ---- sockets
// ------------------------------------------------------------------------------------------

// There are neither raw sockets nor multicast.

func GetsockoptInet4Addr(fd, level, opt int) (value [4]byte, err error) {
	return [4]byte{}, unsupportedOption(fd)
}

func GetsockoptIPMreq(fd, level, opt int) (*IPMreq, error) { return nil, unsupportedOption(fd) }

func GetsockoptIPv6Mreq(fd, level, opt int) (*IPv6Mreq, error) {
	return nil, unsupportedOption(fd)
}

func GetsockoptIPv6MTUInfo(fd, level, opt int) (*IPv6MTUInfo, error) {
	return nil, unsupportedOption(fd)
}

func GetsockoptICMPv6Filter(fd, level, opt int) (*ICMPv6Filter, error) {
	return nil, unsupportedOption(fd)
}

func SetsockoptICMPv6Filter(fd, level, opt int, filter *ICMPv6Filter) error {
	return unsupportedOption(fd)
}
