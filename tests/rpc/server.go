package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"

	"capnproto.org/go/capnp/v3/exc"

	"capos.dev/capos"
)

// A register is the server of the interface.
type register struct {
	mu      sync.Mutex
	sum     int64
	watched map[*watch]bool
}

type watch struct {
	register *register
	at       int64
	watcher  Watcher
}

func (r *register) Add(ctx context.Context, call Register_add) error {
	r.mu.Lock()
	r.sum += call.Args().Number()
	sum := r.sum
	var reached []Watcher
	for w := range r.watched {
		if sum >= w.at {
			reached = append(reached, w.watcher.AddRef())
			w.at = 1 << 62
		}
	}
	r.mu.Unlock()
	for _, watcher := range reached {
		future, release := watcher.Reached(ctx, func(p Watcher_reached_Params) error {
			p.SetSum(sum)
			return nil
		})
		_, err := future.Struct()
		release()
		watcher.Release()
		if err != nil {
			return err
		}
	}
	results, err := call.AllocResults()
	if err == nil {
		results.SetSum(sum)
	}
	return err
}

func (r *register) Watch(_ context.Context, call Register_watch) error {
	w := &watch{register: r, at: call.Args().At(), watcher: call.Args().Watcher().AddRef()}
	r.mu.Lock()
	if r.watched == nil {
		r.watched = map[*watch]bool{}
	}
	r.watched[w] = true
	r.mu.Unlock()
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetWatch(Watch_ServerToClient(w))
}

// Shutdown is called when no client has the watch any more.
func (w *watch) Shutdown() {
	w.register.mu.Lock()
	delete(w.register.watched, w)
	w.register.mu.Unlock()
	w.watcher.Release()
}

func (r *register) Reverse(_ context.Context, call Register_reverse) error {
	text, err := call.Args().Text()
	if err != nil {
		return err
	}
	text = slices.Clone(text)
	slices.Reverse(text)
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetText(text)
}

func (r *register) Wait(_ context.Context, call Register_wait) error {
	call.Go()
	select {}
}

var errNotThere = &exc.Exception{Type: exc.Overloaded, Prefix: "register",
	Cause: errors.New("too much")}

func (r *register) Fail(_ context.Context, call Register_fail) error {
	text, err := call.Args().Text()
	switch {
	case err != nil:
		return err
	case text == "overloaded":
		return errNotThere
	case text == "not found":
		return capos.ErrNotFound
	}
	return errors.New(text)
}

func (r *register) End(context.Context, Register_end) error {
	os.Exit(3)
	return nil
}

func (r *register) Branch(_ context.Context, call Register_branch) error {
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetBranch(Register_ServerToClient(new(register)))
}

func (r *register) Same(_ context.Context, call Register_same) error {
	any, err := call.Args().Any()
	if err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetAny(any)
}

func (r *register) SumOf(ctx context.Context, call Register_sumOf) error {
	call.Go()
	future, release := call.Args().Register().Add(ctx, nil)
	defer release()
	got, err := future.Struct()
	if err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err == nil {
		results.SetSum(got.Sum())
	}
	return err
}
