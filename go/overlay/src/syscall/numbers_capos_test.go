//go:build capos

package syscall_test

// Every number of the table is called once with arguments that let it succeed, and with some that
// do not.

import (
	"path/filepath"
	"runtime"
	. "syscall"
	"testing"
	"time"
	"unsafe"
)

// A numbers is a test of calls by number.
type numbers struct {
	*testing.T
	called map[uintptr]bool
	dir    string
}

// must makes a call that has to succeed.
func (n *numbers) must(trap uintptr, a ...uintptr) uintptr {
	n.Helper()
	r, e := n.call(trap, a)
	if e != 0 {
		n.Fatalf("call %d: %v", trap, e)
	}
	return r
}

// fails makes a call that has to fail, as it does with Linux's result in the register.
func (n *numbers) fails(want Errno, trap uintptr, a ...uintptr) {
	n.Helper()
	if r, e := n.call(trap, a); e != want || r != ^uintptr(0) {
		n.Errorf("call %d: %d, %v and not %v", trap, int(r), e, want)
	}
}

func (n *numbers) call(trap uintptr, a []uintptr) (uintptr, Errno) {
	n.called[trap] = true
	var all [6]uintptr
	copy(all[:], a)
	r, _, e := Syscall6(trap, all[0], all[1], all[2], all[3], all[4], all[5])
	return r, e
}

// is compares a result.
func (n *numbers) is(got, want uintptr) {
	n.Helper()
	if got != want {
		n.Errorf("%d and not %d", int(got), int(want))
	}
}

// The memory of all pointers that these tests pass as numbers is kept here, so that it stays.
var kept []any

// at returns the number of a pointer.
func at[T any](p *T) uintptr {
	kept = append(kept, p)
	return uintptr(unsafe.Pointer(p))
}

func text(s string) uintptr {
	p, err := BytePtrFromString(s)
	if err != nil {
		panic(err)
	}
	return at(p)
}

// path returns a name in the test's directory, as a number.
func (n *numbers) path(name string) uintptr { return text(filepath.Join(n.dir, name)) }

const (
	here     = ^uintptr(99) // AT_FDCWD
	nofollow = 0x100
)

func TestNumbers(t *testing.T) {
	n := &numbers{t, map[uintptr]bool{}, t.TempDir()}
	defer func() { kept = nil }()
	for _, part := range []func(*numbers){openFiles, moreFiles, descriptors, paths, morePaths,
		attributes, process, identity, clocks, limits, mappings, sockets, datagrams,
		eventSets, eventCounters, polls, timers, inMemory, futexes, watches,
		messages, copies, threads, moreIdentity, absent} {
		part(n)
	}
	for i := range uintptr(NumbersEnd) {
		if HasNumber(i) && !n.called[i] && i != SYS_EXIT_GROUP {
			t.Errorf("no test calls %d", i)
		}
	}
}

func openFiles(n *numbers) {
	name, buffer := n.path("file"), []byte("hello, world")
	fd := n.must(SYS_OPEN, name, O_RDWR|O_CREAT, 0o640)
	n.fails(ENOENT, SYS_OPEN, n.path("none"), O_RDONLY)
	n.is(n.must(SYS_WRITE, fd, at(&buffer[0]), 12), 12)
	n.is(n.must(SYS_LSEEK, fd, 7, 0), 7)
	got := make([]byte, 20)
	n.is(n.must(SYS_READ, fd, at(&got[0]), 20), 5)
	n.is(n.must(SYS_PREAD64, fd, at(&got[5]), 5, 0), 5)
	if string(got[:10]) != "worldhello" {
		n.Errorf("read %q", got)
	}
	n.is(n.must(SYS_PWRITE64, fd, at(&buffer[0]), 5, 12), 5)
	two := [2]Iovec{{&got[0], 4}, {&got[8], 4}}
	n.is(n.must(SYS_PREADV, fd, at(&two[0]), 2, 0), 8)
	n.is(n.must(SYS_PWRITEV, fd, at(&two[0]), 2, 0), 8)
	n.must(SYS_LSEEK, fd, 0, 0)
	n.is(n.must(SYS_READV, fd, at(&two[0]), 2), 8)
	n.is(n.must(SYS_WRITEV, fd, at(&two[0]), 2), 8)
	for _, flush := range []uintptr{SYS_FSYNC, SYS_FDATASYNC, 306, SYS_SYNC_FILE_RANGE} {
		n.must(flush, fd)
		n.fails(EBADF, flush, 99)
	}
	n.must(SYS_SYNC)
	n.must(SYS_FADVISE64, fd, 0, 0, 4)
	n.fails(EBADF, SYS_FADVISE64, 99, 0, 0, 4)
	n.must(SYS_FTRUNCATE, fd, 3)
	n.must(SYS_FALLOCATE, fd, 1, 0, 10)
	n.fails(EINVAL, SYS_FALLOCATE, fd, 0, 0, 0)
	st := new(Stat_t)
	n.must(SYS_FSTAT, fd, at(st))
	n.is(uintptr(st.Size), 3)
	n.fails(EFAULT, SYS_FSTAT, fd, 0)
	n.must(SYS_FSTATFS, fd, at(new(Statfs_t)))
	n.must(SYS_CLOSE, fd)
	n.fails(EBADF, SYS_CLOSE, fd)
}

