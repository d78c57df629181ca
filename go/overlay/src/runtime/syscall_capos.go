// What other packages need of the runtime: capabilities, calls, entropy. They reach these functions
// by link name.

//go:build capos

package runtime

import "unsafe"

//go:linkname syscall_capCall syscall.capCall
//go:nosplit
func syscall_capCall(capID uint32, method, a0, a1, a2, a3, a4 uintptr) uintptr {
	return capCall(capID, method, a0, a1, a2, a3, a4)
}

// syscall_capCallBlocking releases the P for the time of the call.
//
//go:linkname syscall_capCallBlocking syscall.capCallBlocking
//go:nosplit
func syscall_capCallBlocking(capID uint32, method, a0, a1, a2, a3, a4 uintptr) uintptr {
	entersyscall()
	result := capCall(capID, method, a0, a1, a2, a3, a4)
	exitsyscall()
	return result
}

// endpointRegisters are the registers of an operation on an endpoint, before it and after it. See
// docs/abi.md for what is in them.
type endpointRegisters struct {
	operation, target uint64 // RAX and RDI
	words             [8]uint64
	r14, r15          uint64
}

//go:noescape
func enterEndpoint(r *endpointRegisters)

// syscall_capEndpoint releases the P for the time of the operation. A notification that comes
// meanwhile needs nothing done here: its handler resumes the thread at an await of the same call.
//
//go:linkname syscall_capEndpoint syscall.capEndpoint
//go:nosplit
func syscall_capEndpoint(r *endpointRegisters) {
	entersyscall()
	enterEndpoint(r)
	exitsyscall()
}

// syscall_capRing returns the address of the thread's ring page.
//
//go:linkname syscall_capRing syscall.capRing
func syscall_capRing() uintptr { return getg().m.ring }

// syscall_capEnter enters the kernel for the thread's ring, and releases the P meanwhile.
//
//go:linkname syscall_capEnter syscall.capEnter
//go:nosplit
func syscall_capEnter(minComplete, timeout uintptr) uintptr {
	entersyscall()
	result := enterKernel(abiSysCapEnter, minComplete, timeout, 0, 0, 0, 0)
	exitsyscall()
	return result
}

// syscall_touch gives memory to a page that gets it at first touch, and returns false if there is
// none. The kernel reads the word for a wait whose time is over.
//
//go:linkname syscall_touch syscall.runtime_touch
func syscall_touch(address uintptr) bool {
	return capError(parkUntil((*uint32)(unsafe.Pointer(address)), 0, 1)) == 0
}

// syscall_capabilities returns the CapIds of what the program was started with.
//
//go:linkname syscall_capabilities syscall.runtime_capabilities
func syscall_capabilities() *abiCapabilities { return &caps }

//go:linkname syscall_startRecords syscall.runtime_startRecords
func syscall_startRecords() []string { return startRecords }

// syscall_startCapability returns the CapId under a name in the CapSet, 0 if there is none, and the
// id of its interface.
//
//go:linkname syscall_startCapability syscall.runtime_startCapability
func syscall_startCapability(name string) (capID uint32, interfaceID uint64) {
	header := (*abiCapSetHeader)(unsafe.Pointer(capSetAddress))
	for i := uintptr(0); i < uintptr(header.count); i++ {
		entry := (*abiCapSetEntry)(unsafe.Pointer(capSetAddress + unsafe.Sizeof(*header) +
			i*unsafe.Sizeof(abiCapSetEntry{})))
		if len(name) < len(entry.name) && nameIs(&entry.name, name) {
			return entry.cap, entry.interfaceId
		}
	}
	return 0, 0
}

//go:linkname syscall_release syscall.runtime_release
func syscall_release(capID uint32) uintptr { return releaseCapability(capID) }

//go:linkname syscall_processID syscall.runtime_processID
func syscall_processID() uint64 {
	return (*abiCapSetHeader)(unsafe.Pointer(capSetAddress)).processId
}

//go:linkname syscall_walltime syscall.runtime_walltime
func syscall_walltime() (sec int64, nsec int32) {
	return walltime()
}

//go:linkname syscall_nanotime syscall.runtime_nanotime
func syscall_nanotime() int64 { return nanotime() }

// syscall_raise sends a signal to this process, by its first thread, which never ends.
//
//go:linkname syscall_raise syscall.runtime_raise
func syscall_raise(sig uint32) {
	if sig == _SIGKILL {
		exitOfSignal(_SIGKILL)
	}
	sendSignal(&m0, sig)
}

// syscall_brokenPipe delivers SIGPIPE to a program that asked to be notified. Other programs get
// the error only. Package os sees to standard output and standard error.
//
//go:linkname syscall_brokenPipe syscall.runtime_brokenPipe
func syscall_brokenPipe() {
	sigsend(_SIGPIPE)
}

//go:linkname syscall_sleep syscall.runtime_sleep
func syscall_sleep(ns int64) { timeSleep(ns) }

// sysrand_fill fills b with random bytes and reports whether the entropy source could. It checks
// the stack bound when it is entered, so that a goroutine that calls it in a loop can be preempted.
//
//go:linkname sysrand_fill crypto/internal/sysrand.runtime_fill
func sysrand_fill(b []byte) bool {
	return readRandom(b) == len(b)
}

//go:linkname syscall_fillRandom syscall.runtime_fillRandom
func syscall_fillRandom(b []byte) bool {
	return readRandom(b) == len(b)
}

// syscall_startTimer runs f in a goroutine of its own when nanotime has reached a time.
//
//go:linkname syscall_startTimer syscall.runtime_startTimer
func syscall_startTimer(when int64, f func()) unsafe.Pointer {
	t := new(timer)
	t.init(nil, nil)
	t.modify(max(when, 1), 0, runTimerFunc, f, 0)
	return unsafe.Pointer(t)
}

func runTimerFunc(f any, _ uintptr, _ int64) { go f.(func())() }

// syscall_stopTimer does nothing to a timer that has run.
//
//go:linkname syscall_stopTimer syscall.runtime_stopTimer
func syscall_stopTimer(t unsafe.Pointer) { (*timer)(t).stop() }
