//go:build capos

package system

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"capos.dev/capos"
)

// Tests of calls through the ring from Go: that contexts end, with long messages and several
// capabilities, many of them at once.

// servedMany is served for an endpoint that takes capabilities and lets many calls wait.
func servedMany(t testing.TB) (capos.Endpoint, capos.Facet) {
	t.Helper()
	endpoint, err := granted[capos.EndpointFactory](t, "endpoint_factory").Create(1024)
	if err == nil {
		err = endpoint.Accept(1)
	}
	if err != nil {
		t.Fatal(err)
	}
	facet, err := endpoint.MakeFacet(1)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint, facet
}

// serveLong has a function serve, and returns what ends that, after which nothing is left.
func serveLong(t testing.TB, size, goroutines int, f capos.LongHandlerFunc) (capos.Facet, func()) {
	t.Helper()
	endpoint, facet := servedMany(t)
	done := make(chan error)
	go func() { done <- endpoint.ServeLong(f, size, goroutines) }()
	return facet, func() {
		t.Helper()
		facet.Close()
		if err := <-done; err != nil {
			t.Error("the server ends with", err)
		}
		endpoint.Close()
	}
}

// warmUp makes what the first call through a ring makes and keeps.
func warmUp(t testing.TB) {
	facet, end := serveLong(t, 64, 1, func(uint64, *capos.LongMessage) error { return nil })
	if err := facet.CallLong(context.Background(), &capos.LongMessage{},
		capos.Room{}); err != nil {
		t.Fatal(err)
	}
	end()
}

// reversed is what the servers here answer.
func reversed(_ uint64, m *capos.LongMessage) error {
	answer := make([]byte, len(m.Bytes))
	for i, b := range m.Bytes {
		answer[len(answer)-1-i] = b ^ 0x5a
	}
	m.Bytes = answer
	return nil
}

func checkReversed(t *testing.T, ctx context.Context, facet capos.Facet, size int) {
	t.Helper()
	question := make([]byte, size)
	for i := range question {
		question[i] = byte(rand.Uint32())
	}
	m := &capos.LongMessage{Bytes: question}
	if err := facet.CallLong(ctx, m, capos.Room{Bytes: size}); err != nil {
		t.Error(size, err)
	}
	reversed(0, m)
	if !bytes.Equal(m.Bytes, question) {
		t.Errorf("%d bytes came as %d others", size, len(m.Bytes))
	}
}

func TestCallLong(t *testing.T) {
	warmUp(t)
	before := heldBesides()
	facet, end := serveLong(t, capos.MessageBytesMax, 3, reversed)
	ctx := context.Background()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, size := range []int{0, 1, 63, 64, 65, 4095, 4097, 30000,
				capos.MessageBytesMax} {
				checkReversed(t, ctx, facet, size)
			}
		})
	}
	all.Wait()
	for _, c := range []struct {
		size int
		room capos.Room
		want error
	}{
		{capos.MessageBytesMax + 1, capos.Room{}, capos.ErrInvalidParamsBuffer},
		{100, capos.Room{Bytes: 99}, capos.ErrInvalidResultBuffer},
		{1, capos.Room{Bytes: 1, Caps: 9}, capos.ErrInvalidArgument},
	} {
		m := &capos.LongMessage{Bytes: make([]byte, c.size)}
		if err := facet.CallLong(ctx, m, c.room); err != c.want || len(m.Bytes) != 0 {
			t.Errorf("%d bytes, room for %v: %v, %d bytes", c.size, c.room, err,
				len(m.Bytes))
		}
	}
	m := &capos.LongMessage{Caps: make([]capos.Capability, 9)}
	if err := facet.CallLong(ctx, m, capos.Room{}); err != capos.ErrInvalidArgument {
		t.Error("nine capabilities:", err)
	}
	end()
	checkHeld(t, before)
}