func moreFiles(n *numbers) {
	fd := n.must(SYS_CREAT, n.path("more"), 0o600)
	n.must(SYS_FCHMOD, fd, 0o644)
	n.must(SYS_FCHOWN, fd, ^uintptr(0), ^uintptr(0))
	n.must(SYS_FLOCK, fd, LOCK_EX)
	n.is(n.must(SYS_FCNTL, fd, F_GETFL)&O_ACCMODE, O_WRONLY)
	n.must(SYS_FCNTL, fd, F_SETLK, at(&Flock_t{Type: F_WRLCK}))
	n.fails(EFAULT, SYS_FCNTL, fd, F_SETLK, 0)
	n.fails(ENOTTY, SYS_IOCTL, fd, TCGETS, at(new(Termios)))
	n.fails(EBADF, SYS_IOCTL, 99, TCGETS)
	from := n.must(SYS_OPEN, n.path("file"), O_RDONLY)
	offset := new(int64)
	n.is(n.must(SYS_SENDFILE, fd, from, at(offset), 100), 3)
	n.is(uintptr(*offset), 3)
	n.must(SYS_CLOSE, from)
	n.must(SYS_CLOSE, fd)
	dir := n.must(SYS_OPEN, text(n.dir), O_RDONLY|O_DIRECTORY)
	buffer := make([]byte, 1024)
	if n.must(SYS_GETDENTS64, dir, at(&buffer[0]), 1024) == 0 {
		n.Error("an empty directory")
	}
	old := make([]byte, 4096)
	length := n.must(SYS_GETCWD, at(&old[0]), 4096)
	n.fails(ERANGE, SYS_GETCWD, at(&old[0]), 1)
	n.must(SYS_FCHDIR, dir)
	n.must(SYS_CHDIR, text(string(old[:length-1])))
	n.must(SYS_CLOSE, dir)
}

func descriptors(n *numbers) {
	ends := new([2]int32)
	n.must(SYS_PIPE, at(ends))
	n.must(SYS_CLOSE, uintptr(ends[0]))
	n.must(SYS_CLOSE, uintptr(ends[1]))
	n.must(SYS_PIPE2, at(ends), O_CLOEXEC)
	n.fails(EFAULT, SYS_PIPE2, 0, 0)
	one := n.must(SYS_DUP, uintptr(ends[0]))
	n.is(n.must(SYS_DUP2, uintptr(ends[0]), one), one)
	n.is(n.must(SYS_DUP3, uintptr(ends[0]), one, O_CLOEXEC), one)
	n.fails(EINVAL, SYS_DUP3, one, one, 0)
	n.must(SYS_CLOSE, one)
	n.must(SYS_CLOSE, uintptr(ends[0]))
	n.must(SYS_CLOSE, uintptr(ends[1]))
}

