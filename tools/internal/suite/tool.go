package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// toolCase is one behaviour of ./capos run with the probe programs of tests/run. An empty
// expectation is not checked, except the status.
type toolCase struct {
	name   string
	flags  []string
	args   []string // the probe's; a first word "PROGRAM=..." replaces the probe
	stdin  string
	status int
	stdout string // exactly
	inErr  []string
	twice  []string // in it
	notErr string   // not in it, if not empty
	silent bool     // nothing on standard error but that something takes its time
	env    []string
	exec   bool // ./capos exec instead of ./capos run
	line   bool // one line on standard error and no more
}

const (
	probeFlag = "PROGRAM="

	// toolLimit ends a case that hangs.
	toolLimit = 60 * time.Second
)

func (s *suite) toolSteps() ([]step, error) {
	programs := &programBuilder{root: s.root}
	probe := func(ctx context.Context) (string, error) {
		return programs.build(ctx, filepath.Join(s.root, "tests", "run", "probe.c"))
	}
	goProbe := func(context.Context) (string, error) {
		return program.BuildGo(s.root, s.goProbeDir(), ".")
	}
	return append(s.observeSteps(), []step{
		{name: "tool/run", cpus: 1,
			run: func(ctx context.Context) []check {
				return s.runToolCases(ctx, probe, passThroughCases())
			}},
		{name: "tool/rejections", cpus: 1,
			run: func(ctx context.Context) []check {
				return s.runToolCases(ctx, probe,
					append(s.rejectionCases(), wrongFlagCases()...))
			}},
		{name: "tool/faults", cpus: 1,
			run: func(ctx context.Context) []check {
				family, err := programs.build(ctx, filepath.Join(s.root, "tests",
					"run", "family.c"))
				if err != nil {
					return single("family", err, "")
				}
				return s.runToolCases(ctx, probe, faultCases(family))
			}},
		{name: "tool/signals", cpus: 1,
			run: func(ctx context.Context) []check {
				return s.signalCases(ctx, probe)
			}},
		{name: "tool/stalled", cpus: 2,
			run: func(ctx context.Context) []check {
				return s.stalledChecks(ctx, probe, goProbe)
			}},
		{name: "tool/go", cpus: 1,
			run: func(ctx context.Context) []check { return s.goCases(ctx, goProbe) }},
		{name: "tool/dry-run", cpus: 1,
			run: func(ctx context.Context) []check { return s.dryRunCase(ctx, probe) }},
		{name: "tool/commands", cpus: 1,
			run: func(ctx context.Context) []check {
				return s.commandChecks(ctx, probe)
			}},
		s.budgetStep(probe),
	}...), nil
}

func (s *suite) goProbeDir() string { return filepath.Join(s.root, "tests", "run", "goprobe") }

func everyByte() string {
	block := make([]byte, 256)
	for i := range block {
		block[i] = byte(i)
	}
	return strings.Repeat(string(block), 1000)
}

// interruptLines takes the messages (MSI-X) from the virtio devices, which leaves them one line
// between them.
var interruptLines = []string{"--qemu-arg", "-global", "--qemu-arg", "virtio-serial-pci.vectors=0",
	"--qemu-arg", "-global", "--qemu-arg", "virtio-rng-pci.vectors=0"}

