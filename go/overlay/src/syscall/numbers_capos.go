// System calls by the numbers of linux/amd64.
//
// golang.org/x/sys/unix and other code outside the Go root build their functions on Syscall and its
// kin. There is no such entry into the kernel. One table leads from a number to the function of
// this package that does the work, over what the process holds. A number that is not in the table
// fails with ENOSYS. Structures have Linux's layout.

//go:build capos

package syscall

import (
	"internal/byteorder"
	"unsafe"
)

// Numbers that linux/amd64's list in this package is too old for.
const (
	sysSyncfs        = 306
	sysRenameat2     = 316
	sysGetrandom     = 318
	sysCopyFileRange = 326
	sysStatx         = 332
	sysFaccessat2    = 439
	sysFchmodat2     = 452
	numbersEnd       = sysFchmodat2 + 1
)

type (
	numberArgs [6]uintptr
	// A numberedCall returns what the call returns in its first register.
	numberedCall func(a *numberArgs) (uintptr, error)
)

// numberedCalls are the tables: data that the linker leaves out of programs without Syscall.
var numberedCalls = [...]*[numbersEnd]numberedCall{
	&numberedFiles, &numberedPaths, &numberedProcess, &numberedSockets, &numberedMemory,
	&numberedEvents, &numberedMessages, &numberedMore,
}

// callOf returns the function of a number, or nil.
func callOf(number uintptr) numberedCall {
	if number < numbersEnd {
		for _, table := range numberedCalls {
			if f := table[number]; f != nil {
				return f
			}
		}
	}
	return nil
}

// byNumber runs a call. Its pointers are kept alive and where they are by the callers of Syscall.
func byNumber(number uintptr, a *numberArgs) (uintptr, Errno) {
	f := callOf(number)
	if f == nil {
		return ^uintptr(0), ENOSYS
	}
	r, err := f(a)
	if err == nil {
		return r, 0
	}
	if e, ok := err.(Errno); ok {
		return ^uintptr(0), e
	}
	return ^uintptr(0), EIO
}

// What a pointer in the arguments refers to goes to the heap, because the stack of the caller may
// move during the call. The names are for golang.org/x/sys/unix, which jumps here.

//go:uintptrescapes
//go:linkname Syscall
func Syscall(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err Errno) {
	r1, err = byNumber(trap, &numberArgs{a1, a2, a3})
	return r1, secondResult(a3, err), err
}

//go:uintptrescapes
//go:linkname Syscall6
func Syscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err Errno) {
	r1, err = byNumber(trap, &numberArgs{a1, a2, a3, a4, a5, a6})
	return r1, secondResult(a3, err), err
}

// secondResult is the register of the third argument. On Linux a call leaves it as it was, and
// programs compare it. After a failure Go gives 0.
func secondResult(a3 uintptr, err Errno) uintptr {
	if err != 0 {
		return 0
	}
	return a3
}

//go:uintptrescapes
//go:linkname RawSyscall
func RawSyscall(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err Errno) {
	return Syscall(trap, a1, a2, a3)
}

//go:uintptrescapes
//go:linkname RawSyscall6
func RawSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err Errno) {
	return Syscall6(trap, a1, a2, a3, a4, a5, a6)
}

//go:uintptrescapes
//go:linkname rawSyscallNoError
func rawSyscallNoError(trap, a1, a2, a3 uintptr) (r1, r2 uintptr) {
	r1, r2, err := Syscall(trap, a1, a2, a3)
	if err != 0 {
		return -uintptr(err), 0
	}
	return r1, r2
}

//go:linkname gettimeofday
func gettimeofday(tv *Timeval) (err Errno) {
	Gettimeofday(tv)
	return 0
}

// prlimit is for golang.org/x/sys/unix.
//
//go:linkname prlimit
func prlimit(pid int, resource int, newlimit *Rlimit, old *Rlimit) error {
	if pid != 0 && pid != Getpid() {
		return ESRCH
	}
	if old != nil {
		if err := Getrlimit(resource, old); err != nil {
			return err
		}
	}
	if newlimit != nil {
		return Setrlimit(resource, newlimit)
	}
	return nil
}

// ---- arguments and results
// ------------------------------------------------------------------------------------------

func (a *numberArgs) fd(i int) int { return int(int32(a[i])) }

// bytes returns the memory that a pointer and a length in the arguments name.
func (a *numberArgs) bytes(pointer, length int) []byte {
	return memoryAt(a[pointer], a[length])
}

func memoryAt(address, length uintptr) []byte {
	if address == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointerTo(address)), int(length))
}

