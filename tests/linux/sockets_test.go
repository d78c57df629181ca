//go:build linux

package linux

import (
	. "syscall"
	"testing"
	"time"
	"unsafe"
)

func (s *script) pair(kind uintptr) (a, b uintptr) {
	ends := new([2]int32)
	s.call("socketpair", SYS_SOCKETPAIR, AF_UNIX, kind|SOCK_NONBLOCK, 0, pointer(s, ends))
	return uintptr(ends[0]), uintptr(ends[1])
}

func TestSocketPairEvents(t *testing.T) {
	scripted(t, func(s *script) {
		for _, kind := range []uintptr{SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET} {
			a, b := s.pair(kind)
			s.poll("new", a)
			s.write("write", b, "abc")
			s.poll("bytes", a)
			s.call("shutdown", SYS_SHUTDOWN, b, SHUT_WR)
			s.poll("bytes and end", a)
			s.poll("ended writing", b)
			s.read("read", a, 9)
			s.poll("end", a)
			s.call("shutdown", SYS_SHUTDOWN, b, SHUT_RD)
			s.poll("both ends", a)
			s.close("close", b)
			s.poll("closed", a)
			s.close("close", a)
		}
		a, b := s.pair(SOCK_STREAM)
		s.write("write", a, "abc")
		s.close("close with bytes", b)
		s.poll("lost bytes", a)
		s.close("close", a)
	})
}

func TestSocketEdges(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		a, b := s.pair(SOCK_STREAM)
		s.add(set, a, evIn|evOut|evReadHup|edge, 'a')
		s.wait(set, 4)
		s.wait(set, 4)
		s.write("write", b, "abc")
		s.wait(set, 4)
		s.write("write", b, "abc")
		s.wait(set, 4)
		s.read("read", a, 2)
		s.wait(set, 4)
		s.call("shutdown", SYS_SHUTDOWN, b, SHUT_WR)
		s.wait(set, 4)
		s.wait(set, 4)
		s.close("close", b)
		s.wait(set, 4)
		s.close("close", a)
		c, d := s.pair(SOCK_DGRAM)
		s.add(set, c, evOut|edge, 'c')
		s.wait(set, 4)
		s.write("write", d, "abc")
		s.wait(set, 4)
		s.close("close", c)
		s.close("close", d)
	})
}

