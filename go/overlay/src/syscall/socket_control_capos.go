// Control data of packets over IPv4 and IPv6: what a packet carries besides its bytes.
//
// Options of a socket ask for what the packets had that it receives: the address they were sent to,
// hop limit, traffic class, the time they came. Control messages give the same for one packet that
// is sent. An option that asks for anything else is refused, because a program that was told of
// success would wait for what never comes.

//go:build capos

package syscall

import (
	"internal/byteorder"
	"unsafe"
)

const (
	soWifiStatus      = 41
	soZeroCopy        = 60
	soTimestampNew    = 63
	soTimestampNsNew  = 64
	soTimestampingNew = 65
	soPassPidFd       = 76
	ipChecksum        = 23
	ipRecvFragSize    = 25
	ipv6FlowInfo      = 11
	ipv6RecvPathMTU   = 60
	ipv6RecvOrigin    = 74
	ipv6RecvFragSize  = 77
	udpSegment        = 103
	udpGRO            = 104
	tcpInQueue        = 36

	udpSegmentsMax = 64 // of one call
	hopsDefault    = 64
	loopbackIndex  = 1 // of the one interface
)

// A packetHead is what a packet carries besides its bytes.
type packetHead struct {
	to    endpoint
	hops  int
	class int
	at    int64 // when it came, ns since 1970
}

// A packetControl is what control messages say of a packet to send.
type packetControl struct {
	source  *[16]byte // nil: the socket's address
	hops    int       // 0: as the socket has it
	class   int       // counts if classed
	classed bool
	segment int // bytes of each of the packets that it is cut into; 0: as the socket has it

	leavesBy uint32 // interface; 0: as the socket has it
}

// A controlItem is a control message to be received.
type controlItem struct {
	level, kind int
	data        []byte
}

// ---- options
// ------------------------------------------------------------------------------------------

// undelivered are the options of which data would come that does not: of errors, headers, stamps of
// devices, packets that were put together.
var undelivered = [...]option{
	{SOL_SOCKET, SO_PASSSEC}, {SOL_SOCKET, SO_TIMESTAMPING}, {SOL_SOCKET, SO_RXQ_OVFL},
	{SOL_SOCKET, soWifiStatus}, {SOL_SOCKET, soZeroCopy}, {SOL_SOCKET, soTimestampNew},
	{SOL_SOCKET, soTimestampNsNew}, {SOL_SOCKET, soTimestampingNew},
	{SOL_SOCKET, soPassPidFd},
	{IPPROTO_IP, IP_RECVOPTS}, {IPPROTO_IP, IP_RETOPTS}, {IPPROTO_IP, IP_RECVERR},
	{IPPROTO_IP, IP_PASSSEC}, {IPPROTO_IP, IP_RECVORIGDSTADDR}, {IPPROTO_IP, ipChecksum},
	{IPPROTO_IP, ipRecvFragSize},
	{IPPROTO_IPV6, IPV6_2292PKTINFO}, {IPPROTO_IPV6, IPV6_2292HOPOPTS},
	{IPPROTO_IPV6, IPV6_2292DSTOPTS}, {IPPROTO_IPV6, IPV6_2292RTHDR},
	{IPPROTO_IPV6, IPV6_2292HOPLIMIT}, {IPPROTO_IPV6, ipv6FlowInfo},
	{IPPROTO_IPV6, IPV6_RECVERR}, {IPPROTO_IPV6, IPV6_RECVHOPOPTS},
	{IPPROTO_IPV6, IPV6_RECVRTHDR}, {IPPROTO_IPV6, IPV6_RECVDSTOPTS},
	{IPPROTO_IPV6, ipv6RecvPathMTU}, {IPPROTO_IPV6, ipv6RecvOrigin},
	{IPPROTO_IPV6, ipv6RecvFragSize},
	{IPPROTO_UDP, udpGRO}, {IPPROTO_TCP, tcpInQueue},
}

// delivered are the options of which data comes.
var delivered = [...]option{
	{SOL_SOCKET, SO_TIMESTAMP}, {SOL_SOCKET, SO_TIMESTAMPNS}, {SOL_SOCKET, SO_PASSCRED},
	{IPPROTO_IP, IP_PKTINFO}, {IPPROTO_IP, IP_RECVTTL}, {IPPROTO_IP, IP_RECVTOS},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO}, {IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
	{IPPROTO_IPV6, IPV6_RECVTCLASS},
}

