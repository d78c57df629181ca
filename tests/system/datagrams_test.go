//go:build capos

package system

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Datagrams are as large as on Linux, and sending larger ones fails.
func TestDatagramSizes(t *testing.T) {
	server, unix := unixgram(t)
	udp := func(network, address string) (from, to net.Conn) {
		l := must[net.PacketConn](t)(net.ListenPacket(network, address))
		c := must[net.Conn](t)(net.Dial(network, l.LocalAddr().String()))
		for _, end := range []interface{ Close() error }{l, c} {
			t.Cleanup(func() { end.Close() })
		}
		return c, l.(*net.UDPConn)
	}
	udp4, server4 := udp("udp4", "127.0.0.1:0")
	udp6, server6 := udp("udp6", "[::1]:0")
	packets, packetServer := connection(t, "unixpacket")
	const unixMax = 212992 - 32
	for _, c := range []struct {
		from, to net.Conn
		largest  int
	}{{udp4, server4, 65507}, {udp6, server6, 65527}, {unix, server, unixMax},
		{packets, packetServer, unixMax}} {
		network := c.from.LocalAddr().Network()
		c.to.SetDeadline(soon())
		for _, size := range []int{60000, c.largest, 1} {
			sent := bytes.Repeat([]byte{byte(size)}, size)
			if n, err := c.from.Write(sent); n != size || err != nil {
				t.Errorf("%s, %d bytes: %d %v", network, size, n, err)
				continue
			}
			got := make([]byte, 1<<18)
			if n, err := c.to.Read(got); !bytes.Equal(got[:n], sent) || err != nil {
				t.Errorf("%s, %d bytes: %d arrive, %v", network, size, n, err)
			}
		}
		if _, err := c.from.Write(make([]byte, c.largest+1)); !errors.Is(err,
			syscall.EMSGSIZE) {
			t.Errorf("%s: one byte more: %v", network, err)
		}
	}
}

// A larger buffer of the sender takes larger datagrams inside AF_UNIX.
func TestDatagramsGrowWithTheBuffer(t *testing.T) {
	server, client := unixgram(t)
	const size = 1 << 20
	if _, err := client.Write(make([]byte, size)); !errors.Is(err, syscall.EMSGSIZE) {
		t.Error(err)
	}
	client.SetWriteBuffer(size)
	must[int](t)(client.Write(make([]byte, size)))
	if n, err := server.Read(make([]byte, size+1)); n != size || err != nil {
		t.Error(n, err)
	}
}

// The name of a socket has a limit, too.
func TestSocketNamesHaveAnEnd(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, want := range map[string]error{
		strings.Repeat("n", 107):       nil,
		strings.Repeat("n", 108):       syscall.EINVAL,
		"@" + strings.Repeat("n", 107): nil,
		"@" + strings.Repeat("n", 108): syscall.EINVAL,
		filepath.Join("d", "n"):        syscall.ENOENT,
	} {
		l, err := net.Listen("unix", name)
		if !errors.Is(err, want) {
			t.Errorf("%d characters: %v", len(name), err)
		}
		if err == nil {
			l.Close()
		}
	}
}

// A read that a deadline has ended does not take what comes afterwards, even if its goroutine has
// not run since. The next read does.
func TestDeadlineBeforeDatagram(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	conn := must[*net.UDPConn](t)(net.ListenUDP("udp", local))
	defer conn.Close()
	sender := must[net.Conn](t)(net.Dial("udp", conn.LocalAddr().String()))
	defer sender.Close()
	late := make([]byte, 8)
	result := make(chan error)
	go readLate(conn, late, result)
	for !waitsForIO("readLate") {
		time.Sleep(time.Millisecond)
	}
	conn.SetReadDeadline(time.Now())
	must[int](t)(sender.Write([]byte("late")))
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v", late, err)
	}
	conn.SetReadDeadline(soon())
	if n, err := conn.Read(late); string(late[:n]) != "late" || err != nil {
		t.Errorf("then %q, %v", late[:n], err)
	}
}

func readLate(conn net.Conn, to []byte, result chan<- error) {
	_, err := conn.Read(to)
	result <- err
}

// waitsForIO reports whether a goroutine waits in that function for the poller.
func waitsForIO(function string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "[IO wait") && strings.Contains(stack, function) {
			return true
		}
	}
	return false
}
