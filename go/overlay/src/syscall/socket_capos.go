// The loopback network of a process.
//
// Sockets connect goroutines of one process by the addresses 127.0.0.0/8 and ::1 and by names in
// the file tree. Every other address is unreachable. A stream connection is two pipes
// (socket_stream_capos.go). A datagram goes straight into the receiver's queue
// (socket_datagram_capos.go). Goroutines wait in the pipes and in the runtime's poller.

//go:build capos

package syscall

import (
	"sync"
	"sync/atomic"
)

type option struct{ level, name int }

// A socket is guarded by the lock of the network, except for what goes through its pipes.
type socket struct {
	fileDefaults
	family, kind  int
	ino           uint64
	local, remote endpoint
	bound         bool // has an entry in the table of the network
	connected     bool
	listening     bool
	closed        bool
	abortive      bool // closing resets the connection
	lingers       Linger
	limits        timeouts
	refused       bool // no connection came of the last attempt
	pending       pendingError
	options       map[option]int
	asks          atomic.Uint32 // for control data: bits of the options delivered
	leavesBy      uint32        // interface of the packets that do not say it; 0: any
	buffers       bufferSizes
	targets       []pollTarget
	changed       sync.Cond

	in, out             atomic.Pointer[pipe] // of a stream connection; set once
	other               *socket              // its other end
	readEnded, wroteEnd bool

	backlog  int
	queue    []*socket // connections not accepted yet, at most one more than the backlog
	waiting  []*socket // that would connect and find the queue full
	listener *socket   // in whose list this one waits

	peer          *socket // the other end of a connection inside AF_UNIX
	datagrams     []datagram
	firstDatagram int       // of those that wait; the ones before were received
	datagramBytes byteQueue // of all that wait

	// found the queue full; any socket of AF_UNIX may be one, not only the peer
	waitingSenders map[*socket]struct{}
	waitsFor       *socket // whose queue this one found full last
}

func newSocket(family, kind, protocol int) (*socket, Errno) {
	switch {
	case family != AF_INET && family != AF_INET6 && family != AF_UNIX:
		return nil, EAFNOSUPPORT
	case kind == SOCK_RAW:
		return nil, EPERM
	case kind != SOCK_STREAM && kind != SOCK_DGRAM && !(kind == SOCK_SEQPACKET &&
		family == AF_UNIX):
		return nil, EPROTONOSUPPORT
	}
	s := &socket{family: family, kind: kind, ino: lastInode.Add(1), options: map[option]int{}}
	s.changed.L = &network.Mutex
	return s, 0
}

// streams reports whether the socket makes connections of pipes. Pipes would not keep packets of
// SOCK_SEQPACKET apart, so those travel as datagrams between connected sockets.
func (s *socket) streams() bool { return s.kind == SOCK_STREAM }

func newSocketPair(kind, protocol int) (a, b *socket, err Errno) {
	if a, err = newSocket(AF_UNIX, kind, protocol); err != 0 {
		return nil, nil, err
	}
	b, _ = newSocket(AF_UNIX, kind, protocol)
	network.Lock()
	defer network.Unlock()
	joinSockets(a, b)
	return a, b, 0
}

// joinSockets makes two sockets the ends of one connection.
func joinSockets(a, b *socket) {
	a.connected, b.connected = true, true
	if a.family == AF_UNIX {
		a.peer, b.peer = b, a
	}
	if !a.streams() {
		return
	}
	forth, back := newPipe(), newPipe()
	forth.readers, forth.writers, back.readers, back.writers = 1, 1, 1, 1
	a.direct(b, forth)
	b.direct(a, back)
	for _, s := range [...]*socket{a, b} {
		for _, target := range s.targets {
			s.watchPipes(target)
		}
	}
}

// direct makes the pipe the one from a socket to another.
func (s *socket) direct(to *socket, p *pipe) {
	p.readerError, p.kind = &to.pending, pipeOfUnix
	if s.family != AF_UNIX {
		p.kind = pipeOfTCP
	}
	if s.family != AF_UNIX {
		p.writerError = &s.pending // inside AF_UNIX a writer gets EPIPE only
	}
	s.other = to
	s.out.Store(p)
	to.in.Store(p)
	sizeDirection(s, to)
}

// ---- open files
// ------------------------------------------------------------------------------------------

