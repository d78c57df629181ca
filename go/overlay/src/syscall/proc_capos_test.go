//go:build capos

package syscall_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	. "syscall"
	"testing"
	"time"
	"unsafe"
)

func TestProcSelf(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.Readlink("/proc/self/exe"); got != executable {
		t.Errorf("exe is %q, %v", got, err)
	}
	text, err := os.ReadFile("/proc/self/cmdline")
	if want := strings.Join(os.Args, "\x00") + "\x00"; string(text) != want {
		t.Errorf("cmdline is %q, %v", text, err)
	}
	text, err = os.ReadFile(fmt.Sprintf("/proc/%d/stat", os.Getpid()))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on
	if err != nil || len(fields) != 50 || fields[0] != "R" || fields[17] == "0" ||
		fields[21] == "0" {
		t.Errorf("stat is %q, %v", text, err)
	}
	var total, free int
	text, err = os.ReadFile("/proc/meminfo")
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB\nMemFree: %d kB", &total,
		&free); err != nil || free <= 0 || free >= total {
		t.Errorf("meminfo is %q, %v", text, err)
	}
	if err != nil {
		t.Error(err)
	}
}

// number reads a number from a file of /proc or /sys, behind a prefix.
func number(t *testing.T, name, prefix string) (n int) {
	t.Helper()
	text, err := os.ReadFile(name)
	_, rest, _ := strings.Cut("\n"+string(text), "\n"+prefix)
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Errorf("%s has no number behind %q: %v", name, prefix, err)
	}
	if err != nil {
		t.Error(err)
	}
	return n
}

func TestProcTexts(t *testing.T) {
	if pid := number(t, "/proc/self/status", "Pid:"); pid != os.Getpid() {
		t.Errorf("the id in status is %d", pid)
	}
	if threads := number(t, "/proc/self/status", "Threads:"); threads < 2 {
		t.Errorf("%d threads", threads)
	}
	if pid := number(t, "/sys/fs/cgroup/cgroup.procs", ""); pid != os.Getpid() {
		t.Errorf("the id in the control group is %d", pid)
	}
	used, now := number(t, "/proc/stat", "cpu  "), time.Now().Unix()
	booted := number(t, "/proc/stat", "btime ")
	up := number(t, "/proc/uptime", "")
	if used < 0 || int64(booted+up) < now-2 || int64(booted+up) > now+2 {
		t.Errorf("booted at %d, up for %d s, and it is %d", booted, up, now)
	}
	if files := number(t, "/proc/self/limits", "Max open files"); files != 1<<20 {
		t.Errorf("at most %d open files", files)
	}
	if number(t, "/sys/fs/cgroup/memory.current", "") == 0 {
		t.Error("no memory is used")
	}
	for name, want := range map[string]string{"/proc/self/cgroup": "0::/\n",
		"/sys/fs/cgroup/cpu.max": "max 100000\n", "/sys/fs/cgroup/memory.max": "max\n"} {
		if text, err := os.ReadFile(name); string(text) != want {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
}

// mapped is a line of /proc/self/maps.
type mapped struct {
	start, end, offset, ino uint64
	rights, device, name    string
}

// mapsOf gives the line in which an address is.
func mapsOf(t *testing.T, address uintptr) (found mapped, ok bool) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for line := range strings.Lines(string(text)) {
		var m mapped
		n, err := fmt.Sscanf(line, "%x-%x %s %x %s %d", &m.start, &m.end, &m.rights,
			&m.offset, &m.device, &m.ino)
		if n != 6 || m.start < last || m.end <= m.start || len(m.rights) != 4 {
			t.Fatalf("%q: %v", line, err)
		}
		if fields := strings.Fields(line); len(fields) == 6 {
			m.name = fields[5]
		}
		last = m.end
		if m.start <= uint64(address) && uint64(address) < m.end {
			found, ok = m, true
		}
	}
	return found, ok
}

func TestProcMaps(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code := reflect.ValueOf(TestProcMaps).Pointer()
	m, ok := mapsOf(t, code)
	if !ok || m.rights != "r-xp" || m.name != executable || m.ino == 0 {
		t.Errorf("code: %+v, want it of %s", m, executable)
	}
	file, err := os.ReadFile(executable)
	if err != nil {
		t.Fatal(err)
	}
	there := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&code))), 64)
	if at := m.offset + uint64(code) - m.start; string(file[at:at+64]) != string(there) {
		t.Errorf("offset %#x of the file has other code", m.offset)
	}
	if m, ok := mapsOf(t, uintptr(unsafe.Pointer(&initialized))); !ok || m.rights != "rw-p" ||
		m.name != executable {
		t.Errorf("data: %+v", m)
	}
	if m, ok := mapsOf(t, uintptr(unsafe.Pointer(new([1 << 16]byte)))); !ok ||
		m.rights != "rw-p" || m.name != "" {
		t.Errorf("heap: %+v", m)
	}
	pages, err := Mmap(-1, 0, 4*4096, PROT_READ, MAP_ANON|MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	address := uintptr(unsafe.Pointer(&pages[0]))
	if m, ok := mapsOf(t, address); !ok || m.rights != "r--p" {
		t.Errorf("mapping: %+v", m)
	}
	if err := Munmap(pages); err != nil {
		t.Fatal(err)
	}
	// The runtime may have got the addresses for memory of its own meanwhile, which it writes.
	if m, ok := mapsOf(t, address); ok && m.rights == "r--p" {
		t.Errorf("a mapping that is gone: %+v", m)
	}
}

