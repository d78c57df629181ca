// Notifications as signals.
//
// The common code for unix systems has signals, and capOS has notifications. Both are numbers with
// a mask for each thread and a handler on a stack of its own, so a table translates them. Faults
// and the console's keys have kinds of the kernel. Signal n that one thread sends to another is
// kind notifyUserFirst + n - 1. The kernel knows one handler and no dispositions. The runtime keeps
// those and decides what a signal without a Go handler does.

//go:build capos

package runtime

import (
	"internal/abi"
	"unsafe"
)

const _NSIG = 32

const (
	_SIGHUP  = 1
	_SIGINT  = 2
	_SIGQUIT = 3
	_SIGILL  = 4
	_SIGTRAP = 5
	_SIGABRT = 6
	_SIGBUS  = 7
	_SIGFPE  = 8
	_SIGKILL = 9
	_SIGUSR1 = 10
	_SIGSEGV = 11
	_SIGUSR2 = 12
	_SIGPIPE = 13
	_SIGTERM = 15
	_SIGCHLD = 17
	_SIGCONT = 18
	_SIGSTOP = 19
	_SIGURG  = 23
	_SIGPROF = 27
	_SIGSYS  = 31

	_SI_USER     = 0
	siKernel     = 0x80 // any code that is neither SI_USER nor one of the fault codes below
	_FPE_INTDIV  = 1
	_FPE_INTOVF  = 2
	fpeInvalid   = 7
	_BUS_ADRALN  = 1
	_BUS_ADRERR  = 2
	_SEGV_MAPERR = 1
	_SEGV_ACCERR = 2

	_SS_DISABLE  = 2
	_SIG_BLOCK   = 0
	_SIG_UNBLOCK = 1
	_SIG_SETMASK = 2
	_ITIMER_PROF = 2

	_MAP_PRIVATE = 0x2
	_MAP_FIXED   = 0x10
	_MAP_ANON    = 0x20

	_EBADF  = 9
	_EAGAIN = 11
	_ENOMEM = 12
	_EINVAL = 22
	_EMFILE = 24

	_O_WRONLY   = 1
	_O_CREAT    = 0x40
	_O_TRUNC    = 0x200
	_O_NONBLOCK = 0x800
	_O_CLOEXEC  = 0x80000
)

// sigtable holds what the runtime does with each signal. sigTabT describes the fields.
var sigtable = [...]sigTabT{
	0:        {0, "SIGNONE: no signal"},
	_SIGHUP:  {_SigNotify + _SigKill, "SIGHUP: hangup"},
	_SIGINT:  {_SigNotify + _SigKill, "SIGINT: interrupt"},
	_SIGQUIT: {_SigNotify + _SigThrow, "SIGQUIT: quit"},
	_SIGILL:  {_SigThrow + _SigUnblock, "SIGILL: illegal instruction"},
	_SIGTRAP: {_SigThrow + _SigUnblock, "SIGTRAP: breakpoint"},
	_SIGABRT: {_SigNotify + _SigThrow, "SIGABRT: abort"},
	_SIGBUS:  {_SigPanic + _SigUnblock, "SIGBUS: bus error"},
	_SIGFPE:  {_SigPanic + _SigUnblock, "SIGFPE: arithmetic fault"},
	_SIGKILL: {0, "SIGKILL: kill"},
	_SIGUSR1: {_SigNotify, "SIGUSR1: user signal 1"},
	_SIGSEGV: {_SigPanic + _SigUnblock, "SIGSEGV: segmentation violation"},
	_SIGUSR2: {_SigNotify, "SIGUSR2: user signal 2"},
	_SIGPIPE: {_SigNotify, "SIGPIPE: write to broken pipe"},
	14:       {_SigNotify, "SIGALRM: alarm"},
	_SIGTERM: {_SigNotify + _SigKill, "SIGTERM: terminate"},
	16:       {_SigNotify, "signal 16"},
	_SIGCHLD: {_SigNotify + _SigUnblock + _SigIgn, "SIGCHLD: child ended"},
	_SIGCONT: {_SigNotify + _SigDefault + _SigIgn, "SIGCONT: continue"},
	_SIGSTOP: {0, "SIGSTOP: stop"},
	20:       {_SigNotify + _SigDefault + _SigIgn, "SIGTSTP: stop from the keyboard"},
	21: {_SigNotify + _SigDefault + _SigIgn,
		"SIGTTIN: read from a terminal in the background"},
	22: {_SigNotify + _SigDefault + _SigIgn,
		"SIGTTOU: write to a terminal in the background"},
	_SIGURG:  {_SigNotify + _SigIgn, "SIGURG: preemption"},
	24:       {_SigNotify, "SIGXCPU: CPU time limit"},
	25:       {_SigNotify, "SIGXFSZ: file size limit"},
	26:       {_SigNotify, "SIGVTALRM: alarm by CPU time"},
	_SIGPROF: {_SigNotify + _SigUnblock, "SIGPROF: profile tick"},
	28:       {_SigNotify + _SigIgn, "SIGWINCH: window size"},
	29:       {_SigNotify, "SIGIO: I/O possible"},
	30:       {_SigNotify, "SIGPWR: power"},
	_SIGSYS:  {_SigThrow, "SIGSYS: bad system call"},
}

