// What examples/counter-go does, with the clients and servers that Cap'n Proto's own generator
// makes: a service in a process of its own, and its client, which the service calls back.
// counter.capnp.go is made of the interface; that needs the compiler capnp and a module proxy:
//
//	cd examples/counter-rpc
//	GOWORK=off ../../capos go generate
//	../../capos run .
//	../../capos explore .
package main

//go:generate ./generate.sh

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"capnproto.org/go/capnp/v3"

	"capos.dev/capos"
	"capos.dev/rpc"
)

func main() {
	run := use
	if len(os.Args) > 1 {
		run = serve
	}
	if err := run(); err != nil {
		fmt.Println("counter:", err)
		os.Exit(1)
	}
}

// serve serves until the client is gone.
func serve() error {
	endpoint, err := capos.Granted[capos.Endpoint]("endpoint")
	if err != nil {
		return err
	}
	return rpc.Serve(endpoint, capnp.Client(Counter_ServerToClient(new(sum))))
}

// connect makes an endpoint and its only facet. The caller has to close the endpoint.
func connect() (endpoint capos.Endpoint, counter Counter, err error) {
	factory, err := capos.Granted[capos.EndpointFactory]("endpoint_factory")
	if err != nil {
		return endpoint, counter, err
	}
	if endpoint, err = factory.Create(8); err != nil {
		return endpoint, counter, err
	}
	facet, err := endpoint.MakeFacet(1)
	if err == nil {
		err = endpoint.Accept(1) // before the service has begun
	}
	if err != nil {
		endpoint.Close()
		return endpoint, counter, err
	}
	return endpoint, Counter(rpc.NewClient(facet)), nil
}

// start starts the service. When this returns, only the service holds the endpoint, so its end ends
// every call.
func start() (service *exec.Cmd, counter Counter, err error) {
	endpoint, counter, err := connect()
	if err != nil {
		return nil, counter, err
	}
	defer endpoint.Close()
	service = exec.Command(os.Args[0], "serve")
	service.Stdout = os.Stdout
	service.SysProcAttr = capos.Grants(map[string]capos.Held{"endpoint": endpoint})
	return service, counter, service.Start()
}

func use() error {
	service, counter, err := start()
	if err != nil {
		return err
	}
	ctx, reached := context.Background(), make(watcher, 1)
	missing, err := watchFor(ctx, counter, reached, 4000)
	if err != nil {
		return err
	}
	var total int64
	for number := range int64(100) {
		if total, err = add(ctx, counter, number+1); err != nil {
			return err
		}
	}
	fmt.Printf("client: %d were missing, %d reached that, and the sum of 1 to 100 is %d\n",
		missing, <-reached, total)
	counter.Release() // closes the facet: the service ends
	return service.Wait()
}
