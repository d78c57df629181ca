// The loopback network of a process.
//
// A program without a network capability still has itself: sockets connect to addresses 127.0.0.0/8
// and ::1 and to names in the file tree, and whoever listens there is in the same process. Every
// other address is unreachable. A stream connection is two pipes; a datagram goes straight into the
// receiver's queue. Waiting is the pipes' and the runtime poller's affair.

//go:build capos

package syscall

import "sync"

const (
	datagramBytesMax = 208 << 10 // waiting in one socket; further datagrams are lost
	// what a datagram counts besides its bytes, so that empty ones have an end too
	datagramOverhead = 256
	datagramMax      = 65507
	ephemeralFirst   = 32768
	ephemeralLast    = 60999
)

// An endpoint is where a socket is: an address of 16 bytes (IPv4 mapped into it) and a port, or a
// name.
type endpoint struct {
	addr [16]byte
	port int
	name string
}

type option struct{ level, name int }

// A socket is guarded by the lock of the network, except for what goes through its pipes.
type socket struct {
	family, kind  int
	ino           uint64
	local, remote endpoint
	bound         bool // has an entry in the table of the network
	connected     bool
	listening     bool
	closed        bool
	abortive      bool // closing resets the connection
	pending       Errno
	options       map[option]int
	targets       []pollTarget
	changed       sync.Cond

	in, out             *pipe // of a stream connection
	readEnded, wroteEnd bool

	backlog int
	queue   []*socket // connections nobody accepted yet

	peer          *socket // the other end of a connection inside AF_UNIX
	datagrams     []datagram
	datagramBytes int
	spare         []byte // of a datagram that was received

	// found the queue full; any socket of AF_UNIX may be one, not only the peer
	waitingSenders map[*socket]struct{}
	waitsFor       *socket // whose queue this one found full last
}

type datagram struct {
	from  endpoint
	data  []byte
	files []*file // sent along; each counts as held
}

func (d *datagram) cost() int { return len(d.data) + datagramOverhead }

// A message is what was received: a datagram or some bytes of a stream, and what came with them.
type message struct {
	n         int
	from      endpoint // zero if the sender does not say
	truncated bool
	files     []*file // each counts as held
}

// place of a socket in the table; the kind tells TCP's ports from UDP's.
type portKey struct{ kind, port int }

var network struct {
	sync.Mutex
	ports    map[portKey][]*socket
	names    map[string]*socket // abstract names of AF_UNIX, which begin with "@"
	lastPort int
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

// streams reports whether the socket makes connections. Packets of SOCK_SEQPACKET are not kept
// apart by pipes, so they travel as datagrams between connected sockets.
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
	a.out, b.in = forth, forth
	b.out, a.in = back, back
	for _, s := range [...]*socket{a, b} {
		for _, target := range s.targets {
			s.watchPipes(target)
		}
	}
}

// ---- events
// ------------------------------------------------------------------------------------------

// watch registers a descriptor with the poller, which is told at once: the socket may be ready
// already.
func (s *socket) watch(target pollTarget) {
	network.Lock()
	defer network.Unlock()
	s.targets = append(s.targets, target)
	if s.in != nil {
		s.watchPipes(target)
	} else {
		runtime_pollEvent(target.pd, target.tag, 'r'+'w')
	}
}

func (s *socket) watchPipes(target pollTarget) {
	s.in.watch(O_RDONLY, target)
	s.out.watch(O_WRONLY, target)
}

func (s *socket) forget(fd int) {
	network.Lock()
	defer network.Unlock()
	s.targets = without(s.targets, fd)
	if s.in != nil {
		s.in.forget(fd)
		s.out.forget(fd)
	}
}

// report tells everybody who waits for this socket that it changed.
func (s *socket) report() {
	s.changed.Broadcast()
	for _, target := range s.targets {
		runtime_pollEvent(target.pd, target.tag, 'r'+'w')
	}
}

// reportPeer tells the other end of a connection.
func (s *socket) reportPeer() {
	if s.peer != nil && s.peer.peer == s {
		s.peer.report()
	}
}

// reportSenders has those try again who found the queue full.
func (s *socket) reportSenders() {
	for sender := range s.waitingSenders {
		sender.report()
	}
	s.waitingSenders = nil
}

