package capos

import (
	"sync"
	"unsafe"
)

// A LongHandler answers the calls of facets, as a Handler does.
type LongHandler interface {
	// CallLong answers one call: the message becomes the answer. The bytes that came are valid
	// until it returns. With an error the call fails as with Handler.Call. What m.Caps are then
	// goes with the answer and leaves this process, also where the caller takes none, or gets
	// no answer; with m.Keep copies go.
	CallLong(tag uint64, m *LongMessage) error

	// FacetGone tells of a facet that has no holder any more. ServeLong ends when it returns
	// false.
	FacetGone(tag uint64) bool
}

// A LongHandlerFunc is a LongHandler that serves until a facet has no holder any more.
type LongHandlerFunc func(tag uint64, m *LongMessage) error

func (f LongHandlerFunc) CallLong(tag uint64, m *LongMessage) error { return f(tag, m) }
func (LongHandlerFunc) FacetGone(uint64) bool                       { return false }

// ServeLong is Serve for messages of up to so many bytes, with capabilities. It takes calls in
// registers too, whose messages have 64 bytes and whose answers may have no more. It begins with
// one goroutine, and starts another, up to that many, when none waits for a call. So a handler that
// itself waits for a call of a client keeps no other from being answered.
func (e Endpoint) ServeLong(h LongHandler, bytes, goroutines int) error {
	return e.serveLong(&longServer{deliverer: atOnce{h}}, bytes, goroutines)
}

// A Deliverer answers the calls of facets in two steps, the first of which tells their order.
type Deliverer interface {
	// Deliver is called for each call in the order in which they arrive, for one at a time.
	// The function that it returns makes the message the answer, while other calls are
	// delivered. Its error is as for LongHandler.CallLong.
	Deliver(tag uint64, m *LongMessage) (answer func() error)

	// FacetGone tells of a facet that has no holder any more. ServeInOrder ends when it returns
	// false.
	FacetGone(tag uint64) bool
}

// ServeInOrder is ServeLong for a Deliverer.
func (e Endpoint) ServeInOrder(d Deliverer, bytes, goroutines int) error {
	return e.serveLong(&longServer{deliverer: d, inOrder: true}, bytes, goroutines)
}

// atOnce delivers to a handler that does not care about the order.
type atOnce struct{ LongHandler }

func (h atOnce) Deliver(tag uint64, m *LongMessage) func() error {
	return func() error { return h.CallLong(tag, m) }
}

func (e Endpoint) serveLong(s *longServer, bytes, goroutines int) error {
	s.bytes = min(max(bytes, len(Message{}.Words)*8), MessageBytesMax)
	s.more, s.waiting = goroutines-1, 1
	s.endpoint, s.server.handler, s.loop = e, s.deliverer, s.answerAll
	return s.run()
}

type longServer struct {
	server
	deliverer Deliverer
	bytes     int

	inOrder   bool
	turnstile sync.Mutex // in order: held from a receive until its call is delivered

	// Guarded by server.mu.
	more    int // how many goroutines may be started
	waiting int // how many wait for a call, or are about to
	turns   []*turn
}

// A turn is the memory of one goroutine of a server, which the kernel reads and writes.
type turn struct {
	ring     ring
	endpoint Endpoint
	buffer   []byte
	came     abiMessageCaps
	goes     abiMessageCaps
	message  LongMessage
	entered  bool
}

func (s *longServer) answerAll() Error {
	t := &turn{ring: threadRing(), endpoint: s.endpoint, buffer: make([]byte, s.bytes)}
	if t.ring.header == nil {
		return ErrInvokeFailed
	}
	s.keep(t)
	s.enter(t)
	defer s.leave(t)
	got := t.received(t.ring.do(t.receive())[0])
	for {
		switch {
		case got.error == 0 && got.call:
			s.takesCall()
			answer := s.deliverer.Deliver(got.tag, &t.message)
			s.leave(t)
			code := codeOf(answer())
			s.waits()
			got = s.answer(t, code)
			continue
		case got.error != 0 && got.error != ErrInterrupted:
			return got.error
		case got.error == 0 && s.facetGone(got.tag):
			return 0
		}
		got = t.received(t.ring.do(t.receive())[0])
	}
}

