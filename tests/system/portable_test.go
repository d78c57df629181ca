//go:build capos

package system

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Calls that a process without privileges may not make fail as on Linux.
func TestPrivilegedCalls(t *testing.T) {
	fd := must[int](t)(syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0))
	defer syscall.Close(fd)
	pid, uid, gid := syscall.Getpid(), syscall.Getuid(), syscall.Getgid()
	node := filepath.Join(t.TempDir(), "node")
	none := func(_ any, err error) error { return err }
	for name, c := range map[string]struct {
		err, want error
	}{
		"chroot":          {syscall.Chroot("/"), syscall.EPERM},
		"unmount":         {syscall.Unmount("/", 0), syscall.EPERM},
		"settimeofday":    {syscall.Settimeofday(new(syscall.Timeval)), syscall.EPERM},
		"setgroups":       {syscall.Setgroups([]int{1}), syscall.EPERM},
		"setuid 0":        {syscall.Setuid(0), syscall.EPERM},
		"setuid self":     {syscall.Setuid(uid), nil},
		"seteuid 0":       {syscall.Seteuid(0), syscall.EPERM},
		"setegid self":    {syscall.Setegid(gid), nil},
		"setreuid":        {syscall.Setreuid(-1, uid), nil},
		"setregid 0":      {syscall.Setregid(-1, 0), syscall.EPERM},
		"setpgid":         {syscall.Setpgid(0, 0), nil},
		"setpgid other":   {syscall.Setpgid(0, pid+1), syscall.EPERM},
		"setpgid nobody":  {syscall.Setpgid(1<<30, 0), syscall.ESRCH},
		"setsid":          {none(syscall.Setsid()), syscall.EPERM},
		"mknod device":    {syscall.Mknod(node, syscall.S_IFCHR|0o600, 1), syscall.EPERM},
		"mknod directory": {syscall.Mknod(node, syscall.S_IFDIR|0o700, 0), syscall.EPERM},
		"nanosleep": {syscall.Nanosleep(&syscall.Timespec{Nsec: 1e9}, nil),
			syscall.EINVAL},
		"getsockopt": {none(syscall.GetsockoptICMPv6Filter(fd, syscall.IPPROTO_ICMPV6, 1)),
			syscall.ENOPROTOOPT},
		"getsockopt of no socket": {none(syscall.GetsockoptInet4Addr(1, 0, 0)),
			syscall.ENOTSOCK},
		"getxattr":    {none(syscall.Getxattr("/", "user.a", nil)), syscall.EOPNOTSUPP},
		"setxattr":    {syscall.Setxattr("/", "user.a", nil, 0), syscall.EOPNOTSUPP},
		"removexattr": {syscall.Removexattr(node, "user.a"), syscall.ENOENT},
		"listxattr":   {none(syscall.Listxattr(node, nil)), syscall.ENOENT},
		"dup3 same":   {syscall.Dup3(fd, fd, 0), syscall.EINVAL},
		"mlockall":    {syscall.Mlockall(syscall.MCL_CURRENT), nil},
		"mlockall 0":  {syscall.Mlockall(0), syscall.EINVAL},
		"getcwd":      {none(syscall.Getcwd(nil)), syscall.ERANGE},
		"select":      {none(syscall.Select(0, nil, nil, nil, new(syscall.Timeval))), nil},
	} {
		if c.err != c.want {
			t.Errorf("%s: %v, not %v", name, c.err, c.want)
		}
	}
}

func TestCallsByNumber(t *testing.T) {
	id, _, err := syscall.Syscall(syscall.SYS_GETPID, 0, 0, 0)
	if int(id) != syscall.Getpid() || err != 0 {
		t.Error("getpid by number:", id, err)
	}
	if _, _, err := syscall.Syscall(syscall.SYS_REBOOT, 0, 0, 0); err != syscall.EPERM {
		t.Error("reboot by number:", err)
	}
	if _, _, err := syscall.Syscall(1<<20, 0, 0, 0); err != syscall.ENOSYS {
		t.Error("a number of no system call:", err)
	}
}

// A lock of one opening keeps those of others out until it is given back or closed.
func TestFlock(t *testing.T) {
	const try = syscall.LOCK_NB
	path := filepath.Join(t.TempDir(), "file")
	open := func() int {
		return must[int](t)(syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR, 0o666))
	}
	a, b := open(), open()
	defer syscall.Close(a)
	copied := must[int](t)(syscall.Dup(b))
	for i, c := range []struct {
		fd, how int
		want    error
	}{
		{a, syscall.LOCK_SH | try, nil}, {b, syscall.LOCK_SH | try, nil},
		{b, syscall.LOCK_EX | try, syscall.EWOULDBLOCK}, {a, syscall.LOCK_UN, nil},
		{b, syscall.LOCK_EX | try, nil}, {copied, syscall.LOCK_EX | try, nil},
		{a, syscall.LOCK_SH | try, syscall.EWOULDBLOCK}, {a, 77, syscall.EINVAL},
		{-1, syscall.LOCK_SH, syscall.EBADF},
	} {
		if err := syscall.Flock(c.fd, c.how); !errors.Is(err, c.want) {
			t.Errorf("step %d: %v, not %v", i, err, c.want)
		}
	}
	locked := make(chan error)
	go func() { locked <- syscall.Flock(a, syscall.LOCK_EX) }()
	syscall.Close(b)
	select {
	case err := <-locked:
		t.Fatal("the lock is free while a descriptor of its opening is left:", err)
	case <-time.After(20 * time.Millisecond):
	}
	syscall.Close(copied)
	if err := <-locked; err != nil {
		t.Error(err)
	}
}

