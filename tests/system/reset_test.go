//go:build capos

package system

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// Bytes that came before a reset are still read. Then the reader gets the error once, and after
// that the end.
func TestResetKeepsWhatCame(t *testing.T) {
	client, server := connection(t, "tcp")
	sent := bytes.Repeat([]byte("sent"), 1000)
	must[int](t)(client.Write(sent))
	client.(*net.TCPConn).SetLinger(0)
	client.Close()
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes are read, then %v", n, err)
	}
	if _, err := server.Read(got); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after them: %v", err)
	}
	if _, err := server.Read(got); err != io.EOF {
		t.Errorf("after the error: %v", err)
	}
	if _, err := server.Write(got); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write: %v", err)
	}
}

// A write that comes before any read gets the error of the reset, once.
func TestResetTellsWriters(t *testing.T) {
	client, server := connection(t, "tcp")
	client.(*net.TCPConn).SetLinger(0)
	client.Close()
	for i, want := range []error{syscall.ECONNRESET, syscall.EPIPE, syscall.EPIPE} {
		if _, err := server.Write([]byte("x")); !errors.Is(err, want) {
			t.Errorf("write %d: %v, not %v", i, err, want)
		}
	}
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a read: %v", err)
	}
}

// An end that is closed with input that was not read resets the connection.
func TestUnreadInputResets(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "unixpacket"} {
		client, server := connection(t, network)
		must[int](t)(client.Write([]byte("not read")))
		if network != "unixpacket" {
			must[int](t)(server.Write([]byte("last words")))
			server.Close()
			words := make([]byte, 10)
			if _, err := io.ReadFull(client, words); string(words) != "last words" {
				t.Errorf("%s: %q %v", network, words, err)
			}
		} else {
			server.Close()
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", network, err)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: then %v", network, err)
		}
	}
}

// An end that has read everything closes without a reset, and so does one whose other end has
// stopped sending before.
func TestReadInputDoesNotReset(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		client, server := connection(t, network)
		must[int](t)(client.Write([]byte("read")))
		must[int](t)(io.ReadFull(server, make([]byte, 4)))
		server.Close()
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %v", network, err)
		}
	}
	client, server := connection(t, "tcp")
	must[int](t)(client.Write([]byte("not read")))
	if err := server.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Error("after the end:", err)
	}
	if _, err := client.Write(make([]byte, 1)); !errors.Is(err, syscall.EPIPE) {
		t.Error("a write after the end:", err)
	}
}
