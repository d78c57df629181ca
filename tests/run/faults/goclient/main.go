// Command goclient is tests/run/faults/client in Go: a client of kv and counter while they are made
// to fail. Two goroutines call at the same time, each with keys of its own.
package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"capos.dev/capos"
)

const (
	get = iota + 1
	change

	deadline = 10 * time.Second
	keys     = 8
	burst    = 6
)

// Outcomes and verdicts of services/faults/faults.h.
const (
	right = iota
	refused
	wrong

	stop = 2
)

type model struct {
	known          bool
	value, version uint64
}

type server struct {
	name         string
	facet        capos.Facet
	adds         bool
	first        uint64 // key
	epoch, since uint64
	models       [keys]model
}

var faults capos.Facet

// now is the machine's clock.
func now() uint64 { return uint64(syscall.CapClock()) }

func (s *server) tell(outcome, begun, detail uint64) {
	m := capos.Message{Words: [8]uint64{outcome, begun, s.since, detail}}
	copy(m.Bytes()[32:63], s.name)
	if err := faults.Call(&m, time.Now().Add(deadline)); err != nil {
		fmt.Fprintln(os.Stderr, "goclient: faults:", err)
		os.Exit(1)
	}
	if m.Words[0] == stop {
		os.Exit(0)
	}
	if outcome == wrong {
		s.epoch = 0
	}
}

// sum is state_sum of state.h.
func sum(words []uint64) (sum uint64) {
	for i, word := range words[:4] {
		sum = (sum^word)*0x100000001b3 + uint64(i)
	}
	return sum
}

func (s *server) use(random *rand.Rand) {
	index, operation, what := random.IntN(keys), uint64(get), uint64(0)
	if random.IntN(2) == 0 {
		operation, what = change, random.Uint64N(1000)
	}
	key := s.first + uint64(index)
	k := &s.models[index]
	begun := now()
	m := capos.Message{Words: [8]uint64{operation, key, what}}
	if err := s.facet.Call(&m, time.Now().Add(deadline)); err != nil {
		k.known = k.known && operation == get
		var code capos.Error
		errors.As(err, &code)
		s.tell(refused, begun, uint64(code))
		return
	}
	w := m.Words[:]
	if w[0] != s.epoch {
		s.epoch, s.since, s.models = w[0], begun, [keys]model{}
	}
	switch after := k.after(s, operation, what); {
	case w[1] != key || w[4] != sum(w):
		s.tell(wrong, begun, 0)
	case k.known && (w[2] != after.value || w[3] != after.version):
		s.tell(wrong, begun, 1)
	default:
		*k = model{true, w[2], w[3]}
		s.tell(right, begun, 0)
	}
}

// after is the model when the operation has taken place.
func (k *model) after(s *server, operation, what uint64) model {
	after := *k
	if operation == change {
		after.version++
		after.value = what
		if s.adds {
			after.value += k.value
		}
	}
	return after
}

func run(number uint64) error {
	var facets [3]capos.Facet
	for i, name := range []string{"kv", "counter", "faults"} {
		var err error
		if facets[i], err = capos.Granted[capos.Facet](name); err != nil {
			return err
		}
	}
	faults = facets[2]
	for n := range uint64(2) {
		servers := []server{{name: "kv", facet: facets[0]},
			{name: "counter", facet: facets[1], adds: true}}
		for i := range servers {
			servers[i].first = (number + n) * keys
		}
		go func() {
			random := rand.New(rand.NewPCG(number, n))
			for {
				for range burst {
					servers[random.IntN(2)].use(random)
				}
				time.Sleep(time.Duration(random.IntN(8_000_000)))
			}
		}()
	}
	select {}
}

func main() {
	if err := run(2); err != nil {
		fmt.Fprintln(os.Stderr, "goclient:", err)
		os.Exit(1)
	}
}
