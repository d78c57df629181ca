// The network poller.
//
// So far, everything that can be waited for is inside the process: the pipes and sockets of package
// syscall. A goroutine that changes the state of one calls pollEvent, which makes the waiting
// goroutine runnable at once. netpoll itself therefore only waits for its deadline or for
// netpollBreak, on a word of memory. Descriptors belong to package syscall; it registers the
// function through which the poller tells it which of them are to report events.

//go:build capos

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

// netpollWord is 1 while a wakeup of the thread in netpoll is on its way.
var netpollWord atomic.Uint32

// pollOpenHook is package syscall's. It returns an errno: EPERM for descriptors that never report
// events, on which the caller then blocks.
var pollOpenHook func(fd uintptr, pd unsafe.Pointer, tag uintptr) uintptr

//go:linkname syscall_setPollOpenHook syscall.runtime_setPollOpenHook
func syscall_setPollOpenHook(hook func(fd uintptr, pd unsafe.Pointer, tag uintptr) uintptr) {
	pollOpenHook = hook
}

// syscall_pollEvent reports that the descriptor registered as pd became readable ('r'), writable
// ('w') or both. The tag is the one given at registration; pd may serve another descriptor by now.
//
//go:linkname syscall_pollEvent syscall.runtime_pollEvent
func syscall_pollEvent(pd *pollDesc, tag uintptr, mode int32) {
	if pd.fdseq.Load() != tag {
		return
	}
	delta := int32(0)
	var reader, writer *g
	if mode != 'w' {
		reader = netpollunblock(pd, 'r', true, &delta)
	}
	if mode != 'r' {
		writer = netpollunblock(pd, 'w', true, &delta)
	}
	if reader != nil {
		netpollgoready(reader, 0)
	}
	if writer != nil {
		netpollgoready(writer, 0)
	}
	netpollAdjustWaiters(delta)
}

func netpollinit() {}

func netpollIsPollDescriptor(fd uintptr) bool { return false }

func netpollopen(fd uintptr, pd *pollDesc) uintptr {
	if pollOpenHook == nil {
		return _EBADF
	}
	return pollOpenHook(fd, unsafe.Pointer(pd), pd.fdseq.Load())
}

func netpollclose(fd uintptr) uintptr { return 0 }

func netpollarm(pd *pollDesc, mode int) {
	throw("runtime: netpollarm is not used")
}

// netpollBreak wakes the thread in netpoll. Wakeups already on their way are enough.
func netpollBreak() {
	if netpollWord.CompareAndSwap(0, 1) {
		futexwakeup((*uint32)(unsafe.Pointer(&netpollWord)), 1)
	}
}

// netpoll waits for delay nanoseconds (negative: without end, 0: not at all). A notification may
// end the wait early; the scheduler then looks again and comes back.
func netpoll(delay int64) (gList, int32) {
	if delay == 0 {
		return gList{}, 0
	}
	deadline := deadlineAfter(delay)
	for netpollWord.Load() == 0 {
		result := parkUntil((*uint32)(unsafe.Pointer(&netpollWord)), 0, deadline)
		if delay > 0 && result != abiParkResultWoken {
			break
		}
	}
	netpollWord.Store(0)
	return gList{}, 0
}
