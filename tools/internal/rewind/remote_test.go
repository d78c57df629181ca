package rewind

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// stream is a connection whose other side has said all that it says.
type stream struct{ io.Reader }

func (stream) Write(p []byte) (int, error) { return len(p), nil }
func (stream) Close() error                { return nil }

// said gives what is received of some bytes.
func said(bytes string) (packets []string, err error) {
	r := newRemote(stream{strings.NewReader(bytes)})
	for {
		packet, err := r.receive()
		if err != nil {
			return packets, err
		}
		packets = append(packets, packet)
	}
}

func TestReceive(t *testing.T) {
	packets, err := said("+$OK#9a\x03-$T05thread:01;#07+$#00")
	want := []string{"OK", interrupt, "T05thread:01;", ""}
	if len(packets) != len(want) || !errors.Is(err, io.EOF) {
		t.Fatalf("%q, %v", packets, err)
	}
	for i := range want {
		if packets[i] != want[i] {
			t.Errorf("packet %d is %q, want %q", i, packets[i], want[i])
		}
	}
	if packets, err := said("$OK#9b"); len(packets) != 0 || !errors.Is(err, errSum) {
		t.Errorf("a wrong sum: %q, %v", packets, err)
	}
}

func TestSend(t *testing.T) {
	here, there := net.Pipe()
	go func() {
		r := newRemote(here)
		r.send("OK")
		r.send(interrupt)
		here.Close()
	}()
	if got, err := io.ReadAll(there); string(got) != "$OK#9a\x03" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestBreakpointsAreKept(t *testing.T) {
	var m Machine
	for _, packet := range []string{"Z0,10,1", "Z2,20,8", "Z0,10,1", "z0,10,1", "z0,30,1"} {
		m.note(packet)
	}
	if len(m.points) != 1 || m.points[0] != "2,20,8" {
		t.Errorf("%q", m.points)
	}
}
