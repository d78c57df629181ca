//go:build linux

package linux

import (
	"encoding/binary"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	. "syscall"
	"testing"
	"time"
	"unsafe"
)

type timerSpec struct{ interval, value Timespec }

func (s *script) setTimer(what string, fd, flags uintptr, value, interval time.Duration) {
	spec := &timerSpec{NsecToTimespec(int64(interval)), NsecToTimespec(int64(value))}
	s.call(what, SYS_TIMERFD_SETTIME, fd, flags, pointer(s, spec), 0)
}

// now is the time of a clock.
func (s *script) now(clock uintptr) time.Duration {
	ts := new(Timespec)
	raw(SYS_CLOCK_GETTIME, []uintptr{clock, pointer(s, ts)})
	return time.Duration(ts.Nano())
}

func TestTimerFd(t *testing.T) {
	scripted(t, func(s *script) {
		s.call("no such clock", SYS_TIMERFD_CREATE, 99, 0)
		s.call("flags", SYS_TIMERFD_CREATE, 1, 1)
		fd := s.open("timerfd_create", SYS_TIMERFD_CREATE, 1, O_NONBLOCK|O_CLOEXEC)
		set := s.epoll()
		s.add(set, fd, evAll|edge, 't')
		s.wait(set, 2)
		s.read("not set", fd, 8)
		s.write("write", fd, "12345678")
		s.setTimer("one that is none", fd, 0, -1, 0)
		s.call("no setting", SYS_TIMERFD_SETTIME, fd, 0, 0, 0)
		s.call("flags", SYS_TIMERFD_SETTIME, fd, 4, pointer(s, new(timerSpec)), 0)
		s.call("no timer", SYS_TIMERFD_SETTIME, set, 0, pointer(s, new(timerSpec)), 0)
		s.call("nothing open", SYS_TIMERFD_SETTIME, 999, 0, pointer(s, new(timerSpec)), 0)
		s.setTimer("in 5 ms", fd, 0, 5*time.Millisecond, 0)
		s.waitFor(set, 2, 10000)
		s.wait(set, 2)
		s.read("too little", fd, 7)
		s.say("%v", s.read("read", fd, 8))
		s.read("read again", fd, 8)
		old := &timerSpec{}
		s.setTimer("in an hour, each minute", fd, 0, time.Hour, time.Minute)
		s.call("read the setting", SYS_TIMERFD_GETTIME, fd, pointer(s, old))
		s.say("%d s, each %d s", (old.value.Sec+600)/3600*3600, old.interval.Sec)
		s.call("off", SYS_TIMERFD_SETTIME, fd, 0, pointer(s, new(timerSpec)),
			pointer(s, old))
		s.say("was each %d s", old.interval.Sec)
		s.call("read the setting", SYS_TIMERFD_GETTIME, fd, pointer(s, old))
		s.say("%v", *old)
		s.wait(set, 2)
	})
}

func TestTimerFdOverrun(t *testing.T) {
	scripted(t, func(s *script) {
		for _, clock := range []uintptr{0, 1, 7} {
			fd := s.open("timerfd_create", SYS_TIMERFD_CREATE, clock, 0)
			set := s.epoll()
			s.add(set, fd, evIn|edge, 't')
			began := s.now(clock)
			s.setTimer("absolute", fd, 1, began+2*time.Millisecond, time.Millisecond)
			s.waitFor(set, 2, 10000)
			time.Sleep(10 * time.Millisecond)
			s.wait(set, 2) // it rang once, and begins again when it is read
			b := s.read("read", fd, 8)
			passed := s.now(clock) - began
			count := time.Duration(binary.LittleEndian.Uint64(b))
			s.say("as many as passed: %v",
				count >= 8 && count <= passed/time.Millisecond)
			s.waitFor(set, 2, 10000)
			s.setTimer("in the past", fd, 1, 1, 0)
			s.say("%v", s.read("read", fd, 8))
		}
	})
}