// pointerTo turns an argument back into the pointer that it was.
func pointerTo(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

// argument is the structure that an argument points to. It is nil if that is 0.
func argument[T any](a *numberArgs, i int) *T { return (*T)(pointerTo(a[i])) }

// needed is argument for structures that cannot be left out.
func needed[T any](a *numberArgs, i int) (*T, error) {
	p := argument[T](a, i)
	if p == nil {
		return nil, EFAULT
	}
	return p, nil
}

// with calls a function of a structure that cannot be left out.
func with[T any](a *numberArgs, i int, call func(*T) error) (uintptr, error) {
	p, err := needed[T](a, i)
	if err != nil {
		return 0, err
	}
	return 0, call(p)
}

// text returns the string that an argument points to.
func (a *numberArgs) text(i int) string {
	if a[i] == 0 {
		return ""
	}
	p := (*byte)(pointerTo(a[i]))
	n := 0
	for n < 1<<20 && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// number makes a numbered call's result of an int.
func number[T ~int | ~int64](n T, err error) (uintptr, error) { return uintptr(n), err }

// nothing makes a numbered call's result of an error alone.
func nothing(err error) (uintptr, error) { return 0, err }

// numberedDenied serves the calls that only privileged processes may make.
func numberedDenied(*numberArgs) (uintptr, error) { return 0, EPERM }

// vectors are the buffers of readv and writev.
func (a *numberArgs) vectors(first, count int) (buffers [][]byte) {
	if a[count] == 0 || a[first] == 0 || a[count] > 1024 {
		return nil
	}
	for _, v := range unsafe.Slice((*Iovec)(pointerTo(a[first])), int(a[count])) {
		if v.Len > 0 {
			buffers = append(buffers, unsafe.Slice(v.Base, int(v.Len)))
		}
	}
	return buffers
}

// eachVector moves bytes until a buffer is not filled.
func (a *numberArgs) eachVector(move func(p []byte, done int) (int, error)) (uintptr, error) {
	done := 0
	for _, p := range a.vectors(1, 2) {
		n, err := move(p, done)
		if err != nil && done == 0 {
			return 0, err
		}
		done += max(n, 0)
		if err != nil || n < len(p) {
			break
		}
	}
	return uintptr(done), nil
}

// ---- open files
// ------------------------------------------------------------------------------------------

var numberedFiles = [numbersEnd]numberedCall{
	SYS_READ: func(a *numberArgs) (uintptr, error) {
		return number(Read(a.fd(0), a.bytes(1, 2)))
	},
	SYS_WRITE: func(a *numberArgs) (uintptr, error) {
		return number(Write(a.fd(0), a.bytes(1, 2)))
	},
	SYS_CLOSE: func(a *numberArgs) (uintptr, error) { return nothing(Close(a.fd(0))) },
	SYS_LSEEK: func(a *numberArgs) (uintptr, error) {
		return number(Seek(a.fd(0), int64(a[1]), int(a[2])))
	},
	SYS_PREAD64: func(a *numberArgs) (uintptr, error) {
		return number(Pread(a.fd(0), a.bytes(1, 2), int64(a[3])))
	},
	SYS_PWRITE64: func(a *numberArgs) (uintptr, error) {
		return number(Pwrite(a.fd(0), a.bytes(1, 2), int64(a[3])))
	},
	SYS_READV: func(a *numberArgs) (uintptr, error) {
		return a.eachVector(func(p []byte, _ int) (int, error) { return Read(a.fd(0), p) })
	},
	SYS_WRITEV: func(a *numberArgs) (uintptr, error) {
		return a.eachVector(func(p []byte, _ int) (int, error) { return Write(a.fd(0), p) })
	},
	SYS_PREADV: func(a *numberArgs) (uintptr, error) {
		return a.eachVector(func(p []byte, done int) (int, error) {
			return Pread(a.fd(0), p, int64(a[3])+int64(done))
		})
	},
	SYS_PWRITEV: func(a *numberArgs) (uintptr, error) {
		return a.eachVector(func(p []byte, done int) (int, error) {
			return Pwrite(a.fd(0), p, int64(a[3])+int64(done))
		})
	},
	SYS_FSYNC:     numberedFsync,
	SYS_FDATASYNC: numberedFsync,
	sysSyncfs:     numberedFsync,
	SYS_SYNC: func(a *numberArgs) (uintptr, error) {
		Sync()
		return 0, nil
	},
	SYS_SYNC_FILE_RANGE: numberedFsync,
	SYS_FADVISE64: func(a *numberArgs) (uintptr, error) {
		switch d, _ := descriptor(a.fd(0)); {
		case d == nil:
			return 0, EBADF
		case d.file.treeNode() == nil:
			return 0, ESPIPE
		}
		return 0, nil // all bytes are in memory, so no advice changes anything
	},
	SYS_FTRUNCATE: func(a *numberArgs) (uintptr, error) {
		return nothing(Ftruncate(a.fd(0), int64(a[1])))
	},
	SYS_FALLOCATE: func(a *numberArgs) (uintptr, error) {
		return nothing(Fallocate(a.fd(0), uint32(a[1]), int64(a[2]), int64(a[3])))
	},
	SYS_FSTAT: func(a *numberArgs) (uintptr, error) {
		return with(a, 1, func(st *Stat_t) error { return Fstat(a.fd(0), st) })
	},
	SYS_FSTATFS: func(a *numberArgs) (uintptr, error) {
		return with(a, 1, func(st *Statfs_t) error { return Fstatfs(a.fd(0), st) })
	},
	SYS_GETDENTS64: func(a *numberArgs) (uintptr, error) {
		return number(ReadDirent(a.fd(0), a.bytes(1, 2)))
	},
	SYS_FCHMOD: func(a *numberArgs) (uintptr, error) {
		return nothing(Fchmod(a.fd(0), uint32(a[1])))
	},
	SYS_FCHOWN: func(a *numberArgs) (uintptr, error) {
		return nothing(Fchown(a.fd(0), a.fd(1), a.fd(2)))
	},
	SYS_FCHDIR: func(a *numberArgs) (uintptr, error) { return nothing(Fchdir(a.fd(0))) },
	SYS_FLOCK: func(a *numberArgs) (uintptr, error) {
		return nothing(Flock(a.fd(0), int(a[1])))
	},
	SYS_FCNTL: numberedFcntl,
	SYS_IOCTL: func(a *numberArgs) (uintptr, error) {
		if d, _ := descriptor(a.fd(0)); d == nil {
			return 0, EBADF
		}
		return 0, ENOTTY // no open file is a terminal or a device with controls
	},
	SYS_DUP:  func(a *numberArgs) (uintptr, error) { return number(Dup(a.fd(0))) },
	SYS_DUP2: func(a *numberArgs) (uintptr, error) { return a[1], Dup2(a.fd(0), a.fd(1)) },
	SYS_DUP3: func(a *numberArgs) (uintptr, error) {
		return a[1], Dup3(a.fd(0), a.fd(1), int(a[2]))
	},
	SYS_PIPE:  func(a *numberArgs) (uintptr, error) { return numberedPipe(a, 0) },
	SYS_PIPE2: func(a *numberArgs) (uintptr, error) { return numberedPipe(a, int(a[1])) },
	SYS_SENDFILE: func(a *numberArgs) (uintptr, error) {
		return number(Sendfile(a.fd(0), a.fd(1), argument[int64](a, 2), int(a[3])))
	},
}

// numberedFsync serves the calls for data, a range and a file system, too, because none of them has
// more to do.
func numberedFsync(a *numberArgs) (uintptr, error) { return nothing(Fsync(a.fd(0))) }

func numberedFcntl(a *numberArgs) (uintptr, error) {
	switch command := int(a[1]); command {
	case F_GETLK, F_SETLK, F_SETLKW, fOfdGetLock, fOfdSetLock, fOfdSetLockWait:
		return with(a, 2, func(lock *Flock_t) error {
			return FcntlFlock(uintptr(a.fd(0)), command, lock)
		})
	default:
		n, e := control(a.fd(0), command, int(a[2]))
		return uintptr(n), result(e)
	}
}

func numberedPipe(a *numberArgs, flags int) (uintptr, error) {
	ends, err := needed[[2]int32](a, 0)
	if err != nil {
		return 0, err
	}
	p := make([]int, 2)
	if err := Pipe2(p, flags); err != nil {
		return 0, err
	}
	ends[0], ends[1] = int32(p[0]), int32(p[1])
	return 0, nil
}

// ---- paths
// ------------------------------------------------------------------------------------------

var numberedPaths = [numbersEnd]numberedCall{
	SYS_OPEN: func(a *numberArgs) (uintptr, error) {
		return number(Open(a.text(0), int(a[1]), uint32(a[2])))
	},
	SYS_OPENAT: func(a *numberArgs) (uintptr, error) {
		return number(Openat(a.fd(0), a.text(1), int(a[2]), uint32(a[3])))
	},
	SYS_CREAT: func(a *numberArgs) (uintptr, error) {
		return number(Creat(a.text(0), uint32(a[1])))
	},
	SYS_STAT: func(a *numberArgs) (uintptr, error) { return numberedStat(a, AT_FDCWD, 0, 0) },
	SYS_LSTAT: func(a *numberArgs) (uintptr, error) {
		return numberedStat(a, AT_FDCWD, 0, AT_SYMLINK_NOFOLLOW)
	},
	SYS_NEWFSTATAT: func(a *numberArgs) (uintptr, error) {
		return numberedStat(a, a.fd(0), 1, int(a[3]))
	},
	sysStatx: numberedStatx,
	SYS_STATFS: func(a *numberArgs) (uintptr, error) {
		return with(a, 1, func(st *Statfs_t) error { return Statfs(a.text(0), st) })
	},
	SYS_ACCESS: func(a *numberArgs) (uintptr, error) {
		return nothing(Access(a.text(0), uint32(a[1])))
	},
	SYS_FACCESSAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Faccessat(a.fd(0), a.text(1), uint32(a[2]), 0))
	},
	sysFaccessat2: func(a *numberArgs) (uintptr, error) {
		return nothing(Faccessat(a.fd(0), a.text(1), uint32(a[2]), int(a[3])))
	},
	SYS_TRUNCATE: func(a *numberArgs) (uintptr, error) {
		return nothing(Truncate(a.text(0), int64(a[1])))
	},
	SYS_GETCWD: func(a *numberArgs) (uintptr, error) { return number(Getcwd(a.bytes(0, 1))) },
	SYS_CHDIR:  func(a *numberArgs) (uintptr, error) { return nothing(Chdir(a.text(0))) },
	SYS_RENAME: func(a *numberArgs) (uintptr, error) {
		return nothing(Rename(a.text(0), a.text(1)))
	},
	SYS_RENAMEAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Renameat(a.fd(0), a.text(1), a.fd(2), a.text(3)))
	},
	sysRenameat2: func(a *numberArgs) (uintptr, error) {
		if a[4] != 0 {
			return 0, EINVAL // as on file systems that can neither exchange nor keep
		}
		return nothing(Renameat(a.fd(0), a.text(1), a.fd(2), a.text(3)))
	},
	SYS_MKDIR: func(a *numberArgs) (uintptr, error) {
		return nothing(Mkdir(a.text(0), uint32(a[1])))
	},
	SYS_MKDIRAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Mkdirat(a.fd(0), a.text(1), uint32(a[2])))
	},
	SYS_MKNOD: func(a *numberArgs) (uintptr, error) {
		return nothing(Mknod(a.text(0), uint32(a[1]), int(a[2])))
	},
	SYS_MKNODAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Mknodat(a.fd(0), a.text(1), uint32(a[2]), int(a[3])))
	},
	SYS_RMDIR:  func(a *numberArgs) (uintptr, error) { return nothing(Rmdir(a.text(0))) },
	SYS_UNLINK: func(a *numberArgs) (uintptr, error) { return nothing(Unlink(a.text(0))) },
	SYS_UNLINKAT: func(a *numberArgs) (uintptr, error) {
		return nothing(unlinkat(a.fd(0), a.text(1), int(a[2])))
	},
	SYS_LINK: func(a *numberArgs) (uintptr, error) {
		return nothing(Link(a.text(0), a.text(1)))
	},
	SYS_LINKAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Linkat(a.fd(0), a.text(1), a.fd(2), a.text(3), int(a[4])))
	},
	SYS_SYMLINK: func(a *numberArgs) (uintptr, error) {
		return nothing(Symlink(a.text(0), a.text(1)))
	},
	SYS_SYMLINKAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Symlinkat(a.text(0), a.fd(1), a.text(2)))
	},
	SYS_READLINK: func(a *numberArgs) (uintptr, error) {
		return number(Readlink(a.text(0), a.bytes(1, 2)))
	},
	SYS_READLINKAT: func(a *numberArgs) (uintptr, error) {
		return number(Readlinkat(a.fd(0), a.text(1), a.bytes(2, 3)))
	},
	SYS_CHMOD: func(a *numberArgs) (uintptr, error) {
		return nothing(Chmod(a.text(0), uint32(a[1])))
	},
	SYS_FCHMODAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Fchmodat(a.fd(0), a.text(1), uint32(a[2]), 0))
	},
	sysFchmodat2: func(a *numberArgs) (uintptr, error) {
		return nothing(Fchmodat(a.fd(0), a.text(1), uint32(a[2]), int(a[3])))
	},
	SYS_CHOWN: func(a *numberArgs) (uintptr, error) {
		return nothing(Chown(a.text(0), a.fd(1), a.fd(2)))
	},
	SYS_LCHOWN: func(a *numberArgs) (uintptr, error) {
		return nothing(Lchown(a.text(0), a.fd(1), a.fd(2)))
	},
	SYS_FCHOWNAT: func(a *numberArgs) (uintptr, error) {
		return nothing(Fchownat(a.fd(0), a.text(1), a.fd(2), a.fd(3), int(a[4])))
	},
	SYS_UTIMES: func(a *numberArgs) (uintptr, error) {
		times := argument[[2]Timeval](a, 1)
		if times == nil {
			now := NsecToTimeval(nowNs())
			times = &[2]Timeval{now, now}
		}
		return nothing(Utimes(a.text(0), times[:]))
	},
	SYS_FUTIMESAT: func(a *numberArgs) (uintptr, error) {
		return with(a, 2, func(times *[2]Timeval) error {
			return Futimesat(a.fd(0), a.text(1), times[:])
		})
	},
	SYS_UTIMENSAT: numberedUtimensat,
	SYS_LISTXATTR: func(a *numberArgs) (uintptr, error) {
		return number(Listxattr(a.text(0), nil))
	},
	SYS_GETXATTR: func(a *numberArgs) (uintptr, error) {
		return number(Getxattr(a.text(0), a.text(1), nil))
	},
	SYS_SETXATTR: func(a *numberArgs) (uintptr, error) {
		return nothing(Setxattr(a.text(0), a.text(1), nil, 0))
	},
	SYS_REMOVEXATTR: func(a *numberArgs) (uintptr, error) {
		return nothing(Removexattr(a.text(0), a.text(1)))
	},
	SYS_LLISTXATTR:   numberedLinkAttributes,
	SYS_LGETXATTR:    numberedLinkAttribute,
	SYS_LSETXATTR:    numberedLinkAttribute,
	SYS_LREMOVEXATTR: numberedLinkAttribute,
	SYS_FLISTXATTR:   numberedOpenAttributes,
	SYS_FGETXATTR:    numberedOpenAttribute,
	SYS_FSETXATTR:    numberedOpenAttribute,
	SYS_FREMOVEXATTR: numberedOpenAttribute,
	SYS_CHROOT:       numberedDenied,
	SYS_MOUNT:        numberedDenied,
	SYS_UMOUNT2:      numberedDenied,
}

