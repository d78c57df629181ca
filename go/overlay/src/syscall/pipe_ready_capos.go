// Readiness of pipes that processes share.
//
// The kernel sets bits of an event when such a pipe has bytes or room again, once after each call
// that found none (docs/abi.md, "Pipes"). One thread waits for the event, for all pipes. It tells
// the runtime's poller, and the goroutines here that wait for a pipe.

//go:build capos

package syscall

import (
	"sync"
	"unsafe"
)

// readyBits are the bits of the event. Pipes that share one are all asked.
const readyBits = 62

var readiness struct {
	sync.Mutex
	event capability // 0: none has been needed
	next  int        // the bit of the next pipe
	pipes [readyBits][]*kernelPipe
}

// notice makes the readiness of the pipe known, from now on and if it is ready now. It fails where
// the process has no events, or others watch the end already.
func (p *kernelPipe) notice() bool {
	r := &readiness
	r.Lock()
	defer r.Unlock()
	if p.ready != nil {
		return true
	}
	if granted.eventFactory == 0 {
		return false
	}
	if r.event == 0 {
		answer := call(granted.eventFactory, abiEventFactoryCreate, 0, 0, 0, 0, 0)
		if failure(answer) != 0 {
			return false
		}
		r.event = capability(answer)
		go watchPipes(r.event)
	}
	p.bit = r.next
	bound := call(p.capability, abiPipeReaderBind, uintptr(r.event), 1<<p.bit, 0, 0, 0)
	if failure(bound) != 0 {
		return false
	}
	r.next = (r.next + 1) % readyBits
	p.ready = make(chan struct{}, 1)
	r.pipes[p.bit] = append(r.pipes[p.bit], p)
	return true
}

// unnotice comes before the capability is released.
func (p *kernelPipe) unnotice() {
	r := &readiness
	r.Lock()
	defer r.Unlock()
	if p.ready == nil {
		return
	}
	call(p.capability, abiPipeReaderBind, uintptr(r.event), 0, 0, 0, 0)
	for i, other := range r.pipes[p.bit] {
		if other == p {
			last := len(r.pipes[p.bit]) - 1
			r.pipes[p.bit][i] = r.pipes[p.bit][last]
			r.pipes[p.bit][last] = nil
			r.pipes[p.bit] = r.pipes[p.bit][:last]
			break
		}
	}
}

func watchPipes(event capability) {
	for {
		bits := callBlocking(event, abiEventWait, 1<<readyBits-1, abiWaitForever, 0, 0, 0)
		switch failure(bits) {
		case 0:
			tellPipes(bits)
		case abiErrorBase + abiErrorInterrupted:
		default:
			return
		}
	}
}

func tellPipes(bits uintptr) {
	readiness.Lock()
	defer readiness.Unlock()
	for bit := range readyBits {
		if bits>>bit&1 == 0 {
			continue
		}
		for _, p := range readiness.pipes[bit] {
			select {
			case p.ready <- struct{}{}:
			default:
			}
			p.blocked = false
			tellAll(p.watchers, p.mode, evAll)
		}
	}
}

// ---- calls that do not wait
// ------------------------------------------------------------------------------------------

func pipeAnswer(answer uintptr) (int, Errno) {
	switch number := failure(answer); number {
	case 0:
		return int(answer), 0
	case abiErrorBase + abiErrorTimedOut:
		return 0, EAGAIN
	case abiErrorBase + abiErrorDisconnected:
		return 0, EPIPE
	default:
		return 0, errnoOf(number)
	}
}

func (p *kernelPipe) tryRead(b []byte) (int, Errno) {
	size := uintptr(min(len(b), 1<<20))
	return pipeAnswer(call(p.capability, abiPipeReaderRead, size, 0,
		uintptr(unsafe.Pointer(&b[0])), size, 0))
}

func (p *kernelPipe) tryWrite(b []byte) (int, Errno) {
	return pipeAnswer(call(p.capability, abiPipeWriterWrite, uintptr(unsafe.Pointer(&b[0])),
		uintptr(len(b)), 0, 0, 0))
}

// readAwaited and writeAwaited are read and write that wait without a thread.
func (p *kernelPipe) readAwaited(b []byte) (int, Errno) {
	if !p.notice() {
		return readPipe(p.capability, b)
	}
	for {
		n, err := p.tryRead(b)
		if err != EAGAIN {
			return n, err
		}
		<-p.ready
	}
}

func (p *kernelPipe) writeAwaited(b []byte) (n int, err Errno) {
	if !p.notice() {
		return writePipe(p.capability, b)
	}
	for n < len(b) {
		put, err := p.tryWrite(b[n:])
		n += put
		switch err {
		case 0:
		case EAGAIN:
			<-p.ready
		default:
			return n, err
		}
	}
	return n, 0
}

// ---- the runtime's poller
// ------------------------------------------------------------------------------------------

func (p *kernelPipe) watch(access int, target pollTarget) bool {
	if !p.notice() {
		return false
	}
	readiness.Lock()
	p.mode = 'r'
	if access == O_WRONLY {
		p.mode = 'w'
	}
	p.watchers = append(p.watchers, target)
	readiness.Unlock()
	target.tell(p.mode, evAll) // it may have become ready before
	return true
}

func (p *kernelPipe) forget(fd int) {
	readiness.Lock()
	defer readiness.Unlock()
	p.watchers = without(p.watchers, fd)
}

// ---- readiness
// ------------------------------------------------------------------------------------------

func (p *kernelPipe) pollable() bool { return p.notice() }

// events asks the kernel the one way there is: it reads a byte, which the next read begins with.
// A writer counts as ready until a write has found no room.
func (p *kernelPipe) events(access int) (ready uint32) {
	if access == O_WRONLY {
		readiness.Lock()
		defer readiness.Unlock()
		if !p.blocked {
			ready = evWritable
		}
		return ready
	}
	a := &p.ahead
	a.Lock()
	defer a.Unlock()
	if len(a.data) == 0 && !a.ended {
		b := make([]byte, 1)
		n, err := p.tryRead(b)
		a.data, a.ended = b[:n], n == 0 && err == 0
	}
	if len(a.data) > 0 {
		ready = evReadable
	}
	if a.ended {
		ready |= evHup
	}
	return ready
}

// readAhead takes what events has read.
func (p *kernelPipe) readAhead(b []byte) (n int) {
	a := &p.ahead
	a.Lock()
	defer a.Unlock()
	n = copy(b, a.data)
	a.data = a.data[n:]
	if n > 0 && n < len(b) {
		more, err := p.tryRead(b[n:])
		if err == 0 {
			n += more
		}
	}
	return n
}

func (p *kernelPipe) isAhead() bool {
	p.ahead.Lock()
	defer p.ahead.Unlock()
	return len(p.ahead.data) > 0
}