func (s *socket) read(p []byte, flags int) (int, Errno) {
	m, err := s.receive(p, false, blocks(flags))
	letGoAll(m.files)
	return m.n, err
}

func (s *socket) write(p []byte, flags int) (int, Errno) {
	return s.send(outgoing{data: p}, blocks(flags))
}

func (s *socket) stat(st *Stat_t) {
	*st = Stat_t{Dev: 4, Ino: s.ino, Nlink: 1, Mode: S_IFSOCK | 0o777, Uid: ownerUid,
		Gid: ownerGid, Blksize: pipeAtomic}
}

// receive returns the next message or some bytes of the stream. With peek, files stay where they
// are.
func (s *socket) receive(p []byte, peek, block bool) (m message, err Errno) {
	if deadline, limited := s.limits.deadline(SO_RCVTIMEO, block); limited {
		return s.receiveUntil(p, peek, deadline)
	}
	return s.receiveNow(p, peek, block)
}

func (s *socket) receiveNow(p []byte, peek, block bool) (m message, err Errno) {
	if s.streams() {
		return s.receiveBytes(p, peek, block)
	}
	return s.receiveDatagram(p, peek, block)
}

// send sends to the address, or without one to the other end. Files that go along belong to the
// receiver if there is no error.
func (s *socket) send(o outgoing, block bool) (int, Errno) {
	if deadline, limited := s.limits.deadline(SO_SNDTIMEO, block); limited {
		return s.sendUntil(o, deadline)
	}
	return s.sendNow(o, block)
}

func (s *socket) sendNow(o outgoing, block bool) (int, Errno) {
	if s.streams() {
		return s.sendBytes(o, block)
	}
	return s.sendDatagrams(o, block)
}

func (s *socket) domain() int { return s.family }

func (s *socket) sendsDatagrams() bool { return s.kind == SOCK_DGRAM }

func (s *socket) localEndpoint() endpoint {
	network.Lock()
	defer network.Unlock()
	return s.local
}

func (s *socket) remoteEndpoint() (endpoint, Errno) {
	network.Lock()
	defer network.Unlock()
	if !s.connected {
		return endpoint{}, ENOTCONN
	}
	return s.remote, 0
}

// close lets go of files that were sent and not received. It does so after unlocking, because they
// may be sockets too.
func (s *socket) close(int) Errno {
	network.Lock()
	left := s.closeLocked()
	network.Unlock()
	letGoAll(left)
	return 0
}

// A pendingError is the error that the next call on a socket returns, once.
type pendingError struct{ value atomic.Uintptr }

func (e *pendingError) set(err Errno) { e.value.Store(uintptr(err)) }

func (e *pendingError) isSet() bool { return e.value.Load() != 0 }

func (e *pendingError) take() Errno {
	if !e.isSet() {
		return 0
	}
	return Errno(e.value.Swap(0))
}

// hasUnread reports whether bytes came that will not be read now.
func (s *socket) hasUnread() bool {
	if s.kind == SOCK_SEQPACKET {
		return s.waitingDatagrams() > 0
	}
	in := s.in.Load()
	return in != nil && in.unread()
}

// reset makes the other end of the connection get the error of an end that loses bytes. It still
// reads the bytes that came before. It gets the error after those, or when it writes.
func (s *socket) reset() {
	switch out := s.out.Load(); {
	case out == nil:
		if s.peer != nil && s.peer.peer == s {
			s.peer.pending.set(ECONNRESET)
		}
	case s.wroteEnd && s.family != AF_UNIX:
		s.other.pending.set(EPIPE) // it knows the end of what it reads
	default:
		s.other.pending.set(ECONNRESET)
		out.endByReset()
	}
}

// closeLocked takes the socket out of the network. A file that was its name stays, as a name of
// nothing.
func (s *socket) closeLocked() (left []*description) {
	s.closed = true
	left = s.stopListening()
	s.giveUp()
	s.unbind()
	if s.abortive || s.hasUnread() {
		s.reset()
	}
	s.end(true, true)
	if in := s.in.Load(); in != nil {
		left = append(left, in.takeFiles()...)
	}
	for _, d := range s.datagrams {
		left = append(left, d.files...)
	}
	s.datagrams, s.firstDatagram, s.datagramBytes = nil, 0, byteQueue{}
	if s.waitsFor != nil {
		delete(s.waitsFor.waitingSenders, s) // which may never read again
	}
	s.report()
	s.reportPeer()
	return left
}