// tcp makes a connection to a listener.
func (s *script) tcp() (listener, client, server uintptr) {
	addr := &RawSockaddrInet4{Family: AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	size := new(uint32)
	*size = SizeofSockaddrInet4
	listener = s.open("socket", SYS_SOCKET, AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0)
	s.poll("new", listener)
	s.call("bind", SYS_BIND, listener, pointer(s, addr), SizeofSockaddrInet4)
	s.call("listen", SYS_LISTEN, listener, 4)
	s.poll("listens", listener)
	s.call("getsockname", SYS_GETSOCKNAME, listener, pointer(s, addr), pointer(s, size))
	client = s.open("socket", SYS_SOCKET, AF_INET, SOCK_STREAM, 0)
	s.call("connect", SYS_CONNECT, client, pointer(s, addr), SizeofSockaddrInet4)
	s.poll("a connection waits", listener)
	server = s.open("accept", SYS_ACCEPT4, listener, 0, 0, SOCK_NONBLOCK)
	s.poll("none waits", listener)
	return listener, client, server
}

func TestTCPEvents(t *testing.T) {
	scripted(t, func(s *script) {
		listener, client, server := s.tcp()
		s.poll("connected", server)
		s.write("write", client, "abc")
		s.poll("bytes", server)
		s.read("read", server, 9)
		s.call("shutdown", SYS_SHUTDOWN, client, SHUT_WR)
		s.poll("end", server)
		s.poll("ended writing", client)
		s.call("shutdown", SYS_SHUTDOWN, server, SHUT_WR)
		s.poll("both ended", server)
		s.close("close", server)
		s.close("close", client)
		s.close("close", listener)
	})
}

// lingers says what SO_LINGER is, after what else it has been.
func (s *script) lingers(socket uintptr) {
	for _, l := range []Linger{{}, {Onoff: 2, Linger: 7}, {Linger: 9}, {Onoff: 1}} {
		s.call("set", SYS_SETSOCKOPT, socket, SOL_SOCKET, SO_LINGER, pointer(s, &l),
			SizeofLinger)
		got, size := new(Linger), new(uint32)
		*size = SizeofLinger
		s.call("get", SYS_GETSOCKOPT, socket, SOL_SOCKET, SO_LINGER, pointer(s, got),
			pointer(s, size))
		s.say("%d %d in %d bytes", got.Onoff, got.Linger, *size)
	}
}

// number takes an option for a number that has a larger value.
func (s *script) number(fd, level, name uintptr) {
	value, size := new(int32), new(uint32)
	*size = 4
	s.call("get", SYS_GETSOCKOPT, fd, level, name, pointer(s, value), pointer(s, size))
	s.say("%d in %d bytes", *value, *size)
	s.call("set", SYS_SETSOCKOPT, fd, level, name, pointer(s, value), 4)
}

// limit sets a time-out of a socket and reads it back.
func (s *script) limit(fd, name uintptr, tv Timeval) {
	s.call("set", SYS_SETSOCKOPT, fd, SOL_SOCKET, name, pointer(s, &tv), unsafe.Sizeof(tv))
	got, size := new(Timeval), new(uint32)
	*size = uint32(unsafe.Sizeof(*got))
	s.call("get", SYS_GETSOCKOPT, fd, SOL_SOCKET, name, pointer(s, got), pointer(s, size))
	s.say("%d s %d us in %d bytes", got.Sec, got.Usec, *size)
}

// takes says whether a call has taken as long as the time-out.
func (s *script) takes(least time.Duration, call func()) {
	begin := time.Now()
	call()
	s.say("waited: %v", time.Since(begin) >= least)
}

// A call that may block ends after the time that the socket's options say.
func TestSocketTimeouts(t *testing.T) {
	const limit = 40 * time.Millisecond
	tv := NsecToTimeval(int64(limit))
	scripted(t, func(s *script) {
		for _, kind := range []uintptr{SOCK_STREAM, SOCK_DGRAM} {
			ends := new([2]int32)
			s.call("socketpair", SYS_SOCKETPAIR, AF_UNIX, kind, 0, pointer(s, ends))
			a, b := uintptr(ends[0]), uintptr(ends[1])
			s.limit(a, SO_RCVTIMEO, tv)
			s.limit(a, SO_SNDTIMEO, tv)
			s.takes(limit, func() { s.read("nothing came", a, 9) })
			s.write("write", b, "abc")
			s.read("read", a, 9)
			block, filled := make([]byte, 4096), Errno(0)
			s.takes(limit, func() {
				write := []uintptr{a, pointer(s, &block[0]), uintptr(len(block))}
				for filled == 0 {
					_, filled = raw(SYS_WRITE, write)
				}
			})
			s.say("full: %s", named(filled))
			s.limit(a, SO_RCVTIMEO, Timeval{})
			s.call("too many us", SYS_SETSOCKOPT, a, SOL_SOCKET, SO_RCVTIMEO,
				pointer(s, &Timeval{Usec: 1e6}), unsafe.Sizeof(tv))
			s.call("too short", SYS_SETSOCKOPT, a, SOL_SOCKET, SO_RCVTIMEO,
				pointer(s, &tv), 8)
			s.close("close", a)
			s.close("close", b)
		}
		addr := &RawSockaddrInet4{Family: AF_INET, Addr: [4]byte{127, 0, 0, 1}}
		listener := s.open("socket", SYS_SOCKET, AF_INET, SOCK_STREAM, 0)
		s.call("bind", SYS_BIND, listener, pointer(s, addr), SizeofSockaddrInet4)
		s.call("listen", SYS_LISTEN, listener, 1)
		s.limit(listener, SO_RCVTIMEO, tv)
		s.takes(limit, func() { s.call("accept", SYS_ACCEPT4, listener, 0, 0, 0) })
		size := new(uint32)
		*size = SizeofSockaddrInet4
		s.call("getsockname", SYS_GETSOCKNAME, listener, pointer(s, addr), pointer(s, size))
		client := s.open("socket", SYS_SOCKET, AF_INET, SOCK_STREAM, 0)
		s.limit(client, SO_SNDTIMEO, Timeval{Sec: 7})
		s.call("connect", SYS_CONNECT, client, pointer(s, addr), SizeofSockaddrInet4)
		server := s.open("accept", SYS_ACCEPT4, listener, 0, 0, 0)
		s.write("write", client, "abc")
		s.read("read", server, 9)
	})
}

func TestTCPReset(t *testing.T) {
	scripted(t, func(s *script) {
		listener, client, server := s.tcp()
		s.call("linger", SYS_SETSOCKOPT, client, SOL_SOCKET, SO_LINGER,
			pointer(s, &Linger{Onoff: 1}), SizeofLinger)
		s.lingers(client)
		s.limit(client, SO_RCVTIMEO, Timeval{Sec: 7})
		s.number(client, SOL_SOCKET, SO_LINGER)
		s.number(client, SOL_SOCKET, SO_RCVTIMEO)
		s.call("set", SYS_SETSOCKOPT, client, IPPROTO_TCP, TCP_INFO,
			pointer(s, new(int32)), 4)
		s.close("close", client)
		s.poll("reset", server)
		value, size := new(int32), new(uint32)
		*size = 4
		s.call("error", SYS_GETSOCKOPT, server, SOL_SOCKET, SO_ERROR, pointer(s, value),
			pointer(s, size))
		s.say("%s", named(Errno(*value)))
		s.poll("told", server)
		s.read("read", server, 9)
		addr := &RawSockaddrInet4{Family: AF_INET, Addr: [4]byte{127, 0, 0, 1}}
		*size = SizeofSockaddrInet4
		s.call("getsockname", SYS_GETSOCKNAME, listener, pointer(s, addr), pointer(s, size))
		s.close("close", listener)
		s.close("close", server)
		again := s.open("socket", SYS_SOCKET, AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0)
		s.call("connect", SYS_CONNECT, again, pointer(s, addr), SizeofSockaddrInet4)
		s.poll("refused", again)
	})
}

func TestUDPEvents(t *testing.T) {
	scripted(t, func(s *script) {
		size := new(uint32)
		addr := &RawSockaddrInet4{Family: AF_INET, Addr: [4]byte{127, 0, 0, 1}}
		a := s.open("socket", SYS_SOCKET, AF_INET, SOCK_DGRAM|SOCK_NONBLOCK, 0)
		b := s.open("socket", SYS_SOCKET, AF_INET, SOCK_DGRAM|SOCK_NONBLOCK, 0)
		s.call("bind", SYS_BIND, a, pointer(s, addr), SizeofSockaddrInet4)
		*size = SizeofSockaddrInet4
		s.call("getsockname", SYS_GETSOCKNAME, a, pointer(s, addr), pointer(s, size))
		s.poll("new", a)
		set := s.epoll()
		s.add(set, a, evIn|edge, 'a')
		s.call("connect", SYS_CONNECT, b, pointer(s, addr), SizeofSockaddrInet4)
		s.write("write", b, "abc")
		s.wait(set, 2)
		s.write("write", b, "abc")
		s.wait(set, 2)
		s.read("read", a, 9)
		s.wait(set, 2)
		s.poll("one more", a)
		s.close("close", a)
		s.write("write", b, "abc")
		s.poll("none there", b)
		s.read("read", b, 9)
		s.poll("told", b)
	})
}
