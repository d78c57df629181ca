//go:build capos

package system

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// A byte that goes to and fro wakes a goroutine each time. On one P these two leave it to others
// that wait for a connection of their own.
func TestConnectionsTakeTurns(t *testing.T) {
	const rounds, most = 100, 10
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var all sync.WaitGroup
	var trips [2]atomic.Int64
	for i := range trips {
		client, server := connection(t, "tcp")
		all.Go(func() { io.Copy(server, server) })
		all.Go(func() {
			defer client.Close()
			b := []byte{0}
			for trips[1].Load() < rounds && !t.Failed() {
				if _, err := client.Write(b); err != nil {
					t.Error(err)
				}
				if _, err := client.Read(b); err != nil {
					t.Error(err)
				}
				trips[i].Add(1)
			}
		})
	}
	all.Wait()
	if n := trips[0].Load(); n > most*rounds {
		t.Errorf("one connection makes %d round trips, the other one %d", n, rounds)
	}
}