func paths(n *numbers) {
	st := new(Stat_t)
	fd := n.must(SYS_OPENAT, here, n.path("a"), O_CREAT|O_RDWR, 0o600)
	n.must(SYS_STAT, n.path("a"), at(st))
	n.must(SYS_LSTAT, n.path("a"), at(st))
	n.must(SYS_NEWFSTATAT, here, n.path("a"), at(st), nofollow)
	n.must(SYS_NEWFSTATAT, fd, text(""), at(st), 0x1000)
	n.fails(ENOENT, SYS_NEWFSTATAT, here, text(""), at(st), 0)
	extended := make([]uint64, 32)
	n.must(332, here, n.path("a"), 0, 0x7ff, at(&extended[0]))
	n.is(uintptr(extended[4]), uintptr(st.Ino))
	n.must(SYS_STATFS, text("/tmp"), at(new(Statfs_t)))
	n.must(SYS_ACCESS, n.path("a"), 4)
	n.must(SYS_FACCESSAT, here, n.path("a"), 4)
	n.must(439, here, n.path("a"), 4, 0)
	n.must(SYS_TRUNCATE, n.path("a"), 10)
	n.must(SYS_RENAME, n.path("a"), n.path("b"))
	n.must(SYS_RENAMEAT, here, n.path("b"), here, n.path("a"))
	n.must(316, here, n.path("a"), here, n.path("b"), 0)
	n.fails(EINVAL, 316, here, n.path("b"), here, n.path("a"), 1)
	n.must(SYS_LINK, n.path("b"), n.path("c"))
	n.must(SYS_LINKAT, here, n.path("b"), here, n.path("d"), 0)
	n.must(SYS_UNLINK, n.path("c"))
	n.must(SYS_UNLINKAT, here, n.path("d"), 0)
	n.fails(ENOENT, SYS_UNLINK, n.path("c"))
	n.must(SYS_CLOSE, fd)
}

func morePaths(n *numbers) {
	n.must(SYS_MKDIR, n.path("m"), 0o700)
	n.fails(EEXIST, SYS_MKDIR, n.path("m"), 0o700)
	n.must(SYS_MKDIRAT, here, n.path("m/n"), 0o700)
	n.must(SYS_RMDIR, n.path("m/n"))
	n.must(SYS_MKNOD, n.path("m/f"), S_IFREG|0o600, 0)
	n.must(SYS_MKNODAT, here, n.path("m/g"), S_IFREG|0o600, 0)
	n.fails(EPERM, SYS_MKNOD, n.path("m/d"), S_IFCHR, 0)
	n.must(SYS_SYMLINK, text("f"), n.path("m/s"))
	n.must(SYS_SYMLINKAT, text("g"), here, n.path("m/t"))
	target := make([]byte, 10)
	n.is(n.must(SYS_READLINK, n.path("m/s"), at(&target[0]), 10), 1)
	n.is(n.must(SYS_READLINKAT, here, n.path("m/t"), at(&target[1]), 9), 1)
	if string(target[:2]) != "fg" {
		n.Errorf("links to %q", target)
	}
}

func attributes(n *numbers) {
	f, own := n.path("m/f"), ^uintptr(0)
	n.must(SYS_CHMOD, f, 0o640)
	n.must(SYS_FCHMODAT, here, f, 0o600)
	n.must(452, here, f, 0o644, 0)
	n.must(SYS_CHOWN, f, own, own)
	n.must(SYS_LCHOWN, f, own, own)
	n.must(SYS_FCHOWNAT, here, f, own, own, 0)
	micro := &[2]Timeval{{Sec: 1}, {Sec: 2}}
	n.must(SYS_UTIMES, f, at(micro))
	n.must(SYS_FUTIMESAT, here, f, at(micro))
	n.must(SYS_UTIMENSAT, here, f, at(&[2]Timespec{{Sec: 3}, {Sec: 4}}), 0)
	st := new(Stat_t)
	n.must(SYS_STAT, f, at(st))
	n.is(uintptr(st.Mtim.Sec), 4)
	n.must(SYS_UTIMENSAT, here, f, 0, 0)
	n.must(SYS_LISTXATTR, f, 0, 0)
	name := text("user.a")
	n.fails(EOPNOTSUPP, SYS_GETXATTR, f, name)
	n.fails(EOPNOTSUPP, SYS_SETXATTR, f, name)
	n.fails(EOPNOTSUPP, SYS_REMOVEXATTR, f, name)
	n.otherAttributes(f, name)
	for _, privileged := range []uintptr{SYS_CHROOT, SYS_MOUNT, SYS_UMOUNT2, SYS_PTRACE,
		SYS_SETHOSTNAME, SYS_REBOOT, SYS_UNSHARE} {
		n.fails(EPERM, privileged, text("/"))
	}
}

