// The operating system below the runtime: capabilities found at start, threads, parking, entropy.
//
// A program starts with the address of its CapSet page. Before anything else happens,
// findCapabilities reads the runtime's CapIds from it. Every operation is a register call on one of
// them. A program cannot run without "vm", "thread_control", "thread_spawner", "park" and "timer".
// The others may be missing, and then the operations that need them fail.

//go:build capos

package runtime

import (
	"internal/abi"
	"internal/runtime/atomic"
	"unsafe"
)

var (
	capSetAddress uintptr // set by the first instructions
	caps          abiCapabilities
	clockPage     uintptr // address of an abiClockPage
)

// mOS is what a thread has besides m.
type mOS struct {
	waitsema uint32 // semaphore for parking on locks

	// handle is the ThreadHandle of the thread, by which others notify it. The spawning thread
	// or the thread itself stores it, and the thread takes it away when it ends.
	handle atomic.Uint32

	// ring is the address of the thread's ring page, which the runtime itself does not use.
	ring uintptr

	// maskedKinds is what the thread masks outside handlers.
	maskedKinds sigset

	// profileInterval is that of the profile ticks, in ns, until the first of them; then 0.
	profileInterval uintptr

	altStack, altStackSize uintptr       // registered notification stack; size 0: none
	crashNotified          atomic.Uint32 // raiseproc has chosen this thread already
}

// enterKernel makes one system call. The number includes the opcode of a register call, and the
// arguments go to the argument registers in order.
//
//go:noescape
func enterKernel(number, a0, a1, a2, a3, a4, a5 uintptr) uintptr

// capCall calls a method in compact form. A result with capError(result) != 0 is an error.
//
//go:nosplit
func capCall(capID uint32, method, a0, a1, a2, a3, a4 uintptr) uintptr {
	const compact = abiSysCapEnter | abiOpcodeCompact<<8
	return enterKernel(compact, uintptr(capID)|method<<32, a0, a1, a2, a3, a4)
}

// capError returns the number of the error, or 0 for a result.
//
//go:nosplit
func capError(result uintptr) uintptr {
	if result > ^uintptr(4095) {
		return -result
	}
	return 0
}

// errorNumber turns an error of the schema into the number register calls return.
//
//go:nosplit
func errorNumber(code uintptr) uintptr { return code + abiErrorBase }

// findCapabilities runs before g exists and before the thread pointer is set.
//
//go:nosplit
func findCapabilities() {
	header := (*abiCapSetHeader)(unsafe.Pointer(capSetAddress))
	clockPage = uintptr(header.clockAddress)
	for i := uintptr(0); i < uintptr(header.count); i++ {
		entry := (*abiCapSetEntry)(unsafe.Pointer(capSetAddress + unsafe.Sizeof(*header) +
			i*unsafe.Sizeof(abiCapSetEntry{})))
		if slot := caps.slot(&entry.name); slot != nil {
			*slot = entry.cap
		}
	}
	textConsoles[1], textConsoles[2] = caps.stdout, caps.stderr
}

// nameIs serves the generated look-up.
//
//go:nosplit
func nameIs(name *[48]byte, text string) bool {
	for i := 0; i < len(text); i++ {
		if name[i] != text[i] {
			return false
		}
	}
	return name[len(text)] == 0
}

// What is printed for a capability without which no Go program runs, in one piece.
const (
	withoutIt = "runtime: a Go program cannot run without the capability \""
	sayThat   = "\"; say in the manifest: grants: [\""
	andNoMore = "\"]\n"
)

// noThreadControl is what settls prints. It runs before there is a g.
var noThreadControl = withoutIt + "thread_control" + sayThat + "thread_control" + andNoMore

func osinit() {
	requireCapability(caps.vm, withoutIt+"vm"+sayThat+"vm"+andNoMore)
	requireCapability(caps.threadSpawner,
		withoutIt+"thread_spawner"+sayThat+"thread_spawner"+andNoMore)
	requireCapability(caps.park, withoutIt+"park"+sayThat+"park"+andNoMore)
	requireCapability(caps.timer, withoutIt+"timer"+sayThat+"timer"+andNoMore)
	numCPUStartup = getCPUCount()
	physPageSize = abiPageSize
	heapInit()
	raceHostInit()
}