// Files have no extended attributes: the list of them is empty. These are the calls that do not
// follow a symbolic link, and those for a descriptor.

func numberedLinkAttributes(a *numberArgs) (uintptr, error) {
	return 0, Lstat(a.text(0), new(Stat_t))
}

func numberedOpenAttributes(a *numberArgs) (uintptr, error) {
	return 0, Fstat(a.fd(0), new(Stat_t))
}

func numberedLinkAttribute(a *numberArgs) (uintptr, error) {
	if err := Lstat(a.text(0), new(Stat_t)); err != nil {
		return 0, err
	}
	return 0, EOPNOTSUPP
}

func numberedOpenAttribute(a *numberArgs) (uintptr, error) {
	if err := Fstat(a.fd(0), new(Stat_t)); err != nil {
		return 0, err
	}
	return 0, EOPNOTSUPP
}

const atEmptyPath = 0x1000

// stat takes the path at one argument.
func (a *numberArgs) stat(st *Stat_t, dirfd, path, flags int) error {
	if flags&atEmptyPath != 0 && a.text(path) == "" {
		return Fstat(dirfd, st)
	}
	return Fstatat(dirfd, a.text(path), st, flags&AT_SYMLINK_NOFOLLOW)
}

// numberedStat takes the path at one argument and the structure behind it.
func numberedStat(a *numberArgs, dirfd, path, flags int) (uintptr, error) {
	return with(a, path+1, func(st *Stat_t) error { return a.stat(st, dirfd, path, flags) })
}

