//go:build linux && !capos

package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Fatal errors of Go end the program with Go's own text and status, and leave the machine as it
// was.
func TestEnds(t *testing.T) {
	cases := []ending{
		{"bad-address", nil, 2, []string{"unexpected fault address 0x123456789000",
			"fatal error: fault", "main.badAddress", "main.go:"}},
		{"nil", nil, 2,
			[]string{"panic: runtime error: invalid memory address or nil pointer " +
				"dereference", "main.dereferenceNil", "main.go:"}},
		{"stack-overflow", nil, 2, []string{"stack exceeds", "fatal error: stack overflow",
			"main.endless"}},
		{"deadlock", nil, 2, []string{"fatal error: all goroutines are asleep - deadlock!",
			"goroutine 1 [chan receive]", "main.deadlock"}},
		{"map-writes", nil, 2, []string{"fatal error: concurrent map writes"}},
		{"goroutine-panic", nil, 2, []string{"panic: from a goroutine",
			"main.goroutinePanic.func1"}},
		{"unlock", nil, 2, []string{"fatal error: sync: unlock of unlocked mutex"}},
		{"exit-in-goroutine", nil, 7, nil},
		{"nil", []string{"GOTRACEBACK=crash"}, 2, []string{"nil pointer dereference"}},
	}
	for _, cpus := range []int{2, 1} {
		if cpus == 1 {
			if testing.Short() {
				break
			}
			// Here it is found only when a goroutine is preempted in the middle of a
			// write.
			cases = slices.DeleteFunc(cases,
				func(c ending) bool { return c.mode == "map-writes" })
		}
		var programs []program
		for _, c := range cases {
			programs = append(programs, program{ELF: mustProbe(t),
				Args: []string{c.mode}, Env: c.env})
		}
		for i, r := range runBatch(t, programs, "--cpus", fmt.Sprint(cpus), "-m", "1G") {
			cases[i].judge(t, &r)
		}
	}
}

// ending is a program that ends itself, and what is to be seen of it.
type ending struct {
	mode   string
	env    []string
	status int
	stderr []string
}

func (c *ending) judge(t *testing.T, r *result) {
	t.Helper()
	want := c.status
	if len(c.env) > 0 {
		want = 128 + int(syscall.SIGABRT) // GOTRACEBACK=crash ends by a signal
	}
	if r.Status != want {
		t.Errorf("%s: status %d, expected %d\n%s%s", c.mode, r.Status, want, r.Stderr,
			r.Report)
	}
	for _, text := range c.stderr {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("%s: standard error lacks %q:\n%s", c.mode, text, r.Stderr)
		}
	}
	if r.Leak != "" {
		t.Errorf("%s: %s", c.mode, r.Leak)
	}
}

// A request for more memory than there is fails with Go's error, as on Linux, however large it is.
// The error says what there is.
func TestTooLargeRequests(t *testing.T) {
	// The machine has 512 MiB. A request that is smaller but exceeds what is free fails later.
	bits := []int{29, 30, 34, 38, 40, 42, 43, 44, 46, 47, 48}
	var programs []program
	for _, n := range bits {
		programs = append(programs, program{ELF: mustProbe(t),
			Args: []string{"make", fmt.Sprint(n)}})
	}
	for i, r := range runBatch(t, programs, "-m", "512M") {
		want := ending{mode: fmt.Sprintf("make of 1<<%d bytes", bits[i]), status: 2,
			stderr: []string{"fatal error: out of memory"}}
		if bits[i] > 29 {
			want.stderr = append(want.stderr, fmt.Sprintf("runtime: out of memory: "+
				"cannot allocate %d-byte block (", 1<<bits[i]))
		}
		if bits[i] < 47 { // beyond that the runtime knows by itself
			want.stderr = append(want.stderr, fmt.Sprintf("%d bytes asked for;",
				1<<bits[i]), " of at most ", "./capos run -m SIZE sets")
		}
		want.judge(t, &r)
	}
}

