//go:build capos

package system

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// listenWith returns a listener with a backlog, and its address.
func listenWith(t *testing.T, network string, backlog int) (l net.Listener, address string) {
	t.Helper()
	var fd int
	var local syscall.Sockaddr
	if network == "tcp" {
		fd = must[int](t)(syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0))
		local = &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	} else {
		kind := syscall.SOCK_STREAM
		if network == "unixpacket" {
			kind = syscall.SOCK_SEQPACKET
		}
		fd = must[int](t)(syscall.Socket(syscall.AF_UNIX, kind, 0))
		local = &syscall.SockaddrUnix{Name: filepath.Join(t.TempDir(), "socket")}
	}
	for _, err := range []error{syscall.Bind(fd, local), syscall.Listen(fd, backlog),
		syscall.SetNonblock(fd, true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l = must[net.Listener](t)(net.FileListener(f))
	t.Cleanup(func() { l.Close() })
	return l, l.Addr().String()
}

// A caller that connects to a listener with a full queue waits, and is served in turn.
func TestFullBacklogMakesDialsWait(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "unixpacket"} {
		const backlog, dials = 3, 40
		l, address := listenWith(t, network, backlog)
		done := make(chan error, dials)
		for range dials {
			go func() {
				c, err := net.Dial(network, address)
				if err == nil {
					defer c.Close()
					c.SetDeadline(soon())
					_, err = c.Write([]byte("x"))
				}
				if err == nil {
					_, err = io.ReadFull(c, make([]byte, 1))
				}
				done <- err
			}()
		}
		time.Sleep(50 * time.Millisecond) // the queue fills
		for range dials {
			l.(interface{ SetDeadline(time.Time) error }).SetDeadline(soon())
			c := must[net.Conn](t)(l.Accept())
			go func() {
				defer c.Close()
				c.Read(make([]byte, 1))
				c.Write([]byte("y"))
			}()
		}
		for range dials {
			if err := <-done; err != nil {
				t.Errorf("%s: %v", network, err)
			}
		}
	}
}

// A dial that waits ends at its deadline, or when the listener closes, and leaves nothing behind.
func TestWaitingDialsEnd(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		l, address := listenWith(t, network, 0)
		first := must[net.Conn](t)(net.Dial(network, address))
		defer first.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		var dialer net.Dialer
		if c, err := dialer.DialContext(ctx, network, address); err == nil {
			c.Close()
			t.Errorf("%s: a dial beyond the backlog succeeds", network)
		} else if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err,
			context.DeadlineExceeded) {
			t.Errorf("%s: %v", network, err)
		}
		cancel()
		refused := make(chan error)
		go func() {
			_, err := net.Dial(network, address)
			refused <- err
		}()
		time.Sleep(20 * time.Millisecond)
		l.Close()
		if err := <-refused; !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", network, err)
		}
	}
}

// A connect that may block waits by itself.
func TestBlockingConnectWaits(t *testing.T) {
	name := filepath.Join(t.TempDir(), "socket")
	address := &syscall.SockaddrUnix{Name: name}
	socket := func() int {
		fd := must[int](t)(syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0))
		t.Cleanup(func() { syscall.Close(fd) })
		return fd
	}
	l := socket()
	if err := errors.Join(syscall.Bind(l, address), syscall.Listen(l, 0)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Connect(socket(), address); err != nil {
		t.Fatal(err)
	}
	second := socket()
	connected := make(chan error)
	go func() { connected <- syscall.Connect(second, address) }()
	select {
	case err := <-connected:
		t.Fatal("it does not wait:", err)
	case <-time.After(20 * time.Millisecond):
	}
	fd, _, err := syscall.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Close(fd)
	if err := <-connected; err != nil {
		t.Error(err)
	}
}