// ---- masks
// ------------------------------------------------------------------------------------------

// A sigset is a notification mask with bit n for kind n. Faults are never in it, because a masked
// fault ends the process.
type sigset uint64

const faultKinds = 1<<abiNotificationKindPageFault | 1<<abiNotificationKindGeneralProtection |
	1<<abiNotificationKindDivide |
	1<<abiNotificationKindIllegalInstruction | 1<<abiNotificationKindBreakpoint |
	1<<abiNotificationKindFloatingPoint |
	1<<abiNotificationKindAlignment | 1<<abiNotificationKindOutOfMemory

var sigset_all sigset = ^sigset(0) &^ faultKinds

// kindsOf returns the notification kinds that arrive as this signal, without faults.
//
//go:nosplit
func kindsOf(sig int) sigset {
	if sig <= 0 {
		return 0
	}
	kinds := sigset(1) << ((abiNotifyUserFirst + uint(sig) - 1) & 63)
	switch sig {
	case _SIGINT:
		kinds |= 1 << abiNotificationKindInterrupt
	case _SIGQUIT:
		kinds |= 1 << abiNotificationKindQuit
	case _SIGTERM:
		kinds |= 1 << abiNotificationKindTerminate
	case _SIGPROF:
		kinds |= 1 << abiNotificationKindProfileTick
	}
	return kinds
}

//go:nosplit
//go:nowritebarrierrec
func sigaddset(mask *sigset, i int) { *mask |= kindsOf(i) }

//go:nosplit
func sigdelset(mask *sigset, i int) { *mask &^= kindsOf(i) }

// sigprocmask changes the mask of the thread. *old does not include that the kernel masks
// everything inside a handler.
//
//go:nosplit
//go:nowritebarrierrec
func sigprocmask(how int32, new, old *sigset) {
	mp := getg().m
	if old != nil {
		*old = mp.maskedKinds
	}
	if new == nil {
		return
	}
	var set, clear sigset
	switch how {
	case _SIG_BLOCK:
		set = *new
	case _SIG_UNBLOCK:
		clear = *new
	case _SIG_SETMASK:
		set, clear = *new, ^*new
	}
	set &^= faultKinds
	mp.maskedKinds = mp.maskedKinds&^clear | set
	capCall(caps.threadControl, abiThreadControlSetMask, uintptr(set), uintptr(clear), 0, 0, 0)
}

// ---- handler and its stack
// ------------------------------------------------------------------------------------------

type stackt struct {
	ss_sp    uintptr
	ss_size  uintptr
	ss_flags int32
}

//go:nosplit
func setSignalstackSP(s *stackt, sp uintptr) { s.ss_sp = sp }

