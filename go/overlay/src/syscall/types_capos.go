// Types and constants of package syscall. Only Go programs see their values, and they know them
// from Linux.

//go:build capos

package syscall

import "sync"

var (
	Stdin  = 0
	Stdout = 1
	Stderr = 2
)

// ForkLock keeps descriptors from leaking into processes started meanwhile.
var ForkLock sync.RWMutex

type Timespec struct {
	Sec  int64
	Nsec int64
}

type Timeval struct {
	Sec  int64
	Usec int64
}

type Stat_t struct {
	Dev     uint64
	Ino     uint64
	Nlink   uint64
	Mode    uint32
	Uid     uint32
	Gid     uint32
	X__pad0 int32
	Rdev    uint64
	Size    int64
	Blksize int64
	Blocks  int64
	Atim    Timespec
	Mtim    Timespec
	Ctim    Timespec

	X__unused [3]int64
}

// A Dirent is the head of a record that ReadDirent makes; Name extends to Reclen and is padded with
// zeros.
type Dirent struct {
	Ino    uint64
	Off    int64
	Reclen uint16
	Type   uint8
	Name   [256]int8

	Pad_cgo_0 [5]byte
}

type Iovec struct {
	Base *byte
	Len  uint64
}

func (v *Iovec) SetLen(length int) { v.Len = uint64(length) }

type Rusage struct {
	Utime    Timeval
	Stime    Timeval
	Maxrss   int64 // KiB
	Ixrss    int64 // from here on 0: the kernel counts none of it
	Idrss    int64
	Isrss    int64
	Minflt   int64
	Majflt   int64
	Nswap    int64
	Inblock  int64
	Oublock  int64
	Msgsnd   int64
	Msgrcv   int64
	Nsignals int64
	Nvcsw    int64
	Nivcsw   int64
}

type Rlimit struct {
	Cur uint64
	Max uint64
}

type Flock_t struct {
	Type      int16
	Whence    int16
	Pad_cgo_0 [4]byte
	Start     int64
	Len       int64
	Pid       int32
	Pad_cgo_1 [4]byte
}

const (
	O_RDONLY    = 0x0
	O_WRONLY    = 0x1
	O_RDWR      = 0x2
	O_ACCMODE   = 0x3
	O_CREAT     = 0x40
	O_EXCL      = 0x80
	O_NOCTTY    = 0x100
	O_TRUNC     = 0x200
	O_APPEND    = 0x400
	O_NONBLOCK  = 0x800
	O_DIRECTORY = 0x10000
	O_NOFOLLOW  = 0x20000
	O_CLOEXEC   = 0x80000
	O_SYNC      = 0x101000
)

const (
	S_IFMT   = 0xf000
	S_IFSOCK = 0xc000
	S_IFLNK  = 0xa000
	S_IFREG  = 0x8000
	S_IFBLK  = 0x6000
	S_IFDIR  = 0x4000
	S_IFCHR  = 0x2000
	S_IFIFO  = 0x1000
	S_ISUID  = 0x800
	S_ISGID  = 0x400
	S_ISVTX  = 0x200
	S_IRUSR  = 0x100
	S_IWUSR  = 0x80
	S_IXUSR  = 0x40
	S_IRWXU  = 0x1c0
	S_IRGRP  = 0x20
	S_IWGRP  = 0x10
	S_IXGRP  = 0x8
	S_IRWXG  = 0x38
	S_IROTH  = 0x4
	S_IWOTH  = 0x2
	S_IXOTH  = 0x1
	S_IRWXO  = 0x7
)

const (
	DT_UNKNOWN = 0
	DT_FIFO    = 1
	DT_CHR     = 2
	DT_DIR     = 4
	DT_BLK     = 6
	DT_REG     = 8
	DT_LNK     = 10
	DT_SOCK    = 12
)

const (
	F_DUPFD         = 0
	F_GETFD         = 1
	F_SETFD         = 2
	F_GETFL         = 3
	F_SETFL         = 4
	F_GETLK         = 5
	F_SETLK         = 6
	F_SETLKW        = 7
	F_DUPFD_CLOEXEC = 1030
	F_RDLCK         = 0
	F_WRLCK         = 1
	F_UNLCK         = 2
	FD_CLOEXEC      = 1
)

const (
	AT_FDCWD            = -100
	AT_SYMLINK_NOFOLLOW = 0x100
	AT_REMOVEDIR        = 0x200
)

const (
	PROT_NONE   = 0
	PROT_READ   = abiProtRead
	PROT_WRITE  = abiProtWrite
	PROT_EXEC   = abiProtExec
	MAP_FILE    = 0
	MAP_SHARED  = 1
	MAP_PRIVATE = 2
	MAP_ANON    = 0x20
)

const (
	RLIMIT_CPU    = 0
	RLIMIT_CORE   = 4
	RLIMIT_NOFILE = 7
	RLIMIT_AS     = 9
	RUSAGE_SELF   = 0
	PRIO_PROCESS  = 0
	PRIO_PGRP     = 1
	PRIO_USER     = 2
	TCIFLUSH      = 0
	TCOFLUSH      = 1
	TCIOFLUSH     = 2
	LOCK_SH       = 1
	LOCK_EX       = 2
	LOCK_NB       = 4
	LOCK_UN       = 8
)

const (
	pathMax = 4096 // with the terminating NUL that callers of other systems count
	nameMax = 255
)