// ---- addresses
// ------------------------------------------------------------------------------------------

var loopback6 = [16]byte{15: 1}

func (e endpoint) isMapped() bool {
	return [10]byte(e.addr[:10]) == [10]byte{} && e.addr[10] == 0xff && e.addr[11] == 0xff
}

func (e endpoint) isWildcard() bool {
	return e.addr == [16]byte{} || e.addr == mapped([4]byte{})
}

func (e endpoint) isLoopback() bool {
	return e.addr == loopback6 || e.isMapped() && e.addr[12] == 127
}

// reachable returns the address a packet to e really goes to: the wildcard means this machine.
func (e endpoint) reachable(s *socket) (endpoint, Errno) {
	if e.isMapped() && s.v6only() {
		return e, ENETUNREACH
	}
	switch {
	case e.addr == [16]byte{}:
		e.addr = loopback6
	case e.isWildcard():
		e.addr = mapped([4]byte{127, 0, 0, 1})
	case !e.isLoopback():
		return e, ENETUNREACH
	}
	return e, 0
}

func (s *socket) v6only() bool {
	return s.family == AF_INET6 && s.options[option{IPPROTO_IPV6, IPV6_V6ONLY}] != 0
}

// receives reports whether packets to the address are for this socket.
func (s *socket) receives(to endpoint) bool {
	switch {
	case s.local.addr == to.addr:
		return true
	case !s.local.isWildcard():
		return false
	case s.local.isMapped():
		return to.isMapped()
	}
	return !to.isMapped() || !s.v6only()
}

// overlaps reports whether two sockets at the same port would both receive something.
func (s *socket) overlaps(other *socket) bool {
	if s.local.isWildcard() && other.local.isWildcard() {
		sameFamily := s.local.isMapped() == other.local.isMapped()
		return sameFamily || !s.v6only() && !other.v6only()
	}
	return s.receives(other.local) || other.receives(s.local)
}

func (s *socket) bind(at endpoint) Errno {
	network.Lock()
	defer network.Unlock()
	switch {
	case s.bound || s.connected:
		return EINVAL
	case s.family == AF_UNIX:
		return s.bindName(at.name)
	case !at.isWildcard() && !at.isLoopback(), at.isMapped() && s.v6only():
		return EADDRNOTAVAIL
	}
	return s.bindPort(at)
}

// bindPort enters the socket into the table, under an unused port when none is given.
func (s *socket) bindPort(at endpoint) Errno {
	s.local = at
	if at.port != 0 {
		if s.portTaken() {
			s.local = endpoint{}
			return EADDRINUSE
		}
	} else if !s.choosePort() {
		return EADDRNOTAVAIL
	}
	if network.ports == nil {
		network.ports = map[portKey][]*socket{}
	}
	key := portKey{s.kind, s.local.port}
	network.ports[key] = append(network.ports[key], s)
	s.bound = true
	return 0
}

func (s *socket) portTaken() bool {
	for _, other := range network.ports[portKey{s.kind, s.local.port}] {
		if s.overlaps(other) {
			return true
		}
	}
	return false
}

func (s *socket) choosePort() bool {
	for range ephemeralLast - ephemeralFirst + 1 {
		network.lastPort++
		if network.lastPort < ephemeralFirst || network.lastPort > ephemeralLast {
			network.lastPort = ephemeralFirst
		}
		s.local.port = network.lastPort
		if len(network.ports[portKey{s.kind, s.local.port}]) == 0 {
			return true
		}
	}
	return false
}

// bindName gives the socket a name: an abstract one, or a file.
func (s *socket) bindName(name string) Errno {
	if name == "" {
		network.lastPort++
		name = "@" + itox(network.lastPort)
	}
	if name[0] == '@' {
		if network.names[name] != nil {
			return EADDRINUSE
		}
		if network.names == nil {
			network.names = map[string]*socket{}
		}
		network.names[name] = s
	} else if err := s.makeFile(name); err != 0 {
		return err
	}
	s.local, s.bound = endpoint{name: name}, true
	return 0
}

func itox(n int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>16&15], digits[n>>12&15], digits[n>>8&15], digits[n>>4&15],
		digits[n&15]})
}