func requireCapability(capID uint32, missing string) {
	if capID == 0 {
		writeErrStr(missing)
		exit(2)
	}
}

func getCPUCount() int32 {
	return int32(max(1, (*abiClockPage)(unsafe.Pointer(clockPage)).cpuCount))
}

// startRecords are strings that the starter of the program put into the environment for package
// syscall.
var startRecords []string

func goenvs() {
	goenvs_unix()
	const prefix = "CAPOS_START_"
	kept := envs[:0]
	for _, variable := range envs {
		if len(variable) >= len(prefix) && variable[:len(prefix)] == prefix {
			startRecords = append(startRecords, variable)
		} else {
			kept = append(kept, variable)
		}
	}
	envs = kept
}

// readRandom fills r and returns how much it filled, which is 0 without an EntropySource. It waits
// for a kernel that has no seed yet, because a program that starts early must not have predictable
// hashes.
//
//go:nosplit
func readRandom(r []byte) int {
	if caps.entropy == 0 {
		return 0
	}
	const chunkMax = 65536
	for done := 0; done < len(r); {
		n := min(len(r)-done, chunkMax)
		got := capCall(caps.entropy, abiEntropySourceFill, uintptr(n),
			uintptr(unsafe.Pointer(&r[done])), uintptr(n), 0, 0)
		switch capError(got) {
		case 0:
			done += int(got)
		case errorNumber(abiErrorNotSeeded):
			osyield()
		default:
			return done
		}
	}
	return len(r)
}

// ---- threads
// ------------------------------------------------------------------------------------------

func threadStart()

// mpreinit runs on the parent and may allocate. The kernel puts the register frame and the vector
// state on gsignal.
func mpreinit(mp *m) {
	mp.gsignal = malg(32 * 1024)
	mp.gsignal.m = mp
}

// handleEnded is the handle of a thread that has given it back.
const handleEnded = ^uint32(0)

// minit runs on the new thread and may not allocate. The first thread reads its id from its ring. A
// thread that has no handle yet asks for one. It does not wait for the thread that spawned it,
// because the CPU of that thread may not be running.
func minit() {
	mp := getg().m
	if mp == &m0 {
		header := (*abiCapSetHeader)(unsafe.Pointer(capSetAddress))
		mp.ring = uintptr(header.ringAddress)
		mp.procid = (*abiRingHeader)(unsafe.Pointer(mp.ring)).threadId
	}
	if mp.handle.Load() == 0 {
		handle := capCall(caps.threadControl, abiThreadControlSelf, 0, 0, 0, 0, 0)
		if capError(handle) != 0 {
			throw("runtime: a thread gets no handle of its own")
		}
		offerHandle(mp, uint32(handle))
	}
	minitSignals()
}

// offerHandle stores a handle of a thread, unless the thread has one already or had one.
//
//go:nosplit
func offerHandle(mp *m, handle uint32) {
	if !mp.handle.CompareAndSwap(0, handle) {
		releaseCapability(handle)
	}
}

//go:nosplit
func unminit() {
	unminitSignals()
}

// mdestroy gives the thread's own handle back. A notification for this thread fails from now on,
// which its senders allow for (notifyThread).
func mdestroy(mp *m) {
	if handle := mp.handle.Swap(handleEnded); handle != 0 && handle != handleEnded {
		releaseCapability(handle)
	}
}

//go:nosplit
func releaseCapability(capID uint32) uintptr {
	return enterKernel(abiSysCapEnter|abiOpcodeRelease<<8, uintptr(capID), 0, 0, 0, 0, 0)
}

