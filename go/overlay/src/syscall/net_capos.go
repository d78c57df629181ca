// Calls on sockets: addresses, options, control messages.
//
// The calls know sockets only by the interface openSocket. socket_capos.go implements it for the
// network inside the process. The sockets of a network service would be another implementation.

//go:build capos

package syscall

import "unsafe" // for linkname too

const (
	AF_UNSPEC = 0
	AF_UNIX   = 1
	AF_LOCAL  = AF_UNIX
	AF_INET   = 2
	AF_INET6  = 10

	SOCK_STREAM    = 1
	SOCK_DGRAM     = 2
	SOCK_RAW       = 3
	SOCK_SEQPACKET = 5
	SOCK_NONBLOCK  = 0x800
	SOCK_CLOEXEC   = 0x80000

	SOL_SOCKET   = 1
	SO_REUSEADDR = 2
	SO_TYPE      = 3
	SO_ERROR     = 4
	SO_BROADCAST = 6
	SO_SNDBUF    = 7
	SO_RCVBUF    = 8
	SO_KEEPALIVE = 9
	SO_LINGER    = 13
	SO_REUSEPORT = 15

	IPPROTO_IP   = 0
	IPPROTO_ICMP = 1
	IPPROTO_TCP  = 6
	IPPROTO_UDP  = 17
	IPPROTO_IPV6 = 41

	IP_TOS             = 1
	IP_TTL             = 2
	IP_MULTICAST_IF    = 32
	IP_MULTICAST_TTL   = 33
	IP_MULTICAST_LOOP  = 34
	IP_ADD_MEMBERSHIP  = 35
	IP_DROP_MEMBERSHIP = 36

	IPV6_UNICAST_HOPS   = 16
	IPV6_MULTICAST_IF   = 17
	IPV6_MULTICAST_HOPS = 18
	IPV6_MULTICAST_LOOP = 19
	IPV6_JOIN_GROUP     = 20
	IPV6_LEAVE_GROUP    = 21
	IPV6_V6ONLY         = 26

	TCP_NODELAY   = 1
	TCP_KEEPIDLE  = 4
	TCP_KEEPINTVL = 5
	TCP_KEEPCNT   = 6

	SHUT_RD   = 0
	SHUT_WR   = 1
	SHUT_RDWR = 2

	MSG_PEEK     = 2
	MSG_CTRUNC   = 8
	MSG_TRUNC    = 0x20
	MSG_NOSIGNAL = 0x4000

	SOMAXCONN = 4096

	SCM_RIGHTS = 1
)

// A Sockaddr is an address of some family.
type Sockaddr interface {
	isSockaddr()
}

type SockaddrInet4 struct {
	Port int
	Addr [4]byte
}

type SockaddrInet6 struct {
	Port   int
	ZoneId uint32
	Addr   [16]byte
}

type SockaddrUnix struct {
	Name string
}

func (*SockaddrInet4) isSockaddr() {}
func (*SockaddrInet6) isSockaddr() {}
func (*SockaddrUnix) isSockaddr()  {}

type Linger struct {
	Onoff  int32
	Linger int32
}

type IPMreq struct {
	Multiaddr [4]byte
	Interface [4]byte
}

type IPv6Mreq struct {
	Multiaddr [16]byte
	Interface uint32
}

// ---- addresses
// ------------------------------------------------------------------------------------------

// endpointOf translates an address given to a call on a socket of that family.
func endpointOf(family int, sa Sockaddr) (endpoint, Errno) {
	const (
		portMax     = 65535
		unixNameMax = 108 // with the NUL that ends a path for callers of other systems
	)
	switch sa := sa.(type) {
	case *SockaddrInet4:
		switch {
		case sa.Port < 0 || sa.Port > portMax:
			return endpoint{}, EINVAL
		case family == AF_INET:
			return endpoint{addr: mapped(sa.Addr), port: sa.Port}, 0
		}
	case *SockaddrInet6:
		switch {
		case sa.Port < 0 || sa.Port > portMax:
			return endpoint{}, EINVAL
		case family == AF_INET6:
			return endpoint{addr: sa.Addr, port: sa.Port}, 0
		}
	case *SockaddrUnix:
		switch {
		case family != AF_UNIX:
		case len(sa.Name) > unixNameMax, len(sa.Name) == unixNameMax && sa.Name[0] != '@':
			return endpoint{}, EINVAL
		default:
			return endpoint{name: sa.Name}, 0
		}
	case nil:
		return endpoint{}, EDESTADDRREQ
	}
	return endpoint{}, EAFNOSUPPORT
}

