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

// delivered are the options of which data comes. A socket keeps a bit for each.
var delivered = [...]option{
	givesTime:        {SOL_SOCKET, SO_TIMESTAMP},
	givesNanoseconds: {SOL_SOCKET, SO_TIMESTAMPNS},
	givesCredentials: {SOL_SOCKET, SO_PASSCRED},
	givesTarget4:     {IPPROTO_IP, IP_PKTINFO},
	givesHops4:       {IPPROTO_IP, IP_RECVTTL},
	givesClass4:      {IPPROTO_IP, IP_RECVTOS},
	givesTarget6:     {IPPROTO_IPV6, IPV6_RECVPKTINFO},
	givesHops6:       {IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
	givesClass6:      {IPPROTO_IPV6, IPV6_RECVTCLASS},
}

const (
	givesTime = iota
	givesNanoseconds
	givesCredentials
	givesTarget4
	givesHops4
	givesClass4
	givesTarget6
	givesHops6
	givesClass6
)

// ask refuses an option of which nothing would come, and notes one of which something does, or of
// which nothing shall come any more.
func (s *socket) ask(o option, on bool) Errno {
	what := indexOf(delivered[:], o)
	stamps := what == givesTime || what == givesNanoseconds
	if on && (indexOf(undelivered[:], o) >= 0 || stamps && s.streams()) {
		return ENOPROTOOPT // the bytes of a stream have no time
	}
	if on && stamps { // only one of the two kinds comes
		for _, kind := range [...]int{givesTime, givesNanoseconds} {
			delete(s.options, delivered[kind])
			s.asks.And(^uint32(1 << kind))
		}
	}
	switch {
	case what >= 0 && on:
		s.asks.Or(1 << what)
	case what >= 0:
		s.asks.And(^uint32(1 << what))
	}
	return 0
}

func indexOf(list []option, o option) int {
	for i, other := range list {
		if o == other {
			return i
		}
	}
	return -1
}

func (s *socket) has(level, name int) bool { return s.options[option{level, name}] != 0 }

// ---- receiving
// ------------------------------------------------------------------------------------------

// controlOf makes what the options ask for of a datagram: control messages, one after the other.
func (s *socket) controlOf(d *datagram) (all []byte) {
	asks := s.asks.Load()
	if asks == 0 {
		return nil
	}
	asked := func(what int) bool { return asks&(1<<what) != 0 }
	if asked(givesTime) {
		all = addControl(all, SOL_SOCKET, SO_TIMESTAMP, NsecToTimeval(d.head.at))
	}
	if asked(givesNanoseconds) {
		all = addControl(all, SOL_SOCKET, SO_TIMESTAMPNS, NsecToTimespec(d.head.at))
	}
	if s.family == AF_UNIX {
		return s.addCredentials(all)
	}
	if s.family == AF_INET6 && asked(givesTarget6) {
		all = addControl(all, IPPROTO_IPV6, IPV6_PKTINFO, Inet6Pktinfo{Addr: d.head.to.addr,
			Ifindex: loopbackIndex})
	}
	if !d.head.to.isMapped() {
		if asked(givesHops6) {
			all = addControl(all, IPPROTO_IPV6, IPV6_HOPLIMIT, int32(d.head.hops))
		}
		if asked(givesClass6) {
			all = addControl(all, IPPROTO_IPV6, IPV6_TCLASS, int32(d.head.class))
		}
		return all
	}
	if asked(givesTarget4) {
		to := [4]byte(d.head.to.addr[12:])
		all = addControl(all, IPPROTO_IP, IP_PKTINFO, Inet4Pktinfo{Ifindex: loopbackIndex,
			Spec_dst: to, Addr: to})
	}
	if asked(givesHops4) {
		all = addControl(all, IPPROTO_IP, IP_TTL, int32(d.head.hops))
	}
	if asked(givesClass4) {
		all = addControl(all, IPPROTO_IP, IP_TOS, byte(d.head.class))
	}
	return all
}

// addCredentials adds those of this process, because only it has the sockets.
func (s *socket) addCredentials(all []byte) []byte {
	if s.family != AF_UNIX || s.asks.Load()&(1<<givesCredentials) == 0 {
		return all
	}
	return addControl(all, SOL_SOCKET, SCM_CREDENTIALS, ownCredentials())
}

func ownCredentials() Ucred {
	return Ucred{Pid: int32(Getpid()), Uid: ownerUid, Gid: ownerGid}
}

// controlUsual is the length of what programs mostly ask for.
const controlUsual = 64

// addControl adds a control message.
func addControl[T any](all []byte, level, kind int, value T) []byte {
	if all == nil {
		all = make([]byte, 0, controlUsual)
	}
	size := int(unsafe.Sizeof(value))
	all, data := addControlSpace(all, level, kind, size)
	copy(data, unsafe.Slice((*byte)(unsafe.Pointer(&value)), size))
	return all
}

// addControlSpace adds a control message whose data is zero, and returns that too.
func addControlSpace(all []byte, level, kind, size int) (_, data []byte) {
	at := len(all)
	all = append(all, make([]byte, CmsgSpace(size))...)
	putInt(all[at:], uint64(CmsgLen(size)), 8)
	putInt(all[at+8:], uint64(level), 4)
	putInt(all[at+12:], uint64(kind), 4)
	return all, all[at+cmsgHeaderSize:]
}

// putControl writes what came with a message, as much as there is room for.
func (m *message) putControl(oob []byte) (n int, complete bool) {
	complete = true
	for left := m.control; len(left) > 0; {
		room := oob[n:]
		if len(room) < cmsgHeaderSize {
			complete = false
			break
		}
		whole := int(readIntLE(left, 8))
		space := CmsgSpace(whole - cmsgHeaderSize)
		length := min(whole, len(room))
		complete = complete && length == whole
		copy(room, left[:length])
		putInt(room, uint64(length), 8)
		n += min(space, len(room))
		left = left[space:]
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
