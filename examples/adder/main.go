// A service in Go, and its client: what examples/service is in C. The child is the service and
// holds the endpoint; the parent is the client and holds a facet, by which it can call and do
// nothing else. With an argument, the program at that path is the service, so either language
// serves the other:
//
//	./capos run --files build/service:/bin/service examples/adder /bin/service
package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"

	"capos.dev/capos"
)

// The service's interface: word 0 is the operation, word 1 what is added, the sum, or the number to
// watch for.
const (
	add   = 1
	sum   = 2
	watch = 3 // brings an event, which is signalled when the sum reaches the number
	end   = 4 // of the service, without an answer
)

func main() {
	path := os.Args[0]
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	run := func() error { return use(path) }
	if path == "serve" {
		run = serve
	}
	if err := run(); err != nil {
		fmt.Println("adder:", err)
		os.Exit(1)
	}
}

// A service is the state of it. One goroutine serves, so there is no lock.
type service struct {
	total, watched uint64
	event          capos.Event // none: nothing is watched
}

// serve serves until the client is gone.
func serve() error {
	endpoint, err := capos.Granted[capos.Endpoint]("endpoint")
	if err != nil {
		return err
	}
	return endpoint.Serve(capos.HandlerFunc(new(service).handle), 1)
}

// handle keeps what has come, or closes it. Nothing goes back.
func (s *service) handle(tag uint64, m *capos.Message) error {
	came := capos.Of[capos.Event](m.Cap)
	m.Cap = capos.Capability{}
	if m.Words[0] == watch && came.ID() != 0 && s.event.ID() == 0 {
		s.watched, s.event = m.Words[1], came
		return nil
	}
	if came.ID() != 0 {
		came.Close()
	}
	switch m.Words[0] {
	case add:
		s.add(m.Words[1])
	case sum:
		m.Words[1] = s.total
	case end:
		os.Exit(0)
	default:
		return capos.ErrUnimplemented
	}
	return nil
}

func (s *service) add(number uint64) {
	s.total += number
	if s.event.ID() != 0 && s.total >= s.watched {
		s.event.Signal(1)
		s.event.Close()
		s.event = capos.Event{}
	}
}

// start starts the service. When this returns, only the service holds the endpoint, so its end ends
// every call.
func start(path string) (service *exec.Cmd, facet capos.Facet, err error) {
	factory, err := capos.Granted[capos.EndpointFactory]("endpoint_factory")
	if err != nil {
		return nil, facet, err
	}
	endpoint, err := factory.Create(8)
	if err != nil {
		return nil, facet, err
	}
	defer endpoint.Close()
	if err := endpoint.Accept(1); err != nil {
		return nil, facet, err
	}
	if facet, err = endpoint.MakeFacet(1); err != nil {
		return nil, facet, err
	}
	service = exec.Command(path, "serve")
	service.Stdout = os.Stdout
	service.SysProcAttr = capos.Grants(map[string]capos.Held{"endpoint": endpoint})
	return service, facet, service.Start()
}

// watched gives the service a copy of an event, for when the sum reaches a number.
func watched(facet capos.Facet, number uint64) (event capos.Event, err error) {
	factory, err := capos.Granted[capos.EventFactory]("event_factory")
	if err != nil {
		return event, err
	}
	if event, err = factory.Create(); err != nil {
		return event, err
	}
	m := &capos.Message{Words: [8]uint64{watch, number}, Cap: event.Capability}
	return event, facet.Call(m, time.Time{})
}

func use(path string) error {
	service, facet, err := start(path)
	if err != nil {
		return err
	}
	event, err := watched(facet, 4000)
	if err != nil {
		return err
	}
	call := func(operation, number uint64) (uint64, error) {
		m := &capos.Message{Words: [8]uint64{operation, number}}
		err := facet.Call(m, time.Time{})
		return m.Words[1], err
	}
	for number := range uint64(100) {
		if _, err := call(add, number+1); err != nil {
			return err
		}
	}
	if _, err := event.Wait(1, time.Time{}); err != nil {
		return err
	}
	total, err := call(sum, 0)
	if err != nil {
		return err
	}
	fmt.Println("client: hello; the sum of 1 to 100 is", total)
	_, err = call(5, 0)
	fmt.Println("client: another operation fails:", err)
	_, err = call(end, 0)
	fmt.Println("client: the service ends in a call:", err)
	event.Close()
	facet.Close()
	return service.Wait()
}
