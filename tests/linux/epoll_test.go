//go:build linux

package linux

import (
	"os"
	. "syscall"
	"testing"
)

func TestEpollErrors(t *testing.T) {
	scripted(t, func(s *script) {
		s.call("flags", SYS_EPOLL_CREATE1, 1)
		s.call("size", SYS_EPOLL_CREATE, 0)
		set := s.epoll()
		other := s.open("epoll_create", SYS_EPOLL_CREATE, 1)
		reader, writer := s.pipe()
		s.control("no set", 999, EPOLL_CTL_ADD, reader, evIn, 'a')
		s.control("no file", set, EPOLL_CTL_ADD, 999, evIn, 'a')
		s.control("not a set", writer, EPOLL_CTL_ADD, reader, evIn, 'a')
		s.control("itself", set, EPOLL_CTL_ADD, set, evIn, 'a')
		s.call("no event", SYS_EPOLL_CTL, set, EPOLL_CTL_ADD, reader, 0)
		s.call("no event, no operation", SYS_EPOLL_CTL, set, 9, reader, 0)
		s.control("no operation", set, 9, reader, evIn, 'a')
		s.modify(set, reader, evIn, 'a')
		s.call("delete", SYS_EPOLL_CTL, set, EPOLL_CTL_DEL, reader, 0)
		s.add(set, reader, evIn, 'a')
		s.add(set, reader, evIn, 'a')
		s.add(set, other, evIn|exclusive, 'b')
		s.add(set, writer, evOut|exclusive, 'w')
		s.modify(set, writer, evOut, 'w')
		s.modify(set, reader, evIn|exclusive, 'a')
		s.control("exclusive and once", other, EPOLL_CTL_ADD, reader,
			evIn|exclusive|oneShot, 'a')
		s.call("no room", SYS_EPOLL_WAIT, set, pointer(s, new(EpollEvent)), 0, 0)
		s.call("less than no room", SYS_EPOLL_WAIT, set, pointer(s, new(EpollEvent)),
			^uintptr(0), 0)
		s.call("wait for no set", SYS_EPOLL_WAIT, writer, pointer(s, new(EpollEvent)),
			1, 0)
		s.call("wait for nothing open", SYS_EPOLL_WAIT, 999, pointer(s, new(EpollEvent)),
			1, 0)
		s.read("read a set", set, 8)
		s.write("write a set", set, "12345678")
		s.call("seek", SYS_LSEEK, set, 0, 0)
		s.call("truncate", SYS_FTRUNCATE, set, 0)
		s.call("fsync", SYS_FSYNC, set)
	})
}

func TestEpollFiles(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		file := s.open("file", SYS_OPEN, s.text(s.path("file")), O_RDWR|O_CREAT, 0o600)
		dir := s.open("directory", SYS_OPEN, s.text(s.dir), O_RDONLY)
		null := s.open("null", SYS_OPEN, s.text("/dev/null"), O_RDWR)
		for _, fd := range []uintptr{file, dir, null} {
			s.add(set, fd, evIn, 'f')
			s.modify(set, fd, evIn, 'f')
			s.poll("poll", fd)
		}
		s.wait(set, 4)
	})
}

func TestEpollLevel(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		reader, writer := s.pipe()
		s.add(set, reader, evAll, 'r')
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.wait(set, 4)
		s.wait(set, 4)
		s.read("read", reader, 1)
		s.wait(set, 4)
		s.read("read", reader, 9)
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.modify(set, reader, evOut, 'r')
		s.wait(set, 4)
		s.modify(set, reader, evIn, 'q')
		s.wait(set, 4)
		s.close("close", writer)
		s.wait(set, 4)
		s.read("read", reader, 9)
		s.wait(set, 4)
		s.call("delete", SYS_EPOLL_CTL, set, EPOLL_CTL_DEL, reader, 0)
		s.wait(set, 4)
		s.call("delete", SYS_EPOLL_CTL, set, EPOLL_CTL_DEL, reader, 0)
	})
}

func TestEpollEdge(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		reader, writer := s.pipe()
		s.add(set, reader, evIn|edge, 'r')
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.wait(set, 4)
		s.wait(set, 4)
		s.write("write more", writer, "abc")
		s.wait(set, 4)
		s.read("read some", reader, 1)
		s.wait(set, 4)
		s.write("write more", writer, "abc")
		s.read("read all", reader, 99)
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.modify(set, reader, evIn|edge, 'r')
		s.wait(set, 4)
		s.wait(set, 4)
		s.modify(set, reader, evIn|edge, 'r')
		s.wait(set, 4)
		s.close("close", writer)
		s.wait(set, 4)
		s.wait(set, 4)
		s.read("read all", reader, 99)
		s.read("read the end", reader, 99)
		s.wait(set, 4)
	})
}

