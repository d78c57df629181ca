//go:build linux

package linux

import (
	"bytes"
	"os"
	. "syscall"
	"testing"
	"unsafe"
)

type messageEntry struct {
	head   Msghdr
	length uint32
	_      [4]byte
}

// message makes one of buffers.
func (s *script) message(control []byte, buffers ...[]byte) *Msghdr {
	vectors := make([]Iovec, len(buffers))
	for i, b := range buffers {
		vectors[i] = Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
	}
	h := &Msghdr{Iov: unsafe.SliceData(vectors), Iovlen: uint64(len(vectors)),
		Control: unsafe.SliceData(control), Controllen: uint64(len(control))}
	s.kept = append(s.kept, h, vectors, buffers, control)
	return h
}

func TestMessages(t *testing.T) {
	scripted(t, func(s *script) {
		a, b := s.pair(SOCK_STREAM)
		s.call("no message", SYS_SENDMSG, a, 0, 0)
		s.call("send", SYS_SENDMSG, a, pointer(s, s.message(nil, []byte("hello"), nil,
			[]byte(", world"))), 0)
		one, two := make([]byte, 3), make([]byte, 20)
		h := s.message(nil, one, two)
		s.call("receive", SYS_RECVMSG, b, pointer(s, h), 0)
		s.say("%q %q, flags %#x, %d bytes of control", one, two, h.Flags, h.Controllen)
		s.call("receive nothing", SYS_RECVMSG, b, pointer(s, h), 0)
		reader, writer := s.pipe()
		s.call("send a file", SYS_SENDMSG, a, pointer(s, s.message(UnixRights(int(reader)),
			[]byte("x"))), 0)
		control := make([]byte, 64)
		h = s.message(control, one)
		s.call("receive it", SYS_RECVMSG, b, pointer(s, h), MSG_CMSG_CLOEXEC)
		s.say("flags %#x, %d bytes of control", h.Flags&^MSG_CMSG_CLOEXEC, h.Controllen)
		messages, _ := ParseSocketControlMessage(control[:h.Controllen])
		fds, _ := ParseUnixRights(&messages[0])
		s.call("is closed on exec", SYS_FCNTL, uintptr(fds[0]), F_GETFD, 0)
		s.write("write", writer, "abc")
		s.read("read from it", uintptr(fds[0]), 9)
		Close(fds[0])
		s.call("send a file with no bytes", SYS_SENDMSG, a,
			pointer(s, s.message(UnixRights(int(reader)))), 0)
		s.call("receive nothing", SYS_RECVMSG, b, pointer(s, s.message(control, one)), 0)
		s.call("send nothing open", SYS_SENDMSG, a, pointer(s, s.message(UnixRights(999),
			[]byte("x"))), 0)
		s.call("send to a pipe", SYS_SENDMSG, writer, pointer(s, s.message(nil)), 0)
		s.close("close", a)
		s.call("receive the end", SYS_RECVMSG, b, pointer(s, s.message(nil, one)), 0)
		s.call("send to none", SYS_SENDMSG, b, pointer(s, s.message(nil, one)),
			MSG_NOSIGNAL)
		s.close("close", b)
	})
}

func TestDatagramMessages(t *testing.T) {
	scripted(t, func(s *script) {
		size := new(uint32)
		addr := &RawSockaddrInet4{Family: AF_INET, Addr: [4]byte{127, 0, 0, 1}}
		a := s.open("socket", SYS_SOCKET, AF_INET, SOCK_DGRAM|SOCK_NONBLOCK, 0)
		b := s.open("socket", SYS_SOCKET, AF_INET, SOCK_DGRAM|SOCK_NONBLOCK, 0)
		s.call("bind", SYS_BIND, a, pointer(s, addr), SizeofSockaddrInet4)
		*size = SizeofSockaddrInet4
		s.call("getsockname", SYS_GETSOCKNAME, a, pointer(s, addr), pointer(s, size))
		out := make([]messageEntry, 3)
		for i, text := range []string{"one", "two", "a longer one"} {
			h := s.message(nil, []byte(text))
			h.Name, h.Namelen = (*byte)(unsafe.Pointer(addr)), SizeofSockaddrInet4
			out[i].head = *h
		}
		s.call("sendmmsg", 307, b, pointer(s, &out[0]), 3, 0)
		s.say("%d, %d, %d bytes", out[0].length, out[1].length, out[2].length)
		from := new(RawSockaddrInet4)
		first := s.message(nil, make([]byte, 8))
		first.Name, first.Namelen = (*byte)(unsafe.Pointer(from)), SizeofSockaddrInet4
		s.call("recvmsg", SYS_RECVMSG, a, pointer(s, first), 0)
		s.say("family %d, from %v, a name of %d bytes", from.Family, from.Addr,
			first.Namelen)
		in := make([]messageEntry, 4)
		var buffers [4][]byte
		for i := range in {
			buffers[i] = make([]byte, 8)
			in[i].head = *s.message(nil, buffers[i])
		}
		s.call("recvmmsg", 299, a, pointer(s, &in[0]), 4, MSG_DONTWAIT, 0)
		s.say("%d bytes %q, flags %#x", in[0].length, buffers[0], in[0].head.Flags)
		s.say("%d bytes %q, flags %#x", in[1].length, buffers[1], in[1].head.Flags)
		s.call("recvmmsg, none there", 299, a, pointer(s, &in[0]), 4, 0x10000, 0)
		s.call("sendmmsg again", 307, b, pointer(s, &out[2]), 1, 0)
		s.call("recvmsg of the whole length", SYS_RECVMSG, a,
			pointer(s, s.message(nil, make([]byte, 4))), MSG_TRUNC)
		s.call("no messages", 307, b, 0, 0, 0)
		s.call("not a socket", 299, 0, pointer(s, &in[0]), 1, 0)
		s.call("a time that is none", 299, a, pointer(s, &in[0]), 1, 0,
			pointer(s, &Timespec{Nsec: -1}))
	})
}

