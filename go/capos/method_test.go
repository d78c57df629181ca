package capos

import (
	"errors"
	"math/rand"
	"testing"
)

// question is a call of method 3 of interface 7 as CallMethod makes it.
func question(s *Struct) *Message {
	m := &Message{Cap: s.Cap}
	m.Words[0] = 7
	m.Words[1] = s.put(m.Words[callHead:])<<32 | 3
	return m
}

func TestStructThereAndBack(t *testing.T) {
	sent := Struct{DataWords: 4, Pointers: 1, Cap: Capability{9}}
	sent.SetBits(0, 64, 1<<63+5)
	sent.SetBits(2, 32, 0xfedcba98)
	sent.SetBits(6, 16, 0xffff)
	sent.SetBits(14*8+7, 1, 1)
	m := question(&sent)
	err := AnswerMethod(m, 7, func(ordinal uint16, s *Struct) error {
		if ordinal != 3 || s.Data != sent.Data || s.Cap != sent.Cap ||
			s.Bits(2, 32) != 0xfedcba98 || s.Bits(14*8+7, 1) != 1 {
			t.Errorf("method %d got %+v", ordinal, *s)
		}
		*s = Struct{DataWords: 6}
		s.SetBits(5, 64, 42)
		return nil
	})
	var got Struct
	if err == nil {
		err = got.get(m.Words[answerHead:answerHead+m.Words[0]>>32], m.Cap)
	}
	if err != nil || got.Bits(5, 64) != 42 || m.Cap.id != 0 {
		t.Errorf("%v, %+v", err, got)
	}
}

func TestWrongQuestions(t *testing.T) {
	never := func(uint16, *Struct) error {
		t.Error("the method is called")
		return nil
	}
	for _, c := range []struct {
		words [8]uint64
		want  error
	}{
		{[8]uint64{8, 3}, ErrUnimplemented},
		{[8]uint64{7, 1<<16 | 3}, ErrMalformedMessage},
		{[8]uint64{7, 7<<32 | 3}, ErrMalformedMessage},
		{[8]uint64{7, 1<<32 | 3, 1 << 32}, ErrMalformedMessage},
		{[8]uint64{7, 2<<32 | 3, 0xfffffff8 | 1<<32}, ErrMalformedMessage},
		{[8]uint64{7, 2<<32 | 3, 1}, ErrMalformedMessage},
		{[8]uint64{7, 2<<32 | 3, 1 << 48, 3}, ErrMalformedMessage},
		{[8]uint64{7, 2<<32 | 3, 1 << 48, 2}, ErrMalformedMessage},
	} {
		m := &Message{Words: c.words}
		if err := AnswerMethod(m, 7, never); !errors.Is(err, c.want) {
			t.Errorf("%x: %v, not %v", c.words, err, c.want)
		}
	}
}

func TestRandomQuestions(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	called := 0
	for range 20000 {
		m := question(&Struct{DataWords: 2, Pointers: 1})
		for range 1 + random.Intn(3) {
			word := &m.Words[random.Intn(8)]
			switch random.Intn(3) {
			case 0:
				*word = random.Uint64()
			case 1:
				*word ^= 1 << random.Intn(64)
			case 2:
				*word = uint64(random.Intn(9)) << (16 * random.Intn(4))
			}
		}
		AnswerMethod(m, 7, func(uint16, *Struct) error { called++; return nil })
	}
	if called == 0 || called == 20000 {
		t.Errorf("%d of 20000 questions are accepted", called)
	}
}
