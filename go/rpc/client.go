// Package rpc lets the clients and servers that capnpc-go generates call each other through
// endpoints of capOS. A client that NewClient makes is one of capnproto.org/go/capnp/v3, as that
// package's own rpc makes of connections; so generated code does not notice.
//
// A module of its own, so that package capos needs no other module. docs/go-capabilities.md is the
// guide.
package rpc

import (
	"context"
	"fmt"
	"sync"

	"capnproto.org/go/capnp/v3"

	"capos.dev/capos"
)

// NewClient makes a client of a facet, which it closes with its last reference. Of another
// capability it makes one that can be sent in messages, and whose calls fail.
func NewClient(held capos.Held) capnp.Client {
	return capnp.NewClient(&remote{held: capos.FromID(held.ID())})
}

// Capability is what a client stands for that has come from another program, or was made by
// NewClient. It is the client's still.
func Capability(c capnp.Client) (capos.Capability, bool) {
	snapshot := c.Snapshot()
	defer snapshot.Release()
	if r, ok := snapshot.Brand().Value.(*remote); ok && snapshot.IsValid() {
		return r.held, true
	}
	return capos.Capability{}, false
}

// A remote is the hook of a client for a capability.
type remote struct {
	held capos.Capability

	mu    sync.Mutex
	calls int // that have not ended
	shut  bool
}

func (r *remote) String() string     { return fmt.Sprintf("capability %#x", r.held.ID()) }
func (r *remote) Brand() capnp.Brand { return capnp.Brand{Value: r} }

// Shutdown closes the capability after the calls that have begun, which name it until the kernel
// has taken them.
func (r *remote) Shutdown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
	if r.calls == 0 {
		r.held.Close()
	}
}

func (r *remote) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls--; r.calls == 0 && r.shut {
		r.held.Close()
	}
}

// An answer is how a call has ended.
type answer struct {
	message *capnp.Message
	root    capnp.Ptr
	err     error
}

// begin begins a call, and returns what waits for its answer. The parameters are not needed after
// that has returned.
func (r *remote) begin(ctx context.Context, method capnp.Method,
	params *capnp.Message) (wait func() answer) {
	m, sent, err := encode([]uint64{method.InterfaceID, uint64(method.MethodID)}, params)
	if err != nil {
		return func() answer { return answer{err: err} }
	}
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	call := capos.Of[capos.Facet](r.held).Begin(ctx, m, capos.Room{
		Bytes: capos.MessageBytesMax, Caps: capos.MessageCapsMax})
	return func() answer {
		err := call.Wait()
		r.ended()
		sent()
		return decodeAnswer(m, err)
	}
}

// Send is for calls of this program. Calls of the answer's capabilities wait for the answer here.
func (r *remote) Send(ctx context.Context, s capnp.Send) (*capnp.Answer, capnp.ReleaseFunc) {
	params, err := newMessage(s.ArgsSize, s.PlaceArgs)
	if err != nil {
		return capnp.ErrorAnswer(s.Method, err), func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	wait := r.begin(ctx, s.Method, params)
	queue := capnp.NewAnswerQueue(s.Method)
	promise := capnp.NewPromise(s.Method, queue, queue)
	got := make(chan *capnp.Message, 1)
	go func() {
		a := wait()
		params.Release()
		got <- a.message
		promise.Resolve(a.root, a.err)
	}()
	var once sync.Once
	return promise.Answer(), func() {
		once.Do(func() {
			cancel()
			promise.ReleaseClients() // waits for the end of the call
			if message := <-got; message != nil {
				message.Release()
			}
		})
	}
}

// Recv is for calls that come from elsewhere and are passed on.
func (r *remote) Recv(ctx context.Context, call capnp.Recv) capnp.PipelineCaller {
	queue := capnp.NewAnswerQueue(call.Method)
	params, err := newMessage(call.Args.Size(), func(s capnp.Struct) error {
		return s.CopyFrom(call.Args)
	})
	if err != nil {
		call.Reject(err)
		queue.Reject(err)
		return queue // other calls may wait for this answer
	}
	call.ReleaseArgs()
	wait := r.begin(ctx, call.Method, params)
	go func() {
		a := wait()
		params.Release()
		if a.err == nil {
			a.err = passOn(call.Returner, a.root.Struct())
		}
		call.Returner.PrepareReturn(a.err)
		if a.err == nil {
			queue.Fulfill(a.root)
		} else {
			queue.Reject(a.err)
		}
		call.Returner.Return()
		call.Returner.ReleaseResults()
		if a.message != nil {
			a.message.Release()
		}
	}()
	return queue
}

func passOn(to capnp.Returner, results capnp.Struct) error {
	copied, err := to.AllocResults(results.Size())
	if err == nil {
		err = copied.CopyFrom(results)
	}
	return err
}