// Datagrams keep their order and their ends, whatever their sizes, and however many wait.
func TestDatagramQueue(t *testing.T) {
	scripted(t, func(s *script) {
		to, name := s.udp(AF_INET)
		from, _ := s.udp(AF_INET)
		sizes := []int{0, 1, 511, 512, 513, 1400, 64}
		sent := 0
		send := func(count int) {
			for range count {
				data := bytes.Repeat([]byte{byte(sent)}, sizes[sent%len(sizes)])
				if err := Sendto(int(from), data, 0, name); err != nil {
					s.Fatal(err)
				}
				sent++
			}
		}
		receive := func(count, flags int) {
			for range count {
				p := make([]byte, 1000)
				n, _, got, _, err := Recvmsg(int(to), p, nil, flags)
				if err != nil {
					s.say("%s", named(err.(Errno)))
					return
				}
				s.say("%d of %d bytes are %d, flags %#x",
					bytes.Count(p[:n], p[:1]), n, p[0], got&^MSG_CMSG_CLOEXEC)
			}
		}
		for range 10 {
			send(9)
			receive(5, 0)
			receive(2, MSG_PEEK)
		}
		receive(100, 0)
		send(3)
		receive(100, 0)
	})
}

func TestSplice(t *testing.T) {
	scripted(t, func(s *script) {
		os.WriteFile(s.path("file"), []byte("0123456789"), 0o600)
		file := s.open("file", SYS_OPEN, s.text(s.path("file")), O_RDWR)
		reader, writer := s.pipe()
		offset := new(int64)
		*offset = 4
		s.call("from an offset", SYS_SPLICE, file, pointer(s, offset), writer, 0, 3, 0)
		s.say("offset %d", *offset)
		s.call("from the position", SYS_SPLICE, file, 0, writer, 0, 99, 0)
		s.call("from the end", SYS_SPLICE, file, 0, writer, 0, 99, 0)
		other, into := s.pipe()
		s.call("tee", SYS_TEE, reader, into, 5, 0)
		s.say("%q", s.read("read the copy", other, 99))
		s.call("pipe to pipe", SYS_SPLICE, reader, 0, into, 0, 4, 0)
		*offset = 12 // no bytes that are in the pipe: on Linux it has the file's pages
		s.call("to an offset", SYS_SPLICE, other, 0, file, pointer(s, offset), 99, 0)
		s.say("offset %d", *offset)
		s.call("from an empty pipe", SYS_SPLICE, other, 0, file, 0, 99, 0)
		s.call("without a pipe", SYS_SPLICE, file, 0, file, 0, 99, 0)
		s.call("a pipe with an offset", SYS_SPLICE, reader, pointer(s, offset), file, 0,
			1, 0)
		s.call("into itself", SYS_SPLICE, reader, 0, writer, 0, 1, 0)
		s.call("flags", SYS_SPLICE, reader, 0, file, 0, 1, 99)
		s.call("the wrong end", SYS_SPLICE, writer, 0, file, 0, 1, 0)
		s.call("nothing", SYS_SPLICE, reader, 0, file, 0, 0, 0)
		s.call("tee of a file", SYS_TEE, file, writer, 1, 0)
		a, b := s.pair(SOCK_STREAM)
		s.call("to a socket", SYS_SPLICE, reader, 0, a, 0, 99, 0)
		s.say("%q", s.read("read", b, 99))
		s.write("write", b, "from a socket")
		s.call("from a socket", SYS_SPLICE, a, 0, writer, 0, 99, 2)
		s.say("%q", s.read("read", reader, 99))
		s.close("close", a)
		s.close("close", b)
		text, _ := os.ReadFile(s.path("file"))
		s.say("%q", text)
	})
}

