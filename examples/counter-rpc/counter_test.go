package main

import (
	"context"
	"sync"
	"testing"

	"capnproto.org/go/capnp/v3"

	"capos.dev/rpc"
)

// A service and its clients in one program, so that ./capos explore chooses the order of both.
func TestCounter(t *testing.T) {
	endpoint, counter, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() {
		served <- rpc.Serve(endpoint, capnp.Client(Counter_ServerToClient(new(sum))))
	}()
	ctx, reached := context.Background(), make(watcher, 2)
	if missing, err := watchFor(ctx, counter, reached, 6); missing != 6 || err != nil {
		t.Error(missing, err)
	}
	var clients sync.WaitGroup
	for number := range int64(4) {
		clients.Go(func() {
			if _, err := add(ctx, counter, number+1); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if total, err := add(ctx, counter, 0); total != 10 || err != nil {
		t.Error(total, err)
	}
	if total := <-reached; total < 6 || total > 10 || len(reached) > 0 {
		t.Error("the watcher was told", total, "and then", len(reached), "times more")
	}
	counter.Release()
	if err := <-served; err != nil {
		t.Error(err)
	}
	endpoint.Close()
}
