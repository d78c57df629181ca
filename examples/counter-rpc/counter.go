package main

import (
	"context"
	"slices"
	"sync"
)

// A sum is the service. Each call has a goroutine of its own.
type sum struct {
	mu      sync.Mutex
	total   int64
	watches []watch
}

type watch struct {
	at      int64
	watcher Watcher
}

func (s *sum) Add(ctx context.Context, call Counter_add) error {
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	total, reached := s.add(call.Args().Number())
	results.SetTotal(total)
	for _, watcher := range reached {
		if e := tell(ctx, watcher, total); e != nil {
			err = e
		}
	}
	return err
}

// add gives the new sum, and the watchers of numbers that it has reached, which are the caller's.
func (s *sum) add(number int64) (total int64, reached []Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += number
	s.watches = slices.DeleteFunc(s.watches, func(w watch) bool {
		if s.total < w.at {
			return false
		}
		reached = append(reached, w.watcher)
		return true
	})
	return s.total, reached
}

// tell calls a watcher, without the lock, because it may call the service meanwhile.
func tell(ctx context.Context, watcher Watcher, total int64) error {
	defer watcher.Release()
	future, release := watcher.Reached(ctx, func(p Watcher_reached_Params) error {
		p.SetTotal(total)
		return nil
	})
	defer release()
	_, err := future.Struct()
	return err
}

func (s *sum) Watch(_ context.Context, call Counter_watch) error {
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := call.Args().Total()
	s.watches = append(s.watches, watch{at, call.Args().Watcher().AddRef()})
	results.SetMissing(at - s.total)
	return nil
}

// Shutdown runs when no client holds the service any more.
func (s *sum) Shutdown() {
	for _, w := range s.watches {
		w.watcher.Release()
	}
}

// A watcher is the client's: the service calls it.
type watcher chan int64

func (w watcher) Reached(_ context.Context, call Watcher_reached) error {
	w <- call.Args().Total()
	return nil
}

func add(ctx context.Context, counter Counter, number int64) (total int64, err error) {
	future, release := counter.Add(ctx, func(p Counter_add_Params) error {
		p.SetNumber(number)
		return nil
	})
	defer release()
	results, err := future.Struct()
	return results.Total(), err
}

// watchFor has the sum watched.
func watchFor(ctx context.Context, counter Counter, w watcher, total int64) (missing int64,
	err error) {
	future, release := counter.Watch(ctx, func(p Counter_watch_Params) error {
		p.SetTotal(total)
		return p.SetWatcher(Watcher_ServerToClient(w))
	})
	defer release()
	results, err := future.Struct()
	return results.Missing(), err
}