func mapped(addr [4]byte) (m [16]byte) {
	m[10], m[11] = 0xff, 0xff
	copy(m[12:], addr[:])
	return m
}

// sockaddr is the address as a socket of that family sees it.
func (e endpoint) sockaddr(family int) Sockaddr {
	switch family {
	case AF_INET:
		sa := &SockaddrInet4{Port: e.port}
		copy(sa.Addr[:], e.addr[12:])
		return sa
	case AF_INET6:
		return &SockaddrInet6{Port: e.port, Addr: e.addr}
	}
	return &SockaddrUnix{Name: e.name}
}

// ---- calls
// ------------------------------------------------------------------------------------------

// An openSocket is an open file that is a socket. Data goes with files only inside AF_UNIX.
type openSocket interface {
	openFile
	domain() int
	sendsDatagrams() bool
	bind(local endpoint) Errno
	// connect waits for room in the queue of the listener, or fails with EINPROGRESS. The
	// connection is then made when the socket is writable.
	connect(to endpoint, block bool) Errno
	listen(backlog int) Errno
	accept(block bool) (openSocket, Errno)
	shutdown(how int) Errno
	localEndpoint() endpoint
	remoteEndpoint() (endpoint, Errno)
	receive(p []byte, peek, block bool) (message, Errno)
	send(o outgoing, block bool) (int, Errno)

	option(level, name int) (int, Errno)
	setOption(level, name, value int) Errno
	timeouts() *timeouts
	linger() Linger
	setLinger(l *Linger)
	setInterface(index uint32) Errno
}

// A message is a datagram or some bytes of a stream that were received, with the files that came
// along.
type message struct {
	n         int
	from      endpoint // zero if the sender does not say
	truncated bool
	size      int            // of a datagram that was truncated
	files     []*description // each counts as held
	control   []byte         // messages, one after the other
}

// An outgoing message goes to the address, or without one to the other end of a connection.
type outgoing struct {
	data      []byte
	files     []*description // each counts as held
	to        endpoint
	addressed bool
	packet    packetControl // over IPv4 and IPv6
}

// A sentControl is what the control messages of a message ask for.
type sentControl struct {
	files  []*description // each counts as held
	packet packetControl
}

// socketOf returns the socket of a descriptor and the flags of its description.
func socketOf(fd int) (openSocket, int, Errno) {
	d, flags := descriptor(fd)
	if d == nil {
		return nil, 0, EBADF
	}
	s, ok := d.file.(openSocket)
	if !ok {
		return nil, 0, ENOTSOCK
	}
	return s, flags, 0
}

func Socket(domain, typ, proto int) (fd int, err error) {
	if domain == AF_INET6 && SocketDisableIPv6 {
		return -1, EAFNOSUPPORT
	}
	s, e := newSocket(domain, typ&^(SOCK_NONBLOCK|SOCK_CLOEXEC), proto)
	if e != 0 {
		return -1, e
	}
	return installSocket(s, typ)
}

// installSocket gives the socket a descriptor with the flags that came with its type.
func installSocket(s openSocket, typ int) (int, error) {
	d := &description{file: s, flags: O_RDWR | typ&SOCK_NONBLOCK}
	return installNew(d, typ&SOCK_CLOEXEC != 0)
}

func Socketpair(domain, typ, proto int) (fd [2]int, err error) {
	if domain != AF_UNIX {
		return [2]int{-1, -1}, EOPNOTSUPP
	}
	a, b, e := newSocketPair(typ&^(SOCK_NONBLOCK|SOCK_CLOEXEC), proto)
	if e != 0 {
		return [2]int{-1, -1}, e
	}
	if fd[0], err = installSocket(a, typ); err != nil {
		b.close(O_RDWR)
		return [2]int{-1, -1}, err
	}
	if fd[1], err = installSocket(b, typ); err != nil {
		Close(fd[0])
		return [2]int{-1, -1}, err
	}
	return fd, nil
}

