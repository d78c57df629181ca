package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/exc"

	"capos.dev/capos"
	"capos.dev/rpc"
)

var tests = []struct {
	name string
	f    func()
}{
	{"calls", testCalls}, {"order", testOrder}, {"callbacks", testCallbacks},
	{"pipelining", testPipelining}, {"between children", testBetweenChildren},
	{"capabilities", testCapabilities}, {"exceptions", testExceptions},
	{"contexts", testContexts}, {"languages", testLanguages}, {"the server's death", testDeath},
}

// run runs a test until it leaves nothing. What each time leaves is a leak: the first time makes
// what stays, and so does a thread that the runtime starts meanwhile, which holds up to three.
func run(name string, f func()) {
	f()
	for range 5 {
		before := held()
		f()
		if falls(before) {
			return
		}
	}
	check(false, name, "leaves capabilities each time")
}

// falls tells whether as few are held before long.
func falls(to int) bool {
	for range 100 {
		if held() <= to {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// held is how many capabilities the process holds besides one for each thread.
func held() int {
	system, err := capos.Granted[capos.SystemInfo]("system")
	must(err)
	info, err := system.Process()
	must(err)
	return int(info.Capabilities) - int(info.Threads)
}

func add(ctx context.Context, r Register, number int64) (int64, error) {
	future, release := r.Add(ctx, func(p Register_add_Params) error {
		p.SetNumber(number)
		return nil
	})
	defer release()
	results, err := future.Struct()
	return results.Sum(), err
}

func reverse(r Register, text []byte) ([]byte, error) {
	future, release := r.Reverse(context.Background(), func(p Register_reverse_Params) error {
		return p.SetText(text)
	})
	defer release()
	results, err := future.Struct()
	if err != nil {
		return nil, err
	}
	text, err = results.Text()
	return bytes.Clone(text), err
}

func testCalls() {
	s := start()
	defer s.end()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 10 {
				_, err := add(context.Background(), s.Register, 1)
				check(err == nil, err)
			}
		})
	}
	all.Wait()
	sum, err := add(context.Background(), s.Register, 0)
	check(sum == 200 && err == nil, sum, err)
	for _, size := range []int{0, 1, 100, 5000, capos.MessageBytesMax - 100} {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte(rand.Uint32())
		}
		back, err := reverse(s.Register, text)
		check(err == nil && len(back) == size, size, err)
		twice, err := reverse(s.Register, back)
		check(bytes.Equal(text, twice), size, err)
	}
	_, err = reverse(s.Register, make([]byte, capos.MessageBytesMax))
	check(err != nil && strings.Contains(err.Error(), "65536 is the most"), err)
}

// Calls are made in the order in which they were sent.
func testOrder() {
	s := start()
	defer s.end()
	var futures []Register_add_Results_Future
	for i := range 150 {
		future, release := s.Add(context.Background(), func(p Register_add_Params) error {
			p.SetNumber(int64(i))
			return nil
		})
		defer release()
		futures = append(futures, future)
	}
	want := 0
	for i, future := range futures {
		results, err := future.Struct()
		want += i
		check(err == nil && results.Sum() == int64(want), i, results.Sum(), err)
	}
}

// A watcher is told of a sum, and calls the register meanwhile.
type watcher struct {
	register Register
	told     []int64
	gone     chan bool
}

func (w *watcher) Reached(ctx context.Context, call Watcher_reached) error {
	w.told = append(w.told, call.Args().Sum())
	_, err := reverse(w.register, []byte("while it waits"))
	check(err == nil, err)
	return nil
}

func (w *watcher) Shutdown() { w.gone <- true }

// Both sides call capabilities of the other, and each learns when the last holder is gone.
func testCallbacks() {
	s, other := start(), start()
	defer s.end()
	defer other.end()
	w := &watcher{register: other.Register, gone: make(chan bool, 1)}
	client := Watcher_ServerToClient(w)
	future, release := s.Watch(context.Background(), func(p Register_watch_Params) error {
		p.SetAt(10)
		return p.SetWatcher(client)
	})
	results, err := future.Struct()
	check(err == nil, err)
	watch := results.Watch().AddRef()
	release()
	for range 15 {
		_, err := add(context.Background(), s.Register, 1)
		check(err == nil, err)
	}
	check(len(w.told) == 1 && w.told[0] == 10, w.told)
	select {
	case <-w.gone:
		check(false, "the server let go of the watcher")
	default:
	}
	watch.Release()
	<-w.gone
}

// Calls to what a call will give are queued until it has.
func testPipelining() {
	s := start()
	defer s.end()
	branch, release := s.Branch(context.Background(), nil)
	defer release()
	further, releaseFurther := branch.Branch().Branch(context.Background(), nil)
	defer releaseFurther()
	last := further.Branch() // once: see the guide
	for range 3 {
		_, err := add(context.Background(), last, 7)
		check(err == nil, err)
	}
	sum, err := add(context.Background(), last, 0)
	check(sum == 21 && err == nil, sum, err)
	sum, err = add(context.Background(), s.Register, 0)
	check(sum == 0 && err == nil, "the first register:", sum, err)
}