func TestMemfd(t *testing.T) {
	scripted(t, func(s *script) {
		s.call("flags", 319, s.text("name"), 1<<10)
		s.call("no name", 319, 0, 0)
		s.call("a long name", 319, s.text(longName(250)), 0)
		fd := s.open("memfd_create", 319, s.text("name"), 1|2)
		s.write("write", fd, "hello")
		s.call("seek", SYS_LSEEK, fd, 1, 0)
		s.say("%q", s.read("read", fd, 9))
		st := new(Stat_t)
		s.call("fstat", SYS_FSTAT, fd, pointer(s, st))
		s.say("%o, %d bytes, %d links", st.Mode, st.Size, st.Nlink)
		link, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd)))
		s.say("%s", link)
		s.call("seals", SYS_FCNTL, fd, 1034, 0)
		s.call("no growing", SYS_FCNTL, fd, 1033, 4)
		s.write("longer", fd, "!")
		s.call("seek", SYS_LSEEK, fd, 0, 0)
		s.write("as long", fd, "HELLO")
		s.call("longer", SYS_FTRUNCATE, fd, 10)
		s.call("shorter", SYS_FTRUNCATE, fd, 4)
		s.call("no shrinking", SYS_FCNTL, fd, 1033, 2)
		s.call("shorter", SYS_FTRUNCATE, fd, 3)
		s.call("no such seal", SYS_FCNTL, fd, 1033, 1<<10)
		s.call("no writing", SYS_FCNTL, fd, 1033, 8)
		s.call("seek", SYS_LSEEK, fd, 0, 0)
		s.write("write", fd, "h")
		s.call("mmap", SYS_MMAP, 0, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0)
		s.call("no seals", SYS_FCNTL, fd, 1033, 1)
		s.call("another", SYS_FCNTL, fd, 1033, 2)
		s.call("seals", SYS_FCNTL, fd, 1034, 0)
		plain := s.open("memfd_create", 319, s.text(""), 0)
		s.call("seals", SYS_FCNTL, plain, 1034, 0)
		s.call("no growing", SYS_FCNTL, plain, 1033, 4)
		reader, _ := s.pipe()
		s.call("seals of a pipe", SYS_FCNTL, reader, 1034, 0)
	})
}

func longName(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'n'
	}
	return string(b)
}

func TestFutexErrors(t *testing.T) {
	scripted(t, func(s *script) {
		words := new([4]uint32)
		word := pointer(s, words)
		soon := pointer(s, &Timespec{Nsec: 1e6})
		s.call("another value", SYS_FUTEX, word, 0|128, 1, 0)
		s.call("no change", SYS_FUTEX, word, 0|128, 0, soon)
		s.call("no waiter", SYS_FUTEX, word, 1|128, 1)
		s.call("odd", SYS_FUTEX, word+1, 0|128, 0, soon)
		s.call("no word", SYS_FUTEX, 0, 0|128, 0, soon)
		s.call("no time", SYS_FUTEX, word, 0, 0, pointer(s, &Timespec{Nsec: -1}))
		s.call("no bits", SYS_FUTEX, word, 9|128, 0, soon, 0, 0)
		s.call("a time long ago", SYS_FUTEX, word, 9|128, 0, soon, 0, 1)
		s.call("by the clock of the day", SYS_FUTEX, word, 9|128|256, 0, soon, 0, 1)
		s.call("wake no bits", SYS_FUTEX, word, 10|128, 1, 0, 0, 0)
		s.call("requeue", SYS_FUTEX, word, 4|128, 1, 1, word+4, 7)
		s.call("no operation", SYS_FUTEX, word, 99, 0, 0)
	})
}

// A mutex of three states, as in many libraries.
type futexMutex struct{ state uint32 }

func (m *futexMutex) call(operation, value uintptr) {
	Syscall6(SYS_FUTEX, uintptr(unsafe.Pointer(&m.state)), operation|128, value, 0, 0, 0)
}

func (m *futexMutex) lock() {
	if atomic.CompareAndSwapUint32(&m.state, 0, 1) {
		return
	}
	for atomic.SwapUint32(&m.state, 2) != 0 {
		m.call(0, 2)
	}
}

func (m *futexMutex) unlock() {
	if atomic.SwapUint32(&m.state, 0) == 2 {
		m.call(1, 1)
	}
}

func TestFutexMutex(t *testing.T) {
	m := new(futexMutex)
	count := 0
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				m.lock()
				n := count
				runtime.Gosched()
				count = n + 1
				m.unlock()
			}
		})
	}
	all.Wait()
	if count != 40 {
		t.Errorf("counted %d", count)
	}
}

// Waiters that go over to another word are woken there.
func TestFutexRequeue(t *testing.T) {
	scripted(t, func(s *script) {
		words := new([2]uint32)
		word := pointer(s, words)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { raw(SYS_FUTEX, []uintptr{word, 0 | 128, 0, 0}) })
		}
		moved := uintptr(0)
		for moved < 3 {
			n, _ := raw(SYS_FUTEX, []uintptr{word, 4 | 128, 0, 3, word + 4, 0})
			moved += n
			time.Sleep(time.Millisecond)
		}
		s.call("wake the first", SYS_FUTEX, word, 1|128, 3)
		s.call("wake the second", SYS_FUTEX, word+4, 1|128, 2)
		s.call("and the last", SYS_FUTEX, word+4, 1|128, 2)
		all.Wait()
	})
}
