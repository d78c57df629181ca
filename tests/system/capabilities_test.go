//go:build capos

package system

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"capos.dev/capos"
)

// Tests of the Go package for capabilities. Children are this program again, as in
// processes_test.go.

// granted gives a capability of this process, which the test must not close.
func granted[T capos.Typed](t testing.TB, name string) T {
	t.Helper()
	held, err := capos.Granted[T](name)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// served makes an endpoint and a facet of it. Both are closed with the test.
func served(t testing.TB, tag uint64) (capos.Endpoint, capos.Facet) {
	t.Helper()
	endpoint, err := granted[capos.EndpointFactory](t, "endpoint_factory").Create(8)
	if err != nil {
		t.Fatal(err)
	}
	facet, err := endpoint.MakeFacet(tag)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		facet.Close() // some tests have
		endpoint.Close()
	})
	return endpoint, facet
}

// serve has a handler serve an endpoint, and returns what waits for its end.
func serve(endpoint capos.Endpoint, h capos.Handler, goroutines int) (wait func() error) {
	done := make(chan error)
	go func() { done <- endpoint.Serve(h, goroutines) }()
	return func() error { return <-done }
}

// heldBesides is how many capabilities the process holds besides its threads.
func heldBesides() int64 {
	info := process()
	return int64(info.Capabilities) - int64(info.Threads)
}

// checkHeld compares with what it was before. The handle of a thread and the thread are not counted
// in one moment.
func checkHeld(t *testing.T, before int64) {
	t.Helper()
	after := heldBesides()
	for range 100 {
		if after == before {
			return
		}
		time.Sleep(10 * time.Millisecond)
		after = heldBesides()
	}
	t.Errorf("%d capabilities became %d", before, after)
}

// Goroutines that call and goroutines that serve, beyond the number of CPUs; what they say arrives
// whole; and when the last caller has gone the server ends and nothing is left.
func TestServeGoroutines(t *testing.T) {
	const callers, calls, tag = 5, 50, 77
	round := func() {
		endpoint, facet := served(t, tag)
		var total atomic.Uint64
		echo := func(from uint64, m *capos.Message) error {
			if from != tag {
				return capos.ErrNoRights
			}
			for i := range m.Words {
				m.Words[i] = ^m.Words[i]
			}
			total.Add(1)
			return nil
		}
		wait := serve(endpoint, capos.HandlerFunc(echo), 3)
		var all sync.WaitGroup
		for caller := range callers {
			all.Go(func() {
				for number := range calls {
					callEcho(t, facet, uint64(caller)<<32|uint64(number))
				}
			})
		}
		all.Wait()
		facet.Close()
		if err := wait(); err != nil || total.Load() != callers*calls {
			t.Error(err, total.Load())
		}
		endpoint.Close()
	}
	round()
	before := heldBesides()
	for range 50 {
		round()
	}
	checkHeld(t, before)
}

func callEcho(t *testing.T, facet capos.Facet, seed uint64) {
	var m capos.Message
	for i := range m.Words {
		m.Words[i] = seed * uint64(i+1)
	}
	if err := facet.Call(&m, time.Time{}); err != nil {
		t.Error(err)
	}
	for i, word := range m.Words {
		if word != ^(seed * uint64(i+1)) {
			t.Errorf("word %d is %x", i, word)
		}
	}
}

func TestServerErrors(t *testing.T) {
	answers := []error{nil, capos.ErrOutOfRange, fs.ErrNotExist, os.ErrDeadlineExceeded,
		errors.New("of no meaning to others"), capos.ErrInvokeFailed}
	want := []error{nil, capos.ErrOutOfRange, capos.ErrNotFound, capos.ErrTimedOut,
		capos.ErrWrongState, capos.ErrWrongState}
	endpoint, facet := served(t, 1)
	wait := serve(endpoint, capos.HandlerFunc(func(_ uint64, m *capos.Message) error {
		m.Words[7]++ // comes with an error too
		return answers[m.Words[0]]
	}), 1)
	for i := range answers {
		m := &capos.Message{Words: [8]uint64{0: uint64(i), 7: 9}}
		if err := facet.Call(m, time.Time{}); err != want[i] || m.Words[7] != 10 {
			t.Errorf("%v came as %v, with %v", answers[i], err, m.Words)
		}
	}
	if err := facet.Call(&capos.Message{Words: [8]uint64{2}}, time.Time{}); !errors.Is(err,
		fs.ErrNotExist) {
		t.Error(err)
	}
	if err := endpoint.Revoke(facet); err != nil {
		t.Error(err)
	}
	if err := facet.Call(new(capos.Message), time.Time{}); err != capos.ErrDisconnected {
		t.Error("a facet that was taken back:", err)
	}
	facet.Close()
	if err := facet.Call(new(capos.Message), time.Time{}); !errors.Is(err, fs.ErrClosed) {
		t.Error("a facet that was closed:", err)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
	_, err := capos.Granted[capos.Event]("no such name")
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "no such name") {
		t.Error(err)
	}
}

