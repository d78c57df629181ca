//go:build linux

package linux

import (
	"os"
	. "syscall"
	"testing"
	"time"
	"unsafe"
)

const (
	ofdGet  = 36
	ofdSet  = 37
	ofdWait = 38
)

func (s *script) lock(what string, fd uintptr, command int, kind int16, start, length int64) {
	lock := &Flock_t{Type: kind, Start: start, Len: length}
	_, e := raw(SYS_FCNTL, []uintptr{fd, uintptr(command), pointer(s, lock)})
	switch {
	case e != 0:
		s.say("%s: %s", what, named(e))
	case command == ofdGet || command == F_GETLK:
		pid := lock.Pid
		if pid > 0 {
			pid = 1
		}
		s.say("%s: kind %d from %d, %d bytes, process %d", what, lock.Type, lock.Start,
			lock.Len, pid)
	default:
		s.say("%s: done", what)
	}
}

// Locks of open file descriptions exclude each other inside a process, range by range.
func TestRangeLocks(t *testing.T) {
	scripted(t, func(s *script) {
		os.WriteFile(s.path("file"), make([]byte, 100), 0o600)
		open := func(flags uintptr) uintptr {
			return s.open("open", SYS_OPEN, s.text(s.path("file")), flags)
		}
		a, b, c := open(O_RDWR), open(O_RDWR), open(O_RDONLY)
		s.lock("a 10 to 29", a, ofdSet, F_WRLCK, 10, 20)
		s.lock("b asks", b, ofdGet, F_WRLCK, 0, 0)
		s.lock("b 0 to 9", b, ofdSet, F_WRLCK, 0, 10)
		s.lock("b 0 to 10", b, ofdSet, F_WRLCK, 0, 11)
		s.lock("c reads 29", c, ofdSet, F_RDLCK, 29, 1)
		s.lock("a gives back the middle", a, ofdSet, F_UNLCK, 15, 5)
		s.lock("b takes it", b, ofdSet, F_RDLCK, 15, 5)
		s.lock("c reads it too", c, ofdSet, F_RDLCK, 15, 5)
		s.lock("a writes it", a, ofdSet, F_WRLCK, 15, 5)
		s.lock("c asks for the rest", c, ofdGet, F_RDLCK, 20, 0)
		s.lock("c writes", c, ofdSet, F_WRLCK, 50, 1)
		s.lock("the process 60 on", a, F_SETLK, F_WRLCK, 60, 0)
		s.lock("the process by another", b, F_SETLK, F_WRLCK, 70, 0)
		s.lock("b asks about the process", b, ofdGet, F_RDLCK, 0x1000, 1)
		s.lock("the process asks", c, F_GETLK, F_WRLCK, 0, 10)
		s.lock("b 70", b, ofdSet, F_WRLCK, 70, 1)
		s.close("close some", open(O_RDONLY))
		s.lock("b 70 again", b, ofdSet, F_WRLCK, 70, 1)
		s.lock("backwards", a, ofdSet, F_WRLCK, 90, -10)
		s.lock("before the start", a, ofdSet, F_WRLCK, 5, -10)
		s.lock("too far", a, ofdSet, F_WRLCK, 1<<62, 1<<62+1)
		s.lock("no kind", a, ofdSet, 7, 0, 1)
		s.lock("asks for none", a, F_GETLK, F_UNLCK, 0, 1)
		s.call("with a process", SYS_FCNTL, a, ofdSet, pointer(s, &Flock_t{Pid: 1}))
		s.call("no file", SYS_FCNTL, 999, ofdSet, pointer(s, &Flock_t{}))
		same, err := Dup(int(a))
		if err != nil {
			t.Fatal(err)
		}
		s.close("close a", a)
		s.lock("b wants what a has", b, ofdSet, F_WRLCK, 80, 1)
		waited := make(chan Errno)
		go func() {
			lock := &Flock_t{Type: F_WRLCK, Start: 80, Len: 1}
			_, e := raw(SYS_FCNTL, []uintptr{b, ofdWait, uintptr(unsafe.Pointer(lock))})
			waited <- e
		}()
		time.Sleep(time.Millisecond)
		s.close("close the same", uintptr(same))
		s.say("waited for it: %d", <-waited)
	})
}

const page = 4096

func (s *script) remap(what string, b []byte, to int, flags uintptr) []byte {
	r, e := raw(SYS_MREMAP, []uintptr{uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		uintptr(to), flags})
	if e != 0 {
		s.say("%s: %s", what, named(e))
		return b
	}
	s.say("%s: %v", what, flags != 0 || r == uintptr(unsafe.Pointer(&b[0])))
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&r))), to)
}

func (s *script) unmap(b []byte) {
	s.call("unmap", SYS_MUNMAP, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
}

// A mapping grows and shrinks with what it has.
func TestMremap(t *testing.T) {
	scripted(t, func(s *script) {
		b, err := Mmap(-1, 0, 2*page, PROT_READ|PROT_WRITE, MAP_ANON|MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[page:], "second")
		b = s.remap("grow", b, 100*page, 1)
		s.say("%q, %d", b[page:page+6], b[99*page])
		b[99*page] = 7
		b = s.remap("shrink", b, page+1, 0)
		b = s.remap("grow again", b, 100*page, 1)
		s.say("%q, %d", b[page:page+6], b[99*page])
		s.remap("to nothing", b, 0, 1)
		s.remap("flags", b, page, 99)
		s.remap("fixed, not moved", b, page, 2)
		s.unmap(b)
	})
}

// A mapping of a file shows what the file has behind it.
func TestMremapOfFile(t *testing.T) {
	scripted(t, func(s *script) {
		f, err := os.Create(s.path("file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Truncate(page)
		f.WriteAt([]byte("before"), 10)
		b, err := Mmap(int(f.Fd()), 0, page, PROT_READ|PROT_WRITE, MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[100:], "by memory")
		f.Truncate(20 * page)
		f.WriteAt([]byte("behind"), 19*page)
		b = s.remap("grow with the file", b, 20*page, 1)
		s.say("%q %q %q", b[10:16], b[100:109], b[19*page:19*page+6])
		copy(b[19*page:], "memory")
		got := make([]byte, 6)
		f.ReadAt(got, 19*page)
		s.say("%q", got)
		b = s.remap("shrink with the file", b, page, 1)
		f.WriteAt([]byte("after!"), 10)
		s.say("%q", b[10:16])
		s.unmap(b)
		text, _ := os.ReadFile(s.path("file"))
		s.say("%d %q %q", len(text), text[100:109], text[19*page:19*page+6])
	})
}

// Any pages are taken away, and the rest stays as it is.
func TestMunmapPart(t *testing.T) {
	scripted(t, func(s *script) {
		b, err := Mmap(-1, 0, 8*page, PROT_READ|PROT_WRITE, MAP_ANON|MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			b[i*page] = byte('0' + i)
		}
		unmap := func(what string, from, to int) {
			s.call(what, SYS_MUNMAP, uintptr(unsafe.Pointer(&b[from*page])),
				uintptr((to-from)*page))
		}
		unmap("the first", 0, 1)
		unmap("two in the middle", 3, 5)
		s.say("%c %c %c %c %c", b[page], b[2*page], b[5*page], b[6*page], b[7*page])
		unmap("with some that are gone", 0, 3)
		unmap("nothing that is there", 0, 5)
		unmap("no pages", 1, 1)
		s.call("half a page", SYS_MUNMAP, uintptr(unsafe.Pointer(&b[6*page]))+1, page)
		s.say("%c %c %c", b[5*page], b[6*page], b[7*page])
		unmap("the rest", 0, 8)
	})
}