// signalAll gives back the events that have come, or makes an answer that cannot be sent.
func signalAll(_ uint64, m *capos.LongMessage) error {
	for i, c := range m.Caps {
		capos.Of[capos.Event](c).Signal(1 << i)
	}
	switch string(m.Bytes) {
	case "none":
		m.Caps[0].Close()
		m.Caps[0] = capos.FromID(0xffff0fff)
	case "long":
		m.Bytes = make([]byte, capos.MessageBytesMax+1)
	case "many":
		m.Caps = append(m.Caps, make([]capos.Capability, 9)...)
	}
	return nil
}

// Capabilities go both ways, and nothing is left, whatever fails.
func TestCapabilitiesInLongMessages(t *testing.T) {
	warmUp(t)
	factory := granted[capos.EventFactory](t, "event_factory")
	before := heldBesides()
	facet, end := serveLong(t, 64, 1, signalAll)
	var events []capos.Capability
	for range capos.MessageCapsMax {
		events = append(events, must[capos.Event](t)(factory.Create()).Capability)
	}
	call := func(what string, room capos.Room, want error, come int) {
		t.Helper()
		m := &capos.LongMessage{Bytes: []byte(what), Caps: events}
		if err := facet.CallLong(context.Background(), m, room); err != want ||
			len(m.Caps) != come {
			t.Errorf("%s: %v, and %d came", what, err, len(m.Caps))
		}
		for i, c := range m.Caps {
			bits, err := capos.Of[capos.Event](c).Wait(1<<i, time.Unix(1, 0))
			if bits != 1<<i {
				t.Errorf("%s: what came is another event: %d %v", what, bits, err)
			}
			c.Close()
		}
	}
	call("good", capos.Room{Bytes: 64, Caps: 8}, nil, 8)
	call("good", capos.Room{Bytes: 64, Caps: 7}, nil, 0)
	call("none", capos.Room{Bytes: 64, Caps: 8}, capos.ErrNotFound, 0)
	call("long", capos.Room{Bytes: 64, Caps: 8}, capos.ErrOutOfRange, 0)
	call("many", capos.Room{Bytes: 64, Caps: 8}, capos.ErrInvalidArgument, 0)
	ctx, cancel := context.WithCancel(context.Background())
	for _, ctx := range []context.Context{ctx, context.Background()} {
		m := &capos.Message{Words: [8]uint64{1, 2, 3, 4, 5, 6, 7, 8}, Cap: events[0]}
		if err := facet.CallContext(ctx, m); err != nil || m.Words[7] != 8 ||
			m.Cap.ID() == 0 || m.Cap == events[0] {
			t.Error("a short message:", err, m)
		}
		m.Cap.Close()
	}
	cancel()
	for _, c := range events {
		c.Close()
	}
	end()
	checkHeld(t, before)
}

// More calls are outstanding than one ring has room for, and no thread for each of them. Half of
// them are given up, the other half get their answers.
func TestManyCallsOutstanding(t *testing.T) {
	warmUp(t)
	before := heldBesides()
	const calls = 150
	come, answer := make(chan bool, calls), make(chan bool)
	facet, end := serveLong(t, 64, 1, func(_ uint64, m *capos.LongMessage) error {
		come <- true
		<-answer
		return reversed(0, m)
	})
	threads := process().Threads
	ctx, cancel := context.WithCancel(context.Background())
	var cancelled, answered atomic.Int32
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			if i%2 == 0 {
				checkReversed(t, context.Background(), facet, 8)
				answered.Add(1)
			} else if err := facet.CallLong(ctx, &capos.LongMessage{},
				capos.Room{Bytes: 8}); err != context.Canceled {
				t.Error("a call that was given up:", err)
			} else {
				cancelled.Add(1)
			}
		})
	}
	<-come
	time.Sleep(20 * time.Millisecond) // so that all others wait
	if now := process().Threads; now > threads+20 {
		t.Errorf("%d threads became %d for %d calls", threads, now, calls)
	}
	cancel()
	for cancelled.Load() < calls/2 {
		time.Sleep(time.Millisecond)
	}
	close(answer)
	all.Wait()
	if answered.Load() != calls/2 {
		t.Error(answered.Load(), "answers")
	}
	end()
	checkHeld(t, before)
}

