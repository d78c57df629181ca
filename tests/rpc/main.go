// Generated servers and clients in several processes, which call each other over endpoints. Started
// by ./capos test --only system/rpc, which generates register.capnp.go.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"capnproto.org/go/capnp/v3"

	"capos.dev/capos"
	"capos.dev/rpc"
)

func main() {
	if len(os.Args) > 1 {
		if err := serve(); err != nil {
			fmt.Println("server:", err)
			os.Exit(1)
		}
		return
	}
	for _, t := range tests {
		run(t.name, t.f)
	}
	if failed {
		os.Exit(1)
	}
	fmt.Println("rpc: all passed")
}

var failed bool

// check reports what is wrong, with the line of the caller.
func check(ok bool, what ...any) {
	if !ok {
		_, _, line, _ := runtime.Caller(1)
		fmt.Printf("main.go or tests.go:%d: %s", line, fmt.Sprintln(what...))
		failed = true
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// A service is a child that serves a register.
type service struct {
	Register
	cmd *exec.Cmd
}

func start() service {
	factory, err := capos.Granted[capos.EndpointFactory]("endpoint_factory")
	must(err)
	endpoint, err := factory.Create(capos.EndpointCallsMax)
	must(err)
	must(endpoint.Accept(1))
	facet, err := endpoint.MakeFacet(1)
	must(err)
	cmd := exec.Command(os.Args[0], "serve")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = capos.Grants(map[string]capos.Held{"endpoint": endpoint})
	must(cmd.Start())
	must(endpoint.Close())
	return service{Register(rpc.NewClient(facet)), cmd}
}

// end drops the client, with which the child ends.
func (s service) end() {
	s.Release()
	check(s.cmd.Wait() == nil, "the server:", s.cmd.ProcessState)
}

func serve() error {
	endpoint, err := capos.Granted[capos.Endpoint]("endpoint")
	if err != nil {
		return err
	}
	return rpc.Serve(endpoint, capnp.Client(Register_ServerToClient(new(register))))
}
