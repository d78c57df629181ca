// The network poller.
//
// The pipes and sockets of package syscall are inside the process. A goroutine that changes the
// state of one calls pollEvent, which makes the waiting goroutine runnable at once; for pipes that
// processes share, a thread of package syscall does so when the kernel tells it. So netpoll itself
// waits only for its deadline or for netpollBreak, on a word of memory. Descriptors belong to
// package syscall. It registers the function by which the poller asks for events of a descriptor.

//go:build capos

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

// netpollWord is 1 while a wakeup of the thread in netpoll is on its way.
var netpollWord atomic.Uint32

// pollOpenHook is a function of package syscall. It returns an errno, which is EPERM for a
// descriptor that never reports events. The caller then blocks in its calls.
var pollOpenHook func(fd uintptr, pd unsafe.Pointer, tag uintptr) uintptr

//go:linkname syscall_setPollOpenHook syscall.runtime_setPollOpenHook
func syscall_setPollOpenHook(hook func(fd uintptr, pd unsafe.Pointer, tag uintptr) uintptr) {
	pollOpenHook = hook
}

// syscall_pollEvent reports that the descriptor registered as pd became readable ('r'), writable
// ('w') or both. The tag is the one given at registration, because pd may serve another descriptor
// by now.
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
		pollReady(reader)
	}
	if writer != nil {
		pollReady(writer)
	}
	netpollAdjustWaiters(delta)
}

// pollReady puts the goroutine behind those that can run already, as a poller of the kernel's
// events does. If it ran next, it and the goroutine at its connection's other end would wake each
// other again and again, and leave the P to no other.
func pollReady(gp *g) {
	systemstack(func() { ready(gp, 0, false) })
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

// netpollBreak wakes the thread in netpoll, unless a wakeup is on its way already.
func netpollBreak() {
	if netpollWord.CompareAndSwap(0, 1) {
		futexwakeup((*uint32)(unsafe.Pointer(&netpollWord)), 1)
	}
}

// netpoll waits for delay nanoseconds (negative: without end, 0: not at all). A notification may
// end the wait early. The scheduler then looks again and comes back.
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