// A statxTimestamp and a statxResult have the layout of Linux, whose newer programs use no other.
type statxTimestamp struct {
	sec  int64
	nsec uint32
	_    int32
}

type statxResult struct {
	mask                       uint32
	blksize                    uint32
	attributes                 uint64
	nlink, uid, gid            uint32
	mode, _                    uint16
	ino, size, blocks          uint64
	attributesMask             uint64
	atime, btime, ctime, mtime statxTimestamp
	rdevMajor, rdevMinor       uint32
	devMajor, devMinor         uint32
	_                          [14]uint64
}

const statxBasic = 0x7ff // what a Stat_t has

func numberedStatx(a *numberArgs) (uintptr, error) {
	to, err := needed[statxResult](a, 4)
	if err != nil {
		return 0, err
	}
	st := new(Stat_t)
	if err := a.stat(st, a.fd(0), 1, int(a[2])); err != nil {
		return 0, err
	}
	moment := func(t Timespec) statxTimestamp {
		return statxTimestamp{sec: t.Sec, nsec: uint32(t.Nsec)}
	}
	*to = statxResult{mask: statxBasic, blksize: uint32(st.Blksize), nlink: uint32(st.Nlink),
		uid: st.Uid, gid: st.Gid, mode: uint16(st.Mode), ino: st.Ino, size: uint64(st.Size),
		blocks: uint64(st.Blocks), atime: moment(st.Atim), ctime: moment(st.Ctim),
		mtime: moment(st.Mtim), devMajor: uint32(st.Dev >> 8),
		devMinor:  uint32(st.Dev & 255),
		rdevMajor: uint32(st.Rdev >> 8), rdevMinor: uint32(st.Rdev & 255)}
	return 0, nil
}

