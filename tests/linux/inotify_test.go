//go:build linux

package linux

import (
	"encoding/binary"
	"os"
	"strings"
	. "syscall"
	"testing"
)

var inotifyNames = []struct {
	bit  uint32
	name string
}{{1, "ACCESS"}, {2, "MODIFY"}, {4, "ATTRIB"}, {8, "CLOSE_WRITE"}, {0x10, "CLOSE_NOWRITE"},
	{0x20, "OPEN"}, {0x40, "MOVED_FROM"}, {0x80, "MOVED_TO"}, {0x100, "CREATE"},
	{0x200, "DELETE"}, {0x400, "DELETE_SELF"}, {0x800, "MOVE_SELF"}, {0x4000, "Q_OVERFLOW"},
	{0x8000, "IGNORED"}, {0x40000000, "ISDIR"}}

// A watcher is an inotify descriptor.
type watcher struct {
	*script
	fd      uintptr
	cookies map[uint32]int
}

func (s *script) inotify() *watcher {
	fd := s.open("inotify_init1", SYS_INOTIFY_INIT1, O_NONBLOCK|O_CLOEXEC)
	return &watcher{s, fd, map[uint32]int{}}
}

func (w *watcher) watch(what, path string, mask uint32) uintptr {
	return w.call("watch "+what, SYS_INOTIFY_ADD_WATCH, w.fd, w.text(path), uintptr(mask))
}

// events writes down what there is to read.
func (w *watcher) events(after string) {
	w.say("after %s:", after)
	b := make([]byte, 64<<10)
	n, e := raw(SYS_READ, []uintptr{w.fd, pointer(w.script, &b[0]), uintptr(len(b))})
	if e != 0 {
		w.say("  %s", named(e))
		return
	}
	for b = b[:n]; len(b) > 0; {
		mask, cookie := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
		size := binary.LittleEndian.Uint32(b[12:])
		var names []string
		for _, known := range inotifyNames {
			if mask&known.bit != 0 {
				names = append(names, known.name)
			}
		}
		text := strings.Join(names, "|")
		if size > 0 {
			text += " " + strings.TrimRight(string(b[16:16+size]), "\x00")
		}
		if cookie != 0 {
			if w.cookies[cookie] == 0 {
				w.cookies[cookie] = len(w.cookies) + 1
			}
			text = text + " cookie " + string(rune('0'+w.cookies[cookie]))
		}
		number := int32(binary.LittleEndian.Uint32(b))
		w.say("  %d: %s (%d bytes of name)", number, text, size)
		b = b[16+size:]
	}
}

func TestInotifyErrors(t *testing.T) {
	scripted(t, func(s *script) {
		s.call("flags", SYS_INOTIFY_INIT1, 1)
		old := s.open("inotify_init", SYS_INOTIFY_INIT)
		s.close("close", old)
		w := s.inotify()
		w.watch("nothing", s.path("none"), 0xfff)
		w.watch("no event", s.dir, 0)
		w.watch("for no known event", s.dir, 0x2000)
		os.WriteFile(s.path("file"), nil, 0o600)
		w.watch("a file as a directory", s.path("file"), 0xfff|0x01000000)
		w.watch("a file", s.path("file"), 0xfff)
		w.watch("it again", s.path("file"), 0xfff|0x10000000)
		w.watch("adding", s.path("file"), 2|0x20000000)
		w.watch("both ways", s.path("file"), 2|0x30000000)
		reader, _ := s.pipe()
		s.call("a pipe", SYS_INOTIFY_ADD_WATCH, reader, s.text(s.dir), 2)
		s.call("nothing open", SYS_INOTIFY_ADD_WATCH, 999, s.text(s.dir), 2)
		s.call("remove from a pipe", SYS_INOTIFY_RM_WATCH, reader, 1)
		s.call("remove what is none", SYS_INOTIFY_RM_WATCH, w.fd, 77)
		s.call("remove", SYS_INOTIFY_RM_WATCH, w.fd, 1)
		w.events("removing")
		s.call("remove again", SYS_INOTIFY_RM_WATCH, w.fd, 1)
		w.watch("a file", s.path("file"), 0xfff)
		os.Chmod(s.path("file"), 0o640)
		s.read("too little", w.fd, 15)
		s.poll("poll", w.fd)
		s.write("write", w.fd, "abc")
		w.events("all")
		s.poll("poll", w.fd)
	})
}

func TestInotifyDirectory(t *testing.T) {
	scripted(t, func(s *script) {
		w := s.inotify()
		set := s.epoll()
		s.add(set, w.fd, evIn|edge, 'i')
		w.watch("directory", s.dir, 0xfff&^0x30) // no OPEN, CLOSE_NOWRITE: see below
		w.watch("the same", s.dir, 0xfff&^0x30)
		s.wait(set, 1)
		f, _ := os.Create(s.path("file"))
		s.wait(set, 1)
		w.events("create")
		f.Write([]byte("abc"))
		f.Write([]byte("def"))
		w.events("two writes")
		f.ReadAt(make([]byte, 3), 0)
		w.events("read")
		f.Truncate(1)
		w.events("truncate")
		f.Chmod(0o600)
		w.events("chmod")
		f.Close()
		w.events("close")
		s.wait(set, 1)
		s.wait(set, 1)
		os.Rename(s.path("file"), s.path("other file"))
		w.events("rename")
		os.Mkdir(s.path("sub"), 0o700)
		w.events("mkdir")
		os.Rename(s.path("other file"), s.path("sub/a file with a longer name"))
		w.events("move away")
		os.Rename(s.path("sub/a file with a longer name"), s.path("back"))
		w.events("move back")
		os.Link(s.path("back"), s.path("link"))
		w.events("link")
		os.Symlink("back", s.path("symlink"))
		w.events("symlink")
		os.Rename(s.path("link"), s.path("back"))
		w.events("rename to the same file")
		os.WriteFile(s.path("new"), []byte("a"), 0o600)
		os.Rename(s.path("new"), s.path("back"))
		w.events("replace")
		os.Remove(s.path("sub"))
		w.events("rmdir")
		os.Remove(s.path("symlink"))
		w.events("remove")
		os.Truncate(s.path("back"), 0)
		w.events("truncate by name")
	})
}