// ask refuses an option of which nothing would come, and notes one of which something does.
func (s *socket) ask(o option) Errno {
	stamps := o == option{SOL_SOCKET, SO_TIMESTAMP} || o == option{SOL_SOCKET, SO_TIMESTAMPNS}
	if slicesContain(undelivered[:], o) || stamps && s.streams() {
		return ENOPROTOOPT // the bytes of a stream have no time
	}
	if slicesContain(delivered[:], o) {
		s.asks.Store(true)
	}
	if stamps { // only one of the two kinds comes
		delete(s.options, option{SOL_SOCKET, SO_TIMESTAMP})
		delete(s.options, option{SOL_SOCKET, SO_TIMESTAMPNS})
	}
	return 0
}

func slicesContain(list []option, o option) bool {
	for _, other := range list {
		if o == other {
			return true
		}
	}
	return false
}

func (s *socket) has(level, name int) bool { return s.options[option{level, name}] != 0 }

// ---- receiving
// ------------------------------------------------------------------------------------------

// controlOf makes what the options ask for of a datagram. The network is locked.
func (s *socket) controlOf(d *datagram) (items []controlItem) {
	if !s.asks.Load() {
		return nil
	}
	add := func(level, kind int, data []byte) {
		items = append(items, controlItem{level, kind, data})
	}
	if s.has(SOL_SOCKET, SO_TIMESTAMP) {
		add(SOL_SOCKET, SO_TIMESTAMP, bytesOf(NsecToTimeval(d.head.at)))
	}
	if s.has(SOL_SOCKET, SO_TIMESTAMPNS) {
		add(SOL_SOCKET, SO_TIMESTAMPNS, bytesOf(NsecToTimespec(d.head.at)))
	}
	if s.family == AF_UNIX {
		return append(items, s.credentials()...)
	}
	if s.family == AF_INET6 && s.has(IPPROTO_IPV6, IPV6_RECVPKTINFO) {
		add(IPPROTO_IPV6, IPV6_PKTINFO, bytesOf(Inet6Pktinfo{Addr: d.head.to.addr,
			Ifindex: loopbackIndex}))
	}
	if !d.head.to.isMapped() {
		if s.has(IPPROTO_IPV6, IPV6_RECVHOPLIMIT) {
			add(IPPROTO_IPV6, IPV6_HOPLIMIT, bytesOf(int32(d.head.hops)))
		}
		if s.has(IPPROTO_IPV6, IPV6_RECVTCLASS) {
			add(IPPROTO_IPV6, IPV6_TCLASS, bytesOf(int32(d.head.class)))
		}
		return items
	}
	if s.has(IPPROTO_IP, IP_PKTINFO) {
		to := [4]byte(d.head.to.addr[12:])
		add(IPPROTO_IP, IP_PKTINFO, bytesOf(Inet4Pktinfo{Ifindex: loopbackIndex,
			Spec_dst: to, Addr: to}))
	}
	if s.has(IPPROTO_IP, IP_RECVTTL) {
		add(IPPROTO_IP, IP_TTL, bytesOf(int32(d.head.hops)))
	}
	if s.has(IPPROTO_IP, IP_RECVTOS) {
		add(IPPROTO_IP, IP_TOS, []byte{byte(d.head.class)})
	}
	return items
}

// credentials are those of this process, because only it has the sockets.
func (s *socket) credentials() []controlItem {
	if s.family != AF_UNIX || !s.has(SOL_SOCKET, SO_PASSCRED) {
		return nil
	}
	return []controlItem{{SOL_SOCKET, SCM_CREDENTIALS, bytesOf(ownCredentials())}}
}

func ownCredentials() Ucred {
	return Ucred{Pid: int32(Getpid()), Uid: ownerUid, Gid: ownerGid}
}

func bytesOf[T any](value T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&value)), unsafe.Sizeof(value))
}

// putControl writes what came with a message, as much as there is room for.
func (m *message) putControl(oob []byte) (n int, complete bool) {
	complete = true
	for _, item := range m.control {
		room := oob[n:]
		if len(room) < cmsgHeaderSize {
			complete = false
			break
		}
		length := min(CmsgLen(len(item.data)), len(room))
		complete = complete && length == CmsgLen(len(item.data))
		putInt(room, uint64(length), 8)
		putInt(room[8:], uint64(item.level), 4)
		putInt(room[12:], uint64(item.kind), 4)
		copy(room[cmsgHeaderSize:length], item.data)
		n += min(CmsgSpace(len(item.data)), len(room))
	}
	rights, all := receiveRights(m.files, oob[n:])
	return n + rights, complete && all
}