func TestContextsEndCalls(t *testing.T) {
	warmUp(t)
	never := make(chan bool)
	facet, end := serveLong(t, 64, 10, func(uint64, *capos.LongMessage) error {
		<-never
		return nil
	})
	call := func(ctx context.Context) error {
		return facet.CallContext(ctx, new(capos.Message))
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := call(gone); err != context.Canceled {
		t.Error("a context that has ended:", err)
	}
	for _, left := range []time.Duration{30 * time.Millisecond, 0, -time.Hour} {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), left)
		err := call(ctx)
		if took := time.Since(begin); err != context.DeadlineExceeded || took < left ||
			took > left.Abs()+10*time.Second {
			t.Errorf("for %v: %v after %v", left, err, took)
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := call(ctx); err != context.Canceled {
		t.Error("a context that is cancelled:", err)
	}
	close(never)
	if err := call(context.Background()); err != nil {
		t.Error("the server answers still:", err)
	}
	end()
	if err := call(context.Background()); err != capos.ErrInvokeFailed {
		t.Error("a facet that was closed:", err)
	}
}

// A handler calls others, and is itself called back by its caller while it does.
func TestCallsOfHandlers(t *testing.T) {
	warmUp(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var facet capos.Facet
	facet, end := serveLong(t, 64, 20, func(_ uint64, m *capos.LongMessage) error {
		if m.Bytes[0] == 0 {
			return nil
		}
		m.Bytes[0]--
		return facet.CallLong(ctx, m, capos.Room{Bytes: 64})
	})
	m := &capos.LongMessage{Bytes: []byte{15, 7}}
	if err := facet.CallLong(ctx, m, capos.Room{Bytes: 2}); err != nil ||
		!bytes.Equal(m.Bytes, []byte{0, 7}) {
		t.Error(err, m.Bytes)
	}
	end()
}

// serveLongInChild ends in a call with an empty message.
func serveLongInChild(string) {
	endpoint := grantedToChild[capos.Endpoint]("endpoint")
	err := endpoint.ServeLong(capos.LongHandlerFunc(func(_ uint64, m *capos.LongMessage) error {
		if len(m.Bytes) == 0 {
			os.Exit(3)
		}
		return reversed(0, m)
	}), capos.MessageBytesMax, 2)
	inChild(err == nil, "the server ends with an error")
}

func TestLongServerInChild(t *testing.T) {
	warmUp(t)
	before := heldBesides()
	endpoint, facet := servedMany(t)
	cmd := startWith(t, "long-server", map[string]capos.Held{"endpoint": endpoint})
	endpoint.Close()
	ctx := context.Background()
	checkReversed(t, ctx, facet, 64)
	checkReversed(t, ctx, facet, capos.MessageBytesMax)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := facet.CallLong(ctx, new(capos.LongMessage),
				capos.Room{}); err != capos.ErrDisconnected {
				t.Error("the server ended in the call:", err)
			}
		})
	}
	all.Wait()
	facet.Close()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Error(cmd.ProcessState)
	}
	checkHeld(t, before)
}

// A program without the capability that a ring's owner needs is told so.
func callWithout(string) {
	facet := grantedToChild[capos.Facet]("facet")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := facet.CallContext(ctx, new(capos.Message))
	inChild(errors.Is(err, os.ErrPermission), "without an endpoint factory")
	inChild(facet.Call(new(capos.Message), time.Time{}) == nil, "in registers")
}

func TestCallContextWithoutFactory(t *testing.T) {
	facet, end := serveLong(t, 64, 1, reversed)
	cmd := startWith(t, "without", map[string]capos.Held{"facet": facet,
		"endpoint_factory": capos.Capability{}})
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	end()
}