func passThroughCases() []toolCase {
	long := strings.Repeat("0123456789", 10240)
	many := make([]string, 2000)
	manyOut := ""
	for i := range many {
		many[i] = fmt.Sprint("argument", i)
		manyOut += fmt.Sprintf("%d:%s\n", len(many[i]), many[i])
	}
	input := strings.Repeat(everyByte()[:251], 800)
	return append([]toolCase{
		{name: "exit-0", args: []string{"exit", "0"}, silent: true},
		{name: "exit-1", args: []string{"exit", "1"}, status: 1, silent: true},
		{name: "exit-42", args: []string{"exit", "42"}, status: 42},
		{name: "exit-255", args: []string{"exit", "255"}, status: 255},
		{name: "output-byte-exact", args: []string{"bytes"}, stdout: everyByte(),
			silent: true},
		{name: "stderr-apart", args: []string{"both"}, stdout: "to stdout\n",
			inErr: []string{"to stderr\n"}},
		{name: "stdin-to-the-end", args: []string{"cat"}, stdin: input, stdout: input,
			inErr: []string{fmt.Sprintf("%d bytes", len(input))}},
		{name: "stdin-empty", args: []string{"cat"}, inErr: []string{"0 bytes"}},
		{name: "arguments", args: []string{"args", "", "a b", "", "'\"$x", "ü\t\n", "-v",
			"--"},
			stdout: "0:\n3:a b\n0:\n4:'\"$x\n4:ü\t\n\n2:-v\n2:--\n"},
		{name: "argument-of-100K", args: []string{"args", long},
			stdout: fmt.Sprintf("%d:%s\n", len(long), long)},
		{name: "arguments-2000", args: append([]string{"args"}, many...), stdout: manyOut},
		{name: "environment", flags: []string{"-e", "A=1", "-e", "B=", "-e", "A=2", "-e",
			"FROM_HOST", "-w", "/some/dir"},
			env: []string{"FROM_HOST=x y", "NOT_PASSED=1"}, args: []string{"env"},
			stdout: "PATH=/bin\nHOME=/tmp/home\nTMPDIR=/tmp\nPWD=/some/dir\n" +
				"B=\nA=2\nFROM_HOST=x y\n"},
		{name: "icount", flags: []string{"--icount"}, args: []string{"both"},
			stdout: "to stdout\n"},
		{name: "binary-by-content", args: []string{probeFlag + "program.c", "both"},
			stdout: "to stdout\n"},
		{name: "relative-working-directory", flags: []string{"-w", "below/it"},
			args: []string{"env"}, stdout: "PATH=/bin\nHOME=/tmp/home\nTMPDIR=/tmp\n" +
				"PWD=" + scratchDir + "/below/it\n"},
		{name: "never-written", flags: []string{"-o", "/tmp/never"}, args: []string{"both"},
			stdout: "to stdout\n", inErr: []string{"never wrote /tmp/never"}},
		{name: "left-out-of-files", flags: []string{"--files", scratchDir + "/special:/x"},
			args: []string{"both"}, stdout: "to stdout\n",
			inErr: []string{"special/fifo: it is a FIFO",
				"special/socket: it is a socket"}},
		{name: "debug-kernel", flags: []string{"--kernel", "debug"}, args: []string{"both"},
			stdout: "to stdout\n"},
	}, append(leakCases(), machineTypeCases()...)...)
}

// leakCases are a CPU that admits to programs reading the kernel's memory, and one that does not.
func leakCases() []toolCase {
	return []toolCase{
		{name: "cpu-that-leaks", flags: []string{"-v", "--cpu",
			"qemu64,vendor=GenuineIntel"}, args: []string{"both"},
			stdout: "to stdout\n",
			inErr:  []string{"on this CPU (Meltdown, MDS); run only programs"}},
		{name: "cpu-that-does-not", flags: []string{"-v", "--cpu",
			"qemu64,vendor=AuthenticAMD"}, args: []string{"both"},
			stdout: "to stdout\n", notErr: "on this CPU"},
	}
}

// machineTypeCases pass what is typed through machines of other types, where interrupts come by
// message and by line.
func machineTypeCases() []toolCase {
	input := strings.Repeat(everyByte()[:251], 800)
	return []toolCase{
		{name: "q35", flags: []string{"--machine", "q35"}, args: []string{"cat"},
			stdin: input, stdout: input},
		{name: "pc", flags: []string{"--machine", "pc"}, args: []string{"cat"},
			stdin: input, stdout: input},
		{name: "q35-interrupt-lines", flags: append([]string{"--machine", "q35"},
			interruptLines...), args: []string{"cat"},
			stdin: input, stdout: input},
		{name: "pc-interrupt-lines", flags: append([]string{"--machine", "pc"},
			interruptLines...), args: []string{"cat"},
			stdin: input, stdout: input},
	}
}

