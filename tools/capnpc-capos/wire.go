package main

// A reader of Cap'n Proto messages, as far as a CodeGeneratorRequest needs one. Every access is
// bounds-checked: a pointer that leaves its segment, or a message that is cut short, is an error
// and never a panic of the runtime. Segments are joined by far pointers, which capnp uses as soon
// as a request outgrows its first segment.

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errTruncated = errors.New("message is cut short")

// message is a whole message: its segments, and what remains of the traversal budget.
type message struct {
	segments [][]byte
	budget   int // words still allowed to be visited; bounds what overlapping pointers can cost
}

// object is a struct inside a message. The zero object reads as all defaults.
type object struct {
	msg      *message
	segment  int
	data     []byte
	pointers int // word index of the pointer section in the segment
	count    int // pointers
}

// parseMessage splits the stream framing: segment count - 1, the segments' sizes in words, padding,
// the segments.
func parseMessage(b []byte) (*message, error) {
	if len(b) < 8 {
		return nil, errTruncated
	}
	count := int(binary.LittleEndian.Uint32(b)) + 1
	if count > 512 {
		return nil, fmt.Errorf("%d segments are too many", count)
	}
	header := (4 + 4*count + 7) &^ 7
	if len(b) < header {
		return nil, errTruncated
	}
	msg := &message{budget: 64 << 20}
	rest := b[header:]
	for i := range count {
		size := int(binary.LittleEndian.Uint32(b[4+4*i:])) * 8
		if size > len(rest) {
			return nil, errTruncated
		}
		msg.segments = append(msg.segments, rest[:size])
		rest = rest[size:]
	}
	return msg, nil
}

func (m *message) word(segment, index int) (uint64, error) {
	if segment < 0 || segment >= len(m.segments) || index < 0 ||
		index*8+8 > len(m.segments[segment]) {
		return 0, fmt.Errorf("pointer to word %d of segment %d leaves the message", index,
			segment)
	}
	return binary.LittleEndian.Uint64(m.segments[segment][index*8:]), nil
}

func (m *message) bytes(segment, index, words int) ([]byte, error) {
	if segment < 0 || segment >= len(m.segments) || index < 0 || words < 0 ||
		(index+words)*8 > len(m.segments[segment]) {
		return nil, fmt.Errorf("object at word %d of segment %d leaves the message", index,
			segment)
	}
	if m.budget -= words + 1; m.budget < 0 {
		return nil, errors.New("message refers to itself too often")
	}
	return m.segments[segment][index*8 : (index+words)*8], nil
}

// resolve follows far pointers: it returns the pointer word proper, its segment, and the word its
// offset counts from.
func (m *message) resolve(segment, index int) (ptr uint64, seg, base int, err error) {
	if ptr, err = m.word(segment, index); err != nil || ptr&3 != 2 {
		return ptr, segment, index + 1, err
	}
	landingSegment, landing := int(ptr>>32), int(uint32(ptr)>>3)
	double := ptr&4 != 0
	if ptr, err = m.word(landingSegment, landing); err != nil {
		return 0, 0, 0, err
	}
	if !double {
		if ptr&3 == 2 {
			return 0, 0, 0, errors.New("far pointer to a far pointer")
		}
		return ptr, landingSegment, landing + 1, nil
	}
	if ptr&7 != 2 {
		return 0, 0, 0, errors.New("malformed double-far pointer")
	}
	tag, err := m.word(landingSegment, landing+1)
	// The tag has offset 0: it counts from the start of the object, which the first word names.
	return tag, int(ptr >> 32), int(uint32(ptr) >> 3), err
}

func offsetOf(ptr uint64) int { return int(int32(uint32(ptr)) >> 2) }

func (m *message) object(segment, index int) (object, error) {
	ptr, seg, base, err := m.resolve(segment, index)
	if err != nil || ptr == 0 {
		return object{msg: m}, err
	}
	if ptr&3 != 0 {
		return object{}, errors.New("expected a struct pointer")
	}
	return m.structAt(seg, base+offsetOf(ptr), int(ptr>>32&0xffff), int(ptr>>48))
}

func (m *message) structAt(segment, start, dataWords, pointers int) (object, error) {
	b, err := m.bytes(segment, start, dataWords+pointers)
	if err != nil {
		return object{}, err
	}
	return object{msg: m, segment: segment, data: b[:dataWords*8], pointers: start + dataWords,
		count: pointers}, nil
}

func (m *message) root() (object, error) { return m.object(0, 0) }

func (o object) u8(offset int) uint8 {
	if offset+1 > len(o.data) {
		return 0
	}
	return o.data[offset]
}

func (o object) u16(offset int) uint16 {
	if offset+2 > len(o.data) {
		return 0
	}
	return binary.LittleEndian.Uint16(o.data[offset:])
}

func (o object) u32(offset int) uint32 {
	if offset+4 > len(o.data) {
		return 0
	}
	return binary.LittleEndian.Uint32(o.data[offset:])
}

func (o object) u64(offset int) uint64 {
	if offset+8 > len(o.data) {
		return 0
	}
	return binary.LittleEndian.Uint64(o.data[offset:])
}

func (o object) child(index int) (object, error) {
	if index >= o.count {
		return object{msg: o.msg}, nil
	}
	return o.msg.object(o.segment, o.pointers+index)
}

// text returns the bytes of a Text field without its terminator.
func (o object) text(index int) (string, error) {
	if index >= o.count {
		return "", nil
	}
	ptr, seg, base, err := o.msg.resolve(o.segment, o.pointers+index)
	if err != nil || ptr == 0 {
		return "", err
	}
	if ptr&3 != 1 || ptr>>32&7 != 2 {
		return "", errors.New("expected a byte list")
	}
	n := int(ptr >> 35)
	b, err := o.msg.bytes(seg, base+offsetOf(ptr), (n+7)/8)
	if err != nil {
		return "", err
	}
	if n == 0 || b[n-1] != 0 {
		return "", errors.New("text without terminator")
	}
	return string(b[:n-1]), nil
}

// list returns the elements of a list of structs.
func (o object) list(index int) ([]object, error) {
	if index >= o.count {
		return nil, nil
	}
	ptr, seg, base, err := o.msg.resolve(o.segment, o.pointers+index)
	if err != nil || ptr == 0 {
		return nil, err
	}
	start, words := base+offsetOf(ptr), int(ptr>>35)
	if ptr&3 != 1 || ptr>>32&7 != 7 {
		return nil, errors.New("expected a list of structs")
	}
	if _, err = o.msg.bytes(seg, start, words+1); err != nil {
		return nil, err
	}
	tag, err := o.msg.word(seg, start)
	if err != nil {
		return nil, err
	}
	count, dataWords, pointers := int(uint32(tag)>>2), int(tag>>32&0xffff), int(tag>>48)
	if count*(dataWords+pointers) > words {
		return nil, errors.New("list is shorter than its count says")
	}
	var elements []object
	for i := range count {
		e, err := o.msg.structAt(seg, start+1+i*(dataWords+pointers), dataWords, pointers)
		if err != nil {
			return nil, err
		}
		elements = append(elements, e)
	}
	return elements, nil
}