func numberedUtimensat(a *numberArgs) (uintptr, error) {
	times := argument[[2]Timespec](a, 2)
	if times == nil {
		now := NsecToTimespec(nowNs())
		times = &[2]Timespec{now, now}
	}
	if a[1] != 0 {
		return 0, utimensat(a.fd(0), a.text(1), times, int(a[3]))
	}
	return 0, changeOpen(a.fd(0), setTimes(times))
}

// ---- the process
// ------------------------------------------------------------------------------------------

var numberedProcess = [numbersEnd]numberedCall{
	SYS_GETPID:  func(a *numberArgs) (uintptr, error) { return uintptr(Getpid()), nil },
	SYS_GETTID:  func(a *numberArgs) (uintptr, error) { return uintptr(Gettid()), nil },
	SYS_GETPPID: func(a *numberArgs) (uintptr, error) { return uintptr(Getppid()), nil },
	SYS_GETPGRP: func(a *numberArgs) (uintptr, error) { return uintptr(Getpgrp()), nil },
	SYS_GETPGID: func(a *numberArgs) (uintptr, error) { return number(Getpgid(a.fd(0))) },
	SYS_GETUID:  func(a *numberArgs) (uintptr, error) { return ownerUid, nil },
	SYS_GETEUID: func(a *numberArgs) (uintptr, error) { return ownerUid, nil },
	SYS_GETGID:  func(a *numberArgs) (uintptr, error) { return ownerGid, nil },
	SYS_GETEGID: func(a *numberArgs) (uintptr, error) { return ownerGid, nil },
	SYS_SETUID:  func(a *numberArgs) (uintptr, error) { return nothing(Setuid(a.fd(0))) },
	SYS_SETGID:  func(a *numberArgs) (uintptr, error) { return nothing(Setgid(a.fd(0))) },
	SYS_SETREUID: func(a *numberArgs) (uintptr, error) {
		return nothing(Setreuid(a.fd(0), a.fd(1)))
	},
	SYS_SETREGID: func(a *numberArgs) (uintptr, error) {
		return nothing(Setregid(a.fd(0), a.fd(1)))
	},
	SYS_SETRESUID: func(a *numberArgs) (uintptr, error) {
		return nothing(Setresuid(a.fd(0), a.fd(1), a.fd(2)))
	},
	SYS_SETRESGID: func(a *numberArgs) (uintptr, error) {
		return nothing(Setresgid(a.fd(0), a.fd(1), a.fd(2)))
	},
	SYS_SETPGID: func(a *numberArgs) (uintptr, error) {
		return nothing(Setpgid(a.fd(0), a.fd(1)))
	},
	SYS_SETSID: func(a *numberArgs) (uintptr, error) { return number(Setsid()) },
	SYS_KILL: func(a *numberArgs) (uintptr, error) {
		return nothing(Kill(a.fd(0), Signal(a[1])))
	},
	SYS_TGKILL: func(a *numberArgs) (uintptr, error) {
		return nothing(Tgkill(a.fd(0), a.fd(1), Signal(a[2])))
	},
	SYS_EXIT_GROUP: func(a *numberArgs) (uintptr, error) {
		Exit(a.fd(0))
		return 0, nil
	},
	SYS_WAIT4: func(a *numberArgs) (uintptr, error) {
		return number(Wait4(a.fd(0), (*WaitStatus)(pointerTo(a[1])), int(a[2]),
			(*Rusage)(pointerTo(a[3]))))
	},
	SYS_UNAME: func(a *numberArgs) (uintptr, error) {
		return with(a, 0, Uname)
	},
	SYS_GETTIMEOFDAY: func(a *numberArgs) (uintptr, error) {
		return with(a, 0, Gettimeofday)
	},
	SYS_CLOCK_GETTIME: numberedClock,
	SYS_TIME: func(a *numberArgs) (uintptr, error) {
		return number(Time(argument[Time_t](a, 0)))
	},
	SYS_NANOSLEEP: func(a *numberArgs) (uintptr, error) {
		return with(a, 0, func(time *Timespec) error {
			return Nanosleep(time, argument[Timespec](a, 1))
		})
	},
	SYS_SCHED_YIELD: func(a *numberArgs) (uintptr, error) {
		runtime_sleep(0)
		return 0, nil
	},
	SYS_GETRLIMIT: func(a *numberArgs) (uintptr, error) {
		return nothing(prlimit(0, int(a[0]), nil, argument[Rlimit](a, 1)))
	},
	SYS_SETRLIMIT: func(a *numberArgs) (uintptr, error) {
		return nothing(prlimit(0, int(a[0]), argument[Rlimit](a, 1), nil))
	},
	SYS_PRLIMIT64: func(a *numberArgs) (uintptr, error) {
		return nothing(prlimit(a.fd(0), int(a[1]), argument[Rlimit](a, 2),
			argument[Rlimit](a, 3)))
	},
	SYS_GETRUSAGE: func(a *numberArgs) (uintptr, error) {
		return with(a, 1, func(usage *Rusage) error { return Getrusage(a.fd(0), usage) })
	},
	SYS_SYSINFO: func(a *numberArgs) (uintptr, error) {
		return with(a, 0, Sysinfo)
	},
	sysGetrandom: func(a *numberArgs) (uintptr, error) {
		if b := a.bytes(0, 1); !runtime_fillRandom(b) {
			return 0, EAGAIN
		}
		return a[1], nil
	},
	SYS_UMASK: func(a *numberArgs) (uintptr, error) {
		return uintptr(Umask(int(a[0]))), nil
	},
	SYS_PTRACE:      numberedDenied,
	SYS_SETHOSTNAME: numberedDenied,
	SYS_REBOOT:      numberedDenied,
	SYS_UNSHARE:     numberedDenied,
}

