//go:build capos

package system

import (
	"bytes"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