var initialized = 1

func TestProcIsFixed(t *testing.T) {
	for _, name := range []string{"/proc/meminfo", "/proc/self/stat", "/proc/self/fd/0"} {
		if err := os.Remove(name); err == nil {
			t.Errorf("%s can be removed", name)
		}
	}
	for _, name := range []string{"/proc/meminfo", "/proc/new", "/proc/self/fd/99"} {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err == nil {
			f.Close()
			t.Errorf("%s can be written", name)
		}
	}
	if _, err := os.Stat("/proc/cpuinfo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("cpuinfo: %v", err)
	}
}

func TestProcDescriptors(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.WriteString("text")
	number := fmt.Sprint(file.Fd())
	count := func() (n int, there bool) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			there = there || e.Name() == number
		}
		return len(entries), there
	}
	before, there := count()
	if !there {
		t.Errorf("descriptor %s is not listed", number)
	}
	// A file of the tree is opened anew, from its start.
	got, err := os.ReadFile("/proc/self/fd/" + number)
	if string(got) != "text" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	one, _ := os.Stat("/dev/fd/" + number)
	two, _ := file.Stat()
	if !os.SameFile(one, two) {
		t.Error("the link leads to another file")
	}
	file.Close()
	if after, _ := count(); after != before-1 {
		t.Errorf("%d descriptors, then %d", before, after)
	}
	if _, err := os.Stat("/proc/self/fd/" + number); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a closed descriptor: %v", err)
	}
}

func TestProcDirectory(t *testing.T) {
	dir := t.TempDir()
	open, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	link := fmt.Sprint("/proc/self/fd/", open.Fd())
	if got, err := os.Readlink(link); got != dir {
		t.Errorf("the link of %s is %s, %v", dir, got, err)
	}
	if err := os.Mkdir(link+"/below", 0o755); err != nil {
		t.Error(err)
	}
}

// A pipe and a console have no name: what opens them by descriptor gets a duplicate.
func TestProcDuplicates(t *testing.T) {
	var ends [2]int
	if err := Pipe(ends[:]); err != nil {
		t.Fatal(err)
	}
	defer Close(ends[0])
	name := fmt.Sprint("/dev/fd/", ends[1])
	if _, err := Open(name, O_RDONLY, 0); err != EACCES {
		t.Errorf("the writing end opened for reading: %v", err)
	}
	fd, err := Open(name, O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	Close(ends[1])
	if n, err := Write(fd, []byte("through")); n != 7 {
		t.Errorf("wrote %d, %v", n, err)
	}
	Close(fd)
	var got [20]byte
	if n, err := Read(ends[0], got[:]); string(got[:n]) != "through" {
		t.Errorf("read %q, %v", got[:n], err)
	}
	if n, err := Read(ends[0], got[:]); n != 0 || err != nil {
		t.Errorf("after the last writer: %d, %v", n, err)
	}
	out, err := os.OpenFile("/dev/stdout", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	one, _ := out.Stat()
	two, _ := os.Stdout.Stat()
	if !os.SameFile(one, two) {
		t.Error("/dev/stdout is another file")
	}
}

// Whoever asks the user for a secret finds that there is no terminal.
func TestNoTerminal(t *testing.T) {
	for _, flags := range []int{O_RDONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC} {
		if _, err := os.OpenFile("/dev/tty", flags, 0o600); !errors.Is(err, ENXIO) {
			t.Errorf("with flags %#x: %v", flags, err)
		}
	}
	if info, err := os.Stat("/dev/tty"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("stat: %v, %v", info, err)
	}
}