func TestInotifyOpens(t *testing.T) {
	scripted(t, func(s *script) {
		w := s.inotify()
		os.WriteFile(s.path("file"), []byte("abc"), 0o600)
		w.watch("directory", s.dir, 0x20|0x10|0x8|0x1)
		f, _ := os.Open(s.path("file"))
		w.events("open")
		f.Read(make([]byte, 1))
		f.Close()
		w.events("read and close")
		d, _ := os.Open(s.dir)
		d.Close()
		w.events("open of the directory")
		os.Stat(s.path("file"))
		w.events("stat")
	})
}

func TestInotifySelf(t *testing.T) {
	scripted(t, func(s *script) {
		w := s.inotify()
		os.Mkdir(s.path("dir"), 0o700)
		os.WriteFile(s.path("dir/file"), []byte("abc"), 0o600)
		w.watch("directory", s.path("dir"), 0xfff&^0x31)
		w.watch("file", s.path("dir/file"), 0xfff&^0x31)
		os.Rename(s.path("dir/file"), s.path("dir/other"))
		w.events("rename")
		os.Rename(s.path("dir"), s.path("moved"))
		w.events("rename of the directory")
		f, _ := os.OpenFile(s.path("moved/other"), os.O_RDWR, 0)
		f.Write([]byte("a"))
		os.Rename(s.path("moved/other"), s.path("moved/again"))
		f.Write([]byte("a"))
		w.events("write and rename and write")
		os.Remove(s.path("moved/again"))
		w.events("remove of an open file")
		f.Write([]byte("a"))
		f.Close()
		w.events("write and close")
		os.Remove(s.path("moved"))
		w.events("rmdir")
		os.WriteFile(s.path("a"), nil, 0o600)
		os.WriteFile(s.path("b"), nil, 0o600)
		w.watch("a", s.path("a"), 0xfff&^0x31)
		w.watch("b", s.path("b"), 0xfff&^0x31)
		os.Rename(s.path("a"), s.path("b"))
		w.events("replace")
		os.Remove(s.path("b"))
		w.events("remove")
	})
}

func TestInotifyFlags(t *testing.T) {
	scripted(t, func(s *script) {
		w := s.inotify()
		w.watch("once", s.dir, 0x100|0x80000000)
		os.WriteFile(s.path("a"), nil, 0o600)
		os.WriteFile(s.path("b"), nil, 0o600)
		w.events("two files")
		w.watch("again", s.dir, 0x100)
		w.watch("more", s.dir, 0x200|0x20000000)
		os.WriteFile(s.path("c"), nil, 0o600)
		os.Remove(s.path("c"))
		w.events("create and remove")
		w.watch("less", s.dir, 0x200)
		os.WriteFile(s.path("c"), nil, 0o600)
		os.Remove(s.path("c"))
		w.events("create and remove")
		os.Symlink(s.path("a"), s.path("link"))
		w.watch("a link", s.path("link"), 4|0x02000000)
		os.Chmod(s.path("link"), 0o640)
		w.events("chmod through the link")
		os.Remove(s.path("link"))
		w.events("remove the link")
		w.watch("directory", s.dir, 2|0x04000000)
		f, _ := os.Create(s.path("gone"))
		os.Remove(s.path("gone"))
		f.Write([]byte("a"))
		f.Close()
		w.events("write of what is gone")
	})
}

func TestInotifyOverflow(t *testing.T) {
	scripted(t, func(s *script) {
		w := s.inotify()
		w.watch("directory", s.dir, 4)
		os.WriteFile(s.path("a"), nil, 0o600)
		os.WriteFile(s.path("b"), nil, 0o600)
		for range 16384/2 + 2 {
			os.Chmod(s.path("a"), 0o600)
			os.Chmod(s.path("b"), 0o600)
		}
		count, last := 0, int32(0)
		for {
			b := make([]byte, 64<<10)
			n, err := Read(int(w.fd), b)
			if err != nil {
				break
			}
			for b = b[:n]; len(b) > 0; b = b[16+binary.LittleEndian.Uint32(b[12:]):] {
				last = int32(binary.LittleEndian.Uint32(b))
				count++
			}
		}
		s.say("%d events, the last for %d", count, last)
	})
}

// The runtime's poller waits for it, as fsnotify does.
func TestInotifyInPoller(t *testing.T) {
	scripted(t, func(s *script) {
		fd, _ := InotifyInit1(O_NONBLOCK) // closed with the file, so not with the test
		w := &watcher{s, uintptr(fd), nil}
		w.watch("directory", s.dir, 0x100)
		file := os.NewFile(w.fd, "inotify")
		go os.WriteFile(s.path("file"), nil, 0o600)
		b := make([]byte, 100)
		n, err := file.Read(b)
		s.say("%d, %v, %s", n, err, strings.TrimRight(string(b[16:max(n, 16)]), "\x00"))
		go file.Close()
		_, err = file.Read(b)
		s.say("%v", err != nil)
	})
}
