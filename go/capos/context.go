package capos

import (
	"context"
	"time"
	"unsafe"
)

// A LongMessage is what a call through a ring carries, and its answer: up to MessageBytesMax bytes
// and MessageCapsMax capabilities.
type LongMessage struct {
	Bytes []byte

	// Caps go with the bytes, or have come with them. What came is the receiver's to close.
	Caps []Capability

	// Of an answer. Keep: copies of Caps go, and they stay here. Sent is called when the answer
	// has gone, if it is not nil; until then the capabilities have to be held.
	Keep bool
	Sent func()
}

// The bounds of a LongMessage.
const (
	MessageBytesMax = abiMessageBytesMax
	MessageCapsMax  = abiMessageCapsMax
)

// Room is what an answer may have. A call with more room costs the process more memory while it is
// outstanding.
type Room struct{ Bytes, Caps int }

// CallContext is CallTaking that a context ends: by its deadline, or because it is cancelled. The
// error is the context's then. The server is not told, and its answer reaches nothing.
//
// The call goes through the ring of a thread that many calls have in common, so a goroutine that
// waits for one has no thread of its own. The program needs the capability "endpoint_factory" for
// that, by which other goroutines reach that thread. A context that cannot end makes it CallTaking.
func (f Facet) CallContext(ctx context.Context, m *Message) error {
	if ctx.Done() == nil {
		return f.CallTaking(m, time.Time{})
	}
	long := LongMessage{Bytes: append([]byte(nil), m.Bytes()[:]...)}
	if m.Cap.id != 0 {
		long.Caps = []Capability{m.Cap}
	}
	err := f.CallLong(ctx, &long, Room{Bytes: len(m.Bytes()), Caps: 1})
	m.Cap = Capability{}
	if len(long.Caps) != 0 {
		m.Cap = long.Caps[0]
	}
	copy(m.Bytes()[:], long.Bytes)
	return err
}

// CallLong calls the server and waits for its answer, which replaces the message. Copies of m.Caps
// go to the server. A context ends it as it ends CallContext. A message that is longer than the
// server has room for fails with ErrOutOfRange, an answer with more bytes than room with
// ErrInvalidResultBuffer. An answer with more capabilities comes without them.
func (f Facet) CallLong(ctx context.Context, m *LongMessage, room Room) error {
	return f.Begin(ctx, m, room).Wait()
}

// Begin begins what CallLong does. Calls of one facet that a goroutine begins reach the endpoint in
// that order. Until Wait has returned, which has to be called, the message is the call's, and facet
// and capabilities stay open.
func (f Facet) Begin(ctx context.Context, m *LongMessage, room Room) *Call {
	c := &Call{ctx: ctx, message: m, ring: &ringCall{done: make(chan struct{})}}
	if c.err = c.prepare(f, room); c.err != nil {
		return c
	}
	var before *owner
	if c.owner, before, c.err = ownerFor(f); c.err != nil {
		return c
	}
	if before != nil {
		before.flush()
	}
	c.owner.request(c.ring)
	return c
}

// A Call is a call that goes on by itself.
type Call struct {
	ctx     context.Context
	message *LongMessage
	ring    *ringCall
	owner   *owner
	err     error // it has not begun
}

// Wait waits for the end of the call.
func (c *Call) Wait() error {
	call := c.ring
	if c.err == nil {
		select {
		case <-call.done:
		case <-c.ctx.Done():
			c.owner.request(&ringCall{gaveUp: call})
			<-call.done
		}
		c.err = call.err(c.ctx)
	}
	c.message.Bytes, c.message.Caps = call.result[:call.size], call.came
	return c.err
}

func (c *Call) prepare(f Facet, room Room) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	call := c.ring
	if e := call.caps.put(c.message.Caps, false); e != 0 {
		return e
	}
	if room.Bytes < 0 || room.Caps < 0 || room.Caps > MessageCapsMax {
		return ErrInvalidArgument
	}
	call.caps.takes = uint32(room.Caps)
	call.message = c.message.Bytes
	call.result = make([]byte, min(room.Bytes, MessageBytesMax))
	deadline, _ := c.ctx.Deadline()
	call.submission = abiSubmission{opcode: abiOpcodeEndpointCall, cap: f.id, args: [6]uint64{
		address(unsafe.SliceData(call.message)), uint64(len(call.message)),
		address(unsafe.SliceData(call.result)), uint64(len(call.result)),
		uint64(deadlineWord(deadline)), address(&call.caps)}}
	return nil
}

// A ringCall is a call of a ring's owner, or another request: to give a call up, or to tell when
// those before have begun. The kernel uses message, result and caps until the call has ended.
type ringCall struct {
	submission abiSubmission
	message    []byte
	result     []byte
	caps       abiMessageCaps
	gaveUp     *ringCall
	flushes    bool

	done   chan struct{} // closed when the call has ended; then the others are there
	status Error
	size   uint32
	came   []Capability
}

// err is how the call has ended: as the context says where that has ended it.
func (c *ringCall) err(ctx context.Context) error {
	deadline, bounded := ctx.Deadline()
	switch err := ctx.Err(); {
	case c.status == ErrCancelled && err != nil:
		return err
	case c.status == ErrTimedOut && bounded && time.Until(deadline) <= 0:
		return context.DeadlineExceeded
	}
	return asError(c.status)
}
