// Datagrams, and the packets of SOCK_SEQPACKET.

//go:build capos

package syscall

const (
	// what a datagram counts besides its bytes, so that empty ones have an end too
	datagramOverhead = 256

	// The most that one carries. Over IPv4 and IPv6 the length field of UDP limits it, and
	// inside AF_UNIX the sender's buffer without its records.
	udp4Max       = 65507
	udp6Max       = 65527
	unixBufferUse = 32
)

// A datagram that waits. Its bytes are in the queue of the socket.
type datagram struct {
	from  endpoint
	size  int
	files []*description // sent along; each counts as held
	head  packetHead
}

func (s *socket) waitingDatagrams() int { return len(s.datagrams) - s.firstDatagram }

// datagramCost is what those that wait count.
func (s *socket) datagramCost() int {
	return s.datagramBytes.count + s.waitingDatagrams()*datagramOverhead
}

func (s *socket) connectDatagrams(to endpoint) Errno {
	if s.family == AF_UNIX {
		peer, err := findName(to.name)
		if err == 0 && peer.kind != s.kind {
			err = EPROTOTYPE
		}
		if err != 0 {
			return err
		}
		s.peer = peer
	}
	s.remote, s.connected = to, true
	return 0
}

func (s *socket) receiveDatagram(p []byte, peek, block bool) (m message, err Errno) {
	network.Lock()
	defer network.Unlock()
	for s.waitingDatagrams() == 0 && !s.pending.isSet() && !s.ended() && block {
		s.changed.Wait()
	}
	switch {
	case s.pending.isSet():
		return m, s.pending.take()
	case s.waitingDatagrams() == 0 && s.ended():
		return m, 0
	case s.waitingDatagrams() == 0:
		return m, EAGAIN
	}
	d := &s.datagrams[s.firstDatagram]
	m.n, m.from = min(len(p), d.size), d.from
	m.truncated, m.size = m.n < d.size, d.size
	s.datagramBytes.look(p[:m.n])
	m.control = s.controlOf(d)
	if !peek {
		m.files = d.files
		s.dropDatagram()
		s.reportSenders()
	}
	return m, 0
}

// dropDatagram forgets the oldest.
func (s *socket) dropDatagram() {
	d := &s.datagrams[s.firstDatagram]
	s.datagramBytes.drop(d.size)
	*d = datagram{}
	s.firstDatagram++
	if s.waitingDatagrams() == 0 {
		s.datagrams, s.firstDatagram = s.datagrams[:0], 0
	}
}

// addDatagram uses the place of those that were received when they are as many as those that wait.
// So it moves no more of them than were received since.
func (s *socket) addDatagram(d datagram, data []byte) {
	if waiting := s.waitingDatagrams(); len(s.datagrams) == cap(s.datagrams) &&
		s.firstDatagram >= waiting {
		copy(s.datagrams, s.datagrams[s.firstDatagram:])
		clear(s.datagrams[waiting:])
		s.datagrams, s.firstDatagram = s.datagrams[:waiting], 0
	}
	d.size = len(data)
	s.datagrams = append(s.datagrams, d)
	s.datagramBytes.put(data)
}

// ended reports whether no message will come any more.
func (s *socket) ended() bool {
	return s.readEnded || s.closed || s.kind == SOCK_SEQPACKET && s.peer != nil &&
		(s.peer.closed || s.peer.wroteEnd)
}

func (s *socket) sendDatagrams(o outgoing, block bool) (int, Errno) {
	network.Lock()
	defer network.Unlock()
	for {
		n, err := s.sendDatagram(o)
		if err != EAGAIN || !block {
			return n, err
		}
		s.changed.Wait()
	}
}

func (s *socket) sendDatagram(o outgoing) (int, Errno) {
	switch {
	case s.pending.isSet():
		return 0, s.pending.take()
	case s.wroteEnd:
		return 0, EPIPE
	case !o.addressed && !s.connected:
		return 0, EDESTADDRREQ
	case o.addressed && s.connected && s.family == AF_UNIX:
		return 0, EISCONN
	}
	if s.family == AF_UNIX {
		return s.sendNamed(o)
	}
	return s.sendPackets(o)
}

// sendPackets sends to an address of the internet. A packet for which the receiver has no room is
// lost.
func (s *socket) sendPackets(o outgoing) (int, Errno) {
	to := o.to
	if !o.addressed {
		to = s.remote
	}
	target, err := to.reachable(s)
	if err == 0 && !target.isMapped() {
		err = s.mayLeave(o.packet.leavesBy)
	}
	switch {
	case err != 0:
		return 0, err
	case len(o.data) > udp6Max, len(o.data) > udp4Max && target.isMapped():
		return 0, EMSGSIZE
	}
	if !s.bound {
		if err := s.bindPort(endpoint{addr: s.anyAddress()}); err != 0 {
			return 0, err
		}
	}
	from := s.local
	if from.isWildcard() {
		from.addr = loopback6
		if target.isMapped() {
			from.addr = mapped([4]byte{127, 0, 0, 1})
		}
	}
	if o.packet.source != nil {
		from.addr = *o.packet.source
	}
	size, err := s.segmentSize(&o)
	if err != 0 {
		return 0, err
	}
	receiver := find(SOCK_DGRAM, target, from)
	if receiver == nil && s.connected {
		// On Linux an ICMP message would come, and its error with the next call.
		s.pending.set(ECONNREFUSED)
		s.report()
	}
	if receiver == nil {
		return len(o.data), 0
	}
	head := s.headOf(target, &o.packet)
	for at := 0; at < max(len(o.data), 1); at += size {
		part := o.data[at:min(at+size, len(o.data))]
		receiver.take(datagram{from: from, head: head}, part, receiver.receiveSize())
	}
	return len(o.data), 0
}

// take queues a datagram with a copy of its bytes and reports whether there was room. There is room
// if less waits than may, so a queue that is read always has room for the largest.
func (s *socket) take(d datagram, data []byte, size int) bool {
	if s.datagramCost() >= size {
		return false
	}
	s.addDatagram(d, data)
	s.reportEvents(evReadable)
	return true
}
