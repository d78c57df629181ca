// How package syscall reaches the kernel, and the calls that are about the process.

//go:build capos

package syscall

import (
	"sync/atomic"
	"unsafe"
)

// A capability is the CapId of a kernel object that this process may use, or 0.
type capability uint32

// call calls a method in compact form. The answer is a result or a failure (see failure). Pointers
// converted in the argument list stay where they are until it returns.
//
//go:uintptrescapes
//go:linkname call syscall.capCall
func call(c capability, method, a0, a1, a2, a3, a4 uintptr) uintptr

// callBlocking is call for methods that may wait. Other goroutines run meanwhile.
//
//go:uintptrescapes
//go:linkname callBlocking syscall.capCallBlocking
func callBlocking(c capability, method, a0, a1, a2, a3, a4 uintptr) uintptr

func runtime_capabilities() *abiCapabilities
func runtime_processID() uint64
func runtime_startRecords() []string
func runtime_startCapability(name string) (capID uint32, interfaceID uint64)
func runtime_release(c capability) uintptr
func runtime_touch(address uintptr) bool
func runtime_walltime() (sec int64, nsec int32)
func runtime_nanotime() int64
func runtime_raise(sig uint32)
func runtime_brokenPipe()
func runtime_sleep(ns int64)
func runtime_fillRandom(b []byte) bool
func runtime_hasWrites() bool
func runtime_takeWrites(take func(fd int, data []byte))
func runtime_setText(fd int, stream capability, isPipe bool, name *byte, nameSize int,
	offset *uint64)
func runtime_setCrashOutputHook(hook func(fd uintptr))
func runtime_setPollOpenHook(hook func(fd uintptr, pd unsafe.Pointer, tag uintptr) uintptr)
func runtime_pollEvent(pd unsafe.Pointer, tag uintptr, mode int32)
func runtime_startTimer(when int64, f func()) unsafe.Pointer
func runtime_stopTimer(timer unsafe.Pointer)

// granted are the capabilities the process began with.
var granted = *runtime_capabilities()

// failure returns the error number in an answer, or 0 when the answer is a result.
func failure(answer uintptr) uintptr {
	if answer > ^uintptr(4095) {
		return -answer
	}
	return 0
}

// errnoOf translates an error number of the kernel into the errno that programs expect of files.
func errnoOf(number uintptr) Errno {
	switch number {
	case 0:
		return 0
	case abiTransportErrorInvokeFailed:
		return EBADF
	case abiErrorBase + abiErrorInvalidArgument, abiErrorBase + abiErrorMisaligned,
		abiErrorBase + abiErrorOutOfRange:
		return EINVAL
	case abiErrorBase + abiErrorBadAddress:
		return EFAULT
	case abiErrorBase + abiErrorNoMemory, abiErrorBase + abiErrorNoReservation,
		abiErrorBase + abiErrorNoSlots:
		return ENOMEM
	case abiErrorBase + abiErrorNoThreads, abiErrorBase + abiErrorNoCalls:
		return EAGAIN
	case abiErrorBase + abiErrorInterrupted:
		return EINTR
	case abiErrorBase + abiErrorNoRights:
		return EPERM
	case abiErrorBase + abiErrorTimedOut:
		return ETIMEDOUT
	case abiErrorBase + abiErrorUnimplemented:
		return ENOSYS
	}
	return EIO
}

// result turns an errno into an error, which is nil and not a zero Errno when there is none.
func result(e Errno) error {
	switch e {
	case 0:
		return nil
	case EAGAIN:
		return errAgain
	case ENOENT:
		return errNoEntry
	}
	return e
}

// The errors that happen all the time, converted to an interface once.
var (
	errAgain   error = EAGAIN
	errNoEntry error = ENOENT
)

func nowNs() int64 {
	sec, nsec := runtime_walltime()
	return sec*1e9 + int64(nsec)
}

// ---- the process
// ------------------------------------------------------------------------------------------

// The identity gives no rights here, but programs compare it with the owner of files. All files
// belong to this one.
const (
	ownerUid = 1000
	ownerGid = 1000
)

func Getpid() int  { return int(runtime_processID()) }
func Getppid() int { return start.parent }
func Getuid() int  { return ownerUid }
func Geteuid() int { return ownerUid }
func Getgid() int  { return ownerGid }
func Getegid() int { return ownerGid }
func Getpgrp() int { return Getpid() }

func Getgroups() ([]int, error) { return []int{ownerGid}, nil }

func Getpgid(pid int) (int, error) {
	if pid != 0 && pid != Getpid() {
		return 0, ESRCH
	}
	return Getpid(), nil
}

// Kill sends a signal to this process or to a child, or with -1 to all children. No other process
// has a name here.
func Kill(pid int, sig Signal) error {
	if sig < 0 || sig >= Signal(len(signalText)) {
		return EINVAL
	}
	if pid == -1 {
		return result(signalChildren(sig))
	}
	if pid != 0 && pid != Getpid() && pid != -Getpid() {
		return result(signalOther(pid, sig))
	}
	if sig != 0 {
		runtime_raise(uint32(sig))
	}
	return nil
}

// Getrusage reports CPU time and the most memory the process ever had charged.
func Getrusage(who int, rusage *Rusage) error {
	*rusage = Rusage{}
	switch who {
	case RUSAGE_SELF:
	case RUSAGE_CHILDREN:
		*rusage = usageOfChildren()
		return nil
	default:
		return EINVAL
	}
	info := new(abiProcessInfo)
	if failure(call(granted.system, abiSystemInfoProcess, uintptr(unsafe.Pointer(info)),
		unsafe.Sizeof(*info), 0, 0, 0)) == 0 {
		rusage.Utime = NsecToTimeval(int64(info.cpuTimeNs))
	}
	usage := new(abiMemoryUsage)
	if failure(call(granted.vm, abiVirtualMemoryUsage, uintptr(unsafe.Pointer(usage)),
		unsafe.Sizeof(*usage), 0, 0, 0)) == 0 {
		rusage.Maxrss = int64(usage.peakCommitted) * abiPageSize / 1024
	}
	return nil
}

func Gettimeofday(tv *Timeval) error {
	*tv = NsecToTimeval(nowNs())
	return nil
}

// Only descriptors have a limit of their own.
func Getrlimit(resource int, rlim *Rlimit) error {
	*rlim = Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	if resource == RLIMIT_NOFILE {
		*rlim = descriptorsLimit()
	}
	return nil
}

func Setrlimit(resource int, rlim *Rlimit) error {
	if resource != RLIMIT_NOFILE {
		return ENOSYS
	}
	return result(limitDescriptors(*rlim))
}

// origRlimitNofile is the limit with which the process was started, for package os/exec and tests.
// It is nil because the start changes no limit.
var origRlimitNofile atomic.Pointer[Rlimit]

func setTimespec(sec, nsec int64) Timespec { return Timespec{Sec: sec, Nsec: nsec} }

func setTimeval(sec, usec int64) Timeval { return Timeval{Sec: sec, Usec: usec} }

// ---- what does not exist
// ------------------------------------------------------------------------------------------

func Getpriority(which, who int) (prio int, err error) { return 0, ENOSYS }
func Setpriority(which, who, prio int) error           { return ENOSYS }
func Tcgetpgrp(fd int) (pgid int, err error)           { return 0, ENOTTY }
func Tcsetpgrp(fd int, pgid int) error                 { return ENOTTY }

// Umask exists for programs that set it. It does not change permissions.
func Umask(mask int) (oldmask int) { return 0 }