func Bind(fd int, sa Sockaddr) error {
	s, _, e := socketOf(fd)
	if e != 0 {
		return e
	}
	local, e := endpointOf(s.domain(), sa)
	if e == 0 {
		e = s.bind(local)
	}
	return result(e)
}

func Connect(fd int, sa Sockaddr) error {
	s, flags, e := socketOf(fd)
	if e != 0 {
		return e
	}
	to, e := endpointOf(s.domain(), sa)
	if e == 0 {
		e = s.connect(to, blocks(flags))
	}
	return result(e)
}

func Listen(fd int, backlog int) error {
	s, _, e := socketOf(fd)
	if e == 0 {
		e = s.listen(backlog)
	}
	return result(e)
}

func Accept(fd int) (nfd int, sa Sockaddr, err error) { return Accept4(fd, 0) }

func Accept4(fd int, flags int) (nfd int, sa Sockaddr, err error) {
	s, openFlags, e := socketOf(fd)
	if e != 0 {
		return -1, nil, e
	}
	accepted, e := s.accept(blocks(openFlags))
	if e != 0 {
		return -1, nil, result(e)
	}
	if nfd, err = installSocket(accepted, flags); err != nil {
		return -1, nil, err
	}
	from, _ := accepted.remoteEndpoint()
	return nfd, from.sockaddr(accepted.domain()), nil
}

func Getsockname(fd int) (sa Sockaddr, err error) {
	s, _, e := socketOf(fd)
	if e != 0 {
		return nil, e
	}
	return s.localEndpoint().sockaddr(s.domain()), nil
}

func Getpeername(fd int) (sa Sockaddr, err error) {
	s, _, e := socketOf(fd)
	if e != 0 {
		return nil, e
	}
	to, e := s.remoteEndpoint()
	if e != 0 {
		return nil, e
	}
	return to.sockaddr(s.domain()), nil
}

func Shutdown(fd int, how int) error {
	s, _, e := socketOf(fd)
	if e == 0 {
		e = s.shutdown(how)
	}
	return result(e)
}

// ---- options
// ------------------------------------------------------------------------------------------

func GetsockoptInt(fd, level, opt int) (int, error) {
	s, _, e := socketOf(fd)
	if e != 0 {
		return -1, e
	}
	return counted(s.option(level, opt))
}

func SetsockoptInt(fd, level, opt int, value int) error {
	s, _, e := socketOf(fd)
	if e == 0 {
		e = s.setOption(level, opt, value)
	}
	return result(e)
}

func SetsockoptByte(fd, level, opt int, value byte) error {
	return SetsockoptInt(fd, level, opt, int(value))
}

func SetsockoptLinger(fd, level, opt int, l *Linger) error {
	if level != SOL_SOCKET || opt != SO_LINGER {
		return unsupportedOption(fd)
	}
	s, _, e := socketOf(fd)
	if e == 0 {
		s.setLinger(l)
	}
	return result(e)
}

func SetsockoptTimeval(fd, level, opt int, tv *Timeval) error {
	if !isTimeout(level, opt) {
		return unsupportedOption(fd)
	}
	s, _, e := socketOf(fd)
	if e == 0 {
		e = s.timeouts().set(opt, tv)
	}
	return result(e)
}

func SetsockoptString(fd, level, opt int, s string) error { return unsupportedOption(fd) }

// setsockopt and getsockopt take options as bytes. golang.org/x/net/internal/socket refers to them
// by name, as it does on Linux.
//
//go:linkname setsockopt
func setsockopt(fd, level, opt int, value unsafe.Pointer, length uintptr) error {
	switch {
	case value == nil || length < 4:
		return EINVAL
	case level == SOL_SOCKET && opt == SO_LINGER && length >= SizeofLinger:
		return SetsockoptLinger(fd, level, opt, (*Linger)(value))
	case isTimeout(level, opt):
		if length < uintptr(sizeofTimeval) {
			return EINVAL
		}
		return SetsockoptTimeval(fd, level, opt, (*Timeval)(value))
	case level == IPPROTO_IPV6 && opt == IPV6_PKTINFO:
		if length < SizeofInet6Pktinfo {
			return EINVAL
		}
		s, _, e := socketOf(fd)
		if e == 0 { // the address has no effect, as on Linux
			e = s.setInterface((*Inet6Pktinfo)(value).Ifindex)
		}
		return result(e)
	case length == 4:
		return SetsockoptInt(fd, level, opt, int(*(*int32)(value)))
	}
	return unsupportedOption(fd)
}

