package main

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"capnproto.org/go/capnp/v3"

	"capos.dev/capos"
	"capos.dev/rpc"
)

// The program tests/rpc/c is the other side, as a file of the boot image.
const inC = "/bin/sum"

// A sum is the same server as that in C.
type sum struct{ total int64 }

func (s *sum) Add(_ context.Context, call Sum_add) error {
	if call.Args().Number() == 0 {
		return capos.ErrNotFound
	}
	s.total += call.Args().Number()
	results, err := call.AllocResults()
	if err == nil {
		results.SetTotal(s.total)
	}
	return err
}

func addTo(s Sum, number int64) (int64, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	future, release := s.Add(ctx, func(p Sum_add_Params) error {
		p.SetNumber(number)
		return nil
	})
	defer release()
	results, err := future.Struct()
	return results.Total(), err
}

func startC(grants map[string]capos.Held) *exec.Cmd {
	cmd := exec.Command(inC)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = capos.Grants(grants)
	must(cmd.Start())
	return cmd
}

// A Go client calls a server in C, and a C client a server in Go.
func testLanguages() {
	factory, err := capos.Granted[capos.EndpointFactory]("endpoint_factory")
	must(err)
	for _, goServes := range []bool{false, true} {
		endpoint, err := factory.Create(8)
		must(err)
		facet, err := endpoint.MakeFacet(1)
		must(err)
		if goServes {
			cmd := startC(map[string]capos.Held{"facet": facet})
			must(facet.Close())
			err := rpc.Serve(endpoint, capnp.Client(Sum_ServerToClient(new(sum))))
			check(err == nil, err)
			check(cmd.Wait() == nil, "the client:", cmd.ProcessState)
			must(endpoint.Close())
			continue
		}
		cmd := startC(map[string]capos.Held{"endpoint": endpoint})
		must(endpoint.Close())
		client := Sum(rpc.NewClient(facet))
		for i, number := range []int64{40, 2} {
			total, err := addTo(client, number)
			check(err == nil && total == 40+int64(i)*2, total, err)
		}
		_, err = addTo(client, 0)
		check(errors.Is(err, capos.ErrNotFound), err)
		client.Release()
		check(cmd.Wait() == nil, "the server:", cmd.ProcessState)
	}
}