func (s *socket) makeFile(path string) Errno {
	lockTree()
	defer tree.Unlock()
	p, err := walkAt(AT_FDCWD, path, false)
	switch {
	case err != 0:
		return err
	case p.node != nil || p.slash:
		return EADDRINUSE
	}
	if err := p.dir.mayChange(); err != 0 {
		return err
	}
	n := newNode(S_IFSOCK | 0o777)
	n.socket = s
	p.dir.add(p.name, n)
	p.dir.touch()
	return 0
}

// findName returns the socket with that name.
func findName(name string) (*socket, Errno) {
	if name == "" {
		return nil, EINVAL
	}
	if name[0] == '@' {
		if s := network.names[name]; s != nil {
			return s, 0
		}
		return nil, ECONNREFUSED
	}
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(AT_FDCWD, name, true)
	switch {
	case err != 0:
		return nil, err
	case p.node.socket == nil || p.node.socket.closed:
		return nil, ECONNREFUSED
	}
	return p.node.socket, 0
}

// find returns the socket that packets to the address are for. One that is bound to exactly this
// address goes before one that takes all, and a connected one takes packets of its peer only.
func find(kind int, to, from endpoint) (found *socket) {
	for _, s := range network.ports[portKey{kind, to.port}] {
		if !s.receives(to) || kind == SOCK_DGRAM && s.connected && s.remote != from {
			continue
		}
		if found == nil || s.connected || !s.local.isWildcard() && !found.connected {
			found = s
		}
	}
	return found
}

// ---- connections
// ------------------------------------------------------------------------------------------

func (s *socket) listen(backlog int) Errno {
	network.Lock()
	defer network.Unlock()
	switch {
	case s.kind == SOCK_DGRAM:
		return EOPNOTSUPP
	case s.connected:
		return EINVAL
	case !s.bound && s.family == AF_UNIX:
		return EINVAL
	case !s.bound:
		if err := s.bindPort(endpoint{addr: s.anyAddress()}); err != 0 {
			return err
		}
	}
	s.listening, s.backlog = true, max(1, min(backlog, SOMAXCONN))
	return 0
}

func (s *socket) anyAddress() [16]byte {
	if s.family == AF_INET {
		return mapped([4]byte{})
	}
	return [16]byte{}
}

func (s *socket) connect(to endpoint) Errno {
	network.Lock()
	defer network.Unlock()
	if s.connected && s.kind != SOCK_DGRAM {
		return EISCONN
	}
	if s.listening {
		return EINVAL
	}
	if s.family != AF_UNIX {
		var err Errno
		if to, err = to.reachable(s); err != 0 {
			return err
		}
		if err := s.bindTowards(to); err != 0 {
			return err
		}
	}
	if s.kind == SOCK_DGRAM {
		return s.connectDatagrams(to)
	}
	return s.connectStream(to)
}

