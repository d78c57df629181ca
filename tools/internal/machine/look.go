package machine

import (
	"bytes"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
)

// lookMax bounds what an answer may make this process keep.
const lookMax = 64 << 20

// Looks are questions what the processes of a machine are doing. Each is a channel that gets the
// kernel's answer, messages as they came; nil: there is none. It must have room for it.
type Looks <-chan chan<- []byte

// looker keeps the questions that wait, the first of which is being answered.
type looker struct {
	waiting []chan<- []byte
	answer  bytes.Buffer
	tooLong bool
}

// ask tells whether the machine is to be asked now.
func (l *looker) ask(answer chan<- []byte) bool {
	l.waiting = append(l.waiting, answer)
	return len(l.waiting) == 1
}

// take keeps a message of an answer, and tells whether the machine is to be asked again. A
// recording that is repeated answers questions that are not asked now.
func (l *looker) take(message hostchannel.Message) (again bool) {
	if len(l.waiting) == 0 {
		return false
	}
	if l.answer.Len()+len(message.Payload) > lookMax {
		l.tooLong = true
	} else {
		// a buffer takes everything
		hostchannel.NewWriter(&l.answer).Write(message.Type, message.Payload)
	}
	if int(message.Type) != abi.HostMessageLookedEnd {
		return false
	}
	answer := bytes.Clone(l.answer.Bytes())
	if l.tooLong {
		answer = nil
	}
	l.answer.Reset()
	l.tooLong = false
	l.waiting[0] <- answer
	l.waiting = l.waiting[1:]
	return len(l.waiting) > 0
}

// end answers those that wait: the machine is gone.
func (l *looker) end() {
	for _, answer := range l.waiting {
		answer <- nil
	}
	l.waiting = nil
}
