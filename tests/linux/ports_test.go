//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	. "syscall"
	"testing"
)

const soReusePort = 15

// bound gives a socket of an address, which may share it, or says why there is none.
func (s *script) bound(what string, kind int, address Sockaddr, shared int) (fd int, ok bool) {
	fd, err := Socket(AF_INET, kind|SOCK_NONBLOCK, 0)
	if err == nil && shared != 0 {
		err = SetsockoptInt(fd, SOL_SOCKET, soReusePort, shared)
	}
	if err == nil {
		err = Bind(fd, address)
	}
	if err == nil && kind == SOCK_STREAM {
		err = Listen(fd, 64)
	}
	s.say("%s: %v", what, err)
	return fd, err == nil
}

// Sockets that all want it share a port, and each of them is asked.
func TestSharedPort(t *testing.T) {
	scripted(t, func(s *script) {
		first, _ := s.bound("first", SOCK_STREAM,
			&SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 1)
		name, err := Getsockname(first)
		if err != nil {
			s.Fatal(err)
		}
		address := name.(*SockaddrInet4)
		s.bound("one that does not share", SOCK_STREAM, address, 0)
		s.bound("all addresses, not shared", SOCK_STREAM,
			&SockaddrInet4{Port: address.Port}, 0)
		second, _ := s.bound("second", SOCK_STREAM, address, 1)
		counts := s.connect(address, first, second)
		s.say("all: %t, each: %t", counts[0]+counts[1] == connections,
			counts[0] > 0 && counts[1] > 0)
		if err := Close(first); err != nil {
			s.Fatal(err)
		}
		s.say("the second alone: %d", s.connect(address, second)[0])
		s.bound("third", SOCK_STREAM, address, 1)
		s.bound("another that does not share", SOCK_STREAM, address, 0)
	})
}

const connections = 60

// connect makes connections and counts those that come to each of the listeners.
func (s *script) connect(to *SockaddrInet4, listeners ...int) (counts []int) {
	counts = make([]int, len(listeners))
	for range connections {
		c, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", to.Port))
		if err != nil {
			s.Fatal(err)
		}
		defer c.Close()
	}
	for i, listener := range listeners {
		for {
			fd, _, err := Accept(listener)
			if errors.Is(err, EAGAIN) {
				break
			}
			if err != nil {
				s.Fatal(err)
			}
			counts[i]++
			Close(fd)
		}
	}
	return counts
}

// A server starts anew on its port before the old one has ended.
func TestSharedPortTakenOver(t *testing.T) {
	config := net.ListenConfig{Control: func(_, _ string, c RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) {
			err = SetsockoptInt(int(fd), SOL_SOCKET, soReusePort, 1)
		}), err)
	}}
	old, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := config.Listen(context.Background(), "tcp", old.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	old.Close()
	c, err := net.Dial("tcp", fresh.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fresh.Accept(); err != nil {
		t.Fatal(err)
	}
}