func (s *suite) rejectionCases() []toolCase {
	self, _ := os.Executable()
	return []toolCase{
		{name: "linux-program", args: []string{probeFlag + self}, status: 126,
			inErr: []string{"Go program for linux"}},
		{name: "not-elf", args: []string{probeFlag + filepath.Join(s.root, "Makefile")},
			status: 126, inErr: []string{"not an ELF"}},
		{name: "truncated", args: []string{probeFlag + "truncated"}, status: 126,
			inErr: []string{"truncated"}},
		{name: "other-machine", args: []string{probeFlag + "other-machine"}, status: 126,
			inErr: []string{"another machine"}},
		{name: "not-there", args: []string{probeFlag + "/no/such/program"}, status: 127,
			inErr: []string{"no file"}},
		{name: "timeout", flags: []string{"--timeout", "2s"}, args: []string{"sleep"},
			status: 124, stdout: "sleeping\n", inErr: []string{"2s"}},
		{name: "little-memory", flags: []string{"-m", "1M"}, args: []string{"exit", "0"},
			status: 122, inErr: []string{"memory"}},
		{name: "files-beyond-memory", flags: []string{"-m", "8M", "--files",
			filepath.Join(s.root, "build", "tools") + ":/x"},
			args: []string{"exit", "0"}, status: 122, inErr: []string{"do not fit"}},
		{name: "library", args: []string{probeFlag + "library"}, status: 126,
			inErr: []string{"not package main but package shelf"}},
		{name: "library-file", args: []string{probeFlag + "library/shelf.go"}, status: 126,
			inErr: []string{"not package main but package shelf"}},
		{name: "cpu-unknown", flags: []string{"--cpu", "no-such-model"},
			args: []string{"exit", "0"}, status: 122, inErr: []string{"no-such-model"},
			line: true},
		{name: "cpu-rejected", flags: []string{"--cpu", "max,-sse2"},
			args: []string{"exit", "0"}, status: 122, inErr: []string{"SSE2"},
			line: true},
		{name: "qemu-missing", exec: true, env: []string{"PATH=/nonexistent"},
			args: []string{"exit", "0"}, status: 125,
			inErr: []string{"not installed"}},
		{name: "qemu-rejects", flags: []string{"--qemu-arg", "-no-such-option"},
			args: []string{"exit", "0"}, status: 125, inErr: []string{"QEMU"}},
	}
}

// wrongFlagCases end before anything is built, with one line that says where help is.
func wrongFlagCases() (cases []toolCase) {
	for _, c := range []struct {
		name  string
		flags []string
		says  string
	}{
		{"bad-flag", []string{"--no-such-flag"}, "no-such-flag"},
		{"bad-number", []string{"--cpus", "some"}, "some"},
		{"no-cpu", []string{"--cpus", "0"}, "at least 1"},
		{"bad-time", []string{"--timeout", "-1s"}, "-1s"},
		{"bad-memory", []string{"-m", "lots"}, "size"},
		{"bad-limit", []string{"--limit", "wit=3"}, "wit"},
		{"bad-kernel", []string{"--kernel", "best"}, "best"},
		{"bad-files", []string{"--files", ":/x"}, "NAME:NAME"},
	} {
		cases = append(cases, toolCase{name: c.name, flags: c.flags,
			args: []string{"exit", "0"}, status: 125,
			inErr: []string{c.says, "./capos run --help"}, line: true})
	}
	return cases
}