func TestEpollEdgeWriter(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		reader, writer := s.pipe()
		s.add(set, writer, evOut|edge, 'w')
		s.wait(set, 4)
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.read("read", reader, 3)
		s.wait(set, 4)
		s.write("fill", writer, string(make([]byte, 65536)))
		s.poll("full", writer)
		s.write("full", writer, "a")
		s.wait(set, 4)
		s.read("read a page", reader, 4096)
		s.wait(set, 4)
		s.wait(set, 4)
		s.read("read a page", reader, 4096)
		s.wait(set, 4)
		s.close("close the reader", reader)
		s.wait(set, 4)
		s.wait(set, 4)
		s.poll("no reader", writer)
	})
}

func TestEpollOneShot(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		reader, writer := s.pipe()
		s.add(set, reader, evIn|oneShot, 'r')
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.wait(set, 4)
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.wait(set, 4)
		s.modify(set, reader, evIn|oneShot, 'r')
		s.wait(set, 4)
		s.close("close", writer)
		s.wait(set, 4)
		s.modify(set, reader, oneShot|edge, 'r')
		s.wait(set, 4)
		s.wait(set, 4)
		s.modify(set, reader, evIn, 'r')
		s.wait(set, 4)
		s.wait(set, 4)
	})
}

func TestEpollClose(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		reader, writer := s.pipe()
		s.write("write", writer, "abc")
		s.add(set, reader, evIn, 'r')
		copied := s.open("dup", SYS_DUP, reader)
		s.add(set, copied, evIn, 'c')
		s.wait(set, 4)
		s.close("close", reader)
		s.wait(set, 4) // the file is open still
		s.modify(set, reader, evIn, 'r')
		s.read("read", copied, 3)
		s.wait(set, 4)
		s.write("write", writer, "abc")
		s.wait(set, 4)
		s.close("close the copy", copied)
		s.wait(set, 4)
		again, writer := s.pipe()
		s.write("write", writer, "abc")
		s.add(set, again, evIn, 'r')
		s.close("close the set", set)
		s.wait(set, 4)
	})
}

func TestEpollNested(t *testing.T) {
	scripted(t, func(s *script) {
		inner, outer := s.epoll(), s.epoll()
		reader, writer := s.pipe()
		s.add(outer, inner, evIn|evOut, 'i')
		s.add(inner, outer, evIn, 'o')
		s.wait(outer, 4)
		s.add(inner, reader, evIn|edge, 'r')
		s.write("write", writer, "abc")
		s.poll("poll", inner)
		s.wait(outer, 4)
		s.wait(outer, 4)
		s.wait(inner, 4)
		s.wait(outer, 4)
		s.wait(inner, 4)
		s.write("write", writer, "abc")
		s.wait(outer, 4)
		s.close("close", reader)
		s.wait(outer, 4)
		s.close("close the inner one", inner)
		s.wait(outer, 4)
	})
}

// Kernels differ in how many sets they allow inside each other. Three are allowed by all, eight by
// none, and a circle by none.
func TestEpollDepth(t *testing.T) {
	scripted(t, func(s *script) {
		var sets []uintptr
		for range 16 {
			sets = append(sets, s.epoll())
		}
		refused := false
		add := func(into, fd uintptr) {
			e := &EpollEvent{Events: evIn}
			_, errno := raw(SYS_EPOLL_CTL, []uintptr{into, EPOLL_CTL_ADD, fd,
				pointer(s, e)})
			refused = refused || errno == ELOOP
		}
		for i := 1; i < 8; i++ { // each into the next
			if i == 3 {
				s.say("three: %v", refused)
			}
			add(sets[i], sets[i-1])
		}
		s.say("eight: %v", refused)
		refused = false
		for i := 14; i >= 8; i-- { // from outside
			if i == 12 {
				s.say("three: %v", refused)
			}
			add(sets[i+1], sets[i])
		}
		s.say("eight: %v", refused)
		s.add(sets[0], sets[2], evIn, 'z')
		s.add(sets[2], sets[2], evIn, 'y')
	})
}