func process(n *numbers) {
	pid := uintptr(Getpid())
	for _, self := range []uintptr{SYS_GETPID, SYS_GETTID, SYS_GETPGRP, SYS_GETPGID} {
		n.is(n.must(self), pid)
	}
	n.is(n.must(SYS_GETPPID), uintptr(Getppid()))
	n.must(SYS_KILL, pid, 0)
	n.fails(ESRCH, SYS_KILL, 1<<30, 0)
	n.must(SYS_TGKILL, pid, pid, 0)
	n.must(SYS_SETPGID, 0, 0)
	n.fails(EPERM, SYS_SETSID)
	n.fails(ECHILD, SYS_WAIT4, ^uintptr(0))
	name := new(Utsname)
	n.must(SYS_UNAME, at(name))
	n.is(uintptr(name.Sysname[0]), 'c')
	n.must(SYS_UMASK, 0o22)
	n.must(SYS_SCHED_YIELD)
	random := make([]byte, 64)
	n.is(n.must(318, at(&random[0]), 64, 0), 64)
	if string(random) == string(make([]byte, 64)) {
		n.Error("no random bytes")
	}
}

func identity(n *numbers) {
	uid, gid, all := uintptr(Getuid()), uintptr(Getgid()), ^uintptr(0)
	n.is(n.must(SYS_GETUID), uid)
	n.is(n.must(SYS_GETEUID), uid)
	n.is(n.must(SYS_GETGID), gid)
	n.is(n.must(SYS_GETEGID), gid)
	n.must(SYS_SETUID, uid)
	n.must(SYS_SETGID, gid)
	n.must(SYS_SETREUID, all, uid)
	n.must(SYS_SETREGID, all, gid)
	n.must(SYS_SETRESUID, all, uid, all)
	n.must(SYS_SETRESGID, all, gid, all)
	n.fails(EPERM, SYS_SETUID, 0)
	n.fails(EPERM, SYS_SETRESUID, 0, 0, 0)
}

func clocks(n *numbers) {
	now, tv, ts := time.Now(), new(Timeval), new(Timespec)
	near := func(sec int64) {
		n.Helper()
		if d := sec - now.Unix(); d < -1 || d > 60 {
			n.Errorf("%d s from now", d)
		}
	}
	n.must(SYS_GETTIMEOFDAY, at(tv))
	near(tv.Sec)
	n.must(SYS_CLOCK_GETTIME, 0, at(ts))
	near(ts.Sec)
	near(int64(n.must(SYS_TIME, 0)))
	before := new(Timespec)
	n.must(SYS_CLOCK_GETTIME, 1, at(before))
	n.must(SYS_NANOSLEEP, at(&Timespec{Nsec: 1e6}), 0)
	n.must(SYS_CLOCK_GETTIME, 1, at(ts))
	if ts.Nano()-before.Nano() < 1e6 {
		n.Errorf("slept from %v to %v", before, ts)
	}
	n.fails(EINVAL, SYS_CLOCK_GETTIME, 100, at(ts))
	n.fails(EFAULT, SYS_CLOCK_GETTIME, 0, 0)
}

func limits(n *numbers) {
	files, more := new(Rlimit), new(Rlimit)
	n.must(SYS_GETRLIMIT, RLIMIT_NOFILE, at(files))
	n.must(SYS_SETRLIMIT, RLIMIT_NOFILE, at(files))
	n.must(SYS_PRLIMIT64, 0, RLIMIT_NOFILE, 0, at(more))
	if *files != *more {
		n.Errorf("limits %v and %v", files, more)
	}
	n.must(SYS_GETRUSAGE, RUSAGE_SELF, at(new(Rusage)))
	info := new(Sysinfo_t)
	n.must(SYS_SYSINFO, at(info))
	if info.Totalram < info.Freeram || info.Freeram == 0 {
		n.Errorf("%d bytes of %d are free", info.Freeram, info.Totalram)
	}
}