// sigaltstack registers the handler together with the stack. Disabling the stack takes both away.
//
//go:nosplit
func sigaltstack(new, old *stackt) {
	mp := getg().m
	if old != nil {
		*old = stackt{ss_sp: mp.altStack, ss_size: mp.altStackSize}
		if mp.altStackSize == 0 {
			old.ss_flags = _SS_DISABLE
		}
	}
	if new == nil {
		return
	}
	handler, stack, size := abi.FuncPCABI0(sigtramp), new.ss_sp, new.ss_size
	if new.ss_flags&_SS_DISABLE != 0 {
		handler, stack, size = 0, 0, 0
	}
	mp.altStack, mp.altStackSize = stack, size
	result := capCall(caps.threadControl, abiThreadControlSetNotification, handler, stack, size,
		0, 0)
	if capError(result) != 0 {
		systemstack(func() { throw("notification stack rejected") })
	}
}

func sigtramp()

type siginfo struct {
	si_code int32
	si_addr uint64
}

// handleNotification is called by sigtramp on the gsignal stack, with g still that of the
// interrupted code.
//
//go:nosplit
//go:nowritebarrierrec
func handleNotification(kind uint32, state *abiThreadState) {
	var info siginfo
	sig := signalOf(kind, state, &info)
	if sigDispositions[sig] == _SIG_IGN {
		return
	}
	if kind == abiNotificationKindProfileTick {
		profileTicked()
	}
	if kind == abiNotificationKindOutOfMemory {
		// a bus error by itself would not say so
		writeErrStr("out of memory: there is no frame for a page that was touched\n")
	}
	sigtrampgo(sig, (*siginfo)(noescape(unsafe.Pointer(&info))), unsafe.Pointer(state))
}

// signalOf translates a notification. Codes other than MAPERR and ACCERR keep a general protection
// fault, whose address is unknown, from looking like a nil dereference.
//
//go:nosplit
func signalOf(kind uint32, state *abiThreadState, info *siginfo) uint32 {
	if kind >= abiNotifyUserFirst {
		info.si_code = _SI_USER
		return (kind - abiNotifyUserFirst + 1) & (_NSIG - 1)
	}
	info.si_code = siKernel
	switch kind {
	case abiNotificationKindPageFault:
		info.si_code, info.si_addr = _SEGV_ACCERR, state.address
		if state.code == abiFaultMapping {
			info.si_code = _SEGV_MAPERR
		}
		return _SIGSEGV
	case abiNotificationKindGeneralProtection:
		return _SIGSEGV
	case abiNotificationKindDivide:
		info.si_code = _FPE_INTDIV
		return _SIGFPE
	case abiNotificationKindFloatingPoint:
		info.si_code = fpeInvalid
		return _SIGFPE
	case abiNotificationKindIllegalInstruction:
		return _SIGILL
	case abiNotificationKindBreakpoint:
		return _SIGTRAP
	case abiNotificationKindAlignment:
		info.si_code = _BUS_ADRALN
		return _SIGBUS
	case abiNotificationKindOutOfMemory:
		info.si_code, info.si_addr = _BUS_ADRERR, state.address
		return _SIGBUS
	case abiNotificationKindProfileTick:
		return _SIGPROF
	case abiNotificationKindInterrupt:
		return _SIGINT
	case abiNotificationKindQuit:
		return _SIGQUIT
	case abiNotificationKindTerminate:
		return _SIGTERM
	}
	return _SIGSYS
}

// ---- dispositions
// ------------------------------------------------------------------------------------------

// sigDispositions holds a handler, _SIG_DFL or _SIG_IGN for each signal. A reader sees the old or
// the new word.
var sigDispositions [_NSIG]uintptr

//go:nosplit
//go:nowritebarrierrec
func setsig(i uint32, fn uintptr) { sigDispositions[i] = fn }

//go:nosplit
//go:nowritebarrierrec
func getsig(i uint32) uintptr { return sigDispositions[i] }

//go:nosplit
//go:nowritebarrierrec
func setsigstack(i uint32) {}

// raise sends a signal to the calling thread.
//
//go:nosplit
func raise(sig uint32) { sendSignal(getg().m, sig) }

// sendSignal sends a signal to a thread. Without a Go handler the signal has its default effect.
// Most signals then end the process with the exit code by which shells know a signal.
//
//go:nosplit
func sendSignal(mp *m, sig uint32) {
	switch sigDispositions[sig] {
	case _SIG_IGN:
		return
	case _SIG_DFL:
		if sigtable[sig].flags&_SigIgn == 0 {
			flushText()
			exitOfSignal(sig)
		}
		return
	}
	notifyThread(mp, sig)
}