func BenchmarkCallContext(b *testing.B) {
	endpoint, facet := servedMany(b)
	cmd := startWith(b, "long-server", map[string]capos.Held{"endpoint": endpoint})
	endpoint.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m := new(capos.Message)
	for b.Loop() {
		if err := facet.CallContext(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
	facet.Close()
	cmd.Wait()
}

// inOrder notes the order in which calls are delivered, and answers them in the other one.
type inOrder struct {
	t     *testing.T
	next  byte
	after chan struct{} // closed when the call that came later is answered
}

func (o *inOrder) FacetGone(uint64) bool { return false }

func (o *inOrder) Deliver(_ uint64, m *capos.LongMessage) func() error {
	if m.Bytes[0] != o.next {
		o.t.Errorf("call %d came after %d others", m.Bytes[0], o.next)
	}
	o.next++
	later, now := o.after, make(chan struct{})
	if o.next%10 == 0 {
		close(now)
	}
	o.after = now
	return func() error {
		<-now
		if later != nil && m.Bytes[0]%10 != 0 {
			close(later)
		}
		return nil
	}
}

// Calls are delivered in the order in which they began, in which they do not end, also where they
// need more than one ring.
func TestCallsInOrder(t *testing.T) {
	warmUp(t)
	before := heldBesides()
	endpoint, facet := servedMany(t)
	done := make(chan error)
	go func() { done <- endpoint.ServeInOrder(&inOrder{t: t}, 64, 20) }()
	var calls []*capos.Call
	for i := range 200 {
		calls = append(calls, facet.Begin(context.Background(),
			&capos.LongMessage{Bytes: []byte{byte(i)}}, capos.Room{Bytes: 1}))
	}
	for _, call := range calls {
		if err := call.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	facet.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	endpoint.Close()
	checkHeld(t, before)
}

// Copies of what is in an answer go where the handler says so.
func TestAnswerKeepsCapabilities(t *testing.T) {
	warmUp(t)
	before := heldBesides()
	event := must[capos.Event](t)(granted[capos.EventFactory](t, "event_factory").Create())
	facet, end := serveLong(t, 64, 1, func(_ uint64, m *capos.LongMessage) error {
		m.Caps, m.Keep = []capos.Capability{event.Capability, event.Capability}, true
		return nil
	})
	for room := range 3 {
		m := new(capos.LongMessage)
		err := facet.CallLong(context.Background(), m, capos.Room{Caps: room})
		if err != nil || len(m.Caps) != room/2*2 {
			t.Errorf("room for %d: %v, and %d came", room, err, len(m.Caps))
		}
		for _, c := range m.Caps {
			c.Close()
		}
	}
	end()
	if err := event.Signal(1); err != nil {
		t.Error("the server does not hold what it has kept:", err)
	}
	event.Close()
	checkHeld(t, before)
}

// A call in registers has 64 bytes for its answer. An error comes without what does not fit.
func TestLongAnswerInRegisters(t *testing.T) {
	facet, end := serveLong(t, 64, 1, func(_ uint64, m *capos.LongMessage) error {
		fails := m.Bytes[0] == 1
		m.Bytes = make([]byte, 65)
		if fails {
			return os.ErrNotExist
		}
		return nil
	})
	for word, want := range []error{capos.ErrOutOfRange, capos.ErrNotFound} {
		err := facet.Call(&capos.Message{Words: [8]uint64{uint64(word)}}, time.Time{})
		if err != want {
			t.Errorf("%v, not %v", err, want)
		}
	}
	end()
}

// A thread that made calls ends when it has none, while another has calls of the same facet. The
// next call finds a thread all the same.
func TestThreadOfCallsEnds(t *testing.T) {
	warmUp(t)
	before := heldBesides()
	release := make(chan bool)
	facet, end := serveLong(t, 64, 70, func(_ uint64, m *capos.LongMessage) error {
		if len(m.Bytes) != 0 {
			<-release
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	begin := func(bytes int) *capos.Call {
		return facet.Begin(ctx, &capos.LongMessage{Bytes: make([]byte, bytes)},
			capos.Room{Bytes: 1})
	}
	var held []*capos.Call
	for range 63 {
		held = append(held, begin(1))
	}
	for range 5 {
		if err := begin(0).Wait(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the other thread has nothing to do
	}
	close(release)
	for _, call := range held {
		if err := call.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	end()
	checkHeld(t, before)
}