func faultCases(family string) []toolCase {
	return []toolCase{
		{name: "nil-pointer", args: []string{"read-nil"}, status: 139,
			inErr: []string{"nil pointer", "read_nil"}},
		{name: "write-to-code", args: []string{"write-code"}, status: 139,
			inErr: []string{"writing to", "protection", "write_code"}},
		{name: "division", args: []string{"divide"}, status: 136,
			inErr: []string{"division", "divide"}},
		{name: "illegal-instruction", args: []string{"illegal"}, status: 132,
			inErr: []string{"illegal instruction", "at illegal"}},
		{name: "breakpoint", args: []string{"breakpoint"}, status: 133,
			inErr: []string{"breakpoint"}},
		{name: "privileged", args: []string{"privileged"}, status: 139,
			inErr: []string{"privileged", "at privileged"}},
		{name: "memory-limit", flags: []string{"--limit", "memory=16M"},
			args: []string{"exhaust"}, status: 135,
			inErr: []string{"out of memory", "at exhaust"}},
		{name: "memory-limit-alone", flags: []string{"--limit", "16M"},
			args: []string{"exhaust"}, status: 135, inErr: []string{"out of memory"}},
		{name: "memory-limit-suffices", flags: []string{"--limit", "16M"},
			args: []string{"both"}, stdout: "to stdout\n"},
		{name: "caps-limit", flags: []string{"--limit", "caps=2"}, args: []string{"both"},
			status: 126, inErr: []string{"more capabilities are granted than its " +
				"limit allows"}},
		{name: "out-of-memory", flags: []string{"-m", "32M"}, args: []string{"exhaust"},
			status: 135, inErr: []string{"out of memory", "at exhaust"}},
		{name: "of-a-child", flags: []string{"-v"}, args: []string{probeFlag + family,
			"break"}, status: 50, inErr: []string{`"child", was ended by a fault`,
			"nil pointer", "at fall_over", "called from main", "its last calls",
			" park method 0 = invokeFailed\n",
			" event_factory EventFactory.create = 0x"}},
		{name: "of-a-child-is-its-parents", args: []string{probeFlag + family, "break"},
			status: 50, silent: true},
	}
}

// tool makes a run of this very tool. Emulation is asked for: what is tested here is not the
// accelerator.
func (s *suite) tool(ctx context.Context, args ...string) *exec.Cmd {
	self := filepath.Join(s.root, "build", "tools", "capos")
	cmd := hostCommand(ctx, os.TempDir(), self, args...)
	cmd.Env = append(repo.Without(cmd.Env, repo.RunFlagsVar), "CAPOS_ROOT="+s.root,
		repo.StrictVar+"=1")
	return cmd
}

// makeScratch makes a directory, named without symbolic links, as the tool names where it runs.
func makeScratch() (dir string, remove func(), err error) {
	made, err := os.MkdirTemp("", "capos-test-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(made) }
	if dir, err = filepath.EvalSymlinks(made); err != nil {
		remove()
	}
	return dir, remove, err
}

func (s *suite) runToolCases(ctx context.Context, build func(context.Context) (string, error),
	cases []toolCase) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	if err := errors.Join(makeWrongPrograms(probe, dir), makeOddFiles(probe, dir)); err != nil {
		return single("wrong programs", err, "")
	}
	var checks []check
	for _, c := range cases {
		checks = append(checks, check{c.name, passed, ""})
		if why := s.runToolCase(ctx, probe, dir, &c); why != "" {
			checks[len(checks)-1] = check{c.name, failed, why}
		}
	}
	return checks
}

// scratchDir stands in the flags and the expected output of a case for the directory that it runs
// in.
const scratchDir = "{directory}"

// makeOddFiles makes what is not what its name says: a program that is called a source, a package
// that is no program, a directory with a FIFO and a socket.
func makeOddFiles(program, dir string) error {
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	library, special := filepath.Join(dir, "library"), filepath.Join(dir, "special")
	err = errors.Join(os.WriteFile(filepath.Join(dir, "program.c"), data, 0o755),
		os.Mkdir(library, 0o755), os.Mkdir(special, 0o755),
		os.WriteFile(filepath.Join(library, "go.mod"), []byte("module shelf\n"), 0o644),
		os.WriteFile(filepath.Join(library, "shelf.go"), []byte("package shelf\n"), 0o644),
		syscall.Mkfifo(filepath.Join(special, "fifo"), 0o644))
	if err != nil {
		return err
	}
	socket, err := net.ListenUnix("unix",
		&net.UnixAddr{Name: filepath.Join(special, "socket"), Net: "unix"})
	if err != nil {
		return err
	}
	socket.SetUnlinkOnClose(false)
	return socket.Close()
}