// ---- sending
// ------------------------------------------------------------------------------------------

// packetToSend reads control messages for a socket of packets.
func packetToSend(oob []byte) (p packetControl, err error) {
	messages, err := ParseSocketControlMessage(oob)
	if err != nil {
		return p, err
	}
	for i := range messages {
		if e := p.take(&messages[i]); e != 0 {
			return p, e
		}
	}
	return p, nil
}

func (p *packetControl) take(m *SocketControlMessage) Errno {
	kind, size := int(m.Header.Type), len(m.Data)
	switch int(m.Header.Level) {
	case IPPROTO_IP:
		switch {
		case kind == IP_PKTINFO && size == SizeofInet4Pktinfo:
			info := *(*Inet4Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return p.from(mapped(info.Spec_dst), info.Ifindex)
		case kind == IP_TTL && size == 4:
			return p.setHops(int32(readIntLE(m.Data, 4)), 1)
		case kind == IP_TOS && (size == 4 || size == 1):
			return p.setClass(int32(readIntLE(m.Data, uintptr(size))))
		}
	case IPPROTO_IPV6:
		switch {
		case kind == IPV6_PKTINFO && size == SizeofInet6Pktinfo:
			info := *(*Inet6Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return p.from(info.Addr, int32(info.Ifindex))
		case kind == IPV6_HOPLIMIT && size == 4:
			return p.setHops(int32(readIntLE(m.Data, 4)), -1)
		case kind == IPV6_TCLASS && size == 4:
			return p.setClass(max(int32(readIntLE(m.Data, 4)), 0))
		}
	case IPPROTO_UDP:
		if kind == udpSegment && size == 2 {
			p.segment = int(byteorder.LEUint16(m.Data))
			return 0
		}
	}
	return EINVAL
}

// setInterface notes the interface that packets leave by which do not say it themselves. One that
// is not there is noticed when a packet is sent.
func (s *socket) setInterface(index uint32) Errno {
	if s.family != AF_INET6 {
		return ENOPROTOOPT
	}
	network.Lock()
	defer network.Unlock()
	s.leavesBy = index
	return 0
}

// mayLeave returns an error if there is no interface for a packet, which says one or 0.
func (s *socket) mayLeave(by uint32) Errno {
	switch {
	case by == 0:
		by = s.leavesBy
	case s.leavesBy != 0 && s.leavesBy != by:
		return EINVAL
	}
	if by != 0 && by != loopbackIndex {
		return ENETUNREACH
	}
	return 0
}

// from sets the address that the packet comes from, which has to be one of this machine.
func (p *packetControl) from(addr [16]byte, index int32) Errno {
	p.leavesBy = uint32(index)
	switch e := (endpoint{addr: addr}); {
	case index != 0 && index != loopbackIndex:
		return ENODEV
	case e.isWildcard():
		return 0
	case !e.isLoopback():
		return EINVAL
	}
	p.source = &addr
	return 0
}

func (p *packetControl) setHops(hops, least int32) Errno {
	if hops < least || hops > 255 {
		return EINVAL
	}
	p.hops = int(max(hops, 0))
	return 0
}

func (p *packetControl) setClass(class int32) Errno {
	if class < 0 || class > 255 {
		return EINVAL
	}
	p.class, p.classed = int(class), true
	return 0
}

// headOf is what a packet to that address carries.
func (s *socket) headOf(to endpoint, p *packetControl) packetHead {
	h := packetHead{to: to, hops: p.hops, class: p.class, at: nowNs()}
	hops, class := option{IPPROTO_IP, IP_TTL}, option{IPPROTO_IP, IP_TOS}
	if !to.isMapped() {
		hops = option{IPPROTO_IPV6, IPV6_UNICAST_HOPS}
		class = option{IPPROTO_IPV6, IPV6_TCLASS}
	}
	if !p.classed {
		h.class = max(s.options[class], 0)
	}
	if h.hops == 0 {
		h.hops = s.options[hops]
	}
	if h.hops <= 0 {
		h.hops = hopsDefault
	}
	return h
}

// segmentSize is how long the packets are that data is cut into.
func (s *socket) segmentSize(o *outgoing) (int, Errno) {
	size := o.packet.segment
	if size == 0 {
		size = s.options[option{IPPROTO_UDP, udpSegment}]
	}
	switch {
	case size <= 0 || size >= len(o.data):
		return max(len(o.data), 1), 0
	case len(o.data) > size*udpSegmentsMax:
		return 0, EINVAL
	}
	return size, 0
}
