// How much may wait in a connection.

//go:build capos

package syscall

import "sync/atomic"

// Sizes of buffers. The defaults are those of Linux. For TCP they are the sizes to which buffers
// grow inside one machine.
const (
	bufferDefault     = 212992 // of AF_UNIX and of datagrams
	tcpSendDefault    = 2626560
	tcpReceiveDefault = 131072

	bufferMax  = 4 << 20
	sendMin    = 4608
	receiveMin = 2304
)

// bufferSize returns the size of the buffer that a program gets when it asks for one. It is twice
// as large, as on Linux, where the kernel keeps its records in the same space.
func bufferSize(asked, least int) int {
	if asked < 0 || asked > bufferMax/2 {
		return bufferMax
	}
	return max(least, 2*asked)
}

// bufferSizes are those for which a socket asked, or 0.
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

// sizeDirection sets how much may wait in a direction of a connection. That is what the buffers of
// both ends hold. Inside AF_UNIX bytes wait in one place only, which is the sender's buffer.
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

// Bytes that wait in a pipe beyond pipeSize are counted for all pipes together, and may take an
// eighth of the memory. Beyond that, a writer waits for its reader although the buffer is not full.
const shareOfBuffers = 8

var bufferMemory struct{ used, limit atomic.Int64 }

// borrow asks for that many bytes more and returns how many it got.
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