// makeWrongPrograms derives from a good program one that is cut off and one for another machine.
func makeWrongPrograms(good, dir string) error {
	data, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	const machineOffset, aarch64 = 18, 183
	other := bytes.Clone(data)
	other[machineOffset] = aarch64
	return errors.Join(os.WriteFile(filepath.Join(dir, "truncated"), data[:len(data)/3], 0o755),
		os.WriteFile(filepath.Join(dir, "other-machine"), other, 0o755))
}

// runToolCase returns what was wrong.
func (s *suite) runToolCase(ctx context.Context, probe, dir string, c *toolCase) string {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	args := c.args
	if program, found := strings.CutPrefix(args[0], probeFlag); found {
		probe, args = program, args[1:]
	}
	command := "run"
	if c.exec {
		command = "exec"
	}
	cmd := s.tool(ctx, append(append(append([]string{command, "--accel", "tcg"},
		inScratch(c.flags, dir)...), probe), args...)...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, c.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err.Error()
	}
	var wrong []string
	if status := cmd.ProcessState.ExitCode(); status != c.status {
		wrong = append(wrong, fmt.Sprintf("exit status %d, expected %d", status, c.status))
	}
	expected := strings.ReplaceAll(c.stdout, scratchDir, dir)
	if expected != "" && stdout.String() != expected {
		wrong = append(wrong, fmt.Sprintf("standard output: %s", difference(stdout.String(),
			expected)))
	}
	wrong = append(wrong, c.wrongError(stderr.String())...)
	if len(wrong) > 0 {
		wrong = append(wrong, "standard error was:", report.LastLines(stderr.String(), 12))
	}
	return strings.Join(wrong, "\n")
}

// wrongError finds what standard error lacks or should not have.
func (c *toolCase) wrongError(text string) (wrong []string) {
	for _, part := range c.inErr {
		if !strings.Contains(text, part) {
			wrong = append(wrong, fmt.Sprintf("standard error lacks %q", part))
		}
	}
	for _, part := range c.twice {
		if n := strings.Count(text, part); n != 2 {
			wrong = append(wrong, fmt.Sprintf("standard error has %q %d times", part,
				n))
		}
	}
	if c.notErr != "" && strings.Contains(text, c.notErr) {
		wrong = append(wrong, fmt.Sprintf("standard error has %q", c.notErr))
	}
	if c.line && strings.Count(withoutProgress(text), "\n") != 1 {
		wrong = append(wrong, "standard error is not one line")
	}
	if c.silent && withoutProgress(text) != "" {
		wrong = append(wrong, "standard error is not empty")
	}
	return wrong
}

func inScratch(flags []string, dir string) (result []string) {
	for _, flag := range flags {
		result = append(result, strings.ReplaceAll(flag, scratchDir, dir))
	}
	return result
}

// progressLine is what the tool says of what takes longer than a moment, as anything may on a busy
// host.
var progressLine = regexp.MustCompile(`(?m)^capos: [^\n]*( \.\.\.| took [0-9.]+ s)\n`)

func withoutProgress(stderr string) string { return progressLine.ReplaceAllString(stderr, "") }

// difference describes where two texts part.
func difference(got, want string) string {
	same := 0
	for same < len(got) && same < len(want) && got[same] == want[same] {
		same++
	}
	return fmt.Sprintf("%d bytes, expected %d; they differ from byte %d on: %.40q, expected "+
		"%.40q", len(got), len(want), same, got[same:], want[same:])
}