// Files that are ready take turns.
func TestEpollTurns(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		var readers, writers []uintptr
		for i := range 4 {
			reader, writer := s.pipe()
			readers, writers = append(readers, reader), append(writers, writer)
			s.add(set, reader, evIn, byte('a'+i))
		}
		for _, i := range []int{2, 0, 3, 1} {
			s.write("write", writers[i], "abc")
		}
		for range 5 {
			s.wait(set, 1)
		}
		s.wait(set, 3)
		s.wait(set, 4)
		s.read("read", readers[0], 3)
		s.write("write", writers[0], "abc")
		s.wait(set, 2)
		s.wait(set, 4)
	})
}

func TestEpollWakes(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		reader, writer := s.pipe()
		s.add(set, reader, evIn, 'r')
		s.waitFor(set, 4, 20)
		done := make(chan bool)
		go func() {
			defer close(done)
			Write(int(writer), []byte("abc"))
		}()
		s.waitFor(set, 4, 10000)
		<-done
		s.read("read", reader, 3)
		go func() { Close(int(writer)) }()
		s.waitFor(set, 4, -1)
		events := make([]EpollEvent, 1)
		mask := new(uint64)
		s.call("epoll_pwait", SYS_EPOLL_PWAIT, set, pointer(s, &events[0]), 1, 0,
			pointer(s, mask), 8)
		s.call("epoll_pwait2", 441, set, pointer(s, &events[0]), 1,
			pointer(s, &Timespec{Nsec: 1e6}), 0, 0)
		s.call("a time that is none", 441, set, pointer(s, &events[0]), 1,
			pointer(s, &Timespec{Nsec: 1e9}), 0, 0)
	})
}

// A waiter keeps a set open that is closed meanwhile.
func TestEpollMany(t *testing.T) {
	scripted(t, func(s *script) {
		set := s.epoll()
		reader, writer := s.pipe()
		s.add(set, reader, evIn|edge, 'r')
		const waiters = 8
		got := make(chan int, waiters)
		for range waiters {
			go func() {
				events := make([]EpollEvent, 4)
				n, err := EpollWait(int(set), events, 100)
				if err == EINTR {
					n = 0
				}
				got <- n
			}()
		}
		Write(int(writer), []byte("abc"))
		total := 0
		for range waiters {
			total += <-got
		}
		s.say("%d events for all of %d waiters", total, waiters)
	})
}

func TestEventFd(t *testing.T) {
	scripted(t, func(s *script) {
		s.call("flags", SYS_EVENTFD2, 0, 2)
		fd := s.open("eventfd", SYS_EVENTFD2, 0, O_NONBLOCK|O_CLOEXEC)
		set := s.epoll()
		s.add(set, fd, evAll|edge, 'e')
		s.wait(set, 2)
		s.read("read nothing", fd, 8)
		s.write("write a little", fd, "1234567")
		s.write("write 1", fd, "\x01\x00\x00\x00\x00\x00\x00\x00")
		s.wait(set, 2)
		s.wait(set, 2)
		s.write("write 2", fd, "\x02\x00\x00\x00\x00\x00\x00\x00")
		s.wait(set, 2)
		s.read("read a little", fd, 7)
		s.say("%v", s.read("read", fd, 16))
		s.wait(set, 2)
		s.poll("empty", fd)
		s.write("write all bits", fd, "\xff\xff\xff\xff\xff\xff\xff\xff")
		s.write("write the most", fd, "\xfe\xff\xff\xff\xff\xff\xff\xff")
		s.poll("full", fd)
		s.write("write 1", fd, "\x01\x00\x00\x00\x00\x00\x00\x00")
		s.write("write 0", fd, "\x00\x00\x00\x00\x00\x00\x00\x00")
		s.wait(set, 2)
		s.say("%v", s.read("read", fd, 8))
		s.wait(set, 2)
		turns := s.open("semaphore", SYS_EVENTFD2, 2, 1|O_NONBLOCK)
		s.say("%v", s.read("read", turns, 8))
		s.say("%v", s.read("read", turns, 8))
		s.read("read", turns, 8)
		s.call("seek", SYS_LSEEK, fd, 0, 0)
		s.call("pread", SYS_PREAD64, fd, pointer(s, new([8]byte)), 8, 0)
		old := s.open("eventfd without flags", SYS_EVENTFD, 7)
		s.say("%v", s.read("read", old, 8))
	})
}

