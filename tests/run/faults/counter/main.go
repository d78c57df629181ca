// Command counter is a service that adds numbers by key, for tests that make it fail. Its interface
// is in state.h.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"capos.dev/capos"
)

const (
	opGet = iota + 1
	opAdd
)

type entry struct{ total, additions uint64 }

type counter struct {
	epoch   uint64
	mu      sync.Mutex
	entries map[uint64]*entry
}

// sum is state_sum of state.h.
func sum(words []uint64) (sum uint64) {
	for i, word := range words[:4] {
		sum = (sum^word)*0x100000001b3 + uint64(i)
	}
	return sum
}

func (c *counter) Call(_ uint64, m *capos.Message) error {
	if capos.Inject(1) == 1 {
		fmt.Fprintln(os.Stderr, "counter: the answer is late")
		time.Sleep(5 * time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := m.Words[:]
	e := c.entries[w[1]]
	if e == nil {
		e = new(entry)
		c.entries[w[1]] = e
	}
	switch w[0] {
	case opGet:
	case opAdd:
		e.total += w[2]
		e.additions++
	default:
		return capos.ErrUnimplemented
	}
	w[0], w[2], w[3] = c.epoch, e.total, e.additions
	w[4] = sum(w)
	return nil
}

// FacetGone tells of a client that has ended; there are others.
func (c *counter) FacetGone(uint64) bool { return true }

func run() error {
	endpoint, err := capos.Granted[capos.Endpoint]("counter")
	if err != nil {
		return err
	}
	ready, err := capos.Granted[capos.Event]("ready")
	if err != nil {
		return err
	}
	heartbeat, err := capos.Granted[capos.Event]("heartbeat")
	if err != nil {
		return err
	}
	go func() {
		for ; ; time.Sleep(100 * time.Millisecond) {
			heartbeat.Signal(1)
		}
	}()
	if err := ready.Signal(1); err != nil {
		return err
	}
	c := &counter{epoch: uint64(time.Now().UnixNano()), entries: map[uint64]*entry{}}
	return endpoint.Serve(c, 2)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}
