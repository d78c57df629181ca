//go:build linux

// Package linux compares system calls by number with Linux. Each test makes calls and writes down
// what they gave. What Linux gave is in testdata, written there by "go test -update". The same
// tests pass on Linux and on capOS, so they say the same of both.
package linux

import (
	"embed"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	. "syscall"
	"testing"
	"unsafe"
)

var update = flag.Bool("update", false, "write what the calls give to testdata (on Linux)")

//go:embed testdata
var recorded embed.FS

// A script makes calls and keeps a line for each.
type script struct {
	*testing.T
	lines []string
	kept  []any // what calls were given pointers to, as numbers
	dir   string
}

// scripted is a test whose lines are compared.
func scripted(t *testing.T, run func(*script)) {
	s := &script{T: t, dir: t.TempDir()}
	run(s)
	name := "testdata/" + strings.TrimPrefix(t.Name(), "Test") + ".txt"
	text := strings.Join(s.lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := recorded.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(strings.TrimSuffix(string(want), "\n"), "\n")
	for i := range max(len(wanted), len(s.lines)) {
		if w, g := at(wanted, i), at(s.lines, i); w != g {
			t.Errorf("line %d: %q, and on Linux %q", i+1, g, w)
			return // what comes after may be the same, a line further
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

func (s *script) say(format string, a ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, a...))
}

// pointer gives the number of a pointer, to something that stays where it is.
func pointer[T any](s *script, p *T) uintptr {
	s.kept = append(s.kept, p)
	return uintptr(unsafe.Pointer(p))
}

func (s *script) text(text string) uintptr {
	b, err := BytePtrFromString(text)
	if err != nil {
		s.Fatal(err)
	}
	return pointer(s, b)
}

func (s *script) path(name string) string { return filepath.Join(s.dir, name) }

var errnos = map[Errno]string{EAGAIN: "EAGAIN", EBADF: "EBADF", EEXIST: "EEXIST",
	EFAULT: "EFAULT", EINVAL: "EINVAL", ELOOP: "ELOOP", ENOENT: "ENOENT", EPERM: "EPERM",
	EPIPE: "EPIPE", ENOTDIR: "ENOTDIR", EINPROGRESS: "EINPROGRESS", ESPIPE: "ESPIPE",
	ECONNREFUSED: "ECONNREFUSED", ECONNRESET: "ECONNRESET", ETIMEDOUT: "ETIMEDOUT",
	ENOSPC: "ENOSPC", ENODEV: "ENODEV", EACCES: "EACCES", EISDIR: "EISDIR", EFBIG: "EFBIG",
	ENOSYS: "ENOSYS", EOPNOTSUPP: "EOPNOTSUPP", ENOTSOCK: "ENOTSOCK", ESRCH: "ESRCH",
	ENAMETOOLONG: "ENAMETOOLONG", EOVERFLOW: "EOVERFLOW", EBUSY: "EBUSY",
	EDOM: "EDOM"}

func named(e Errno) string {
	if name := errnos[e]; name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", int(e))
}

func raw(trap uintptr, a []uintptr) (uintptr, Errno) {
	var all [6]uintptr
	copy(all[:], a)
	for {
		r, _, e := Syscall6(trap, all[0], all[1], all[2], all[3], all[4], all[5])
		if e != EINTR { // of a signal by which the runtime preempts
			return r, e
		}
	}
}

// call makes a call and writes down its result.
func (s *script) call(what string, trap uintptr, a ...uintptr) uintptr {
	r, e := raw(trap, a)
	if e != 0 {
		s.say("%s: %s", what, named(e))
	} else {
		s.say("%s: %d", what, int(r))
	}
	return r
}

// open makes a call whose result is a descriptor, which is closed with the test.
func (s *script) open(what string, trap uintptr, a ...uintptr) uintptr {
	s.Helper()
	r, e := raw(trap, a)
	if e != 0 {
		s.say("%s: %s", what, named(e))
		return ^uintptr(0)
	}
	s.say("%s: open", what)
	s.Cleanup(func() { Close(int(r)) })
	return r
}

// pipe makes one whose ends do not block.
func (s *script) pipe() (reader, writer uintptr) {
	ends := new([2]int32)
	if _, e := raw(SYS_PIPE2, []uintptr{pointer(s, ends), O_NONBLOCK}); e != 0 {
		s.Fatal(e)
	}
	s.Cleanup(func() {
		Close(int(ends[0]))
		Close(int(ends[1]))
	})
	return uintptr(ends[0]), uintptr(ends[1])
}

func (s *script) write(what string, fd uintptr, data string) {
	b := []byte(data)
	s.call(what, SYS_WRITE, fd, pointer(s, &b[0]), uintptr(len(b)))
}

func (s *script) read(what string, fd uintptr, size int) []byte {
	b := make([]byte, size)
	n := s.call(what, SYS_READ, fd, pointer(s, &b[0]), uintptr(size))
	if int(n) < 0 {
		return nil
	}
	return b[:n]
}

func (s *script) close(what string, fd uintptr) { s.call(what, SYS_CLOSE, fd) }

// ---- events
// ------------------------------------------------------------------------------------------

var eventNames = []struct {
	bit  uint32
	name string
}{{1, "IN"}, {2, "PRI"}, {4, "OUT"}, {8, "ERR"}, {0x10, "HUP"}, {0x20, "NVAL"}, {0x40, "RDNORM"},
	{0x80, "RDBAND"}, {0x100, "WRNORM"}, {0x200, "WRBAND"}, {0x2000, "RDHUP"}}

func eventText(events uint32) string {
	var names []string
	for _, e := range eventNames {
		if events&e.bit != 0 {
			names = append(names, e.name)
			events &^= e.bit
		}
	}
	if events != 0 {
		names = append(names, fmt.Sprintf("%#x", events))
	}
	return strings.Join(names, "|")
}

const (
	evIn      = 1
	evOut     = 4
	evReadHup = 0x2000
	evAll     = 0x23ff
	oneShot   = 1 << 30
	edge      = 1 << 31
	exclusive = 1 << 28
)

func (s *script) epoll() uintptr { return s.open("epoll_create1", SYS_EPOLL_CREATE1, 0) }

func (s *script) control(what string, set, op, fd uintptr, events uint32, label byte) {
	e := &EpollEvent{Events: events, Fd: int32(label)}
	s.call(what, SYS_EPOLL_CTL, set, op, fd, pointer(s, e))
}

func (s *script) add(set, fd uintptr, events uint32, label byte) {
	s.control(fmt.Sprintf("add %c", label), set, EPOLL_CTL_ADD, fd, events, label)
}

func (s *script) modify(set, fd uintptr, events uint32, label byte) {
	s.control(fmt.Sprintf("modify %c", label), set, EPOLL_CTL_MOD, fd, events, label)
}

// wait writes down the events that there are now, in their order.
func (s *script) wait(set uintptr, room int) { s.waitFor(set, room, 0) }

func (s *script) waitFor(set uintptr, room, milliseconds int) {
	events := make([]EpollEvent, room)
	n, e := raw(SYS_EPOLL_WAIT, []uintptr{set, pointer(s, &events[0]), uintptr(room),
		uintptr(milliseconds)})
	if e != 0 {
		s.say("wait: %s", named(e))
		return
	}
	text := "wait:"
	for _, got := range events[:n] {
		text += fmt.Sprintf(" %c:%s", got.Fd, eventText(got.Events))
	}
	s.say("%s", text)
}

type pollFd struct {
	fd              int32
	events, revents int16
}

// poll writes down the events of one descriptor, all that there are.
func (s *script) poll(what string, fd uintptr) {
	p := &pollFd{fd: int32(fd), events: evAll}
	if _, e := raw(SYS_POLL, []uintptr{pointer(s, p), 1, 0}); e != 0 {
		s.say("%s: %s", what, named(e))
		return
	}
	s.say("%s: %s", what, eventText(uint32(uint16(p.revents))))
}