// ---- options
// ------------------------------------------------------------------------------------------

func (s *socket) option(level, name int) (int, Errno) {
	network.Lock()
	defer network.Unlock()
	switch {
	case level == SOL_SOCKET && name == SO_ERROR:
		return int(s.pending.take()), 0
	case level == SOL_SOCKET && name == SO_TYPE:
		return s.kind, 0
	case level == SOL_SOCKET && name == SO_SNDBUF:
		return s.sendSize(), 0
	case level == SOL_SOCKET && name == SO_RCVBUF:
		return s.receiveSize(), 0
	case level == SOL_SOCKET && name == SO_LINGER: // the first of its two numbers
		return int(s.lingers.Onoff), 0
	case isTimeout(level, name): // as much of it as there is room for
		return int(int32(s.limits.get(name).Sec)), 0
	case level == IPPROTO_TCP && name == TCP_INFO: // nothing counts what it tells
		return 0, ENOPROTOOPT
	}
	return s.options[option{level, name}], 0
}

// setOption stores the option. The code that an option concerns looks it up.
func (s *socket) setOption(level, name, value int) Errno {
	if level == IPPROTO_IPV6 && s.family != AF_INET6 {
		return ENOPROTOOPT
	}
	network.Lock()
	defer network.Unlock()
	o := option{level, name}
	switch {
	case o == option{IPPROTO_TCP, TCP_INFO}:
		return ENOPROTOOPT
	case o.isLarger():
		return EINVAL
	}
	if err := s.ask(o, value != 0); err != 0 {
		return err
	}
	switch {
	case level == SOL_SOCKET && name == SO_SNDBUF:
		s.buffers.send = bufferSize(value, sendMin)
		s.resized()
	case level == SOL_SOCKET && name == SO_RCVBUF:
		s.buffers.receive = bufferSize(value, receiveMin)
		s.resized()
	default:
		s.options[o] = value
	}
	return 0
}

// isLarger is whether the option's value is no number.
func (o option) isLarger() bool {
	return o == option{IPPROTO_IPV6, IPV6_PKTINFO} || o == option{SOL_SOCKET, SO_LINGER} ||
		isTimeout(o.level, o.name)
}

func (s *socket) timeouts() *timeouts { return &s.limits }

func (s *socket) linger() Linger {
	network.Lock()
	defer network.Unlock()
	return s.lingers
}

// setLinger keeps the time where the option is switched off, as Linux does.
func (s *socket) setLinger(l *Linger) {
	network.Lock()
	defer network.Unlock()
	s.lingers.Onoff = 0
	if l.Onoff != 0 {
		s.lingers = Linger{Onoff: 1, Linger: l.Linger}
	}
	s.abortive = l.Onoff != 0 && l.Linger == 0 && s.family != AF_UNIX
}

// ---- events
// ------------------------------------------------------------------------------------------

// watch registers a descriptor with the poller and reports an event at once, because the socket may
// be ready already.
func (s *socket) watch(_ int, target pollTarget) bool {
	network.Lock()
	defer network.Unlock()
	s.targets = append(s.targets, target)
	if s.in.Load() != nil {
		s.watchPipes(target)
	} else {
		target.tell('r'+'w', evAll)
	}
	return true
}

func (s *socket) watchPipes(target pollTarget) {
	s.in.Load().watch(O_RDONLY, target)
	s.out.Load().watch(O_WRONLY, target)
}

func (s *socket) forget(fd int) {
	network.Lock()
	defer network.Unlock()
	s.targets = without(s.targets, fd)
	if in := s.in.Load(); in != nil {
		in.forget(fd)
		s.out.Load().forget(fd)
	}
}

// report tells all goroutines that wait for this socket that it changed.
func (s *socket) report() { s.reportEvents(evAll) }

func (s *socket) reportEvents(events uint32) {
	s.changed.Broadcast()
	tellAll(s.targets, 'r'+'w', events)
}

// reportPeer tells the other end of a connection.
func (s *socket) reportPeer() {
	if s.peer != nil && s.peer.peer == s {
		s.peer.report()
	}
}

// reportSenders lets senders try again that found the queue full.
func (s *socket) reportSenders() {
	for sender := range s.waitingSenders {
		sender.reportEvents(evWritable | evOutBand)
	}
	s.waitingSenders = nil
}
