//go:build linux

package linux

import (
	"encoding/binary"
	"sync"
	. "syscall"
	"testing"
)

func counter(t *testing.T) int {
	fd, e := raw(SYS_EVENTFD2, []uintptr{0, O_NONBLOCK})
	if e != 0 {
		t.Fatal(e)
	}
	return int(fd)
}

func control(t *testing.T, set, op, fd int, events uint32) {
	if err := EpollCtl(set, op, fd, &EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		t.Error(err)
	}
}

var one = binary.LittleEndian.AppendUint64(nil, 1)

// A counting is what waiters share that count what writers write.
type counting struct {
	*testing.T
	sync.Mutex
	set, ended    int
	total, wanted uint64
}

// wait takes counts until all were seen.
func (c *counting) wait() {
	for {
		events := make([]EpollEvent, 1)
		n, err := EpollWait(c.set, events, -1)
		switch {
		case err == EINTR:
			continue
		case n != 1:
			c.Errorf("%d events, %v", n, err)
			return
		case int(events[0].Fd) == c.ended:
			return
		}
		b := make([]byte, 8)
		Read(int(events[0].Fd), b)
		c.Lock()
		c.total += binary.LittleEndian.Uint64(b)
		if c.total == c.wanted {
			Write(c.ended, one)
		}
		c.Unlock()
		control(c.T, c.set, EPOLL_CTL_MOD, int(events[0].Fd), evIn|oneShot|edge)
	}
}

// Writers count up, several waiters share one set of files that are reported once and armed again.
// No count is lost, whatever the order.
func TestWorkersShareSet(t *testing.T) {
	const files, waiters, counts = 3, 3, 8
	set, err := EpollCreate1(0)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(set)
	c := &counting{T: t, set: set, ended: counter(t), wanted: files * counts}
	control(t, set, EPOLL_CTL_ADD, c.ended, evIn)
	var fds []int
	for range files {
		fds = append(fds, counter(t))
		control(t, set, EPOLL_CTL_ADD, fds[len(fds)-1], evIn|oneShot|edge)
	}
	var all, writers sync.WaitGroup
	for range waiters {
		all.Go(c.wait)
	}
	for _, fd := range fds {
		writers.Go(func() {
			for range counts {
				Write(fd, one)
			}
		})
	}
	writers.Wait()
	all.Wait()
	for _, fd := range append(fds, c.ended) {
		Close(fd)
	}
}

// Files are closed, taken out and added while others wait for the set, and for a set that holds it.
func TestSetsChangeUnderWaiters(t *testing.T) {
	inner, _ := EpollCreate1(0)
	outer, _ := EpollCreate1(0)
	ended := counter(t)
	control(t, outer, EPOLL_CTL_ADD, inner, evIn)
	control(t, outer, EPOLL_CTL_ADD, ended, evIn)
	var all, changes sync.WaitGroup
	for range 2 {
		all.Go(func() {
			events := make([]EpollEvent, 4)
			for {
				n, _ := EpollWait(outer, events, -1)
				for _, e := range events[:max(n, 0)] {
					if int(e.Fd) == ended {
						return
					}
				}
				EpollWait(inner, events, 0)
			}
		})
	}
	for range 3 {
		changes.Go(func() {
			for range 4 {
				fd := counter(t)
				control(t, inner, EPOLL_CTL_ADD, fd, evIn|edge)
				Write(fd, one)
				control(t, inner, EPOLL_CTL_MOD, fd, evIn)
				Close(fd)
			}
		})
	}
	changes.Wait()
	Write(ended, one)
	all.Wait()
	for _, fd := range []int{outer, inner, ended} {
		Close(fd)
	}
}

// Two directions of a connection, each with a thread that polls and one that writes until there is
// no room.
func TestPollersOfConnection(t *testing.T) {
	pair, err := Socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	const size = 600 << 10
	await := func(fd int, events int16) {
		p := &pollFd{fd: int32(fd), events: events}
		a := []uintptr{pointer(&script{T: t}, p), 1, ^uintptr(0)}
		raw(SYS_POLL, a)
	}
	var all sync.WaitGroup
	for i, fd := range pair {
		all.Go(func() {
			for sent, b := 0, make([]byte, 64<<10); sent < size; {
				n, err := Write(fd, b[:min(len(b), size-sent)])
				if err == EAGAIN {
					await(fd, evOut)
				}
				sent += max(n, 0)
			}
		})
		all.Go(func() {
			for got, b := 0, make([]byte, 32<<10); got < size; {
				n, err := Read(pair[1-i], b)
				if err == EAGAIN {
					await(pair[1-i], evIn)
				}
				got += max(n, 0)
			}
		})
	}
	all.Wait()
	Close(pair[0])
	Close(pair[1])
}