func TestCopyFileRange(t *testing.T) {
	scripted(t, func(s *script) {
		os.WriteFile(s.path("file"), []byte("0123456789"), 0o600)
		from := s.open("file", SYS_OPEN, s.text(s.path("file")), O_RDWR)
		to := s.open("other", SYS_OPEN, s.text(s.path("other")), O_RDWR|O_CREAT, 0o600)
		offset := new(int64)
		*offset = 5
		s.call("from an offset", 326, from, pointer(s, offset), to, 0, 99, 0)
		s.call("from the position", 326, from, 0, to, 0, 3, 0)
		s.call("flags", 326, from, 0, to, 0, 3, 1)
		reader, writer := s.pipe()
		s.call("from a pipe", 326, reader, 0, to, 0, 3, 0)
		s.call("to a pipe", 326, from, 0, writer, 0, 3, 0)
		dir := s.open("directory", SYS_OPEN, s.text(s.dir), O_RDONLY)
		s.call("from a directory", 326, dir, 0, to, 0, 3, 0)
		*offset = 8
		s.call("onto itself", 326, from, pointer(s, offset), from,
			pointer(s, new(int64)), 2, 0)
		*offset = 1
		s.call("over itself", 326, from, pointer(s, offset), from,
			pointer(s, new(int64)), 2, 0)
		appended := s.open("append", SYS_OPEN, s.text(s.path("other")), O_WRONLY|O_APPEND)
		s.call("to the end", 326, from, 0, appended, 0, 3, 0)
		s.call("for writing only", 326, appended, 0, to, 0, 3, 0)
		for _, name := range []string{"file", "other"} {
			text, _ := os.ReadFile(s.path(name))
			s.say("%q", text)
		}
	})
}

func TestFallocate(t *testing.T) {
	scripted(t, func(s *script) {
		fd := s.open("file", SYS_OPEN, s.text(s.path("file")), O_RDWR|O_CREAT, 0o600)
		st := new(Stat_t)
		show := func(what string) {
			Fstat(int(fd), st)
			s.say("%s: %d bytes, %v", what, st.Size, st.Blocks > 0)
		}
		s.call("keep the size", SYS_FALLOCATE, fd, 1, 0, 10000)
		show("kept")
		s.call("no bytes", SYS_FALLOCATE, fd, 0, 0, 0)
		s.call("an offset that is none", SYS_FALLOCATE, fd, 0, ^uintptr(0), 1)
		s.call("too large", SYS_FALLOCATE, fd, 0, 1<<62, 1<<62)
		s.write("write", fd, "0123456789")
		s.call("grow", SYS_FALLOCATE, fd, 0, 5, 20000)
		show("grown")
		s.call("punch", SYS_FALLOCATE, fd, 3, 2, 4)
		s.call("punch pages", SYS_FALLOCATE, fd, 3, 4096, 8192)
		s.call("punch behind the end", SYS_FALLOCATE, fd, 3, 1<<20, 4096)
		show("punched")
		s.call("punch without keeping", SYS_FALLOCATE, fd, 2, 2, 4)
		s.call("flags", SYS_FALLOCATE, fd, 0x100, 2, 4)
		text, _ := os.ReadFile(s.path("file"))
		s.say("%q and %d bytes", text[:10], len(text))
		other := s.open("for reading", SYS_OPEN, s.text(s.path("file")), O_RDONLY)
		s.call("for reading", SYS_FALLOCATE, other, 0, 0, 1)
		reader, writer := s.pipe()
		s.call("a pipe", SYS_FALLOCATE, writer, 0, 0, 1)
		s.call("the wrong end", SYS_FALLOCATE, reader, 0, 0, 1)
		counter := s.open("eventfd", SYS_EVENTFD2, 0, 0)
		s.call("eventfd", SYS_FALLOCATE, counter, 0, 0, 1)
	})
}

func TestProcess(t *testing.T) {
	scripted(t, func(s *script) {
		s.call("set the name", SYS_PRCTL, 15, s.text("a name that is longer"))
		s.call("no name", SYS_PRCTL, 15, 0)
		s.call("no operation", SYS_PRCTL, 9999)
		s.call("no capability", SYS_PRCTL, 23, 999)
		s.call("not dumpable", SYS_PRCTL, 4, 7)
		s.call("half", SYS_PRCTL, 38, 2)
		s.call("clock_getres", SYS_CLOCK_GETRES, 1, 0)
		s.call("no clock", SYS_CLOCK_GETRES, 99, 0)
		s.call("sleep", SYS_CLOCK_NANOSLEEP, 1, 0, pointer(s, &Timespec{Nsec: 1e6}), 0)
		s.call("sleep until long ago", SYS_CLOCK_NANOSLEEP, 0, 1,
			pointer(s, &Timespec{Sec: 1}), 0)
		s.call("a time that is none", SYS_CLOCK_NANOSLEEP, 1, 0,
			pointer(s, &Timespec{Nsec: 1e9}), 0)
		mask := new([128]byte)
		s.call("too small", SYS_SCHED_GETAFFINITY, 0, 1, pointer(s, mask))
		r, e := raw(SYS_SCHED_GETAFFINITY, []uintptr{0, 128, pointer(s, mask)})
		s.say("%v, %v", e == 0 && r%8 == 0 && r > 0, mask[0]&1)
		s.call("no CPU", SYS_SCHED_SETAFFINITY, 0, 128, pointer(s, new([128]byte)))
		s.call("of another process", SYS_SCHED_GETAFFINITY, 1<<30, 128, pointer(s, mask))
		s.call("capget of another version", SYS_CAPGET, pointer(s, new([2]uint32)), 0)
		s.call("priority of what", SYS_GETPRIORITY, 9, 0)
	})
}
