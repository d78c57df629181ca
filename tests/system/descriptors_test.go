//go:build capos

package system

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openMany opens a file several times and returns the descriptors, which the caller closes.
func openMany(t *testing.T, count int) []int {
	t.Helper()
	fds := make([]int, count)
	for i := range fds {
		fds[i] = must[int](t)(syscall.Open("/dev/null", syscall.O_RDONLY, 0))
	}
	return fds
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}

// The cost of opening does not depend on how many files are open. 16 times as many would take 256
// times as long if it did.
func TestOpeningIsLinear(t *testing.T) {
	const few, times = 4000, 16
	open := func(count int) func() {
		return func() {
			closeAll(openMany(t, count))
		}
	}
	short, long := fastest(2, open(few)), fastest(1, open(few*times))
	if long > 4*times*short {
		t.Errorf("%d files take %v, %d take %v", few, short, few*times, long)
	}
}

// A new descriptor is always the lowest that is free.
func TestLowestDescriptor(t *testing.T) {
	fds := openMany(t, 9000)
	defer closeAll(fds)
	random := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		least := fds[random.IntN(len(fds))]
		for range random.IntN(20) {
			fd := fds[random.IntN(len(fds))]
			syscall.Close(fd)
			least = min(least, fd)
		}
		syscall.Close(least)
		for {
			fd := must[int](t)(syscall.Open("/dev/null", syscall.O_RDONLY, 0))
			if fd < least {
				t.Fatalf("%d after %d was free", fd, least)
			}
			if fd > fds[len(fds)-1] {
				syscall.Close(fd)
				break // all are open again
			}
			least = fd
		}
	}
}

// Descriptors have a limit, and a call that gets none leaves nothing open.
func TestDescriptorsEnd(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := syscall.Rlimit{Cur: 10000, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	fds := openMany(t, 1)
	null := fds[0]
	defer func() { closeAll(fds) }()
	for {
		fd, err := syscall.Dup(null)
		if err != nil {
			if !errors.Is(err, syscall.EMFILE) || len(fds) > int(lower.Cur) ||
				len(fds) < int(lower.Cur)/2 {
				t.Errorf("descriptor %d: %v", len(fds), err)
			}
			break
		}
		fds = append(fds, fd)
	}
	lower.Max = limit.Max + 1
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lower); err != syscall.EPERM {
		t.Error("a higher hard limit:", err)
	}
	if _, err := os.Open("/dev/null"); !errors.Is(err, syscall.EMFILE) {
		t.Error("open:", err)
	}
	syscall.Close(fds[1])
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); !errors.Is(err, syscall.EMFILE) {
		t.Error("pipe with one number left:", err)
	}
	if fd, err := syscall.Dup(null); fd != fds[1] {
		t.Error("the number is not free again:", fd, err)
	}
}

// Asking for the path of a directory fails when it is longer than paths may be. Neither asking for
// it nor renaming files costs more the deeper the directory is.
func TestDeepDirectories(t *testing.T) {
	const depth, many = 10000, 500
	top := t.TempDir()
	t.Chdir(top)
	name := strings.Repeat("d", 10)
	work := func() time.Duration {
		return fastest(5, func() {
			for range many {
				syscall.Getwd()
				for _, err := range []error{os.WriteFile("a", nil, 0o666),
					os.Rename("a", "b")} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
	var short time.Duration
	for level := range depth {
		for _, err := range []error{os.Mkdir(name, 0o777), syscall.Chdir(name)} {
			if err != nil {
				t.Fatal(level, err)
			}
		}
		if level == 300 { // some way below the longest path
			want := filepath.Join(top, strings.Repeat(name+"/", level+1))
			if wd, err := syscall.Getwd(); wd != want {
				t.Errorf("%q, not %q: %v", wd, want, err)
			}
			short = work()
		}
	}
	if _, err := syscall.Getwd(); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Error(err)
	}
	if long := work(); long > 4*short {
		t.Errorf("%v at %d levels, %v at 300", long, depth, short)
	}
	os.Chdir(top)
	if err := os.RemoveAll(filepath.Join(top, name)); err != nil {
		t.Error(err)
	}
}

// fastest returns the shortest time that f takes, because a busy host can only make it longer.
func fastest(times int, f func()) time.Duration {
	least := time.Duration(1<<63 - 1)
	for range times {
		start := time.Now()
		f()
		least = min(least, time.Since(start))
	}
	return least
}