func mappings(n *numbers) {
	const size = 8192
	address := n.must(SYS_MMAP, 0, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_PRIVATE,
		^uintptr(0), 0)
	n.fails(ENOMEM, SYS_MMAP, address, size, PROT_READ, MAP_ANON|MAP_PRIVATE|MAP_FIXED,
		^uintptr(0), 0)
	n.must(SYS_MLOCK, address, size)
	n.must(SYS_MUNLOCK, address, size)
	n.must(SYS_MLOCKALL, MCL_CURRENT)
	n.must(SYS_MUNLOCKALL)
	n.must(SYS_MADVISE, address, size, MADV_WILLNEED)
	n.must(SYS_MPROTECT, address, size, PROT_READ)
	n.must(SYS_MSYNC, address, size, 4)
	n.fails(EINVAL, SYS_MSYNC, address, size, 5)
	address = n.must(SYS_MREMAP, address, size, 2*size, 1)
	n.is(n.must(SYS_MREMAP, address, 2*size, size, 0), address)
	n.fails(EFAULT, SYS_MREMAP, address+4096, size, size, 1)
	n.fails(ENOMEM, SYS_MREMAP, address, size, size, 3)
	n.must(SYS_MUNMAP, address, size)
	n.fails(ENOMEM, SYS_MSYNC, address, size, 4)
	n.must(SYS_MUNMAP, address, size)
	n.fails(EINVAL, SYS_MUNMAP, address+1, size)
}