func TestCapabilityDeadlines(t *testing.T) {
	_, facet := served(t, 1)
	event := must[capos.Event](t)(granted[capos.EventFactory](t, "event_factory").Create())
	defer event.Close()
	timer := granted[capos.Timer](t, "timer")
	for what, wait := range map[string]func(time.Time) error{
		"call": func(d time.Time) error { return facet.Call(new(capos.Message), d) },
		"wait": func(d time.Time) error { _, err := event.Wait(1, d); return err },
	} {
		for _, left := range []time.Duration{30 * time.Millisecond, 0, -time.Hour} {
			begin := time.Now()
			err := wait(begin.Add(left))
			if took := time.Since(begin); err != capos.ErrTimedOut || took < left ||
				took > left.Abs()+10*time.Second {
				t.Errorf("%s for %v: %v after %v", what, left, err, took)
			}
		}
	}
	begin := time.Now()
	if err := timer.SleepUntil(begin.Add(20 * time.Millisecond)); err != nil ||
		time.Since(begin) < 20*time.Millisecond {
		t.Error(err, time.Since(begin))
	}
	event.Signal(6)
	if bits, err := event.Wait(5, time.Unix(1, 0)); bits != 4 || err != nil {
		t.Error("a past deadline takes what there is:", bits, err)
	}
}

// The server answers only when a goroutine besides has run. With one P that is so if those that
// wait in the kernel have none.
func TestGoroutinesRunDuringCalls(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	endpoint, facet := served(t, 1)
	other := make(chan bool)
	wait := serve(endpoint, capos.HandlerFunc(func(uint64, *capos.Message) error {
		<-other
		return nil
	}), 1)
	go func() { other <- true }()
	if err := facet.Call(new(capos.Message), time.Now().Add(30*time.Second)); err != nil {
		t.Error(err)
	}
	facet.Close()
	wait()
}

// Capabilities go with calls and with answers, and nothing is left of them.
func TestCapabilitiesInMessages(t *testing.T) {
	factory := granted[capos.EventFactory](t, "event_factory")
	endpoint, facet := served(t, 1)
	if err := facet.Call(&capos.Message{Cap: facet.Capability},
		time.Now().Add(time.Second)); err != capos.ErrNoRights {
		t.Error("the endpoint accepts none yet:", err)
	}
	if err := endpoint.Accept(1); err != nil {
		t.Fatal(err)
	}
	before := heldBesides()
	wait := serve(endpoint, capos.HandlerFunc(func(_ uint64, m *capos.Message) error {
		capos.Of[capos.Event](m.Cap).Signal(m.Words[0])
		if m.Words[1] == 1 {
			m.Cap = capos.FromID(0xffff0fff) // which is none
		}
		return nil // gives back what has come
	}), 1)
	event := must[capos.Event](t)(factory.Create())
	m := &capos.Message{Words: [8]uint64{5}, Cap: event.Capability}
	if err := facet.CallTaking(m, time.Time{}); err != nil || m.Cap.ID() == 0 ||
		m.Cap == event.Capability {
		t.Error(err, m.Cap)
	}
	if bits, err := capos.Of[capos.Event](m.Cap).Wait(7, time.Unix(1, 0)); bits != 5 {
		t.Error("what came is the same event:", bits, err)
	}
	m.Cap.Close()
	m.Cap = event.Capability
	if err := facet.Call(m, time.Time{}); err != nil || m.Cap.ID() != 0 {
		t.Error("a call that takes none:", err, m.Cap)
	}
	if err := facet.CallTaking(m, time.Time{}); err != nil || m.Cap.ID() != 0 {
		t.Error("an answer that has none:", err, m.Cap)
	}
	m.Words[1] = 1
	if err := facet.CallTaking(m, time.Time{}); err != capos.ErrNotFound || m.Cap.ID() != 0 {
		t.Error("an answer with what the server does not hold:", err, m.Cap)
	}
	event.Close()
	checkHeld(t, before)
	facet.Close()
	wait()
}

// ---- with children
// ------------------------------------------------------------------------------------------

