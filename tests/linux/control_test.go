//go:build linux

package linux

import (
	. "syscall"
	"testing"
	"unsafe"
)

const (
	soTimestampNs = 35
	udpSegment    = 103
)

// udp makes a socket with a name.
func (s *script) udp(family uintptr) (fd uintptr, name Sockaddr) {
	fd = s.open("socket", SYS_SOCKET, family, SOCK_DGRAM|SOCK_NONBLOCK, 0)
	var sa Sockaddr = &SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if family == AF_INET6 {
		sa = &SockaddrInet6{}
	}
	if err := Bind(int(fd), sa); err != nil {
		s.Fatal(err)
	}
	name, err := Getsockname(int(fd))
	if err != nil {
		s.Fatal(err)
	}
	return fd, name
}

func (s *script) option(what string, fd uintptr, level, name, value int) {
	if err := SetsockoptInt(int(fd), level, name, value); err != nil {
		s.say("%s: %s", what, named(err.(Errno)))
	}
}

// interfaceOf sets the interface that the packets of a socket leave by.
func (s *script) interfaceOf(what string, fd uintptr, index uint32) {
	info := &Inet6Pktinfo{Ifindex: index}
	_, _, err := Syscall6(SYS_SETSOCKOPT, fd, IPPROTO_IPV6, IPV6_PKTINFO, pointer(s, info),
		SizeofInet6Pktinfo, 0)
	if err != 0 {
		s.say("%s: %s", what, named(err))
	}
}

func controlOf(level, kind int32, data ...byte) []byte {
	b := make([]byte, CmsgSpace(len(data)))
	h := (*Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(CmsgLen(len(data)))
	copy(b[CmsgLen(0):], data)
	return b
}

// send sends a datagram with control messages.
func (s *script) send(what string, fd uintptr, data string, control []byte, to Sockaddr) {
	n, err := SendmsgN(int(fd), []byte(data), control, to, 0)
	if err != nil {
		s.say("%s: %s", what, named(err.(Errno)))
		return
	}
	s.say("%s: %d", what, n)
}

// arrived receives datagrams, with as many bytes of control data, until there are none.
func (s *script) arrived(fd uintptr, room int) {
	for {
		p, oob := make([]byte, 64), make([]byte, room)
		n, oobn, flags, from, err := Recvmsg(int(fd), p, oob, 0)
		if err != nil {
			return
		}
		flags &^= MSG_CMSG_CLOEXEC
		s.say("%q, flags %#x, %d bytes of control%s", p[:n], flags, oobn, addressText(from))
		messages, _ := ParseSocketControlMessage(oob[:oobn])
		for _, m := range messages {
			h := m.Header
			if h.Level == SOL_SOCKET && h.Type != SCM_RIGHTS {
				s.say("  %d %d: %d bytes", h.Level, h.Type, len(m.Data))
			} else {
				s.say("  %d %d: %x", h.Level, h.Type, m.Data)
			}
		}
	}
}

func addressText(sa Sockaddr) string {
	switch sa := sa.(type) {
	case *SockaddrInet4:
		return " from 127.0.0." + string('0'+sa.Addr[3])
	case *SockaddrInet6:
		return " from ::" + string('0'+sa.Addr[15])
	}
	return ""
}

// What the options of a socket ask for comes with each datagram.
func TestPacketControl(t *testing.T) {
	scripted(t, func(s *script) {
		to, name := s.udp(AF_INET)
		from, _ := s.udp(AF_INET)
		s.send("nothing asked for", from, "a", nil, name)
		s.arrived(to, 256)
		s.option("packet info", to, IPPROTO_IP, IP_PKTINFO, 1)
		s.option("hop limit", to, IPPROTO_IP, IP_RECVTTL, 1)
		s.option("class", to, IPPROTO_IP, IP_RECVTOS, 1)
		s.option("time", to, SOL_SOCKET, SO_TIMESTAMP, 1)
		s.send("plain", from, "b", nil, name)
		s.arrived(to, 256)
		s.option("finer time", to, SOL_SOCKET, soTimestampNs, 1)
		s.option("class of all", from, IPPROTO_IP, IP_TOS, 0x28)
		s.option("hops of all", from, IPPROTO_IP, IP_TTL, 9)
		s.send("as the sender has it", from, "c", nil, name)
		control := controlOf(IPPROTO_IP, IP_TOS, 3, 0, 0, 0)
		control = append(control, controlOf(IPPROTO_IP, IP_TTL, 77, 0, 0, 0)...)
		control = append(control, controlOf(IPPROTO_IP, IP_PKTINFO, 0, 0, 0, 0,
			127, 0, 0, 5, 0, 0, 0, 0)...)
		s.send("as the message says", from, "d", control, name)
		s.arrived(to, 256)
		s.option("no time", to, SOL_SOCKET, soTimestampNs, 0)
		s.send("cut", from, "e", control, name)
		s.arrived(to, 40)
		s.send("no room", from, "f", control, name)
		s.arrived(to, 0)
		s.send("no hops", from, "x", controlOf(IPPROTO_IP, IP_TTL, 0, 0, 0, 0), name)
		s.send("too few bytes", from, "x", controlOf(IPPROTO_IP, IP_TTL, 9), name)
		s.send("another kind", from, "x", controlOf(IPPROTO_IP, 99, 0, 0, 0, 0), name)
		s.send("another kind of UDP", from, "x", controlOf(IPPROTO_UDP, 99, 1, 0), name)
		s.send("no interface", from, "x", controlOf(IPPROTO_IP, IP_PKTINFO, 99, 9, 9, 9,
			127, 0, 0, 5, 0, 0, 0, 0), name)
		s.arrived(to, 256)
	})
}

func TestPacketControl6(t *testing.T) {
	scripted(t, func(s *script) {
		to, name := s.udp(AF_INET6)
		port := name.(*SockaddrInet6).Port
		for _, name := range []int{IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS} {
			s.option("option", to, IPPROTO_IPV6, name, 1)
		}
		s.option("class", to, IPPROTO_IP, IP_RECVTOS, 1)
		from, _ := s.udp(AF_INET6)
		six := &SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}
		s.send("plain", from, "a", nil, six)
		control := controlOf(IPPROTO_IPV6, IPV6_TCLASS, 2, 0, 0, 0)
		control = append(control, controlOf(IPPROTO_IPV6, IPV6_HOPLIMIT, 5, 0, 0, 0)...)
		s.send("with control", from, "b", control, six)
		four := &SockaddrInet6{Port: port}
		copy(four.Addr[10:], []byte{0xff, 0xff, 127, 0, 0, 1})
		s.send("by IPv4", from, "c", controlOf(IPPROTO_IP, IP_TOS, 1), four)
		s.send("too many hops", from, "x", controlOf(IPPROTO_IPV6, IPV6_HOPLIMIT, 0, 1, 0,
			0), six)
		s.interfaceOf("an interface", from, 1)
		s.send("by it", from, "d", nil, six)
		s.interfaceOf("none of that number", from, 99)
		s.send("by that", from, "x", nil, six)
		s.send("by another one", from, "e", controlOf(IPPROTO_IPV6, IPV6_PKTINFO,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), six)
		s.send("by IPv4", from, "f", nil, four)
		s.option("not as a number", from, IPPROTO_IPV6, IPV6_PKTINFO, 1)
		s.arrived(to, 256)
	})
}