func numberedClock(a *numberArgs) (uintptr, error) {
	now, err := clockTime(a[0])
	if err != nil {
		return 0, err
	}
	return with(a, 1, func(to *Timespec) error {
		*to = NsecToTimespec(now)
		return nil
	})
}

// clockTime knows the clock of the day and the one that only goes forward.
func clockTime(clock uintptr) (int64, error) {
	const (
		clockMonotonicRaw   = 4
		clockRealtimeCoarse = 5
		clockMonoCoarse     = 6
	)
	switch clock {
	case clockRealtime, clockRealtimeCoarse:
		return nowNs(), nil
	case clockMonotonic, clockMonotonicRaw, clockMonoCoarse, clockBoottime:
		return runtime_nanotime(), nil
	}
	return 0, EINVAL
}

// ---- memory
// ------------------------------------------------------------------------------------------

var numberedMemory = [numbersEnd]numberedCall{
	SYS_MMAP: func(a *numberArgs) (uintptr, error) {
		if a[3]&MAP_FIXED != 0 {
			return 0, ENOMEM // no mapping replaces another
		}
		b, err := Mmap(a.fd(4), int64(a[5]), int(a[1]), int(a[2]), int(a[3]))
		if err != nil {
			return 0, err
		}
		return uintptr(unsafe.Pointer(unsafe.SliceData(b))), nil
	},
	SYS_MREMAP: func(a *numberArgs) (uintptr, error) {
		address, e := mremap(a[0], a[1], a[2], int(a[3]))
		return address, result(e)
	},
	SYS_MUNMAP: func(a *numberArgs) (uintptr, error) {
		return nothing(munmap(a[0], a[1]))
	},
	SYS_MPROTECT: func(a *numberArgs) (uintptr, error) {
		return nothing(Mprotect(a.bytes(0, 1), int(a[2])))
	},
	SYS_MADVISE: func(a *numberArgs) (uintptr, error) {
		return nothing(Madvise(a.bytes(0, 1), int(a[2])))
	},
	SYS_MSYNC: func(a *numberArgs) (uintptr, error) {
		return nothing(msync(a[0], a[1], a.fd(2)))
	},
	SYS_MLOCK:    func(a *numberArgs) (uintptr, error) { return 0, nil },
	SYS_MUNLOCK:  func(a *numberArgs) (uintptr, error) { return 0, nil },
	SYS_MLOCKALL: func(a *numberArgs) (uintptr, error) { return nothing(Mlockall(int(a[0]))) },
	SYS_MUNLOCKALL: func(a *numberArgs) (uintptr, error) {
		return 0, nil
	},
}