func TestPoll(t *testing.T) {
	scripted(t, func(s *script) {
		reader, writer := s.pipe()
		s.poll("reader", reader)
		s.poll("writer", writer)
		s.poll("nothing open", 999)
		s.poll("left out", ^uintptr(0))
		fds := []pollFd{{fd: int32(reader), events: evIn}, {fd: -1, events: evIn},
			{fd: int32(writer), events: evOut}, {fd: 999, events: evIn}}
		s.call("four", SYS_POLL, pointer(s, &fds[0]), 4, ^uintptr(0))
		s.say("%s, %s, %s, %s", eventText(uint32(fds[0].revents)),
			eventText(uint32(fds[1].revents)), eventText(uint32(fds[2].revents)),
			eventText(uint32(fds[3].revents)))
		s.call("none", SYS_POLL, 0, 0, 1)
		s.call("no memory", SYS_POLL, 0, 1, 0)
		s.call("ppoll", SYS_PPOLL, pointer(s, &fds[0]), 1, pointer(s, &Timespec{Nsec: 1e6}),
			0, 8)
		s.call("ppoll without a time", SYS_PPOLL, pointer(s, &fds[0]), 1,
			pointer(s, &Timespec{Nsec: -1}), 0, 8)
		go func() { Write(int(writer), []byte("abc")) }()
		s.call("ppoll without an end", SYS_PPOLL, pointer(s, &fds[0]), 1, 0, 0, 8)
		s.poll("reader", reader)
		s.close("close", writer)
		s.poll("reader", reader)
		s.read("read", reader, 9)
		s.poll("reader", reader)
		name := s.text(s.path("fifo"))
		s.call("mknod", SYS_MKNOD, name, S_IFIFO|0o600, 0)
		first := s.open("fifo", SYS_OPEN, name, O_RDONLY|O_NONBLOCK)
		s.poll("no writer yet", first)
		second := s.open("fifo", SYS_OPEN, name, O_WRONLY|O_NONBLOCK)
		s.poll("a writer", first)
		s.close("close", second)
		s.poll("no writer any more", first)
	})
}

func TestSelect(t *testing.T) {
	scripted(t, func(s *script) {
		reader, writer := s.pipe()
		n := max(reader, writer) + 1
		var sets [3][16]int64
		fill := func() {
			sets = [3][16]int64{}
			for i, fd := range []uintptr{reader, writer, reader} {
				sets[i][fd/64] |= 1 << (fd % 64)
			}
		}
		show := func() {
			bit := func(i int, fd uintptr) int64 {
				return sets[i][fd/64] >> (fd % 64) & 1
			}
			s.say("read %d, write %d, except %d", bit(0, reader), bit(1, writer),
				bit(2, reader))
		}
		a, b, c := pointer(s, &sets[0]), pointer(s, &sets[1]), pointer(s, &sets[2])
		limit := &Timeval{Usec: 1000}
		fill()
		s.call("select", SYS_SELECT, n, a, b, c, pointer(s, limit))
		show()
		fill()
		s.call("select for reading", SYS_SELECT, n, a, 0, 0, pointer(s, limit))
		s.say("%d us are left", limit.Usec)
		go func() { Write(int(writer), []byte("abc")) }()
		fill()
		s.call("pselect6", SYS_PSELECT6, n, a, 0, c, 0, 0)
		show()
		s.call("no descriptors", SYS_SELECT, 0, 0, 0, 0, pointer(s, limit))
		s.call("less", SYS_SELECT, ^uintptr(0), 0, 0, 0, pointer(s, limit))
		s.call("a time that is none", SYS_SELECT, 0, 0, 0, 0,
			pointer(s, &Timeval{Sec: -1}))
		s.call("another", SYS_PSELECT6, 0, 0, 0, 0,
			pointer(s, &Timespec{Nsec: 1e9}))
		fill()
		s.close("close", reader)
		s.call("closed", SYS_SELECT, n, a, b, c, pointer(s, limit))
	})
}

// The runtime's poller has eventfds as any other file.
func TestEventFdInPoller(t *testing.T) {
	scripted(t, func(s *script) {
		fd, _ := raw(SYS_EVENTFD2, []uintptr{0, O_NONBLOCK})
		file := os.NewFile(fd, "eventfd")
		defer file.Close()
		go file.Write([]byte{5, 0, 0, 0, 0, 0, 0, 0})
		b := make([]byte, 8)
		n, err := file.Read(b)
		s.say("%d, %v, %v", n, err, b)
	})
}
