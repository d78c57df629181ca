// Sockets. There is no network yet: no family is supported, and a program learns so when it asks for a socket. The types and
// constants are there for package net and for programs that name them.

//go:build capos

package syscall

import _ "unsafe" // for linkname

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

	MSG_PEEK  = 2
	MSG_TRUNC = 0x20

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

func Socket(domain, typ, proto int) (fd int, err error) { return -1, EAFNOSUPPORT }

func Socketpair(domain, typ, proto int) (fd [2]int, err error) { return [2]int{-1, -1}, EAFNOSUPPORT }

// notSocket answers every operation on a descriptor that cannot be a socket.
func notSocket(fd int) error {
	if descriptor(fd) == nil {
		return EBADF
	}
	return ENOTSOCK
}

func Bind(fd int, sa Sockaddr) error                    { return notSocket(fd) }
func Connect(fd int, sa Sockaddr) error                 { return notSocket(fd) }
func Listen(fd int, backlog int) error                  { return notSocket(fd) }
func Accept(fd int) (nfd int, sa Sockaddr, err error)   { return -1, nil, notSocket(fd) }
func Getsockname(fd int) (sa Sockaddr, err error)       { return nil, notSocket(fd) }
func Getpeername(fd int) (sa Sockaddr, err error)       { return nil, notSocket(fd) }
func Shutdown(fd int, how int) error                    { return notSocket(fd) }
func GetsockoptInt(fd, level, opt int) (int, error)     { return -1, notSocket(fd) }
func SetsockoptInt(fd, level, opt int, value int) error { return notSocket(fd) }

func Accept4(fd int, flags int) (nfd int, sa Sockaddr, err error) { return -1, nil, notSocket(fd) }

func SetsockoptByte(fd, level, opt int, value byte) error         { return notSocket(fd) }
func SetsockoptString(fd, level, opt int, s string) error         { return notSocket(fd) }
func SetsockoptTimeval(fd, level, opt int, tv *Timeval) error     { return notSocket(fd) }
func SetsockoptLinger(fd, level, opt int, l *Linger) error        { return notSocket(fd) }
func SetsockoptInet4Addr(fd, level, opt int, value [4]byte) error { return notSocket(fd) }
func SetsockoptIPMreq(fd, level, opt int, mreq *IPMreq) error     { return notSocket(fd) }
func SetsockoptIPv6Mreq(fd, level, opt int, mreq *IPv6Mreq) error { return notSocket(fd) }

func Recvfrom(fd int, p []byte, flags int) (n int, from Sockaddr, err error) {
	return -1, nil, notSocket(fd)
}

func Recvmsg(fd int, p, oob []byte, flags int) (n, oobn, recvflags int, from Sockaddr, err error) {
	return -1, 0, 0, nil, notSocket(fd)
}

func Sendto(fd int, p []byte, flags int, to Sockaddr) error { return notSocket(fd) }

func Sendmsg(fd int, p, oob []byte, to Sockaddr, flags int) error { return notSocket(fd) }

func SendmsgN(fd int, p, oob []byte, to Sockaddr, flags int) (n int, err error) {
	return -1, notSocket(fd)
}

// ---- the forms package internal/poll uses, which allocate no addresses -------------------------------------------------

//go:linkname recvfromInet4
func recvfromInet4(fd int, p []byte, flags int, from *SockaddrInet4) (int, error) {
	return -1, notSocket(fd)
}

//go:linkname recvfromInet6
func recvfromInet6(fd int, p []byte, flags int, from *SockaddrInet6) (int, error) {
	return -1, notSocket(fd)
}

//go:linkname recvmsgInet4
func recvmsgInet4(fd int, p, oob []byte, flags int, from *SockaddrInet4) (n, oobn, recvflags int, err error) {
	return -1, 0, 0, notSocket(fd)
}

//go:linkname recvmsgInet6
func recvmsgInet6(fd int, p, oob []byte, flags int, from *SockaddrInet6) (n, oobn, recvflags int, err error) {
	return -1, 0, 0, notSocket(fd)
}

//go:linkname sendtoInet4
func sendtoInet4(fd int, p []byte, flags int, to *SockaddrInet4) error { return notSocket(fd) }

//go:linkname sendtoInet6
func sendtoInet6(fd int, p []byte, flags int, to *SockaddrInet6) error { return notSocket(fd) }

//go:linkname sendmsgNInet4
func sendmsgNInet4(fd int, p, oob []byte, to *SockaddrInet4, flags int) (int, error) {
	return -1, notSocket(fd)
}

//go:linkname sendmsgNInet6
func sendmsgNInet6(fd int, p, oob []byte, to *SockaddrInet6, flags int) (int, error) {
	return -1, notSocket(fd)
}

// ---- control messages ---------------------------------------------------------------------------------------------------

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
	b := make([]byte, CmsgSpace(4*len(fds)))
	putInt(b, uint64(CmsgLen(4*len(fds))), 8)
	putInt(b[8:], SOL_SOCKET, 4)
	putInt(b[12:], SCM_RIGHTS, 4)
	for i, fd := range fds {
		putInt(b[cmsgHeaderSize+4*i:], uint64(fd), 4)
	}
	return b
}

func ParseSocketControlMessage(b []byte) (messages []SocketControlMessage, err error) {
	for len(b) >= cmsgHeaderSize {
		length := readIntLE(b, 8)
		if length < cmsgHeaderSize || length > uint64(len(b)) {
			return nil, EINVAL
		}
		header := Cmsghdr{Len: length, Level: int32(readIntLE(b[8:], 4)), Type: int32(readIntLE(b[12:], 4))}
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
