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

// The service's interface: word 0 is the operation, word 1 what is added, or the sum.
const (
	add = 1
	sum = 2
	end = 3 // of the service, without an answer
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

// serve serves until the client is gone.
func serve() error {
	endpoint, err := capos.Granted[capos.Endpoint]("endpoint")
	if err != nil {
		return err
	}
	total := uint64(0)
	return endpoint.Serve(capos.HandlerFunc(func(tag uint64, m *capos.Message) error {
		switch m.Words[0] {
		case add:
			total += m.Words[1]
		case sum:
			m.Words[1] = total
		case end:
			os.Exit(0)
		default:
			return capos.ErrUnimplemented
		}
		return nil
	}), 1)
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
	if facet, err = endpoint.MakeFacet(1); err != nil {
		return nil, facet, err
	}
	service = exec.Command(path, "serve")
	service.Stdout = os.Stdout
	service.SysProcAttr = capos.Grants(map[string]capos.Held{"endpoint": endpoint})
	return service, facet, service.Start()
}

func use(path string) error {
	service, facet, err := start(path)
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
	total, err := call(sum, 0)
	if err != nil {
		return err
	}
	fmt.Println("client: hello; the sum of 1 to 100 is", total)
	_, err = call(4, 0)
	fmt.Println("client: another operation fails:", err)
	_, err = call(end, 0)
	fmt.Println("client: the service ends in a call:", err)
	facet.Close()
	return service.Wait()
}
