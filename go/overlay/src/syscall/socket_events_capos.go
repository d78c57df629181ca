// What a socket is ready for, with the events of Linux's poll in each state.

//go:build capos

package syscall

func (s *socket) pollable() bool { return true }

func (s *socket) events(int) (ready uint32) {
	network.Lock()
	defer network.Unlock()
	if s.pending.isSet() {
		ready = evErr
	}
	switch {
	case s.listening:
		if len(s.queue) > 0 {
			ready |= evReadable
		}
		return ready
	case !s.streams():
		return ready | s.datagramEvents()
	case s.in.Load() != nil:
		return ready | s.streamEvents()
	case s.listener != nil: // an attempt to connect waits
		return ready
	case s.refused:
		return ready | evReadable | evWritable | evReadHup | evHup
	}
	return ready | s.writableEvents() | evHup
}

// writableEvents are those of a socket that has room. TCP alone has no priority band.
func (s *socket) writableEvents() uint32 {
	if s.family != AF_UNIX && s.streams() {
		return evWritable
	}
	return evWritable | evOutBand
}

// endEvents are those of directions that have ended.
func endEvents(reading, writing bool) (ready uint32) {
	if reading {
		ready = evReadable | evReadHup
		if writing {
			ready |= evHup
		}
	}
	return ready
}

func (s *socket) streamEvents() uint32 {
	in, out := s.in.Load(), s.out.Load()
	in.Lock()
	reset := in.reset
	ready := endEvents(in.ended() || s.readEnded, false)
	if in.queue.count > 0 {
		ready |= evReadable
	}
	in.Unlock()
	out.Lock()
	writingEnded := s.wroteEnd || reset || s.family == AF_UNIX && out.readers == 0
	if out.hasRoom() || s.family != AF_UNIX && (writingEnded || out.readers == 0) {
		ready |= s.writableEvents()
	}
	out.Unlock()
	if ready&evReadHup != 0 {
		ready |= endEvents(true, writingEnded)
	}
	return ready
}

// datagramEvents also enters the socket with those that wait for room at the other end, if there is
// none.
func (s *socket) datagramEvents() uint32 {
	peerGone := s.kind == SOCK_SEQPACKET && s.peer != nil &&
		(s.peer.closed || s.peer.readEnded)
	ready := endEvents(s.ended(), s.wroteEnd || peerGone)
	if s.waitingDatagrams() > 0 {
		ready |= evReadable
	}
	if s.kind == SOCK_SEQPACKET && !s.connected {
		ready |= evHup
	}
	if s.peer != nil && !s.peer.closed && !s.peer.readEnded &&
		s.peer.datagramCost() >= s.sendSize() {
		s.waitFor(s.peer)
		return ready
	}
	return ready | s.writableEvents()
}