func sockets(n *numbers) {
	addr := &RawSockaddrInet4{Family: AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	size, room := uintptr(SizeofSockaddrInet4), new(uint32)
	listener := n.must(SYS_SOCKET, AF_INET, SOCK_STREAM, 0)
	n.fails(EAFNOSUPPORT, SYS_SOCKET, AF_NETLINK, SOCK_RAW, 0)
	n.must(SYS_SETSOCKOPT, listener, SOL_SOCKET, SO_REUSEADDR, at(&[1]int32{1}), 4)
	n.must(SYS_SETSOCKOPT, listener, SOL_SOCKET, SO_LINGER, at(&Linger{}), SizeofLinger)
	n.must(SYS_SETSOCKOPT, listener, SOL_SOCKET, SO_RCVTIMEO, at(&Timeval{Sec: 1}), 16)
	n.fails(ENOPROTOOPT, SYS_SETSOCKOPT, listener, IPPROTO_IP, IP_ADD_MEMBERSHIP,
		at(&IPMreq{}), SizeofIPMreq)
	n.must(SYS_BIND, listener, at(addr), size)
	n.must(SYS_LISTEN, listener, 4)
	*room = uint32(size)
	n.must(SYS_GETSOCKNAME, listener, at(addr), at(room))
	n.is(uintptr(*room), size)
	for _, accept := range []uintptr{SYS_ACCEPT, SYS_ACCEPT4} {
		client := n.must(SYS_SOCKET, AF_INET, SOCK_STREAM, 0)
		n.must(SYS_CONNECT, client, at(addr), size)
		from := new(RawSockaddrInet4)
		*room = uint32(size)
		server := n.must(accept, listener, at(from), at(room), 0)
		peer := new(RawSockaddrInet4)
		*room = uint32(size)
		n.must(SYS_GETPEERNAME, server, at(peer), at(room))
		if *peer != *from || peer.Family != AF_INET || peer.Port == 0 {
			n.Errorf("accepted from %v, the peer is %v", from, peer)
		}
		value := new(int32)
		*room = 4
		n.must(SYS_GETSOCKOPT, server, SOL_SOCKET, SO_TYPE, at(value), at(room))
		n.is(uintptr(*value), SOCK_STREAM)
		n.must(SYS_SHUTDOWN, server, SHUT_WR)
		n.is(n.must(SYS_RECVFROM, client, at(&[8]byte{}), 8, 0, 0, 0), 0)
		n.must(SYS_CLOSE, server)
		n.must(SYS_CLOSE, client)
	}
	n.must(SYS_CLOSE, listener)
	n.fails(ENOTSOCK, SYS_LISTEN, 1, 4)
}

func datagrams(n *numbers) {
	pair := new([2]int32)
	n.must(SYS_SOCKETPAIR, AF_UNIX, SOCK_DGRAM, 0, at(pair))
	data, got := []byte("datagram"), make([]byte, 20)
	n.is(n.must(SYS_SENDTO, uintptr(pair[0]), at(&data[0]), 8, 0, 0, 0), 8)
	from, room := new(RawSockaddrAny), new(uint32)
	*room = SizeofSockaddrAny
	n.is(n.must(SYS_RECVFROM, uintptr(pair[1]), at(&got[0]), 20, 0, at(from), at(room)), 8)
	if string(got[:8]) != "datagram" {
		n.Errorf("received %q", got)
	}
	n.must(SYS_CLOSE, uintptr(pair[0]))
	n.must(SYS_CLOSE, uintptr(pair[1]))
	s := n.must(SYS_SOCKET, AF_UNIX, SOCK_DGRAM, 0)
	name := &RawSockaddrUnix{Family: AF_UNIX}
	for i, c := range []byte(filepath.Join(n.dir, "socket")) {
		name.Path[i] = int8(c)
	}
	n.must(SYS_BIND, s, at(name), SizeofSockaddrUnix)
	*name, *room = RawSockaddrUnix{}, SizeofSockaddrUnix
	n.must(SYS_GETSOCKNAME, s, at(name), at(room))
	n.is(uintptr(name.Path[0]), '/')
	n.must(SYS_CLOSE, s)
}

func eventSets(n *numbers) {
	n.must(SYS_CLOSE, n.must(SYS_EPOLL_CREATE, 1))
	n.fails(EINVAL, SYS_EPOLL_CREATE, 0)
	set, fd := n.must(SYS_EPOLL_CREATE1, O_CLOEXEC), n.must(SYS_EVENTFD2, 1, O_NONBLOCK)
	n.fails(EINVAL, SYS_EPOLL_CREATE1, 1)
	n.must(SYS_EPOLL_CTL, set, EPOLL_CTL_ADD, fd, at(&EpollEvent{Events: EPOLLIN, Fd: 7}))
	n.fails(EEXIST, SYS_EPOLL_CTL, set, EPOLL_CTL_ADD, fd, at(&EpollEvent{Events: EPOLLIN}))
	for _, wait := range []uintptr{SYS_EPOLL_WAIT, SYS_EPOLL_PWAIT, 441} {
		got := new([2]EpollEvent)
		n.is(n.must(wait, set, at(&got[0]), 2, 0), 1)
		if got[0] != (EpollEvent{Events: EPOLLIN, Fd: 7}) {
			n.Errorf("got %v", got[0])
		}
		n.fails(EINVAL, wait, set, at(&got[0]), 0, 0)
		n.fails(EFAULT, wait, set, 0, 1, 0)
		n.fails(EBADF, wait, 99, at(&got[0]), 1, 0)
	}
	n.must(SYS_CLOSE, set)
	n.must(SYS_CLOSE, fd)
}

func eventCounters(n *numbers) {
	fd, got := n.must(SYS_EVENTFD, 5), new(uint64)
	n.is(n.must(SYS_READ, fd, at(got), 8), 8)
	n.is(uintptr(*got), 5)
	n.must(SYS_CLOSE, fd)
	n.fails(EINVAL, SYS_EVENTFD2, 0, 2)
}

func polls(n *numbers) {
	fd := n.must(SYS_EVENTFD2, 1, O_NONBLOCK)
	asked := new([2]int32)
	for _, poll := range []uintptr{SYS_POLL, SYS_PPOLL} {
		asked[0], asked[1] = int32(fd), EPOLLIN
		n.is(n.must(poll, at(&asked[0]), 1, 0), 1)
		n.is(uintptr(asked[1]), EPOLLIN<<16|EPOLLIN)
		n.fails(EFAULT, poll, 0, 1, 0)
	}
	for _, call := range []uintptr{SYS_SELECT, SYS_PSELECT6} {
		set := new(FdSet)
		set.Bits[0] = 1 << fd
		n.is(n.must(call, fd+1, at(set)), 1)
		n.is(uintptr(set.Bits[0]), 1<<fd)
		n.fails(EBADF, call, 10, at(&[1]int64{1 << 9}))
		n.fails(EINVAL, call, ^uintptr(0))
	}
	n.must(SYS_CLOSE, fd)
}

func timers(n *numbers) {
	fd := n.must(SYS_TIMERFD_CREATE, 1, O_NONBLOCK)
	n.fails(EINVAL, SYS_TIMERFD_CREATE, 99, 0)
	spec, left := [2]Timespec{{}, {Sec: 100}}, new([2]Timespec)
	n.must(SYS_TIMERFD_SETTIME, fd, 0, at(&spec), 0)
	n.must(SYS_TIMERFD_GETTIME, fd, at(left))
	if left[1].Sec < 50 || left[1].Sec > 100 {
		n.Errorf("%v are left", left[1])
	}
	n.fails(EFAULT, SYS_TIMERFD_SETTIME, fd, 0, 0, 0)
	n.fails(EFAULT, SYS_TIMERFD_GETTIME, fd, 0)
	n.must(SYS_CLOSE, fd)
}

func inMemory(n *numbers) {
	fd := n.must(319, text("name"), 1)
	n.fails(EFAULT, 319, 0, 0)
	n.is(n.must(SYS_WRITE, fd, at(&[1]byte{'a'}), 1), 1)
	n.is(n.must(SYS_FCNTL, fd, 1034, 0), 1)
	n.must(SYS_CLOSE, fd)
}

func futexes(n *numbers) {
	word := at(new(uint32))
	n.fails(EAGAIN, SYS_FUTEX, word, 128, 1, 0)
	n.fails(ETIMEDOUT, SYS_FUTEX, word, 128, 0, at(&Timespec{Nsec: 1}))
	n.is(n.must(SYS_FUTEX, word, 1|128, 1), 0)
	n.fails(EFAULT, SYS_FUTEX, 0, 1, 1)
}

func watches(n *numbers) {
	n.must(SYS_CLOSE, n.must(SYS_INOTIFY_INIT))
	n.fails(EINVAL, SYS_INOTIFY_INIT1, 1)
	fd := n.must(SYS_INOTIFY_INIT1, O_NONBLOCK)
	w := n.must(SYS_INOTIFY_ADD_WATCH, fd, text(n.dir), IN_CREATE)
	n.fails(EINVAL, SYS_INOTIFY_ADD_WATCH, fd, text(n.dir), 0)
	n.must(SYS_MKDIR, n.path("watched"), 0o700)
	event := new([32]byte)
	n.is(n.must(SYS_READ, fd, at(event), 32), 32)
	n.is(uintptr(event[5]), IN_CREATE>>8)
	n.must(SYS_INOTIFY_RM_WATCH, fd, w)
	n.fails(EINVAL, SYS_INOTIFY_RM_WATCH, fd, w)
	n.must(SYS_CLOSE, fd)
}

// withBytes is a message of one buffer.
func withBytes(b []byte) *Msghdr {
	return &Msghdr{Iov: &Iovec{Base: &b[0], Len: uint64(len(b))}, Iovlen: 1}
}

func messages(n *numbers) {
	pair := new([2]int32)
	n.must(SYS_SOCKETPAIR, AF_UNIX, SOCK_DGRAM|SOCK_NONBLOCK, 0, at(pair))
	a, b := uintptr(pair[0]), uintptr(pair[1])
	type entry struct {
		head      Msghdr
		length, _ uint32
	}
	got := make([]byte, 4)
	n.is(n.must(SYS_SENDMSG, a, at(withBytes([]byte("one"))), 0), 3)
	n.is(n.must(SYS_RECVMSG, b, at(withBytes(got)), 0), 3)
	out := &entry{head: *withBytes([]byte("two"))}
	n.is(n.must(307, a, at(out), 1, 0), 1)
	n.is(uintptr(out.length), 3)
	in := &entry{head: *withBytes(got)}
	n.is(n.must(299, b, at(in), 1, 0, 0), 1)
	if string(got) != "two\x00" || in.length != 3 {
		n.Errorf("received %q", got)
	}
	for _, call := range []uintptr{SYS_SENDMSG, SYS_RECVMSG} {
		n.fails(EFAULT, call, a, 0, 0)
	}
	for _, call := range []uintptr{307, 299} {
		n.fails(EFAULT, call, a, 0, 1, 0)
	}
	n.must(SYS_CLOSE, a)
	n.must(SYS_CLOSE, b)
}

func copies(n *numbers) {
	ends := new([2]int32)
	n.must(SYS_PIPE2, at(ends), O_NONBLOCK)
	reader, writer := uintptr(ends[0]), uintptr(ends[1])
	fd := n.must(SYS_OPEN, n.path("copied"), O_RDWR|O_CREAT, 0o600)
	n.must(SYS_WRITE, fd, at(&[4]byte{1, 2, 3, 4}), 4)
	n.is(n.must(SYS_SPLICE, fd, at(new(int64)), writer, 0, 4, 0), 4)
	n.fails(EINVAL, SYS_SPLICE, fd, 0, fd, 0, 4, 0)
	n.fails(EINVAL, SYS_TEE, reader, writer, 4, 0)
	other := n.must(SYS_OPEN, n.path("copy"), O_RDWR|O_CREAT, 0o600)
	n.is(n.must(326, fd, at(new(int64)), other, 0, 9, 0), 4)
	n.fails(EINVAL, 326, fd, 0, other, 0, 9, 1)
	more := new([2]int32)
	n.must(SYS_PIPE2, at(more), O_NONBLOCK)
	n.is(n.must(SYS_TEE, reader, uintptr(more[1]), 9, 0), 4)
	n.must(SYS_CLOSE, uintptr(more[0]))
	n.must(SYS_CLOSE, uintptr(more[1]))
	for _, fd := range []uintptr{reader, writer, fd, other} {
		n.must(SYS_CLOSE, fd)
	}
}

func threads(n *numbers) {
	name := new([16]byte)
	n.must(SYS_PRCTL, 15, text("named"))
	n.must(SYS_PRCTL, 16, at(name))
	if string(name[:6]) != "named\x00" {
		n.Errorf("the name is %q", name)
	}
	n.fails(EINVAL, SYS_PRCTL, 9999)
	n.fails(EPERM, SYS_PRCTL, 24, 0)
	mask := new([16]uint64)
	n.is(n.must(SYS_SCHED_GETAFFINITY, 0, 128, at(mask)), 8)
	n.is(uintptr(mask[0]), 1<<runtime.NumCPU()-1)
	n.must(SYS_SCHED_SETAFFINITY, 0, 128, at(mask))
	n.fails(EINVAL, SYS_SCHED_SETAFFINITY, 0, 128, at(new([16]uint64)))
	n.must(SYS_CLOCK_GETRES, 1, at(new(Timespec)))
	n.fails(EINVAL, SYS_CLOCK_GETRES, 99, 0)
	n.must(SYS_CLOCK_NANOSLEEP, 1, 0, at(&Timespec{Nsec: 1}), 0)
	n.fails(EFAULT, SYS_CLOCK_NANOSLEEP, 1, 0, 0, 0)
	n.must(SYS_TIMES, at(new(Tms)))
}

func moreIdentity(n *numbers) {
	ids := new([3]uint32)
	for call, want := range map[uintptr]int{SYS_GETRESUID: Getuid(), SYS_GETRESGID: Getgid()} {
		n.must(call, at(&ids[0]), at(&ids[1]), at(&ids[2]))
		if ids[0] != uint32(want) || ids[0] != ids[1] || ids[1] != ids[2] {
			n.Errorf("%v and not %d", ids, want)
		}
		n.fails(EFAULT, call, 0, 0, 0)
	}
	n.is(n.must(SYS_GETSID, 0), uintptr(Getpid()))
	n.is(n.must(SYS_GETPRIORITY, 0, 0), 20)
	n.fails(EINVAL, SYS_GETPRIORITY, 9, 0)
	head, all := &[2]uint32{0x20080522}, &[6]uint32{1}
	n.must(SYS_CAPGET, at(head), at(all))
	n.is(uintptr(all[0]), 0)
	n.fails(EPERM, SYS_CAPSET, at(head), at(all))
}

// absent are numbers that fail as on a kernel without them.
func absent(n *numbers) {
	for _, trap := range []uintptr{SYS_SIGNALFD4, SYS_CLONE,
		SYS_EXECVE, NumbersEnd, ^uintptr(0)} {
		n.fails(ENOSYS, trap)
	}
}

// otherAttributes calls what takes a symbolic link as it is, or a descriptor.
func (n *numbers) otherAttributes(file, name uintptr) {
	fd, none := n.must(SYS_OPEN, file, O_RDONLY, 0), n.path("none")
	defer n.must(SYS_CLOSE, fd)
	dangling := n.path("dangling")
	n.must(SYS_SYMLINK, none, dangling)
	n.must(SYS_LLISTXATTR, dangling, 0, 0)
	n.must(SYS_FLISTXATTR, fd, 0, 0)
	n.fails(ENOENT, SYS_LLISTXATTR, none, 0, 0)
	n.fails(EBADF, SYS_FLISTXATTR, 99, 0, 0)
	for _, call := range []uintptr{SYS_LGETXATTR, SYS_LSETXATTR, SYS_LREMOVEXATTR} {
		n.fails(EOPNOTSUPP, call, dangling, name)
		n.fails(ENOENT, call, none, name)
	}
	for _, call := range []uintptr{SYS_FGETXATTR, SYS_FSETXATTR, SYS_FREMOVEXATTR} {
		n.fails(EOPNOTSUPP, call, fd, name)
		n.fails(EBADF, call, 99, name)
	}
}
