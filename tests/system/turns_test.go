//go:build capos

package system

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// connected gives the two ends of a connection.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	client = must[net.Conn](t)(net.Dial("tcp", listener.Addr().String()))
	return client, must[net.Conn](t)(listener.Accept())
}

// A byte that goes to and fro wakes a goroutine each time. On one P these two leave it to others
// that wait for a connection of their own.
func TestConnectionsTakeTurns(t *testing.T) {
	const rounds, most = 100, 10
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var all sync.WaitGroup
	defer all.Wait()
	var trips [2]atomic.Int64
	for i := range trips {
		client, server := connected(t)
		all.Go(func() { io.Copy(server, server); server.Close() })
		all.Go(func() {
			defer client.Close()
			b := []byte{0}
			for trips[1].Load() < rounds {
				client.Write(b)
				client.Read(b)
				trips[i].Add(1)
			}
		})
	}
	all.Wait()
	if n := trips[0].Load(); n > most*rounds {
		t.Errorf("one connection makes %d round trips, the other one %d", n, rounds)
	}
}
