//go:build capos

package system

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// A program that is notified of SIGPIPE gets it for any descriptor whose other end is gone, and
// goes on. A program that ignores it gets the error, on standard output, too.
func TestBrokenPipesAreSignalled(t *testing.T) {
	pipe := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		t.Cleanup(func() { w.Close() })
		return w
	}
	socket, other := connection(t, "unix")
	other.Close()
	output := must[int](t)(syscall.Dup(1))
	defer syscall.Close(output)
	defer syscall.Dup2(output, 1)
	if err := syscall.Dup2(int(pipe().Fd()), 1); err != nil {
		t.Fatal(err)
	}

	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	for name, w := range map[string]interface{ Write([]byte) (int, error) }{
		"pipe": pipe(), "socket": socket, "standard output": os.Stdout,
	} {
		if _, err := w.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%s: %v", name, err)
		}
		select {
		case <-signals:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: no signal", name)
		}
		for len(signals) > 0 {
			<-signals
		}
	}

	signal.Ignore(syscall.SIGPIPE)
	if _, err := os.Stdout.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Error("ignored:", err)
	}
	if len(signals) != 0 {
		t.Error("a signal that is ignored arrives")
	}
}
