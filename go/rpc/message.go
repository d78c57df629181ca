package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/exc"

	"capos.dev/capos"
)

// The form of messages is that of C programs, docs/decisions/0026-interfaces-of-users.md. An answer
// that is an exception comes with an ErrorCode, and its segment is a CapException of
// abi/schema/call.capnp.

const wordBytes = 8

// newMessage makes a message of one segment.
func newMessage(size capnp.ObjectSize, place func(capnp.Struct) error) (*capnp.Message, error) {
	message, segment, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return nil, err
	}
	root, err := capnp.NewRootStruct(segment, size)
	if err == nil && place != nil {
		err = place(root)
	}
	if err != nil {
		message.Release()
		return nil, err
	}
	return message, nil
}

// encode makes what is sent of a message and the words before it, in whose last the length goes.
// sent has to be called when it is.
func encode(head []uint64, message *capnp.Message) (m *capos.LongMessage, sent func(), err error) {
	segment, err := message.Segment(0)
	if err != nil {
		return nil, nil, err
	}
	data := segment.Data()
	if length := len(head)*wordBytes + len(data); length > capos.MessageBytesMax {
		return nil, nil, exc.New(exc.Failed, "", fmt.Sprintf(
			"a message of %d bytes, and %d is the most", length, capos.MessageBytesMax))
	}
	head[len(head)-1] |= uint64(len(data)/wordBytes) << 32
	m = &capos.LongMessage{}
	for _, word := range head {
		m.Bytes = binary.LittleEndian.AppendUint64(m.Bytes, word)
	}
	m.Bytes = append(m.Bytes, data...)
	m.Caps, sent, err = capabilities(message.CapTable())
	return m, sent, err
}

// capabilities are those of a message. sent closes the facets that were made for it.
func capabilities(table *capnp.CapTable) (caps []capos.Capability, sent func(), err error) {
	var made []capos.Capability
	sent = func() {
		for _, c := range made {
			c.Close()
		}
	}
	if table.Len() > capos.MessageCapsMax {
		return nil, nil, exc.New(exc.Failed, "", fmt.Sprintf(
			"a message with %d capabilities, and %d is the most", table.Len(),
			capos.MessageCapsMax))
	}
	for i := range table.Len() {
		c, ok := Capability(table.At(i))
		if !ok {
			facet, err := exports.add(table.At(i).AddRef())
			if err != nil {
				sent()
				return nil, nil, err
			}
			c = facet.Capability
			made = append(made, c)
		}
		caps = append(caps, c)
	}
	return caps, sent, nil
}

// decode is what encode is for. The message has its capabilities in any case, and copies the bytes.
func decode(m *capos.LongMessage, words int) (head []uint64, message *capnp.Message, err error) {
	var clients []capnp.Client
	for _, c := range m.Caps {
		clients = append(clients, NewClient(c))
	}
	head = make([]uint64, words)
	bytes := m.Bytes
	for i := range head {
		if len(bytes) >= wordBytes {
			head[i] = binary.LittleEndian.Uint64(bytes)
			bytes = bytes[wordBytes:]
		}
	}
	length := head[words-1] >> 32
	if length == 0 || length > uint64(len(bytes)/wordBytes) {
		for _, c := range clients {
			c.Release()
		}
		return head, nil, errors.New("a malformed message")
	}
	data := append([]byte(nil), bytes[:length*wordBytes]...)
	message, _ = capnp.NewSingleSegmentMessage(data)
	message.CapTable().Reset(clients...)
	return head, message, nil
}

func decodeAnswer(m *capos.LongMessage, failed error) answer {
	if failed != nil && len(m.Bytes) == 0 {
		return answer{err: ofKernel(failed)}
	}
	_, message, err := decode(m, 1)
	if err != nil && failed != nil { // a server in registers always sends bytes
		err = ofKernel(failed)
	}
	var root capnp.Ptr
	if err == nil {
		root, err = message.Root()
	}
	if err == nil && failed != nil {
		err = decodeException(root.Struct(), failed)
	}
	if err != nil {
		if message != nil {
			message.Release()
		}
		return answer{err: err}
	}
	return answer{message: message, root: root}
}

// ---- exceptions
// ------------------------------------------------------------------------------------------

// typeOf says which type of exception an error of the kernel is, and which error says that a call
// failed with an exception of the type.
var typeOf = []struct {
	exception exc.Type
	error     capos.Error
}{
	{exc.Overloaded, capos.ErrBusy},
	{exc.Overloaded, capos.ErrLimitReached},
	{exc.Overloaded, capos.ErrNoMemory},
	{exc.Disconnected, capos.ErrDisconnected},
	{exc.Disconnected, capos.ErrInvokeFailed},
	{exc.Unimplemented, capos.ErrUnimplemented},
}

// ofKernel makes an exception of an error without one. Those of contexts stay what they are.
func ofKernel(err error) error {
	var e capos.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, pair := range typeOf {
		if pair.error == e {
			return &exc.Exception{Type: pair.exception, Cause: err}
		}
	}
	return &exc.Exception{Type: exc.Failed, Cause: err}
}

// An exception is an error that comes as one, with what it is to errors.Is.
type exception struct {
	text  string
	error error
}

func (e *exception) Error() string { return e.text }
func (e *exception) Unwrap() error { return e.error }

// The fields of CapException.
const (
	exceptionBytes  = 16
	exceptionType   = 0 // 16 bits
	exceptionCode   = 2 // 16 bits
	exceptionReason = 0 // pointer
)

func encodeException(err error) (m *capos.LongMessage, failed error) {
	kind := exc.Failed
	if e := (*exc.Exception)(nil); errors.As(err, &e) {
		kind = e.Type
	}
	failed = capos.ErrWrongState
	if e := capos.Error(0); errors.As(err, &e) {
		failed = e
	}
	for _, pair := range typeOf {
		if failed == capos.ErrWrongState && pair.exception == kind {
			failed = pair.error
		}
	}
	size := capnp.ObjectSize{DataSize: exceptionBytes, PointerCount: 1}
	message, made := newMessage(size, func(s capnp.Struct) error {
		s.SetUint16(exceptionType, uint16(kind))
		return s.SetText(exceptionReason, err.Error())
	})
	if made != nil {
		return &capos.LongMessage{}, failed
	}
	defer message.Release()
	m, _, made = encode(make([]uint64, 1), message)
	if made != nil {
		return &capos.LongMessage{}, failed
	}
	return m, failed
}

func decodeException(s capnp.Struct, failed error) error {
	reason, err := s.Ptr(exceptionReason)
	if err != nil || s.Uint16(exceptionType) > uint16(exc.Unimplemented) {
		return ofKernel(failed)
	}
	return &exc.Exception{Type: exc.Type(s.Uint16(exceptionType)),
		Cause: &exception{reason.Text(), failed}}
}