//go:linkname getsockopt
func getsockopt(fd, level, opt int, value unsafe.Pointer, length *uint32) error {
	switch {
	case value == nil || length == nil || *length < 4:
		return EINVAL
	case level == SOL_SOCKET && opt == SO_PEERCRED && *length >= SizeofUcred:
		ucred, err := GetsockoptUcred(fd, level, opt)
		if err == nil {
			*(*Ucred)(value), *length = *ucred, SizeofUcred
		}
		return err
	case isTimeout(level, opt) && *length >= sizeofTimeval:
		s, _, e := socketOf(fd)
		if e == 0 {
			*(*Timeval)(value), *length = s.timeouts().get(opt), sizeofTimeval
		}
		return result(e)
	case level == SOL_SOCKET && opt == SO_LINGER && *length >= SizeofLinger:
		s, _, e := socketOf(fd)
		if e == 0 {
			*(*Linger)(value), *length = s.linger(), SizeofLinger
		}
		return result(e)
	}
	n, err := GetsockoptInt(fd, level, opt)
	if err == nil {
		*(*int32)(value), *length = int32(n), 4
	}
	return err
}

// There is no interface with multicast.

func SetsockoptInet4Addr(fd, level, opt int, value [4]byte) error { return unsupportedOption(fd) }
func SetsockoptIPMreq(fd, level, opt int, mreq *IPMreq) error     { return unsupportedOption(fd) }
func SetsockoptIPv6Mreq(fd, level, opt int, mreq *IPv6Mreq) error { return unsupportedOption(fd) }

func unsupportedOption(fd int) error {
	if _, _, e := socketOf(fd); e != 0 {
		return e
	}
	return ENOPROTOOPT
}

// ---- messages
// ------------------------------------------------------------------------------------------

// receiveMessage returns a message, or bytes of a stream, and flags for the parts that did not fit.
func receiveMessage(fd int, p []byte, flags int) (m message, family, recvflags int, err error) {
	s, openFlags, e := socketOf(fd)
	switch {
	case e != 0:
		return message{n: -1}, 0, 0, e
	case flags&MSG_OOB != 0:
		return message{n: -1}, 0, 0, EOPNOTSUPP
	}
	m, e = s.receive(p, flags&MSG_PEEK != 0, blocks(openFlags) && flags&MSG_DONTWAIT == 0)
	if e != 0 {
		return message{n: -1}, 0, 0, result(e)
	}
	if m.truncated {
		recvflags = MSG_TRUNC
	}
	return m, s.domain(), recvflags, nil
}

// receive is receiveMessage for callers that take no files.
func receive(fd int, p []byte, flags int) (n int, from endpoint, family, recvflags int, err error) {
	m, family, recvflags, err := receiveMessage(fd, p, flags)
	letGoAll(m.files)
	return m.n, m.from, family, recvflags, err
}

// sendMessage sends bytes, and files that belong to the receiver if there is no error.
func sendMessage(fd int, p []byte, c sentControl, sa Sockaddr, flags int) (int, error) {
	s, openFlags, e := socketOf(fd)
	switch {
	case e != 0:
		return -1, e
	case flags&MSG_OOB != 0:
		return -1, EOPNOTSUPP
	}
	o := outgoing{data: p, files: c.files, addressed: sa != nil, packet: c.packet}
	if sa != nil {
		if o.to, e = endpointOf(s.domain(), sa); e != 0 {
			return -1, e
		}
	}
	n, e := s.send(o, blocks(openFlags) && flags&MSG_DONTWAIT == 0)
	if e == EPIPE && flags&MSG_NOSIGNAL == 0 {
		runtime_brokenPipe()
	}
	return counted(n, e)
}

func Recvfrom(fd int, p []byte, flags int) (n int, from Sockaddr, err error) {
	n, sender, family, _, err := receive(fd, p, flags)
	if err == nil && sender != (endpoint{}) {
		from = sender.sockaddr(family)
	}
	return n, from, err
}