// newosproc starts the thread of mp. It begins with every notification masked and unmasks them in
// minit, when it has a stack for them. It may run without a P, so no write barriers.
//
//go:nowritebarrier
func newosproc(mp *m) {
	mp.maskedKinds = sigset_all
	name := "go"
	arguments := [7]uintptr{
		abi.FuncPCABI0(threadStart),
		mp.g0.stack.hi,
		uintptr(unsafe.Pointer(mp)),
		uintptr(unsafe.Pointer(&mp.tls)) + unsafe.Sizeof(mp.tls[0]),
		^uintptr(0) &^ uintptr(faultKinds),
		uintptr(unsafe.Pointer(unsafe.StringData(name))),
		uintptr(len(name)),
	}
	handle := capCall(caps.threadSpawner, abiThreadSpawnerSpawn,
		uintptr(noescape(unsafe.Pointer(&arguments))), 0, 0, 0, 0)
	if err := capError(handle); err != 0 {
		print("runtime: failed to create a thread (have ", mcount(), " already): ",
			whyNoThread(err), "\n")
		if err == errorNumber(abiErrorNoMemory) {
			usage := memoryUsage()
			usage.explain(threadCost)
		}
		throw("newosproc")
	}
	capCall(uint32(handle), abiThreadHandleDetach, 0, 0, 0, 0, 0)
	offerHandle(mp, uint32(handle))
}

// threadCost is what the kernel charges for a thread, in bytes, without page tables.
const threadCost = 6 * abiPageSize

// whyNoThread says in words what an error of ThreadSpawner.spawn means.
func whyNoThread(err uintptr) string {
	switch err {
	case errorNumber(abiErrorNoMemory):
		return "no memory for its kernel stack, ring and record"
	case errorNumber(abiErrorLimitReached):
		return "the process has as many as it may"
	case errorNumber(abiErrorNoSlots):
		return "the process holds as many capabilities as it may, one for each thread"
	case errorNumber(abiErrorNoThreads):
		return "its budget of threads is used up"
	case errorNumber(abiErrorNoReservation):
		return "no address is left for its ring"
	}
	return "unexpected error"
}

// newosproc0 and libpreinit are for Go code built as a C library, which capOS does not have.
//
//go:nosplit
func newosproc0(stacksize uintptr, fn unsafe.Pointer) {
	writeErrStr("runtime: capOS has no C libraries written in Go\n")
	exit(2)
}

//go:nosplit
//go:nowritebarrierrec
func libpreinit() {
	initsig(true)
}

//go:nosplit
func osyield() {
	capCall(caps.threadControl, abiThreadControlYield, 0, 0, 0, 0, 0)
}

//go:nosplit
func osyield_no_g() {
	osyield()
}

// ---- parking
// ------------------------------------------------------------------------------------------

// parkUntil waits on *addr while it holds val, until the absolute monotonic time or for ever
// (abiWaitForever).
//
//go:nosplit
func parkUntil(addr *uint32, val uint32, deadline uint64) uintptr {
	const park = abiSysCapEnter | abiOpcodePark<<8
	return enterKernel(park, uintptr(caps.park), uintptr(unsafe.Pointer(addr)), uintptr(val),
		uintptr(deadline), 0, 0)
}

// futexsleep returns early when a notification arrives. All callers look at the word again.
//
//go:nosplit
func futexsleep(addr *uint32, val uint32, ns int64) {
	result := parkUntil(addr, val, deadlineAfter(ns))
	if capError(result) != 0 {
		systemstack(func() {
			print("runtime: park at ", addr, " failed with ", capError(result), "\n")
			throw("futexsleep")
		})
	}
}

// deadlineAfter returns the absolute time at which a wait of ns ends. A negative wait never ends.
//
//go:nosplit
func deadlineAfter(ns int64) uint64 {
	if ns < 0 {
		return abiWaitForever
	}
	return uint64(nanotime()) + uint64(ns)
}

//go:nosplit
func futexwakeup(addr *uint32, cnt uint32) {
	const unpark = abiSysCapEnter | abiOpcodeUnpark<<8
	result := enterKernel(unpark, uintptr(caps.park), uintptr(unsafe.Pointer(addr)),
		uintptr(cnt), 0, 0, 0)
	if capError(result) != 0 {
		systemstack(func() {
			print("runtime: unpark at ", addr, " failed with ", capError(result), "\n")
			throw("futexwakeup")
		})
	}
}

// ---- what other systems need
// ------------------------------------------------------------------------------------------

// A program has the capabilities it was given, so there is no mode in which it has more rights than
// its user.
func initSecureMode() {}

func isSecureMode() bool { return false }

//go:nosplit
func runPerThreadSyscall() {
	throw("runtime: no per-thread system calls")
}
