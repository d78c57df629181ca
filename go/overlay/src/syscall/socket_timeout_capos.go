// SO_RCVTIMEO and SO_SNDTIMEO: how long a call on a socket that may block waits. Sockets of package
// net do not block, and have deadlines instead.

//go:build capos

package syscall

import (
	"sync/atomic"
	"unsafe"
)

const sizeofTimeval = uint32(unsafe.Sizeof(Timeval{}))

func isTimeout(level, name int) bool {
	return level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
}

// timeouts are in nanoseconds; 0: calls wait for as long as it takes.
type timeouts struct{ receive, send atomic.Int64 }

func (t *timeouts) of(name int) *atomic.Int64 {
	if name == SO_RCVTIMEO {
		return &t.receive
	}
	return &t.send
}

// set takes what setsockopt was given. A time before now is over at once.
func (t *timeouts) set(name int, tv *Timeval) Errno {
	if tv.Usec < 0 || tv.Usec >= 1e6 {
		return EDOM
	}
	ns := int64(-1)
	if tv.Sec >= 0 {
		const most = forever/1_000_000_000 - 1
		ns = min(tv.Sec, most)*1e9 + tv.Usec*1e3
	}
	t.of(name).Store(ns)
	return 0
}

func (t *timeouts) get(name int) Timeval { return NsecToTimeval(max(0, t.of(name).Load())) }

// deadline is when a call that begins now and may block has to end. limited is false where it has
// no time-out.
func (t *timeouts) deadline(name int, block bool) (deadline int64, limited bool) {
	ns := t.of(name).Load()
	if !block || ns == 0 {
		return 0, false
	}
	return deadlineAfter(max(0, ns)), true
}

// until does what does not block, and does it again whenever the socket has changed, while it has
// nothing to do and not after the deadline.
func (s *socket) until(deadline int64, do func() Errno) Errno {
	err := do()
	if err != EAGAIN {
		return err
	}
	waiter := newSleeper()
	target := targetOf(waiter)
	s.watch(O_RDWR, target)
	defer s.forget(target.fd)
	for err == EAGAIN && runtime_nanotime() < deadline {
		waiter.sleep(deadline)
		err = do()
	}
	return err
}

func (s *socket) receiveUntil(p []byte, peek bool, deadline int64) (m message, err Errno) {
	err = s.until(deadline, func() (e Errno) {
		m, e = s.receiveNow(p, peek, false)
		return e
	})
	return m, err
}

// sendUntil tells how many bytes of a stream were sent, if any were. Files go with the first.
func (s *socket) sendUntil(o outgoing, deadline int64) (sent int, err Errno) {
	err = s.until(deadline, func() Errno {
		n, e := s.sendNow(o, false)
		if e != 0 {
			return e
		}
		sent += n
		o.data, o.files = o.data[n:], nil
		if len(o.data) > 0 && s.streams() {
			return EAGAIN
		}
		return 0
	})
	if err == EAGAIN && sent > 0 {
		err = 0
	}
	return sent, err
}

func (s *socket) acceptUntil(deadline int64) (accepted openSocket, err Errno) {
	err = s.until(deadline, func() (e Errno) {
		accepted, e = s.acceptNow(false)
		return e
	})
	return accepted, err
}

// connectUntil leaves a connection that was not made in time to be made, as Linux does.
func (s *socket) connectUntil(to endpoint, deadline int64) Errno {
	err := s.connectNow(to, false)
	if err != EINPROGRESS {
		return err
	}
	err = s.until(deadline, func() Errno {
		if s.events(O_RDWR)&(evOut|evErr|evHup) == 0 {
			return EAGAIN
		}
		return s.takePending()
	})
	if err == EAGAIN {
		err = EINPROGRESS
	}
	return err
}

func (s *socket) takePending() Errno {
	network.Lock()
	defer network.Unlock()
	return s.pending.take()
}