// Calls that have an effect have it.
func TestPortableCalls(t *testing.T) {
	dir := t.TempDir()
	fifo, plain := filepath.Join(dir, "fifo"), filepath.Join(dir, "plain")
	for path, mode := range map[string]uint32{fifo: syscall.S_IFIFO, plain: 0} {
		if err := syscall.Mknod(path, mode|0o600, 0); err != nil {
			t.Error(path, err)
		}
	}
	if info := must[os.FileInfo](t)(os.Lstat(fifo)); info.Mode() != os.ModeNamedPipe|0o600 {
		t.Error(info.Mode())
	}

	f := must[*os.File](t)(os.OpenFile(plain, os.O_RDWR, 0))
	defer f.Close()
	sent := bytes.Repeat([]byte("sendfile"), 20000)
	must[int](t)(f.Write(sent))
	times := []syscall.Timeval{{Sec: 1000}, {Sec: 2000, Usec: 500}}
	if err := syscall.Futimes(int(f.Fd()), times); err != nil {
		t.Error(err)
	}
	modified := must[os.FileInfo](t)(f.Stat()).ModTime()
	if !modified.Equal(time.Unix(2000, 500000)) {
		t.Error(modified)
	}

	checkSendfile(t, f, sent)
	checkStatfs(t, dir, f)

	checkSuccessors(t, dir, f)

	start := time.Now()
	if err := syscall.Nanosleep(&syscall.Timespec{Nsec: 5e6}, nil); err != nil ||
		time.Since(start) < 5*time.Millisecond {
		t.Error(time.Since(start), err)
	}
}

// checkSuccessors makes the calls that golang.org/x/sys/unix made portable.
func checkSuccessors(t *testing.T, dir string, f *os.File) {
	name, buf := filepath.Join(dir, "node"), make([]byte, 4096)
	if err := syscall.Mknodat(-1, name, syscall.S_IFREG|0o600, 0); err != nil {
		t.Error(err)
	}
	if size, err := syscall.Listxattr(name, nil); size != 0 || err != nil {
		t.Error(size, err)
	}
	d := must[*os.File](t)(os.Open(dir))
	defer d.Close()
	n := must[int](t)(syscall.Getdents(int(d.Fd()), buf))
	if _, _, names := syscall.ParseDirent(buf[:n], -1, nil); !slices.Contains(names, "node") {
		t.Error(names)
	}
	if err := syscall.Unlinkat(int(d.Fd()), "node"); err != nil {
		t.Error(err)
	}
	n = must[int](t)(syscall.Getcwd(buf))
	if cwd := must[string](t)(os.Getwd()); string(buf[:n]) != cwd+"\x00" {
		t.Errorf("%q, not %q", buf[:n], cwd)
	}
	const fd = 77
	if err := syscall.Dup3(int(f.Fd()), fd, syscall.O_CLOEXEC); err != nil {
		t.Error(err)
	}
	defer syscall.Close(fd)
	mapped := must[[]byte](t)(syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED))
	defer syscall.Munmap(mapped)
	for advice, want := range map[int]error{syscall.MADV_RANDOM: nil,
		syscall.MADV_DONTNEED: syscall.EINVAL} {
		if err := syscall.Madvise(mapped, advice); err != want {
			t.Error(advice, err)
		}
	}
	for _, err := range []error{syscall.Mlock(mapped), syscall.Munlock(mapped),
		syscall.Munlockall()} {
		if err != nil {
			t.Error(err)
		}
	}
}

// A program that sees the tag linux looks for what Linux has from version 5.
func TestUname(t *testing.T) {
	var system syscall.Utsname
	if err := syscall.Uname(&system); err != nil || system.Sysname[0] != 'c' ||
		system.Machine[0] != 'x' || system.Version[0] < '1' {
		t.Error(system, err)
	}
	var release strings.Builder
	for _, char := range system.Release {
		release.WriteByte(byte(char))
	}
	var major, minor int
	if n, err := fmt.Sscanf(release.String(), "%d.%d.", &major, &minor); n != 2 || major < 5 {
		t.Errorf("%q: %v", release.String(), err)
	}
}

func checkSendfile(t *testing.T, f *os.File, sent []byte) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		offset := int64(8)
		n, err := syscall.Sendfile(int(w.Fd()), int(f.Fd()), &offset, 1<<20)
		if n != len(sent)-8 || err != nil || offset != int64(len(sent)) {
			t.Error(n, err, offset)
		}
		must[int64](t)(f.Seek(100, io.SeekStart))
		if n, err := syscall.Sendfile(int(w.Fd()), int(f.Fd()), nil, 4); n != 4 {
			t.Error(n, err)
		}
		w.Close()
	}()
	want := append(bytes.Clone(sent[8:]), sent[100:104]...)
	if got, err := io.ReadAll(r); !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrive: %v", len(got), err)
	}
	if offset, err := f.Seek(0, io.SeekCurrent); offset != 104 {
		t.Error(offset, err)
	}
}

// checkStatfs writes a file, which leaves less space free.
func checkStatfs(t *testing.T, dir string, f *os.File) {
	var before, after syscall.Statfs_t
	if err := syscall.Statfs(dir, &before); err != nil {
		t.Fatal(err)
	}
	must[int](t)(f.WriteAt(make([]byte, 1<<20), 1<<30))
	if err := syscall.Fstatfs(int(f.Fd()), &after); err != nil {
		t.Fatal(err)
	}
	if taken := int64(before.Bavail-after.Bavail) * before.Bsize; taken < 1<<20 ||
		before.Bavail == 0 || before.Files == 0 {
		t.Errorf("%+v, then %+v", before, after)
	}
}
