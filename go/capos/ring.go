package capos

import "unsafe"

// A ring is the capability ring of an OS thread (docs/abi.md). Only a goroutine that is locked to
// the thread uses it, and the kernel does only while the thread is inside enter.
type ring struct{ header *abiRingHeader }

// threadRing is the ring of the thread to which the goroutine is locked. The header is nil where
// there is none, on other systems.
func threadRing() ring {
	address := ringAddress()
	return ring{*(**abiRingHeader)(unsafe.Pointer(&address))}
}

func (r ring) submissions() *[abiRingSubmissions]abiSubmission {
	return (*[abiRingSubmissions]abiSubmission)(unsafe.Add(unsafe.Pointer(r.header),
		abiRingSubmissionOffset))
}

func (r ring) completions() *[abiRingCompletions]abiCompletion {
	return (*[abiRingCompletions]abiCompletion)(unsafe.Add(unsafe.Pointer(r.header),
		abiRingCompletionOffset))
}

// waiting is how many submissions the kernel has not taken.
func (r ring) waiting() uint32 { return r.header.submissionTail - r.header.submissionHead }

// push adds a submission. There has to be room.
func (r ring) push(s abiSubmission) {
	tail := r.header.submissionTail
	r.submissions()[tail%abiRingSubmissions] = s
	r.header.submissionTail = tail + 1
}

func (r ring) pop() (c abiCompletion, ok bool) {
	head := r.header.completionHead
	if head == r.header.completionTail {
		return c, false
	}
	c = r.completions()[head%abiRingCompletions]
	r.header.completionHead = head + 1
	return c, true
}

// do executes submissions that complete at once, one after the other, and returns their
// completions. A notification may come between, and then the others are executed after it.
func (r ring) do(all ...abiSubmission) (ended [2]abiCompletion) {
	for _, s := range all {
		r.push(s)
	}
	for i := 0; i < len(all); {
		c, ok := r.pop()
		if !ok {
			enterRing(0, 0)
			continue
		}
		ended[i] = c
		i++
	}
	return ended
}

func (c *abiCompletion) failure() Error {
	if c.result < 0 {
		return Error(-c.result)
	}
	return 0
}

// address is that of memory which the kernel reads or writes. It does not keep it.
func address[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

// put names the capabilities that go with a message, as copies or not.
func (named *abiMessageCaps) put(caps []Capability, moves bool) Error {
	if len(caps) > len(named.caps) {
		return ErrInvalidArgument
	}
	*named = abiMessageCaps{count: uint32(len(caps))}
	for i, c := range caps {
		named.caps[i] = uint64(c.id)
	}
	if moves {
		named.moves = 1<<len(caps) - 1
	}
	return 0
}

// taken are the capabilities that have come.
func (named *abiMessageCaps) taken() []Capability {
	if named.count == 0 {
		return nil
	}
	caps := make([]Capability, named.count)
	for i := range caps {
		caps[i].id = uint32(named.caps[i])
	}
	return caps
}
