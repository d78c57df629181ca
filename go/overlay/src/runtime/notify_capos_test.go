//go:build capos

package runtime_test

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A signal that is passed from thread to thread goes on to the next one when a thread has ended
// meanwhile.
func TestRaisePassesEndedThreads(t *testing.T) {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGUSR2)
	defer signal.Stop(received)
	for range 3 {
		runtime.RaiseBesideEnded(uint32(syscall.SIGUSR2))
		select {
		case <-received:
		case <-time.After(10 * time.Second):
			t.Fatal("no thread received the signal")
		}
	}
}
