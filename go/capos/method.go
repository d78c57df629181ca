package capos

import "time"

// A Struct is a Cap'n Proto structure that fits a call in registers: what the code of
// ./capos schema --go makes of parameters and results. docs/decisions/0026-interfaces-of-users.md
// has the form of the message.
type Struct struct {
	Data      [6]uint64
	DataWords int
	Pointers  int
	Cap       Capability // its first pointer; the zero Capability: none
}

// Words before the structure.
const (
	callHead   = 2
	answerHead = 1
)

// Bits gives so many bits of the data, at an index in units of their number. What the sender has
// not written is 0.
func (s *Struct) Bits(index, width int) uint64 {
	bit := index * width
	return s.Data[bit/64] >> (bit % 64) & (^uint64(0) >> (64 - width))
}

// SetBits writes bits that are zero yet.
func (s *Struct) SetBits(index, width int, value uint64) {
	bit := index * width
	s.Data[bit/64] |= value << (bit % 64)
}

// Drop closes the capability, if there is one.
func (s *Struct) Drop() {
	if s.Cap.id != 0 {
		s.Cap.Close()
	}
	s.Cap = Capability{}
}

// put writes the structure behind the head of a message, and gives the number of words.
func (s *Struct) put(words []uint64) uint64 {
	words[0] = 0xfffffffc // an empty structure, because zero is none
	if s.DataWords+s.Pointers != 0 {
		words[0] = uint64(s.DataWords)<<32 | uint64(s.Pointers)<<48
	}
	copy(words[1:], s.Data[:s.DataWords])
	if s.Cap.id != 0 {
		words[1+s.DataWords] = 3
	}
	return uint64(1 + s.DataWords + s.Pointers)
}

// get reads a structure of a sender who may have written anything. came is in it if it is named.
func (s *Struct) get(words []uint64, came Capability) error {
	*s = Struct{}
	if len(words) == 0 || words[0] == 0 {
		return nil
	}
	root := words[0]
	start := 1 + int(int32(uint32(root))>>2)
	data, pointers := int(root>>32&0xffff), int(root>>48)
	if root&3 != 0 || start < 0 || start+data+pointers > len(words) {
		return ErrMalformedMessage
	}
	copy(s.Data[:], words[start:start+data])
	if pointers == 0 || words[start+data] == 0 {
		return nil
	}
	if words[start+data] != 3 || came.id == 0 {
		return ErrMalformedMessage
	}
	s.Cap = came
	return nil
}

// CallMethod calls a method of an interface of a user, with a copy of the capability in params. The
// results may have one if takes says so. It is the caller's to close.
func (f Facet) CallMethod(id uint64, ordinal uint16, params *Struct, takes bool,
	deadline time.Time) (results Struct, err error) {
	m := &Message{Cap: params.Cap}
	m.Words[0] = id
	m.Words[1] = params.put(m.Words[callHead:])<<32 | uint64(ordinal)
	if takes {
		err = f.CallTaking(m, deadline)
	} else {
		err = f.Call(m, deadline)
	}
	if err == nil {
		err = ErrMalformedMessage
		if n := m.Words[0] >> 32; uint32(m.Words[0]) == 0 && n <= 8-answerHead {
			err = results.get(m.Words[answerHead:answerHead+n], m.Cap)
		}
	}
	if err != nil {
		results = Struct{}
	}
	closeUnnamed(m.Cap, results.Cap)
	return results, err
}

// closeUnnamed drops what has come and is in no field.
func closeUnnamed(came, named Capability) {
	if came.id != 0 && named.id == 0 {
		came.Close()
	}
}

// AnswerMethod has a call of an interface of a user answered. The structure is that of the
// parameters first, and then that of the results. A capability that has come is the method's to
// close, and one in the results goes.
func AnswerMethod(m *Message, id uint64, method func(ordinal uint16, s *Struct) error) error {
	var s Struct
	came := m.Cap
	m.Cap = Capability{}
	err := error(ErrMalformedMessage)
	ordinal, n := uint32(m.Words[1]), m.Words[1]>>32
	if ordinal <= 0xffff && n <= 8-callHead {
		err = s.get(m.Words[callHead:callHead+n], came)
	}
	if err != nil {
		s.Cap = Capability{}
	}
	closeUnnamed(came, s.Cap)
	if err != nil {
		return err
	}
	if m.Words[0] != id {
		s.Drop()
		return ErrUnimplemented
	}
	if err := method(uint16(ordinal), &s); err != nil {
		return err
	}
	m.Words, m.Cap = [8]uint64{}, s.Cap
	m.Words[0] = s.put(m.Words[answerHead:]) << 32
	return nil
}