// ---- sockets
// ------------------------------------------------------------------------------------------

var numberedSockets = [numbersEnd]numberedCall{
	SYS_SOCKET: func(a *numberArgs) (uintptr, error) {
		return number(Socket(int(a[0]), int(a[1]), int(a[2])))
	},
	SYS_SOCKETPAIR: func(a *numberArgs) (uintptr, error) {
		pair, err := Socketpair(int(a[0]), int(a[1]), int(a[2]))
		if to := argument[[2]int32](a, 3); err == nil && to != nil {
			to[0], to[1] = int32(pair[0]), int32(pair[1])
		}
		return 0, err
	},
	SYS_BIND: func(a *numberArgs) (uintptr, error) {
		return nothing(Bind(a.fd(0), sockaddrAt(a[1], a[2])))
	},
	SYS_CONNECT: func(a *numberArgs) (uintptr, error) {
		return nothing(Connect(a.fd(0), sockaddrAt(a[1], a[2])))
	},
	SYS_LISTEN: func(a *numberArgs) (uintptr, error) {
		return nothing(Listen(a.fd(0), a.fd(1)))
	},
	SYS_ACCEPT:  func(a *numberArgs) (uintptr, error) { return numberedAccept(a, 0) },
	SYS_ACCEPT4: func(a *numberArgs) (uintptr, error) { return numberedAccept(a, int(a[3])) },
	SYS_GETSOCKNAME: func(a *numberArgs) (uintptr, error) {
		sa, err := Getsockname(a.fd(0))
		storeSockaddr(sa, a[1], argument[uint32](a, 2))
		return 0, err
	},
	SYS_GETPEERNAME: func(a *numberArgs) (uintptr, error) {
		sa, err := Getpeername(a.fd(0))
		storeSockaddr(sa, a[1], argument[uint32](a, 2))
		return 0, err
	},
	SYS_SHUTDOWN: func(a *numberArgs) (uintptr, error) {
		return nothing(Shutdown(a.fd(0), int(a[1])))
	},
	SYS_SENDTO: func(a *numberArgs) (uintptr, error) {
		return number(SendmsgN(a.fd(0), a.bytes(1, 2), nil, sockaddrAt(a[4], a[5]),
			int(a[3])))
	},
	SYS_RECVFROM: func(a *numberArgs) (uintptr, error) {
		n, from, err := Recvfrom(a.fd(0), a.bytes(1, 2), int(a[3]))
		storeSockaddr(from, a[4], argument[uint32](a, 5))
		return number(n, err)
	},
	SYS_SETSOCKOPT: func(a *numberArgs) (uintptr, error) {
		return nothing(setsockopt(a.fd(0), int(a[1]), int(a[2]), pointerTo(a[3]), a[4]))
	},
	SYS_GETSOCKOPT: func(a *numberArgs) (uintptr, error) {
		return nothing(getsockopt(a.fd(0), int(a[1]), int(a[2]), pointerTo(a[3]),
			argument[uint32](a, 4)))
	},
}