// signalCases are about what the tool does with signals, and about what it leaves behind.
func (s *suite) signalCases(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	var checks []check
	for _, c := range []struct {
		name    string
		mode    string
		signals []syscall.Signal
		status  int
	}{
		{"interrupt", "sleep", []syscall.Signal{syscall.SIGINT}, 130},
		{"interrupt-busy", "spin", []syscall.Signal{syscall.SIGINT}, 130},
		{"quit", "sleep", []syscall.Signal{syscall.SIGQUIT}, 131},
		{"terminate", "sleep", []syscall.Signal{syscall.SIGTERM}, 143},
		{"interrupt-twice", "deaf", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, 130},
		{"terminate-ignored", "deaf", []syscall.Signal{syscall.SIGTERM}, 143},
		{"killed-leaves-no-machine", "sleep", []syscall.Signal{syscall.SIGKILL}, -1},
	} {
		checks = append(checks, single(c.name, s.signalCase(ctx, []string{probe, c.mode},
			c.signals, c.status), "")...)
	}
	return checks
}

// signalPause keeps two signals of a kind from becoming one.
const signalPause = 200 * time.Millisecond

// signalCase sends the signals when the program has written something. The texts are in what it
// and init have written to standard error.
func (s *suite) signalCase(ctx context.Context, words []string, signals []syscall.Signal,
	status int, texts ...string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd := s.tool(ctx, append([]string{"run", "--accel", "tcg"}, words...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stdin, err := cmd.StdinPipe() // open for as long as the program runs, like a terminal
	if err != nil {
		return err
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		return err
	}
	// "slee" or "spin": the program is running
	if _, err := io.ReadFull(stdout, make([]byte, 4)); err != nil {
		cmd.Wait()
		return fmt.Errorf("the program did not begin: %w", err)
	}
	machines := childrenOf(cmd.Process.Pid)
	for _, signal := range signals {
		cmd.Process.Signal(signal)
		time.Sleep(signalPause)
	}
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != status {
		return fmt.Errorf("exit status %d, expected %d", got, status)
	}
	if len(machines) == 0 {
		return errors.New("no machine was seen running")
	}
	for _, text := range texts {
		if !strings.Contains(stderr.String(), text) {
			return fmt.Errorf("standard error lacks %q:\n%s", text, &stderr)
		}
	}
	return gone(machines)
}

// gone waits for processes to end, for a short time.
func gone(machines []int) error {
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		alive := 0
		for _, pid := range machines {
			if isRunning(pid) {
				alive++
			}
		}
		if alive == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d machine(s) still run", alive)
		}
	}
}

