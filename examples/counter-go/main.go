// What examples/counter is in C, in Go: a service with an interface of its own, and its client.
// counter.go is made of the interface:
//
//	./capos schema --go examples/counter-go/counter.go examples/counter/counter.capnp
//
// The child is the service and holds the endpoint; the parent is the client and holds a facet. With
// an argument, the program at that path is the service, so either language serves the other:
//
//	./capos run --files build/counter:/bin/service examples/counter-go /bin/service
package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"

	"capos.dev/capos"
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
		fmt.Println("counter:", err)
		os.Exit(1)
	}
}

// A sum is the service. One goroutine serves, so there is no lock.
type sum struct {
	total, watched int64
	event          capos.Event // the zero Event: nothing is watched
}

// serve serves until the client is gone.
func serve() error {
	endpoint, err := capos.Granted[capos.Endpoint]("endpoint")
	if err != nil {
		return err
	}
	return endpoint.Serve(HandleCounter(new(sum)), 1)
}

func (s *sum) Add(tag uint64, number int64) (total int64, err error) {
	s.total += number
	if s.event.ID() != 0 && s.total >= s.watched {
		s.event.Signal(1)
		s.event.Close()
		s.event = capos.Event{}
	}
	return s.total, nil
}

// Watch keeps what has come, or closes it.
func (s *sum) Watch(tag uint64, event capos.Capability, total int64) (missing int64, err error) {
	if event.ID() == 0 {
		return 0, capos.ErrBusy
	}
	if s.event.ID() != 0 {
		event.Close()
		return 0, capos.ErrBusy
	}
	s.event, s.watched = capos.Of[capos.Event](event), total
	return s.watched - s.total, nil
}

// start starts the service. When this returns, only the service holds the endpoint, so its end ends
// every call.
func start(path string) (service *exec.Cmd, counter Counter, err error) {
	factory, err := capos.Granted[capos.EndpointFactory]("endpoint_factory")
	if err != nil {
		return nil, counter, err
	}
	endpoint, err := factory.Create(8)
	if err != nil {
		return nil, counter, err
	}
	defer endpoint.Close()
	if err := endpoint.Accept(1); err != nil {
		return nil, counter, err
	}
	facet, err := endpoint.MakeFacet(1)
	if err != nil {
		return nil, counter, err
	}
	service = exec.Command(path, "serve")
	service.Stdout = os.Stdout
	service.SysProcAttr = capos.Grants(map[string]capos.Held{"endpoint": endpoint})
	return service, capos.Of[Counter](facet.Capability), service.Start()
}

func use(path string) error {
	factory, err := capos.Granted[capos.EventFactory]("event_factory")
	if err != nil {
		return err
	}
	event, err := factory.Create()
	if err != nil {
		return err
	}
	service, counter, err := start(path)
	if err != nil {
		return err
	}
	missing, err := counter.Watch(event.Capability, 4000, time.Time{})
	if err != nil {
		return err
	}
	var total int64
	for number := range int64(100) {
		if total, err = counter.Add(number+1, time.Time{}); err != nil {
			return err
		}
	}
	if _, err := event.Wait(1, time.Time{}); err != nil {
		return err
	}
	fmt.Printf("client: %d were missing, and the sum of 1 to 100 is %d\n", missing, total)
	event.Close()
	counter.Close()
	return service.Wait()
}