// endedBySignal in an exit code tells package syscall of the parent that the rest is a signal's.
const endedBySignal = 1 << 30

// exitOfSignal ends the process with the exit code by which shells know a signal. A parent that is
// a Go program learns that it was one.
//
//go:nosplit
func exitOfSignal(sig uint32) {
	code := 128 + int32(sig)
	if startRecords != nil {
		code |= endedBySignal
	}
	exit(code)
}

// notifyThread sends a signal to a thread. It fails when the thread has ended.
//
//go:nosplit
func notifyThread(mp *m, sig uint32) bool {
	kind := abiNotifyUserFirst + uintptr(sig) - 1
	return capError(capCall(mp.handle.Load(), abiThreadHandleNotify, kind, 0, 0, 0, 0)) == 0
}

// signalM asks a thread to be preempted. A thread that has ended needs no preemption, and a thread
// without a handle runs no goroutine yet, so a failure does not matter.
func signalM(mp *m, sig int) {
	notifyThread(mp, uint32(sig))
}

// raiseproc sends a signal to another thread that takes it, or to the calling one if there is none.
// The common code passes SIGQUIT on from thread to thread in this way, so that all of them print
// their stacks. It uses raiseproc for nothing else, so no thread is chosen twice. The list may hold
// threads that end meanwhile or have no handle yet; those are passed over.
func raiseproc(sig uint32) {
	self := getg().m
	self.crashNotified.Store(1)
	for mp := allm; mp != nil; mp = mp.alllink {
		if mp == self || mp.maskedKinds&kindsOf(int(sig)) != 0 {
			continue
		}
		if mp.crashNotified.CompareAndSwap(0, 1) && notifyThread(mp, sig) {
			return
		}
	}
	raise(sig)
}

// sigPerThreadSyscall is a number no signal has.
const sigPerThreadSyscall = 1 << 31

//go:nosplit
func (c *sigctxt) fixsigcode(sig uint32) {}

// ---- profiling
// ------------------------------------------------------------------------------------------

// The kernel counts the CPU time of each thread, so each thread has a profile timer. The timer of
// the whole process that the common code starts and stops does not exist.

type timeval struct {
	tv_sec  int64
	tv_usec int64
}

func (tv *timeval) set_usec(x int32) { tv.tv_usec = int64(x) }

type itimerval struct {
	it_interval timeval
	it_value    timeval
}

func setitimer(mode int32, new, old *itimerval) {}

func setProcessCPUProfiler(hz int32) {
	setProcessCPUProfilerTimer(hz)
}

// setThreadCPUProfiler asks for a profile tick of the calling thread hz times per second of its CPU
// time. The first tick comes after a random part of an interval. So a thread that lives shorter
// than an interval is seen in proportion to its time, and threads that began together are not seen
// together.
func setThreadCPUProfiler(hz int32) {
	const shortestInterval = 100_000
	// An earlier tick that came between the calls would be taken for the first, so there must
	// be none.
	capCall(caps.threadControl, abiThreadControlSetProfile, 0, 0, 0, 0, 0)
	if hz > 0 {
		interval := max(shortestInterval, uintptr(1_000_000_000/hz))
		first := max(shortestInterval, uintptr(cheaprandn(uint32(interval))))
		getg().m.profileInterval = interval
		capCall(caps.threadControl, abiThreadControlSetProfile, first, 0, 0, 0, 0)
	}
	setThreadCPUProfilerHz(hz)
}

// profileTicked goes on with whole intervals after the first tick of a thread.
//
//go:nosplit
func profileTicked() {
	mp := getg().m
	if mp.profileInterval != 0 {
		capCall(caps.threadControl, abiThreadControlSetProfile, mp.profileInterval, 0, 0, 0,
			0)
		mp.profileInterval = 0
	}
}

//go:nosplit
func validSIGPROF(mp *m, c *sigctxt) bool { return true }
