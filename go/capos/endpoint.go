package capos

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// A Message is what a call carries, and its answer. The server's interface gives it a meaning.
type Message struct {
	Words [8]uint64

	// Cap goes with the words, or has come with them. What came is the receiver's to close. The
	// zero Capability: none.
	Cap Capability
}

// Bytes are the words as bytes.
func (m *Message) Bytes() *[64]byte { return (*[64]byte)(unsafe.Pointer(&m.Words)) }

// Call calls the server and waits for its answer, which replaces the message, also when the server
// answers an error. A copy of m.Cap goes to the server, if its endpoint accepts capabilities, and
// none comes. Other goroutines run meanwhile. Besides the errors of the opcode endpointCall in
// abi/schema/ring.capnp there are those of the server.
func (f Facet) Call(m *Message, deadline time.Time) error { return f.call(m, 0, deadline) }

// CallTaking is Call where a capability may come with the answer. It is in m.Cap then.
func (f Facet) CallTaking(m *Message, deadline time.Time) error {
	return f.call(m, abiMessageTakes, deadline)
}

func (f Facet) call(m *Message, takes uint64, deadline time.Time) error {
	r := registers{RDI: uint64(f.id), R14: uint64(deadlineWord(deadline)),
		R15: takes | capWord(m.Cap), Words: m.Words}
	e := operate(abiOpcodeEndpointCall, &r)
	m.Words, m.Cap = r.Words, Capability{}
	if takes != 0 {
		m.Cap.id = uint32(r.R14)
	}
	return asError(e)
}

// capWord is how R15 names a capability that goes.
func capWord(c Capability) uint64 { return uint64(c.id) << 32 }

// A Handler answers the calls of facets.
type Handler interface {
	// Call answers one call: the message becomes the answer. The tag is that of the facet. With
	// an error the call fails, with an Error of that code, or with ErrWrongState for an error
	// that says nothing to other programs. The goroutine is locked to its thread.
	//
	// What m.Cap is then goes with the answer and leaves this process, also where the caller
	// takes none. So a handler that keeps what has come, or has closed it, takes it out of the
	// message.
	Call(tag uint64, m *Message) error

	// FacetGone tells of a facet that has no holder any more. Serve ends when it returns false.
	FacetGone(tag uint64) bool
}

// A HandlerFunc is a Handler that serves until a facet has no holder any more.
type HandlerFunc func(tag uint64, m *Message) error

func (f HandlerFunc) Call(tag uint64, m *Message) error { return f(tag, m) }
func (HandlerFunc) FacetGone(uint64) bool               { return false }

// WakeTag is the tag of facets by which Serve ends its own goroutines. No other facet of an
// endpoint that is served may have it.
const WakeTag = ^uint64(0)

// Serve receives calls in so many goroutines and has them handled, until the handler wants no more,
// or the endpoint is gone. It returns nil or that error when the last goroutine is done with its
// call. Each goroutine has a thread of its own meanwhile, because the thread that has received a
// call is the one that can answer it. A goroutine that ends in a handler takes its thread along,
// and its caller gets ErrDisconnected.
func (e Endpoint) Serve(h Handler, goroutines int) error {
	s := &server{endpoint: e, handler: h}
	s.loop = func() Error { return s.answerAll(h) }
	for range goroutines - 1 {
		if err := s.start(); err != nil {
			s.closeWakes()
			return err
		}
	}
	return s.run()
}

// facetHandler is what a server does about a facet without a holder, as Handler has it.
type facetHandler interface{ FacetGone(tag uint64) bool }

type server struct {
	endpoint Endpoint
	handler  facetHandler
	loop     func() Error // of one goroutine, until it has to end
	stopping atomic.Bool
	others   sync.WaitGroup

	mu    sync.Mutex
	wakes []Facet // one for each goroutine but one that has not been told to end
	err   error
}

// start starts another goroutine than the one in run, unless the server ends.
func (s *server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return nil
	}
	wake, err := s.endpoint.MakeFacet(WakeTag)
	if err == nil {
		s.wakes = append(s.wakes, wake)
		s.others.Go(s.serve)
	}
	return err
}

func (s *server) run() error {
	s.serve()
	s.others.Wait()
	s.closeWakes()
	return s.err
}

// serve is one goroutine of the server.
func (s *server) serve() {
	runtime.LockOSThread()
	if e := s.loop(); e != 0 {
		s.fail(e)
	} else {
		s.wakeNext()
	}
	runtime.UnlockOSThread()
}

func (s *server) answerAll(h Handler) Error {
	m := new(Message)
	tag, got, e := s.endpoint.receive(m)
	for {
		switch {
		case e == ErrInterrupted: // a notification is no reason to end
			tag, got, e = s.endpoint.receive(m)
		case e != 0:
			return e
		case got == abiReceiveResultCall:
			tag, got, e = s.endpoint.answer(m, codeOf(h.Call(tag, m)))
		case s.facetGone(tag):
			return 0
		default:
			tag, got, e = s.endpoint.receive(m)
		}
	}
}

// facetGone reports whether the goroutine has to end and to pass that on.
func (s *server) facetGone(tag uint64) bool {
	if tag == WakeTag {
		return s.stopping.Load()
	}
	return !s.handler.FacetGone(tag) && !s.stopping.Swap(true)
}

// wakeNext makes one of the other goroutines end, which does the same.
func (s *server) wakeNext() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.wakes) - 1; last >= 0 {
		s.wakes[last].Close()
		s.wakes = s.wakes[:last]
	}
}

func (s *server) closeWakes() {
	for _, wake := range s.wakes {
		wake.Close()
	}
}

func (s *server) fail(e Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = e
	}
}

func (e Endpoint) receive(m *Message) (tag, result uint64, err Error) {
	return e.take(abiOpcodeReceive, m, 0)
}

// answer answers the call that the thread has received, and receives the next. Where that cannot be
// the answer, the caller gets the error: for a capability that this process does not hold, or for
// whose way there is no memory. A handler may also have closed the endpoint, and its call is
// answered still.
func (e Endpoint) answer(m *Message, code uint64) (tag, result uint64, err Error) {
	if m.Cap.id != 0 {
		code |= capWord(m.Cap) | abiMessageMoves
	}
	given := m.Cap.id != 0
	tag, result, err = e.take(abiOpcodeReplyReceive, m, code)
	switch {
	case given && (err == ErrNotFound || err == ErrNoMemory):
		return e.take(abiOpcodeReplyReceive, m, uint64(err-abiErrorBase))
	case err == ErrInvokeFailed:
		operate(abiOpcodeReply, &registers{R15: code, Words: m.Words})
	}
	return tag, result, err
}

func (e Endpoint) take(opcode uint8, m *Message, code uint64) (tag, result uint64, err Error) {
	r := registers{RDI: uint64(e.id), R14: abiWaitForever, R15: code, Words: m.Words}
	err = operate(opcode, &r)
	m.Words, m.Cap = r.Words, Capability{}
	if err == 0 {
		m.Cap.id = uint32(r.R14)
	}
	return r.RDI, r.RAX, err
}
