//go:build capos

package system

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"capos.dev/tests/system/internal/abi"
)

// connection returns the two ends of a connection, both with a deadline.
func connection(t *testing.T, network string) (client, server net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network != "tcp" {
		address = filepath.Join(t.TempDir(), "socket")
	}
	l := must[net.Listener](t)(net.Listen(network, address))
	defer l.Close()
	client = must[net.Conn](t)(net.Dial(network, l.Addr().String()))
	server = must[net.Conn](t)(l.Accept())
	for _, end := range []net.Conn{client, server} {
		t.Cleanup(func() { end.Close() })
		end.SetDeadline(soon())
	}
	return client, server
}

// capacity returns how many bytes a connection takes while its other end does not read.
func capacity(t *testing.T, c net.Conn) (total int) {
	t.Helper()
	raw := must[syscall.RawConn](t)(c.(syscall.Conn).SyscallConn())
	block := make([]byte, 1<<20)
	raw.Write(func(fd uintptr) bool {
		for {
			n, err := syscall.Write(int(fd), block)
			if err != nil {
				if err != syscall.EAGAIN {
					t.Error(err)
				}
				return true
			}
			total += n
		}
	})
	return total
}

// Both ends may write as much as Linux has room for before either reads.
func TestBothEndsWriteFirst(t *testing.T) {
	for network, size := range map[string]int{"tcp": 1 << 20, "unix": 200 << 10} {
		client, server := connection(t, network)
		done := make(chan error, 2)
		for i, end := range []net.Conn{client, server} {
			go func() {
				_, err := end.Write(bytes.Repeat([]byte{byte(i)}, size))
				got := make([]byte, size)
				if err == nil {
					_, err = io.ReadFull(end, got)
				}
				if want := bytes.Repeat([]byte{byte(1 - i)}, size); err == nil &&
					!bytes.Equal(got, want) {
					t.Errorf("%s: other bytes arrive", network)
				}
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("%s: %v", network, err)
			}
		}
	}
}

// A connection holds twice what its ends asked for, within limits.
func TestBufferSizes(t *testing.T) {
	type sized interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
		syscall.Conn
	}
	for _, c := range []struct {
		network       string
		send, receive int // 0: the default
		told          int // size of the sender's buffer
		capacity      int
	}{
		{network: "tcp", told: 2626560, capacity: 2626560 + 131072},
		{network: "unix", told: 212992, capacity: 212992},
		{"tcp", 10000, 20000, 20000, 60000},
		{"unix", 10000, 20000, 20000, 20000},
		{"tcp", 1, 1, 4608, 4608 + 2304},
		{"tcp", 1 << 20, 1 << 20, 2 << 20, 4 << 20},
		{"unix", 1 << 30, 0, 4 << 20, 4 << 20},
	} {
		client, server := connection(t, c.network)
		if c.send != 0 {
			client.(sized).SetWriteBuffer(c.send)
		}
		if c.receive != 0 {
			server.(sized).SetReadBuffer(c.receive)
		}
		raw := must[syscall.RawConn](t)(client.(sized).SyscallConn())
		raw.Control(func(fd uintptr) {
			told, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET,
				syscall.SO_SNDBUF)
			if told != c.told || err != nil {
				t.Errorf("%+v: SO_SNDBUF %d %v", c, told, err)
			}
		})
		if n := capacity(t, client); n != c.capacity {
			t.Errorf("%+v: %d bytes fitted", c, n)
		}
	}
}

// The bytes that wait in all connections together have a bound, and each can still hold some.
func TestBuffersHaveATotal(t *testing.T) {
	const connections, least = 100, 64 << 10
	eighth := int(ledger().MachinePages) * abi.PageSize / 8
	total := 0
	for range connections {
		client, _ := connection(t, "tcp")
		n := capacity(t, client)
		if n < least {
			t.Fatalf("only %d bytes fitted", n)
		}
		total += n
	}
	if total > eighth+connections*least || total < eighth {
		t.Errorf("%d MiB wait in %d connections, %d MiB are an eighth of the memory",
			total>>20, connections, eighth>>20)
	}
}

// Pieces of any size come out as they went in.
func TestStreamsKeepTheirBytes(t *testing.T) {
	client, server := connection(t, "tcp")
	const total = 8 << 20
	go func() {
		random := rand.New(rand.NewPCG(3, 4))
		for sent := 0; sent < total; {
			b := make([]byte, min(1+random.IntN(1<<random.IntN(20)), total-sent))
			for i := range b {
				b[i] = byte((sent + i) * 7 >> 3)
			}
			n, _ := client.Write(b)
			sent += n
		}
	}()
	random := rand.New(rand.NewPCG(5, 6))
	for got := 0; got < total; {
		b := make([]byte, 1+random.IntN(1<<random.IntN(20)))
		n, err := server.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if b[i] != byte((got+i)*7>>3) {
				t.Fatalf("another byte at %d", got+i)
			}
		}
		got += n
	}
}
