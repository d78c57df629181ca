package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/exc"

	"capos.dev/capos"
)

// Tests of messages on any system. tests/rpc has those of calls.

func TestMessages(t *testing.T) {
	size := capnp.ObjectSize{DataSize: 8, PointerCount: 1}
	sent, err := newMessage(size, func(s capnp.Struct) error {
		s.SetUint64(0, 77)
		return s.SetText(0, strings.Repeat("text ", 1000))
	})
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := encode([]uint64{0x1234, 5}, sent)
	if err != nil || len(m.Bytes)%wordBytes != 0 {
		t.Fatal(err, len(m.Bytes))
	}
	head, came, err := decode(m, 2)
	if err != nil || head[0] != 0x1234 || uint32(head[1]) != 5 {
		t.Fatal(err, head)
	}
	root, err := came.Root()
	if err != nil || root.Struct().Uint64(0) != 77 {
		t.Fatal(err, root)
	}
	text, err := root.Struct().Ptr(0)
	if err != nil || len(text.Text()) != 5000 {
		t.Error(err, len(text.Text()))
	}
	long := capnp.ObjectSize{DataSize: capos.MessageBytesMax}
	if sent, err = newMessage(long, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := encode([]uint64{0}, sent); err == nil {
		t.Error("a message that is too long is sent")
	}
}

func TestExceptions(t *testing.T) {
	for _, sent := range []error{errors.New("some text"), exc.New(exc.Overloaded, "a", "b"),
		exc.New(exc.Disconnected, "", "gone"), capnp.Unimplemented("no"),
		fmt.Errorf("wrapped: %w", capos.ErrNotFound), capos.ErrBusy} {
		m, failed := encodeException(sent)
		got := decodeAnswer(m, failed)
		if got.err == nil || got.err.Error() != sent.Error() {
			t.Errorf("%v came as %v", sent, got.err)
		}
		for kind := exc.Failed; kind <= exc.Unimplemented; kind++ {
			if exc.IsType(sent, kind) && !exc.IsType(got.err, kind) {
				t.Errorf("%v came as another type", sent)
			}
		}
		if e := capos.Error(0); errors.As(sent, &e) && !errors.Is(got.err, e) {
			t.Errorf("%v is not %v", got.err, e)
		}
	}
	zeros := &capos.LongMessage{Bytes: make([]byte, 64)}
	if got := decodeAnswer(zeros, capos.ErrUnimplemented); !exc.IsType(got.err,
		exc.Unimplemented) {
		t.Error("an error without an exception, in registers:", got.err)
	}
	if err := ofKernel(context.Canceled); err != context.Canceled {
		t.Error(err)
	}
}

// Whatever comes, nothing panics, and reading what came does not.
func TestMalformedMessages(t *testing.T) {
	good, _ := encodeException(errors.New("text"))
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		m := &capos.LongMessage{Bytes: make([]byte, random.IntN(len(good.Bytes)+1))}
		copy(m.Bytes, good.Bytes)
		for range random.IntN(4) {
			if len(m.Bytes) != 0 {
				m.Bytes[random.IntN(len(m.Bytes))] = byte(random.Uint32())
			}
		}
		decodeAnswer(&capos.LongMessage{Bytes: m.Bytes}, capos.ErrWrongState)
		if a := decodeAnswer(&capos.LongMessage{Bytes: m.Bytes}, nil); a.err == nil {
			a.root.Struct().Ptr(0)
			a.message.Release()
		}
		deliver(capnp.ErrorClient(errors.New("none")), m)()
	}
}