func numberedAccept(a *numberArgs, flags int) (uintptr, error) {
	fd, from, err := Accept4(a.fd(0), flags)
	if err == nil {
		storeSockaddr(from, a[1], argument[uint32](a, 2))
	}
	return number(fd, err)
}

const unixPathAt = 2 // in a raw address, behind the family

// sockaddrAt reads a raw address. It is nil if there is none.
func sockaddrAt(address, length uintptr) Sockaddr {
	raw := memoryAt(address, length)
	if len(raw) < unixPathAt {
		return nil
	}
	switch family := byteorder.LEUint16(raw); {
	case family == AF_INET && len(raw) >= SizeofSockaddrInet4:
		sa := &SockaddrInet4{Port: int(byteorder.BEUint16(raw[2:]))}
		copy(sa.Addr[:], raw[4:])
		return sa
	case family == AF_INET6 && len(raw) >= SizeofSockaddrInet6:
		sa := &SockaddrInet6{Port: int(byteorder.BEUint16(raw[2:])),
			ZoneId: byteorder.LEUint32(raw[24:])}
		copy(sa.Addr[:], raw[8:])
		return sa
	case family == AF_UNIX:
		return &SockaddrUnix{Name: unixName(raw[unixPathAt:])}
	}
	return &SockaddrLinklayer{} // of no family that there are sockets of
}

// unixName returns a path up to its NUL, or with an '@' for the NUL before it a name that is none.
func unixName(path []byte) string {
	if len(path) > 0 && path[0] == 0 {
		return "@" + string(path[1:])
	}
	for i, c := range path {
		if c == 0 {
			return string(path[:i])
		}
	}
	return string(path)
}

// storeSockaddr writes as much of the address as there is room for, and its whole length.
func storeSockaddr(sa Sockaddr, address uintptr, length *uint32) {
	if address == 0 || length == nil {
		return
	}
	var raw []byte
	switch sa := sa.(type) {
	case *SockaddrInet4:
		raw = make([]byte, SizeofSockaddrInet4)
		byteorder.LEPutUint16(raw, AF_INET)
		byteorder.BEPutUint16(raw[2:], uint16(sa.Port))
		copy(raw[4:], sa.Addr[:])
	case *SockaddrInet6:
		raw = make([]byte, SizeofSockaddrInet6)
		byteorder.LEPutUint16(raw, AF_INET6)
		byteorder.BEPutUint16(raw[2:], uint16(sa.Port))
		copy(raw[8:], sa.Addr[:])
		byteorder.LEPutUint32(raw[24:], sa.ZoneId)
	case *SockaddrUnix:
		raw = append([]byte{AF_UNIX, 0}, sa.Name...)
		if sa.Name != "" && sa.Name[0] == '@' {
			raw[unixPathAt] = 0
		} else if sa.Name != "" {
			raw = append(raw, 0)
		}
	}
	copy(memoryAt(address, uintptr(*length)), raw)
	*length = uint32(len(raw))
}