func TestPacketSegments(t *testing.T) {
	scripted(t, func(s *script) {
		to, name := s.udp(AF_INET)
		from, _ := s.udp(AF_INET)
		s.send("three", from, "0123456789", controlOf(IPPROTO_UDP, udpSegment, 4, 0), name)
		s.send("one", from, "0123456789", controlOf(IPPROTO_UDP, udpSegment, 40, 0), name)
		s.send("too many", from, string(make([]byte, 1000)), controlOf(IPPROTO_UDP,
			udpSegment, 4, 0), name)
		s.option("of all", from, IPPROTO_UDP, udpSegment, 6)
		s.send("two", from, "0123456789", nil, name)
		s.arrived(to, 0)
	})
}

func TestUnixControl(t *testing.T) {
	scripted(t, func(s *script) {
		for _, kind := range []uintptr{SOCK_STREAM, SOCK_DGRAM} {
			a, b := s.pair(kind)
			ucred, err := GetsockoptUcred(int(a), SOL_SOCKET, SO_PEERCRED)
			s.say("%v, %v", err == nil && int(ucred.Pid) == Getpid(),
				err == nil && int(ucred.Uid) == Getuid())
			s.option("credentials", b, SOL_SOCKET, SO_PASSCRED, 1)
			s.send("plain", a, "a", nil, nil)
			s.arrived(b, 256)
			s.send("said", a, "b", UnixCredentials(&Ucred{Pid: int32(Getpid()),
				Uid: uint32(Getuid()), Gid: uint32(Getgid())}), nil)
			s.arrived(b, 256)
			s.close("close", a)
			s.close("close", b)
		}
	})
}