// Recvmsg of nothing but a control message takes the byte that SendmsgN sends with one. It counts
// that byte, because 0 would be the end.
func Recvmsg(fd int, p, oob []byte, flags int) (n, oobn, recvflags int, from Sockaddr, err error) {
	if len(p) == 0 && len(oob) != 0 && !sendsDatagrams(fd) {
		p = make([]byte, 1)
	}
	m, family, recvflags, err := receiveMessage(fd, p, flags)
	if err != nil {
		return m.n, 0, 0, nil, err
	}
	if m.from != (endpoint{}) {
		from = m.from.sockaddr(family)
	}
	oobn, complete := m.putControl(oob)
	if !complete {
		recvflags |= MSG_CTRUNC
	}
	return m.n, oobn, recvflags, from, nil
}

func Sendto(fd int, p []byte, flags int, to Sockaddr) error {
	_, err := sendMessage(fd, p, sentControl{}, to, flags)
	return err
}

func Sendmsg(fd int, p, oob []byte, to Sockaddr, flags int) error {
	_, err := SendmsgN(fd, p, oob, to, flags)
	return err
}

// SendmsgN may carry descriptors. The receiver gets descriptors of its own for the same open files.
func SendmsgN(fd int, p, oob []byte, to Sockaddr, flags int) (n int, err error) {
	if len(oob) == 0 {
		return sendMessage(fd, p, sentControl{}, to, flags)
	}
	c, err := controlToSend(fd, oob)
	if err != nil {
		return -1, err
	}
	empty := len(p) == 0 && !sendsDatagrams(fd)
	if empty {
		p = []byte{0} // a stream has no empty messages, so a byte goes with the descriptors
	}
	n, err = sendMessage(fd, p, c, to, flags)
	switch {
	case err != nil:
		letGoAll(c.files)
	case empty:
		n = 0
	}
	return n, err
}

func sendsDatagrams(fd int) bool {
	s, _, e := socketOf(fd)
	return e == 0 && s.sendsDatagrams()
}

// controlToSend reads control messages: those with files and credentials inside AF_UNIX, those
// about the packet elsewhere. Of the packets of a stream nothing can be said.
func controlToSend(fd int, oob []byte) (c sentControl, err error) {
	s, _, e := socketOf(fd)
	switch {
	case e != 0:
		return c, e
	case s.domain() == AF_UNIX:
		c.files, err = filesToSend(oob)
	case s.sendsDatagrams():
		c.packet, err = packetToSend(oob)
	default:
		err = EINVAL
	}
	return c, err
}

// filesToSend returns the files that the control messages name, held.
func filesToSend(oob []byte) (files []*description, err error) {
	messages, err := ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		if ucred, err := ParseUnixCredentials(&messages[i]); err == nil {
			if *ucred != ownCredentials() {
				letGoAll(files)
				return nil, EPERM
			}
			continue
		}
		fds, err := ParseUnixRights(&messages[i])
		for _, fd := range fds {
			f := hold(fd)
			if f == nil {
				err = EBADF
				break
			}
			files = append(files, f)
		}
		if err != nil {
			letGoAll(files)
			return nil, err
		}
	}
	return files, nil
}

// receiveRights makes descriptors of files that came, and returns the length of the message that
// names them. It lets go of files for which there is no room.
func receiveRights(files []*description, oob []byte) (oobn int, complete bool) {
	var fds []int
	for _, f := range files {
		if CmsgSpace(4*(len(fds)+1)) <= len(oob) {
			if fd, err := install(f, 0, true); err == 0 {
				fds = append(fds, fd)
			}
		}
	}
	letGoAll(files)
	if len(fds) > 0 {
		oobn = copy(oob, UnixRights(fds...))
	}
	return oobn, len(fds) == len(files)
}

// ---- the forms package internal/poll uses
// ------------------------------------------------------------------------------------------

//go:linkname recvfromInet4
func recvfromInet4(fd int, p []byte, flags int, from *SockaddrInet4) (int, error) {
	n, sender, _, _, err := receive(fd, p, flags)
	from.Port = sender.port
	copy(from.Addr[:], sender.addr[12:])
	return n, err
}

//go:linkname recvfromInet6
func recvfromInet6(fd int, p []byte, flags int, from *SockaddrInet6) (int, error) {
	n, sender, _, _, err := receive(fd, p, flags)
	from.Port, from.Addr = sender.port, sender.addr
	return n, err
}