// A process has a limit of threads. The error at it says so in words.
func TestTooManyThreads(t *testing.T) {
	r := runBatch(t, []program{{ELF: mustProbe(t), Args: []string{"locked", "5000"}}}, "-m",
		"512M", "--cpus", "1")[0]
	want := ending{mode: "5000 threads", status: 2, stderr: []string{
		"runtime: failed to create a thread (have 40",
		"already): the process holds as many capabilities as it may",
		"fatal error: newosproc"}}
	want.judge(t, &r)
}

// The quit key prints every goroutine, also when loops keep all CPUs busy, and ends the program
// with Go's status 2.
func TestQuitKey(t *testing.T) {
	s := start(t, mustProbe(t), "busy")
	s.expect(t, "ready")
	s.Process.Signal(syscall.SIGQUIT)
	status, _ := s.end()
	if status != 2 {
		t.Errorf("status %d, expected 2", status)
	}
	for _, text := range []string{"SIGQUIT: quit", "main.spinning", "main.waiting",
		"[chan receive]"} {
		if !strings.Contains(s.stderr.String(), text) {
			t.Errorf("standard error lacks %q:\n%s", text, s.stderr.String())
		}
	}
}

// Interrupt and terminate reach os/signal. Without a handler they end the program.
func TestInterruptKeys(t *testing.T) {
	for _, c := range []struct {
		mode   string
		key    syscall.Signal
		status int
		stdout string
	}{
		{"notify", syscall.SIGINT, 5, "got interrupt\n"},
		{"notify", syscall.SIGTERM, 5, "got terminated\n"},
		{"busy", syscall.SIGINT, 130, ""},
		{"busy", syscall.SIGTERM, 143, ""},
	} {
		s := start(t, mustProbe(t), c.mode)
		s.expect(t, "ready")
		s.Process.Signal(c.key)
		status, rest := s.end()
		if status != c.status || c.stdout != "" && rest != c.stdout {
			t.Errorf("%s, %v: status %d, prints %q, expected %d, %q\n%s", c.mode, c.key,
				status, rest, c.status, c.stdout, s.stderr.String())
		}
	}
}

// A goroutine that waits for standard input lets others run on the only P. The input comes after
// twenty ticks were seen.
func TestInputBlocksNobody(t *testing.T) {
	s := start(t, "--cpus", "1", mustProbe(t), "stdin")
	s.expect(t, "20 ticks")
	fmt.Fprintln(s.in, "a line")
	s.expect(t, `read "a line", ticked true`)
	s.close()
	s.expect(t, "end of input")
	if status, _ := s.end(); status != 0 {
		t.Errorf("status %d\n%s", status, s.stderr.String())
	}
}

// Processes leave nothing behind. The counts of free frames and kernel objects are the same before
// and after each of them.
func TestCycles(t *testing.T) {
	cycles := map[string]int{"release": 500, "debug": 500}
	if testing.Short() {
		cycles = map[string]int{"release": 40, "debug": 20}
	}
	for kernel, n := range cycles {
		var programs []program
		for i := range n {
			args := []string{"hello"}
			if i%20 == 19 {
				args = []string{"deadlock"} // ends in the middle of things
			}
			programs = append(programs, program{ELF: mustProbe(t), Args: args})
		}
		for i, r := range runBatch(t, programs, "--kernel", kernel, "--cpus", "2", "-m",
			"64M") {
			if i%20 == 19 && r.Status != 2 || i%20 != 19 && (r.Status != 0 ||
				r.Stdout != "hello\n") {
				t.Errorf("%s kernel, cycle %d: status %d, %q %q %s", kernel, i,
					r.Status, r.Stdout, r.Stderr, r.Report)
			}
			if r.Leak != "" {
				t.Errorf("%s kernel, cycle %d: %s", kernel, i, r.Leak)
			}
		}
	}
}

