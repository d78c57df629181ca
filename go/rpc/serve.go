package rpc

import (
	"context"
	"sync"

	"capnproto.org/go/capnp/v3"

	"capos.dev/capos"
)

// callsAtOnce is how many calls of an endpoint may be answered at a time, each by a thread. Others
// wait.
const callsAtOnce = 64

// Serve has a client answer the calls of all facets of an endpoint, until a facet has no holder any
// more, or the endpoint is gone. It takes over the reference to the client. A program that calls
// before this one runs has to make the endpoint accept capabilities itself.
func Serve(endpoint capos.Endpoint, main capnp.Client) error {
	defer main.Release()
	if err := endpoint.Accept(1); err != nil {
		return err
	}
	return endpoint.ServeInOrder(only{main}, capos.MessageBytesMax, callsAtOnce)
}

type only struct{ main capnp.Client }

func (o only) FacetGone(uint64) bool { return false }

func (o only) Deliver(_ uint64, m *capos.LongMessage) func() error {
	return deliver(o.main.AddRef(), m)
}

// exports are the clients of this program that others hold, by the tags of their facets. All have
// one endpoint, which is made with the first and stays.
var exports exporter

type exporter struct {
	mu       sync.Mutex
	endpoint capos.Endpoint
	last     uint64
	clients  map[uint64]capnp.Client
}

// add makes a facet for a client, whose reference it takes over.
func (x *exporter) add(c capnp.Client) (capos.Facet, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var facet capos.Facet
	err := x.open()
	if err == nil {
		facet, err = x.endpoint.MakeFacet(x.last + 1)
	}
	if err != nil {
		c.Release()
		return facet, ofKernel(err)
	}
	x.last++
	x.clients[x.last] = c
	return facet, nil
}

func (x *exporter) open() error {
	if x.clients != nil {
		return nil
	}
	factory, err := capos.Granted[capos.EndpointFactory]("endpoint_factory")
	if err != nil {
		return err
	}
	endpoint, err := factory.Create(capos.EndpointCallsMax)
	if err != nil {
		return err
	}
	if err := endpoint.Accept(1); err != nil {
		endpoint.Close()
		return err
	}
	x.endpoint, x.clients = endpoint, map[uint64]capnp.Client{}
	go endpoint.ServeInOrder(x, capos.MessageBytesMax, callsAtOnce)
	return nil
}

func (x *exporter) FacetGone(tag uint64) bool {
	x.mu.Lock()
	client := x.clients[tag]
	delete(x.clients, tag)
	x.mu.Unlock()
	client.Release()
	return true
}

func (x *exporter) Deliver(tag uint64, m *capos.LongMessage) func() error {
	x.mu.Lock()
	client := x.clients[tag].AddRef()
	x.mu.Unlock()
	return deliver(client, m)
}

// deliver begins a call of a client, whose reference it takes over. What it returns waits for the
// results, and makes them the answer.
func deliver(client capnp.Client, m *capos.LongMessage) func() error {
	defer client.Release()
	head, params, err := decode(m, 2)
	m.Bytes, m.Caps = nil, nil
	r := &returner{returned: make(chan struct{})}
	if err == nil && head[1]&(1<<32-1) > 1<<16-1 {
		params.Release()
		err = capnp.Unimplemented("no interface has a method of that number")
	}
	var args capnp.Ptr
	if err == nil {
		args, err = params.Root()
	}
	if err != nil {
		return func() error { return r.refuse(m, err) }
	}
	client.RecvCall(context.Background(), capnp.Recv{
		Method:      capnp.Method{InterfaceID: head[0], MethodID: uint16(head[1])},
		Args:        args.Struct(),
		ReleaseArgs: sync.OnceFunc(params.Release),
		Returner:    r,
	})
	return func() error {
		<-r.returned
		return r.answer(m)
	}
}

// A returner takes the results of a call.
type returner struct {
	message  *capnp.Message
	err      error
	returned chan struct{}
}

func (r *returner) AllocResults(size capnp.ObjectSize) (results capnp.Struct, err error) {
	if r.message, err = newMessage(size, nil); err != nil {
		return results, err
	}
	root, err := r.message.Root()
	return root.Struct(), err
}

func (r *returner) PrepareReturn(err error) { r.err = err }
func (r *returner) Return()                 { close(r.returned) }

// ReleaseResults does nothing, because the results are sent after it.
func (r *returner) ReleaseResults() {}

// answer makes the results the answer. What goes with it are copies, because clients of this
// program may hold them too.
func (r *returner) answer(m *capos.LongMessage) error {
	if r.err == nil && r.message == nil {
		r.message, r.err = newMessage(capnp.ObjectSize{}, nil)
	}
	if r.err != nil {
		return r.refuse(m, r.err)
	}
	made, sent, err := encode(make([]uint64, 1), r.message)
	if err != nil {
		return r.refuse(m, err)
	}
	*m = *made
	m.Keep = true
	m.Sent = func() {
		sent()
		r.message.Release()
	}
	return nil
}

func (r *returner) refuse(m *capos.LongMessage, err error) error {
	if r.message != nil {
		r.message.Release()
	}
	made, failed := encodeException(err)
	*m = *made
	return failed
}