// bindTowards gives an unbound socket a port at the loopback address of the other side's family,
// and a bound one that took all addresses this one.
func (s *socket) bindTowards(to endpoint) Errno {
	from := endpoint{addr: loopback6, port: s.local.port}
	if to.isMapped() {
		from.addr = mapped([4]byte{127, 0, 0, 1})
	}
	if !s.bound {
		return s.bindPort(from)
	}
	if s.local.isWildcard() {
		s.local.addr = from.addr
	}
	return 0
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

func (s *socket) connectStream(to endpoint) Errno {
	var listener *socket
	if s.family == AF_UNIX {
		var err Errno
		if listener, err = findName(to.name); err != 0 {
			return err
		}
	} else {
		listener = find(s.kind, to, s.local)
	}
	switch {
	case listener == nil || !listener.listening || len(listener.queue) >= listener.backlog:
		return ECONNREFUSED
	case listener.kind != s.kind:
		return EPROTOTYPE
	}
	accepted, _ := newSocket(listener.family, s.kind, 0)
	accepted.local, accepted.remote = to, s.local
	s.remote = to
	joinSockets(s, accepted)
	listener.queue = append(listener.queue, accepted)
	listener.report()
	return 0
}

func (s *socket) accept(block bool) (*socket, Errno) {
	network.Lock()
	defer network.Unlock()
	for s.listening && len(s.queue) == 0 && block {
		s.changed.Wait()
	}
	switch {
	case !s.listening:
		return nil, EINVAL
	case len(s.queue) == 0:
		return nil, EAGAIN
	}
	accepted := s.queue[0]
	s.queue = s.queue[1:]
	return accepted, 0
}

func (s *socket) shutdown(how int) Errno {
	network.Lock()
	left, err := s.shutdownLocked(how)
	network.Unlock()
	letGoAll(left)
	return err
}

func (s *socket) shutdownLocked(how int) (left []*file, err Errno) {
	switch {
	case s.listening && how != SHUT_WR:
		left = s.stopListening()
		s.report()
		return left, 0
	case !s.connected:
		return nil, ENOTCONN
	case how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR:
		return nil, EINVAL
	}
	reading := how != SHUT_WR
	if reading && s.in != nil && s.family != AF_UNIX {
		// TCP has no way to tell the other side, which goes on sending.
		s.in.ignore()
		reading = false
	}
	s.end(reading, how != SHUT_RD)
	s.report()
	s.reportPeer()
	return nil, 0
}

// end closes one or both directions of a connection, each once.
func (s *socket) end(reading, writing bool) {
	if writing && !s.wroteEnd {
		s.wroteEnd = true
		if s.out != nil {
			s.out.close(O_WRONLY)
		}
	}
	if reading && !s.readEnded {
		s.readEnded = true
		s.reportSenders()
		if s.in != nil {
			s.in.close(O_RDONLY)
		}
	}
}

// stopListening resets the connections nobody accepted; it returns the files that had been sent
// through them.
func (s *socket) stopListening() (left []*file) {
	s.listening = false
	for _, waiting := range s.queue {
		waiting.abortive = true
		left = append(left, waiting.closeLocked()...)
	}
	s.queue = nil
	return left
}

// close lets files go that were sent and not received, after unlocking: they may be sockets too.
func (s *socket) close() {
	network.Lock()
	left := s.closeLocked()
	network.Unlock()
	letGoAll(left)
}

// closeLocked takes the socket out of the network. A file that was its name stays, as a name of
// nothing.
func (s *socket) closeLocked() (left []*file) {
	s.closed = true
	left = s.stopListening()
	if s.bound && s.family == AF_UNIX {
		if network.names[s.local.name] == s {
			delete(network.names, s.local.name)
		}
	} else if s.bound {
		key := portKey{s.kind, s.local.port}
		kept := network.ports[key][:0]
		for _, other := range network.ports[key] {
			if other != s {
				kept = append(kept, other)
			}
		}
		if network.ports[key] = kept; len(kept) == 0 {
			delete(network.ports, key)
		}
	}
	if s.abortive && s.out != nil {
		s.out.fail(ECONNRESET)
	}
	s.end(true, true)
	if s.in != nil {
		left = append(left, s.in.takeFiles()...)
	}
	for _, d := range s.datagrams {
		left = append(left, d.files...)
	}
	s.datagrams = nil
	if s.waitsFor != nil {
		delete(s.waitsFor.waitingSenders, s) // which may never read again
	}
	s.report()
	s.reportPeer()
	return left
}

// ---- data
// ------------------------------------------------------------------------------------------

// receive returns the next message or some bytes of the stream. A look at them leaves the files
// where they are.
func (s *socket) receive(p []byte, peek, block bool) (m message, err Errno) {
	if s.streams() {
		in, err := s.stream(true)
		if err != 0 {
			return m, err
		}
		m.n, m.files, err = in.receive(p, peek, block)
		return m, err
	}
	network.Lock()
	defer network.Unlock()
	for len(s.datagrams) == 0 && s.pending == 0 && !s.ended() && block {
		s.changed.Wait()
	}
	switch {
	case s.pending != 0:
		err, s.pending = s.pending, 0
		return m, err
	case len(s.datagrams) == 0 && s.ended():
		return m, 0
	case len(s.datagrams) == 0:
		return m, EAGAIN
	}
	d := s.datagrams[0]
	m.n, m.from = copy(p, d.data), d.from
	m.truncated = m.n < len(d.data)
	if !peek {
		m.files = d.files
		last := copy(s.datagrams, s.datagrams[1:])
		s.datagrams[last] = datagram{}
		s.datagrams = s.datagrams[:last]
		s.datagramBytes -= d.cost()
		s.spare = d.data
		s.reportSenders()
	}
	return m, 0
}

// ended reports whether no message will come any more.
func (s *socket) ended() bool {
	return s.readEnded || s.closed || s.kind == SOCK_SEQPACKET && s.peer != nil &&
		(s.peer.closed || s.peer.wroteEnd)
}

// stream returns the pipe to read from or to write to.
func (s *socket) stream(reading bool) (*pipe, Errno) {
	network.Lock()
	defer network.Unlock()
	switch {
	case s.in == nil:
		return nil, ENOTCONN
	case reading:
		return s.in, 0
	case s.wroteEnd:
		return nil, EPIPE
	}
	return s.out, 0
}

// send sends to the address, or without one to the other end. Files that go along belong to the
// receiver if there is no error.
func (s *socket) send(p []byte, files []*file, to endpoint, addressed, block bool) (int, Errno) {
	if s.streams() {
		out, err := s.stream(false)
		switch {
		case err != 0:
			return 0, err
		case addressed:
			return 0, EISCONN
		}
		return out.send(p, files, block)
	}
	network.Lock()
	defer network.Unlock()
	for {
		n, err := s.sendDatagram(p, files, to, addressed)
		if err != EAGAIN || !block {
			return n, err
		}
		s.changed.Wait()
	}
}

func (s *socket) sendDatagram(p []byte, files []*file, to endpoint, addressed bool) (int, Errno) {
	switch {
	case s.pending != 0:
		err := s.pending
		s.pending = 0
		return 0, err
	case s.wroteEnd:
		return 0, EPIPE
	case len(p) > datagramMax:
		return 0, EMSGSIZE
	case !addressed && !s.connected:
		return 0, EDESTADDRREQ
	case addressed && s.connected && s.family == AF_UNIX:
		return 0, EISCONN
	}
	if s.family == AF_UNIX {
		return s.sendNamed(p, files, to, addressed)
	}
	return s.sendPacket(p, to, addressed)
}

// sendPacket sends to an address of the internet. What its receiver has no room for is lost.
func (s *socket) sendPacket(p []byte, to endpoint, addressed bool) (int, Errno) {
	if !addressed {
		to = s.remote
	}
	target, err := to.reachable(s)
	if err != 0 {
		return 0, err
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
	receiver := find(SOCK_DGRAM, target, from)
	switch {
	case receiver == nil && s.connected:
		// What would be an ICMP message comes with the next call.
		s.pending = ECONNREFUSED
		s.report()
	case receiver != nil:
		receiver.take(datagram{from: from, data: p})
	}
	return len(p), 0
}

// sendNamed sends to a socket with a name, or to the other one of a pair. Nothing is lost: a full
// queue is waited for.
func (s *socket) sendNamed(p []byte, files []*file, to endpoint, addressed bool) (int, Errno) {
	receiver := s.peer
	if addressed {
		var err Errno
		if receiver, err = findName(to.name); err != 0 {
			return 0, err
		}
	}
	switch {
	case receiver == nil:
		return 0, ENOTCONN
	case receiver.closed && s.kind == SOCK_SEQPACKET:
		return 0, EPIPE
	case receiver.closed:
		return 0, ECONNREFUSED
	case receiver.readEnded:
		return 0, EPIPE
	case !receiver.take(datagram{s.local, p, files}):
		s.waitFor(receiver)
		return 0, EAGAIN
	}
	return len(p), 0
}

func (s *socket) waitFor(receiver *socket) {
	if receiver.waitingSenders == nil {
		receiver.waitingSenders = map[*socket]struct{}{}
	}
	receiver.waitingSenders[s] = struct{}{}
	s.waitsFor = receiver
}

// take queues a copy of the datagram and reports whether there was room.
func (s *socket) take(d datagram) bool {
	if s.datagramBytes+d.cost() > datagramBytesMax {
		return false
	}
	d.data = append(s.spare[:0], d.data...)
	s.spare = nil
	s.datagrams = append(s.datagrams, d)
	s.datagramBytes += d.cost()
	s.report()
	return true
}

func (s *socket) stat(st *Stat_t) {
	*st = Stat_t{Dev: 4, Ino: s.ino, Nlink: 1, Mode: S_IFSOCK | 0o777, Uid: ownerUid,
		Gid: ownerGid, Blksize: pipeAtomic}
}