// Small machines run Go programs that use more memory over time than there is, because the
// collector gives memory back when the runtime has a limit. capOS needs at least 16 MiB.
func TestLittleMemory(t *testing.T) {
	for _, c := range []struct{ memory, limit string }{{"16M", "6MiB"}, {"32M", "16MiB"}} {
		greedy := 8 // programs; where each of them finds that there is no more differs
		if testing.Short() {
			greedy = 3
		}
		programs := []program{
			{ELF: mustProbe(t), Args: []string{"hello"}},
			{ELF: mustProbe(t), Args: []string{"churn", "64"},
				Env: []string{"GOMEMLIMIT=" + c.limit}},
		}
		for range greedy {
			programs = append(programs, program{ELF: mustProbe(t),
				Args: []string{"churn", "64"}, Env: []string{"GOGC=off",
					"GOMEMLIMIT=off"}})
		}
		programs = append(programs, programs[0])
		for i, r := range runBatch(t, programs, "-m", c.memory, "--cpus", "1") {
			status, text := 0, ""
			if i >= 2 && i < 2+greedy {
				status, text = 2, "out of memory"
			}
			if r.Status != status || !strings.Contains(r.Stderr, text) || r.Leak != "" {
				t.Errorf("%s, program %d: status %d, expected %d\n%s%s%s", c.memory,
					i, r.Status, status, r.Stderr, r.Report, r.Leak)
			}
		}
	}
}

// Files in memory have a limit that programs survive. A write fails when files have half of the
// memory, or when only what a small heap takes is left. The number of names has a limit, too.
func TestFullFiles(t *testing.T) {
	for memory, c := range map[int]struct {
		cpus  string
		least int // bytes
	}{12: {"2", 1 << 20}, 16: {"1", 4 << 20}, 64: {"2", 16 << 20}} {
		r := runBatch(t, []program{{ELF: mustProbe(t), Args: []string{"fill"}}}, "-m",
			fmt.Sprint(memory, "M"), "--cpus", c.cpus)[0]
		var bytes, names [2]int
		n, _ := fmt.Sscanf(r.Stdout, "bytes %d\nnames %d\nbytes %d\nnames %d\n", &bytes[0],
			&names[0], &bytes[1], &names[1])
		if n != 4 || r.Status != 0 || r.Leak != "" {
			t.Fatalf("%d MiB: status %d\n%s%s%s", memory, r.Status, r.Stdout, r.Stderr,
				r.Report)
		}
		for i := range bytes {
			if bytes[i] < c.least || bytes[i] > memory<<20/2 {
				t.Errorf("%d bytes fitted into %d MiB", bytes[i], memory)
			}
			if names[i] < memory<<20/4096/4 || names[i] > memory<<20/4096 {
				t.Errorf("%d names fitted into %d MiB", names[i], memory)
			}
		}
	}
}

// The first random bytes of a program differ from run to run and wait for a seed. The machine has
// the CPU's generator and a device, or only one of them.
func TestFirstRandomBytes(t *testing.T) {
	seen := map[string]bool{}
	withoutDevice := func() string {
		s := start(t, "--dry-run", mustProbe(t), "random")
		_, command := s.end()
		short, _, found := strings.Cut(strings.TrimSpace(command), " -object rng-builtin")
		if !found {
			t.Fatalf("no random device in %s", command)
		}
		return short
	}
	for _, c := range []struct{ name, cpu string }{{"both", "max"}, {"both", "max"},
		{"device alone", "qemu64"}, {"CPU alone", ""}} {
		var out string
		if c.cpu != "" {
			s := start(t, "--cpu", c.cpu, mustProbe(t), "random")
			_, out = s.end()
		} else {
			out = shell(t, withoutDevice())
		}
		_, text, found := strings.Cut(out, "random=")
		if !found || len(text) < 32 || text[:32] == strings.Repeat("0", 32) ||
			seen[text[:32]] {
			t.Errorf("%s: random bytes %q", c.name, out)
			continue
		}
		seen[text[:32]] = true
	}
}

// shell runs a printed command. Its output is the host channel.
func shell(t *testing.T, command string) string {
	cmd := capos(t)
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", command}
	out, _ := cmd.Output()
	return string(out)
}

