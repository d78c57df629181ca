// Descriptors of the runtime's own.
//
// Open files belong to package syscall. The common runtime code has a few calls on descriptors of
// its own. They must work where other Go code must not run: in a notification handler, or between
// entersyscall and exitsyscall. They know the console's streams (write1) and pipes of one reader
// and one writer, which are here in static memory. output_capos.go describes where their text for
// any other descriptor goes.

//go:build capos

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

const (
	_F_GETFD = 1
	_F_GETFL = 3

	signalPipes     = 8
	signalPipeFirst = 1 << 20 // its descriptors are out of the way of package syscall's
	signalPipeSize  = 256     // bytes
)

// A signalPipe is a circular buffer, whose indices run freely. A reader parks on tail, and a writer
// never waits.
type signalPipe struct {
	ends       atomic.Uint32 // bit 0: reading end open, bit 1: writing end open
	flags      int32
	head, tail atomic.Uint32
	ring       [signalPipeSize]byte
}

var signalPipeTable [signalPipes]signalPipe

// signalPipeOf returns the pipe of a descriptor and its end (1 reading, 2 writing). The pipe is nil
// if the descriptor is not open.
//
//go:nosplit
func signalPipeOf(fd int32) (*signalPipe, uint32) {
	i := uint32(fd) - signalPipeFirst
	if i >= 2*signalPipes {
		return nil, 0
	}
	p, end := &signalPipeTable[i/2], uint32(1)<<(i%2)
	if p.ends.Load()&end == 0 {
		return nil, 0
	}
	return p, end
}

func pipe2(flags int32) (r, w int32, errno int32) {
	for i := range signalPipeTable {
		p := &signalPipeTable[i]
		if p.ends.CompareAndSwap(0, 3) {
			p.flags = flags
			p.head.Store(0)
			p.tail.Store(0)
			r = signalPipeFirst + 2*int32(i)
			return r, r + 1, 0
		}
	}
	return -1, -1, _EMFILE
}

func nonblockingPipe() (r, w int32, errno int32) {
	return pipe2(_O_NONBLOCK | _O_CLOEXEC)
}

//go:nosplit
func readDescriptor(fd int32, buf unsafe.Pointer, n int32) int32 {
	p, end := signalPipeOf(fd)
	if p == nil || end != 1 {
		return -_EBADF
	}
	head := p.head.Load()
	for p.tail.Load() == head {
		switch {
		case p.ends.Load()&2 == 0:
			return 0
		case p.flags&_O_NONBLOCK != 0:
			return -_EAGAIN
		}
		futexsleep((*uint32)(unsafe.Pointer(&p.tail)), head, -1)
	}
	got := int32(0)
	for got < n && p.tail.Load() != head {
		*(*byte)(add(buf, uintptr(got))) = p.ring[head%signalPipeSize]
		head++
		got++
	}
	p.head.Store(head)
	return got
}

//go:nosplit
func writeDescriptor(fd uintptr, buf unsafe.Pointer, n int32) int32 {
	if fd < signalPipeFirst && n > 0 {
		if panicking.Load() > 0 || isTextPipe(int32(fd)) {
			return writeReport(int32(fd), buf, n)
		}
		return setAside(int32(fd), buf, n)
	}
	p, end := signalPipeOf(int32(fd))
	if p == nil || end != 2 {
		return -_EBADF
	}
	tail := p.tail.Load()
	put := int32(0)
	for put < n && tail-p.head.Load() < signalPipeSize {
		p.ring[tail%signalPipeSize] = *(*byte)(add(buf, uintptr(put)))
		tail++
		put++
	}
	p.tail.Store(tail)
	futexwakeup((*uint32)(unsafe.Pointer(&p.tail)), 1)
	if put == 0 && n != 0 {
		return -_EAGAIN
	}
	return put
}

//go:nosplit
func closeDescriptor(fd int32) int32 {
	p, end := signalPipeOf(fd)
	if p == nil {
		return -1
	}
	p.ends.And(^end)
	futexwakeup((*uint32)(unsafe.Pointer(&p.tail)), 1)
	return 0
}

// fcntl reports that the standard streams are open. The runtime asks for that at its start.
func fcntl(fd, cmd, arg int32) (ret int32, errno int32) {
	if fd >= 0 && fd <= 2 {
		return 0, 0
	}
	p, _ := signalPipeOf(fd)
	switch {
	case p == nil:
		return -1, _EBADF
	case cmd == _F_GETFL:
		return p.flags & _O_NONBLOCK, 0
	case cmd == _F_GETFD && p.flags&_O_CLOEXEC != 0, cmd == _F_SETFD:
		return _FD_CLOEXEC, 0
	}
	return 0, 0
}