func childrenOf(pid int) (children []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range lists {
		text, _ := os.ReadFile(file)
		for _, word := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(word, &child); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// isRunning is false for processes that are gone or only wait to be reaped.
func isRunning(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// goCases are about Go programs: what they see, and the go command with its wrapper.
func (s *suite) goCases(ctx context.Context, build func(context.Context) (string, error)) []check {
	dir, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	os.WriteFile(filepath.Join(dir, "in.txt"), []byte("given\n"), 0o644)
	checks := s.runToolCases(ctx, build, goProgramCases(dir, s.goProbeDir()))
	for _, name := range []string{"a", "b"} {
		got, err := os.ReadFile(filepath.Join(dir, "out", name))
		if err == nil && string(got) != "/out/"+name {
			err = fmt.Errorf("exported file holds %q", got)
		}
		checks = append(checks, single("exported-"+name, err, "")...)
	}
	checks = append(checks, s.rearranged(ctx, dir, build)...)
	checks = append(checks, s.goCommandCase(ctx, "go-run", "Hello", "run", "./examples/hello"),
		s.goCommandCase(ctx, "go-run-time-zone", "2026-07-01T12:00:00-04:00", "run",
			"./tests/run/goprobe", "zone", "America/New_York"))
	profile := filepath.Join(dir, "cpu.prof")
	checks = append(checks, s.goCommandCase(ctx, "go-test", "ok  ", "test", "-vet=off",
		"-count=1", "-run", "^TestIndex$",
		"-cpuprofile", profile, "-o", filepath.Join(dir, "strings.test"), "strings"))
	_, err = os.Stat(profile)
	checks = append(checks, single("go-test-profile-comes-back", err, "")...)
	covered := filepath.Join(dir, "covered.out")
	return append(checks, s.goCommandCase(ctx, "go-test-coverage", "coverage: ", "test",
		"-vet=off", "-count=1", "-coverprofile", covered, "container/heap"),
		s.goCommandCase(ctx, "go-tool-cover", "(statements)", "tool", "cover",
			"-func="+covered))
}

// goProgramCases run the Go program in the directory probe with files from dir, which also gets
// some.
func goProgramCases(dir, probe string) []toolCase {
	input := everyByte()[:5000]
	return []toolCase{
		{name: "go-working-directory", flags: []string{"-w", "/a/b"}, args: []string{"cwd"},
			stdout: "/a/b\n", silent: true},
		{name: "go-directory", args: []string{probeFlag + probe, "executable"},
			stdout: "/bin/goprobe\n"},
		{name: "go-time-zone", args: []string{"zone", "Europe/Berlin"},
			stdout: "2026-07-01T12:00:00+02:00\n", silent: true},
		{name: "go-no-such-time-zone", args: []string{"zone", "Europe/Atlantis"}, status: 1,
			inErr: []string{"unknown time zone Europe/Atlantis"}},
		{name: "go-stdin", args: []string{"cat"}, stdin: input, stdout: input},
		{name: "go-files", flags: []string{"--files", dir + "/in.txt:/data/in.txt"},
			args: []string{"files", "/data/in.txt"}, stdout: "given\n"},
		{name: "go-files-directory", flags: []string{"--files", dir + ":/d"},
			args: []string{"files", "/d/in.txt"}, stdout: "given\n"},
		{name: "go-exit", args: []string{"exit", "77"}, status: 77},
		{name: "go-nil", args: []string{"nil"}, status: 2,
			inErr: []string{"nil pointer dereference", "main.go"}},
		{name: "go-panic", args: []string{"panic"}, status: 2,
			inErr: []string{"panic: on purpose", "main.throw"}},
		{name: "go-export", flags: []string{"-o", "/out/:" + dir + "/out"},
			args: []string{"export", "/out/a", "/out/b"}, silent: true},
		{name: "go-export-rejected", args: []string{"export", "/etc/passwd"}, status: 1},
	}
}

func (s *suite) goCommandCase(ctx context.Context, name, want string, args ...string) check {
	ctx, cancel := context.WithTimeout(ctx, 3*toolLimit)
	defer cancel()
	cmd := s.tool(ctx, append([]string{"go"}, args...)...)
	cmd.Dir = s.root
	cmd.Env = append(cmd.Env, repo.RunFlagsVar+"=--accel tcg")
	out, err := cmd.CombinedOutput()
	if err == nil && !strings.Contains(string(out), want) {
		err = fmt.Errorf("its output lacks %q", want)
	}
	return single(name, err, string(out))[0]
}

// dryRunCase takes the printed command to a shell: what it writes is the framed host channel.
func (s *suite) dryRunCase(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	command, err := s.tool(ctx, "run", "--dry-run", "--accel", "tcg", "--qemu-arg", "-name",
		"--qemu-arg", "two words", probe, "both").Output()
	checks := single("dry-run", err, "")
	if !strings.Contains(string(command), "-name 'two words'") {
		checks = append(checks, check{"qemu-arg", failed, string(command)})
	} else {
		checks = append(checks, check{"qemu-arg", passed, ""})
	}
	out, _ := hostCommand(ctx, s.root, "sh", "-c", string(command)).Output()
	if !bytes.Contains(out, []byte("to stdout\n")) {
		return append(checks, check{"printed-command-works", failed,
			fmt.Sprintf("%q", out)})
	}
	return append(checks, check{"printed-command-works", passed, ""})
}