// The collector's stress runs with the collector's own checks. Each mark is made twice and
// compared, freed objects are overwritten, and a collection begins with every few kilobytes.
func TestCollectorChecked(t *testing.T) {
	type row struct{ cpus, kernel string }
	rows, duration := []row{{"2", "release"}, {"2", "debug"}, {"4", "release"},
		{"4", "debug"}}, 2*time.Minute
	if testing.Short() {
		rows, duration = rows[:1], 15*time.Second
	}
	binary := filepath.Join(root(), "build", "tests", "system", "system.test")
	if out, err := capos(t, "go", "test", "-c", "-o", binary,
		".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, r := range rows {
		s := start(t, "--cpus", r.cpus, "--kernel", r.kernel, "-m", "1G", "-e",
			"GODEBUG=gccheckmark=1,clobberfree=1", "-e", "GOGC=1",
			"-e",
			"SYSTEM_TEST_STRESS="+duration.String(), binary, "-test.v", "-test.run",
			"^(TestCollectorStress|TestStacksMove)$")
		status, out := s.end()
		if status != 0 || strings.Count(out, "--- PASS") != 2 {
			t.Errorf("%s CPUs, %s kernel: status %d\n%s%s", r.cpus, r.kernel, status,
				out, s.stderr.String())
		}
		t.Log(out)
	}
}

// The host gets files however they got their names and contents. Directories above the exported one
// stay read-only.
func TestExport(t *testing.T) {
	dir := t.TempDir()
	s := start(t, "-o", "/deep/out/:"+dir+"/", mustProbe(t), "export", "/deep/out")
	status, rest := s.end()
	if status != 0 || rest != "mkdir /deep/beside: read-only file system\n" {
		t.Errorf("status %d, prints %q\n%s", status, rest, s.stderr.String())
	}
	for _, name := range []string{"moved", "tree/leaf", "linked", "empty", "open", "mapped",
		"unmapped-at-the-end", "unreadable"} {
		want := filepath.Base(name)
		if name == "empty" {
			want = ""
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A program can keep the report of its crash in a file that standard error was made, or that it
// named as the crash output. The host has the file although nothing closed it.
func TestCrashLog(t *testing.T) {
	for _, c := range []struct {
		place, end string
		status     int
		log        []string // in this order
	}{
		{"stderr", "panic", 2, []string{"first\n", "written\n", "printed\n",
			"panic: the last words", "main.crashLog", "main.go:"}},
		{"stderr", "throw", 2, []string{"first\n", "written\n", "printed\n",
			"fatal error: all goroutines are asleep", "main.crashLog"}},
		{"stderr", "signal", 143, []string{"first\n", "written\n", "printed\n"}},
		{"stderr", "exit", 3, []string{"first\n", "written\n", "printed\n"}},
		{"output", "panic", 2, []string{"first\n", "panic: the last words",
			"main.crashLog"}},
	} {
		dir := t.TempDir()
		s := start(t, "-o", "/out/:"+dir+"/", mustProbe(t), "crash-log", "/out/log",
			c.place, c.end)
		status, _ := s.end()
		log, err := os.ReadFile(filepath.Join(dir, "log"))
		rest := string(log)
		for _, part := range c.log {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s, %s: no %q in %q: %v", c.place, c.end, part, log, err)
				break
			}
			rest = after
		}
		if status != c.status {
			t.Errorf("%s, %s: status %d", c.place, c.end, status)
		}
		console := s.stderr.String()
		if got := strings.Contains(console, "written"); got != (c.place == "output") {
			t.Errorf("%s, %s: standard error is %q", c.place, c.end, console)
		}
		report := strings.Contains(console, "last words")
		if report != (c.place == "output" && c.end == "panic") {
			t.Errorf("%s, %s: standard error is %q", c.place, c.end, console)
		}
	}
}

// Package syscall has every name that code for unix systems takes for granted.
func TestPortableNames(t *testing.T) {
	mustProbe(t) // has the toolchain built
	goport := filepath.Join(root(), "build", "tools", "goport")
	cmd := exec.Command(goport, "names", "-repo", root())
	cmd.Env = environment()
	if out, err := cmd.Output(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