//go:linkname recvmsgInet4
func recvmsgInet4(fd int, p, oob []byte, flags int, from *SockaddrInet4) (n, oobn, recvflags int,
	err error) {
	m, oobn, recvflags, err := receivePacket(fd, p, oob, flags)
	from.Port = m.from.port
	copy(from.Addr[:], m.from.addr[12:])
	return m.n, oobn, recvflags, err
}

//go:linkname recvmsgInet6
func recvmsgInet6(fd int, p, oob []byte, flags int, from *SockaddrInet6) (n, oobn, recvflags int,
	err error) {
	m, oobn, recvflags, err := receivePacket(fd, p, oob, flags)
	from.Port, from.Addr = m.from.port, m.from.addr
	return m.n, oobn, recvflags, err
}

func receivePacket(fd int, p, oob []byte, flags int) (m message, oobn, recvflags int, err error) {
	m, _, recvflags, err = receiveMessage(fd, p, flags)
	if err != nil {
		return m, 0, 0, err
	}
	oobn, complete := m.putControl(oob)
	if !complete {
		recvflags |= MSG_CTRUNC
	}
	return m, oobn, recvflags, nil
}

//go:linkname sendtoInet4
func sendtoInet4(fd int, p []byte, flags int, to *SockaddrInet4) error {
	_, err := sendmsgNInet4(fd, p, nil, to, flags)
	return err
}

//go:linkname sendtoInet6
func sendtoInet6(fd int, p []byte, flags int, to *SockaddrInet6) error {
	_, err := sendmsgNInet6(fd, p, nil, to, flags)
	return err
}

//go:linkname sendmsgNInet4
func sendmsgNInet4(fd int, p, oob []byte, to *SockaddrInet4, flags int) (int, error) {
	if to == nil {
		return SendmsgN(fd, p, oob, nil, flags)
	}
	return SendmsgN(fd, p, oob, to, flags)
}

//go:linkname sendmsgNInet6
func sendmsgNInet6(fd int, p, oob []byte, to *SockaddrInet6, flags int) (int, error) {
	if to == nil {
		return SendmsgN(fd, p, oob, nil, flags)
	}
	return SendmsgN(fd, p, oob, to, flags)
}

// ---- control messages
// ------------------------------------------------------------------------------------------

// A control message is a Cmsghdr and its data, padded to eight bytes.
const cmsgHeaderSize = 16

type Cmsghdr struct {
	Len   uint64 // of header and data, without padding
	Level int32
	Type  int32
}

type SocketControlMessage struct {
	Header Cmsghdr
	Data   []byte
}

func cmsgAlign(length int) int { return (length + 7) &^ 7 }

func CmsgLen(datalen int) int { return cmsgHeaderSize + datalen }

func CmsgSpace(datalen int) int { return cmsgHeaderSize + cmsgAlign(datalen) }

// UnixRights makes the message that carries descriptors.
func UnixRights(fds ...int) []byte {
	b, data := addControlSpace(nil, SOL_SOCKET, SCM_RIGHTS, 4*len(fds))
	for i, fd := range fds {
		putInt(data[4*i:], uint64(fd), 4)
	}
	return b
}

func ParseSocketControlMessage(b []byte) (messages []SocketControlMessage, err error) {
	for len(b) >= cmsgHeaderSize {
		length := readIntLE(b, 8)
		if length < cmsgHeaderSize || length > uint64(len(b)) {
			return nil, EINVAL
		}
		header := Cmsghdr{Len: length, Level: int32(readIntLE(b[8:], 4)),
			Type: int32(readIntLE(b[12:], 4))}
		messages = append(messages, SocketControlMessage{header, b[cmsgHeaderSize:length]})
		b = b[min(cmsgAlign(int(length)), len(b)):]
	}
	return messages, nil
}

func ParseUnixRights(m *SocketControlMessage) ([]int, error) {
	if m.Header.Level != SOL_SOCKET || m.Header.Type != SCM_RIGHTS {
		return nil, EINVAL
	}
	fds := make([]int, len(m.Data)/4)
	for i := range fds {
		fds[i] = int(int32(readIntLE(m.Data[4*i:], 4)))
	}
	return fds, nil
}