func sumOf(r, of Register) (int64, error) {
	future, release := r.SumOf(context.Background(), func(p Register_sumOf_Params) error {
		return p.SetRegister(of)
	})
	defer release()
	results, err := future.Struct()
	return results.Sum(), err
}

// A capability of one child is given to another, which calls it without this program.
func testBetweenChildren() {
	a, b := start(), start()
	defer b.end()
	_, err := add(context.Background(), a.Register, 5)
	check(err == nil, err)
	sum, err := sumOf(b.Register, a.Register.AddRef())
	check(sum == 5 && err == nil, sum, err)
	sum, err = sumOf(b.Register, b.Register.AddRef())
	check(sum == 0 && err == nil, "itself:", sum, err)
	own := Register_ServerToClient(&register{sum: 9})
	sum, err = sumOf(b.Register, own)
	check(sum == 9 && err == nil, "one of this program:", sum, err)
	a.end()
}

// Capabilities of any kind go both ways.
func testCapabilities() {
	s := start()
	defer s.end()
	factory, err := capos.Granted[capos.EventFactory]("event_factory")
	must(err)
	event, err := factory.Create()
	must(err)
	future, release := s.Same(context.Background(), func(p Register_same_Params) error {
		client := rpc.NewClient(event)
		return p.SetAny(client.EncodeAsPtr(p.Segment()))
	})
	defer release()
	results, err := future.Struct()
	check(err == nil, err)
	any, err := results.Any()
	check(err == nil, err)
	c, ok := rpc.Capability(any.Interface().Client())
	check(ok, "no capability came")
	check(capos.Of[capos.Event](c).Signal(4) == nil, "signal")
	_, err = add(context.Background(), Register(any.Interface().Client()), 1)
	check(exc.IsType(err, exc.Disconnected), "a call of an event:", err)
	err = sendMany(s.Register)
	check(err != nil && strings.Contains(err.Error(), "9 capabilities"), err)
}

// sendMany sends more capabilities than a message may have.
func sendMany(r Register) error {
	future, release := r.Same(context.Background(), func(p Register_same_Params) error {
		for range capos.MessageCapsMax + 1 {
			p.Message().CapTable().Add(capnp.Client(r).AddRef())
		}
		return nil
	})
	defer release()
	_, err := future.Struct()
	return err
}

func testExceptions() {
	s := start()
	defer s.end()
	fail := func(text string) error {
		future, release := s.Fail(context.Background(), func(p Register_fail_Params) error {
			return p.SetText(text)
		})
		defer release()
		_, err := future.Struct()
		return err
	}
	for text, want := range map[string]exc.Type{"overloaded": exc.Overloaded,
		"not found": exc.Failed, "another text": exc.Failed} {
		err := fail(text)
		check(exc.IsType(err, want) && err != nil, text, err)
	}
	check(strings.Contains(fail("overloaded").Error(), "too much"), fail("overloaded"))
	check(strings.Contains(fail("what it said").Error(), "what it said"), "its text")
	check(errors.Is(fail("not found"), capos.ErrNotFound), fail("not found"))
	wrong := Watcher(capnp.Client(s.Register))
	future, release := wrong.Reached(context.Background(), nil)
	defer release()
	_, err := future.Struct()
	check(exc.IsType(err, exc.Unimplemented), "another interface:", err)
}

func testContexts() {
	s := start()
	for _, c := range []struct {
		want    error
		timeout time.Duration
	}{{context.Canceled, time.Hour}, {context.DeadlineExceeded, 20 * time.Millisecond}} {
		ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
		future, release := s.Wait(ctx, nil)
		_, err := add(context.Background(), s.Register, 1)
		check(err == nil, "a call besides:", err)
		if c.want == context.Canceled {
			cancel()
		}
		_, err = future.Struct()
		check(errors.Is(err, c.want), err)
		release()
		cancel()
	}
	_, release := s.Wait(context.Background(), nil)
	release() // gives it up
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.Release()
}

// The end of a program is an exception for those that call it, and nothing is left of it.
func testDeath() {
	s := start()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			future, release := s.Wait(context.Background(), nil)
			defer release()
			_, err := future.Struct()
			check(exc.IsType(err, exc.Disconnected) &&
				errors.Is(err, capos.ErrDisconnected), "a call that waits:", err)
		})
	}
	w := &watcher{register: s.Register, gone: make(chan bool, 1)}
	_, releaseWatch := s.Watch(context.Background(), func(p Register_watch_Params) error {
		p.SetAt(10)
		return p.SetWatcher(Watcher_ServerToClient(w))
	})
	_, err := add(context.Background(), s.Register, 1)
	check(err == nil, err)
	future, release := s.End(context.Background(), nil)
	_, err = future.Struct()
	check(exc.IsType(err, exc.Disconnected), "the call that ends it:", err)
	release()
	all.Wait()
	_, err = add(context.Background(), s.Register, 1)
	check(exc.IsType(err, exc.Disconnected), "a call after it:", err)
	releaseWatch()
	<-w.gone
	s.cmd.Wait()
	check(s.cmd.ProcessState.ExitCode() == 3, s.cmd.ProcessState)
	s.Release()
}
