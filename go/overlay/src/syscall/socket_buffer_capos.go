// How much may wait in a connection.

//go:build capos

package syscall

import "sync/atomic"

// Sizes of buffers. The defaults are those of Linux, for TCP what a buffer grows to inside one
// machine.
const (
	bufferDefault     = 212992 // of AF_UNIX and of datagrams
	tcpSendDefault    = 2626560
	tcpReceiveDefault = 131072

	bufferMax  = 4 << 20
	sendMin    = 4608
	receiveMin = 2304
)

// bufferSize is what a program gets that asks for a size: twice that, as on Linux, where a part is
// for what the kernel needs beside the bytes.
func bufferSize(asked, least int) int {
	if asked < 0 || asked > bufferMax/2 {
		return bufferMax
	}
	return max(least, 2*asked)
}

// bufferSizes are those that a socket got because it asked; 0 if it did not.
type bufferSizes struct{ send, receive int }

// sendSize and receiveSize return how many bytes the buffers of a socket hold.
func (s *socket) sendSize() int {
	switch {
	case s.buffers.send != 0:
		return s.buffers.send
	case s.family != AF_UNIX && s.streams():
		return tcpSendDefault
	}
	return bufferDefault
}

func (s *socket) receiveSize() int {
	switch {
	case s.buffers.receive != 0:
		return s.buffers.receive
	case s.family != AF_UNIX && s.streams():
		return tcpReceiveDefault
	}
	return bufferDefault
}

// sizeDirection sets how much may wait in a direction of a connection: what the buffers of both
// ends hold, and inside AF_UNIX, where bytes have only one place, what the sender's does.
func sizeDirection(from, to *socket) {
	size := from.sendSize()
	if from.family != AF_UNIX {
		size += to.receiveSize()
	}
	from.out.Load().resize(size)
}

// resized is for a socket that asked for other sizes.
func (s *socket) resized() {
	if s.other != nil {
		sizeDirection(s, s.other)
		sizeDirection(s.other, s)
	}
}

// ---- memory
// ------------------------------------------------------------------------------------------

// What waits in a pipe beyond pipeSize bytes is counted for all of them together, and may be an
// eighth of the memory. When no more may, a writer waits for its reader although the buffer is not
// full.
const shareOfBuffers = 8

var bufferMemory struct{ used, limit atomic.Int64 }

// borrow asks for that many bytes more and returns how many may be had.
func borrow(wanted int) int {
	m := &bufferMemory
	if m.limit.Load() == 0 {
		m.limit.Store(int64(memoryUsage().committedLimit) * abiPageSize / shareOfBuffers)
	}
	if used := m.used.Add(int64(wanted)); used > m.limit.Load() {
		excess := min(used-m.limit.Load(), int64(wanted))
		m.used.Add(-excess)
		wanted -= int(excess)
	}
	return wanted
}

func giveBack(bytes int) {
	if bytes != 0 {
		bufferMemory.used.Add(-int64(bytes))
	}
}