// enter makes it the goroutine's turn to receive.
func (s *longServer) enter(t *turn) {
	if s.inOrder && !t.entered {
		s.turnstile.Lock()
	}
	t.entered = true
}

// mayEnter is enter where that needs no waiting.
func (s *longServer) mayEnter(t *turn) bool {
	t.entered = !s.inOrder || s.turnstile.TryLock()
	return t.entered
}

func (s *longServer) leave(t *turn) {
	if s.inOrder && t.entered {
		s.turnstile.Unlock()
	}
	t.entered = false
}

// keep makes the memory of a goroutine stay where it is, which that of its stack does not.
func (s *longServer) keep(t *turn) {
	s.mu.Lock()
	s.turns = append(s.turns, t)
	s.mu.Unlock()
}

// takesCall has another goroutine wait, if no other does.
func (s *longServer) takesCall() {
	s.mu.Lock()
	s.waiting--
	start := s.waiting == 0 && s.more > 0
	if start {
		s.more--
		s.waiting++
	}
	s.mu.Unlock()
	if start && s.start() != nil {
		s.mu.Lock()
		s.more++
		s.waiting--
		s.mu.Unlock()
	}
}

func (s *longServer) waits() {
	s.mu.Lock()
	s.waiting++
	s.mu.Unlock()
}

// event is what a receive got.
type event struct {
	tag   uint64
	call  bool // t.message has come
	error Error
}

func (t *turn) receive() abiSubmission {
	t.came = abiMessageCaps{}
	return abiSubmission{opcode: abiOpcodeRecv, cap: t.endpoint.id,
		args: [6]uint64{address(unsafe.SliceData(t.buffer)), uint64(len(t.buffer)),
			abiWaitForever, address(&t.came)}}
}

func (t *turn) received(c abiCompletion) event {
	got := event{tag: c.value, error: c.failure()}
	got.call = got.error == 0 && c.result == abiReceiveResultCall
	if got.call {
		t.message = LongMessage{Bytes: t.buffer[:c.size:c.size], Caps: t.came.taken()}
	}
	return got
}

// answer answers the call with t.message, and receives the next, in one step if nothing is to be
// done between. Where that cannot be the answer, the caller gets the error alone.
func (s *longServer) answer(t *turn, code uint64) event {
	m := &t.message
	tooMany := t.goes.put(m.Caps, !m.Keep)
	reply := abiSubmission{opcode: abiOpcodeReturn, args: [6]uint64{
		address(unsafe.SliceData(m.Bytes)), uint64(len(m.Bytes)), code, address(&t.goes)}}
	if tooMany != 0 {
		reply.args = [6]uint64{2: codeOf(tooMany)}
	}
	both := len(m.Caps) == 0 && m.Sent == nil && s.mayEnter(t)
	ended := t.reply(reply, both)
	answered := tooMany == 0 && ended[0].result == 0 && ended[0].value == abiReplyResultAnswered
	if e := ended[0].failure(); e != 0 {
		if code == 0 {
			code = codeOf(e)
		}
		reply.args = [6]uint64{2: code}
		ended = t.reply(reply, both)
	}
	for _, c := range m.Caps {
		if !answered && !m.Keep {
			c.Close()
		}
	}
	if m.Sent != nil {
		m.Sent()
	}
	if !both {
		s.enter(t)
		ended[1] = t.ring.do(t.receive())[0]
	}
	return t.received(ended[1])
}

func (t *turn) reply(reply abiSubmission, receives bool) [2]abiCompletion {
	if receives {
		return t.ring.do(reply, t.receive())
	}
	return t.ring.do(reply)
}