func init() {
	what, argument, _ := strings.Cut(os.Getenv(childVariable), " ")
	run := map[string]func(string){"server": serveInChild, "notified": callNotified,
		"share": fillShared, "borrow": borrow, "long-server": serveLongInChild,
		"without": callWithout}[what]
	if run != nil {
		run(argument)
		os.Exit(0)
	}
}

func grantedToChild[T capos.Typed](name string) T {
	held, err := capos.Granted[T](name)
	inChild(err == nil, name)
	return held
}

// serveInChild ends in a call whose first word is 1.
func serveInChild(string) {
	endpoint := grantedToChild[capos.Endpoint]("endpoint")
	err := endpoint.Serve(capos.HandlerFunc(func(_ uint64, m *capos.Message) error {
		if m.Words[0] == 1 {
			os.Exit(3)
		}
		m.Words[1]++
		return nil
	}), 2)
	inChild(err == nil, "the server ends with an error")
}

func startWith(t testing.TB, what string, grants map[string]capos.Held) *exec.Cmd {
	t.Helper()
	cmd := child(t, what)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = capos.Grants(grants)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// What the end of a server in another process means to those that call it, and the end of its last
// client to a server.
func TestServerInChild(t *testing.T) {
	for first, code := range map[uint64]int{0: 0, 1: 3} {
		endpoint, facet := served(t, 1)
		cmd := startWith(t, "server", map[string]capos.Held{"endpoint": endpoint})
		endpoint.Close()
		m := &capos.Message{Words: [8]uint64{1: 5}}
		if err := facet.Call(m, time.Time{}); err != nil || m.Words[1] != 6 {
			t.Error(err, m.Words)
		}
		if first == 1 {
			m.Words[0] = first
			if err := facet.Call(m, time.Time{}); err != capos.ErrDisconnected {
				t.Error("the server ended in the call:", err)
			}
			if err := facet.Call(m, time.Time{}); err != capos.ErrDisconnected {
				t.Error("there is no server any more:", err)
			}
		}
		facet.Close()
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Error(cmd.ProcessState)
		}
	}
}

// fillShared writes to memory of its parent, and signals.
func fillShared(argument string) {
	memory, err := grantedToChild[capos.MemoryObject]("memory").Bytes()
	inChild(err == nil, "mapping")
	copy(memory, argument)
	inChild(grantedToChild[capos.Event]("written").Signal(1<<7) == nil, "signal")
}

func TestSharedMemoryAndEvent(t *testing.T) {
	event := must[capos.Event](t)(granted[capos.EventFactory](t, "event_factory").Create())
	object := must[capos.MemoryObject](t)(granted[capos.MemoryAllocator](t,
		"memory_allocator").Create(100))
	memory := must[[]byte](t)(object.Bytes())
	cmd := startWith(t, "share told", map[string]capos.Held{"memory": object, "written": event})
	bits, err := event.Wait(^uint64(0), time.Now().Add(time.Minute))
	if bits != 1<<7 || err != nil || string(memory[:5]) != "told\x00" {
		t.Error(bits, err, memory[:5])
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(object.Free(memory), object.Close(), event.Close()); err != nil {
		t.Error(err)
	}
}

// callNotified calls on the first thread of the process, which gets the signals of others. A child
// runs before main, so this goroutine is locked to it.
func callNotified(string) {
	factory := grantedToChild[capos.EndpointFactory]("endpoint_factory")
	endpoint, err := factory.Create(1)
	inChild(err == nil, "endpoint")
	facet, err := endpoint.MakeFacet(1)
	inChild(err == nil, "facet")
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	var got atomic.Int32
	go endpoint.Serve(capos.HandlerFunc(func(_ uint64, m *capos.Message) error {
		for range 10 {
			syscall.Kill(os.Getpid(), syscall.SIGUSR1)
			<-signals
			got.Add(1)
		}
		m.Words[3]++
		return nil
	}), 1)
	m := &capos.Message{Words: [8]uint64{3: 8}}
	err = facet.Call(m, time.Time{})
	inChild(err == nil && m.Words[3] == 9 && got.Load() == 10,
		"call: "+strconv.Itoa(int(got.Load())))
}

// A notification ends no call.
func TestCallIsNotified(t *testing.T) {
	cmd := child(t, "notified")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

func BenchmarkCall(b *testing.B) {
	endpoint, facet := served(b, 1)
	cmd := startWith(b, "server", map[string]capos.Held{"endpoint": endpoint})
	endpoint.Close()
	m := new(capos.Message)
	for b.Loop() {
		if err := facet.Call(m, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
	facet.Close()
	cmd.Wait()
}
