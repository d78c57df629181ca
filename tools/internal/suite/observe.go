package suite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// observeSteps are about looking into a running program from outside: --trace, --stats and gdb with
// the helpers of tools/gdb.
func (s *suite) observeSteps() []step {
	programs := &programBuilder{root: s.root}
	observed := func(ctx context.Context) (string, error) {
		return programs.build(ctx, filepath.Join(s.root, "tests", "run", "observed.c"))
	}
	return []step{
		{name: "tool/trace", cpus: 1,
			run: func(ctx context.Context) []check {
				return s.traceChecks(ctx, observed)
			}},
		{name: "tool/gdb", cpus: 1,
			run: func(ctx context.Context) []check {
				return s.debuggerChecks(ctx, observed)
			}},
		{name: "tool/interrupts", cpus: 2,
			run: func(ctx context.Context) []check {
				program, err := programs.build(ctx, filepath.Join(s.root, "tests",
					"run", "interrupts.c"))
				if err != nil {
					return single("program", err, "")
				}
				return s.interruptChecks(ctx, program)
			}},
		{name: "tool/ps", cpus: 2,
			run: func(ctx context.Context) []check {
				return s.psStep(ctx, programs)
			}},
	}
}

var interruptsLine = regexp.MustCompile(`(?m): (\d+) interrupts of other CPUs for its pages$`)

// interruptsMax is how often the other CPU may be interrupted while interrupts.c does a thing a
// thousand times: it also runs threads of the process now and then.
const interruptsMax = 50

func (s *suite) interruptChecks(ctx context.Context, program string) []check {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	var checks []check
	for _, kernel := range []string{"release", "debug"} {
		for _, what := range []string{"end", "idle"} {
			text, err := s.tool(ctx, "run", "--accel", "tcg", "--cpus", "2", "--kernel",
				kernel, "--stats", program, what).CombinedOutput()
			count := interruptsMax + 1
			if m := interruptsLine.FindSubmatch(text); m != nil {
				fmt.Sscan(string(m[1]), &count)
			}
			if err == nil && count > interruptsMax {
				err = fmt.Errorf("the other CPU was interrupted %d times", count)
			}
			checks = append(checks, single(kernel+"-"+what, err, string(text))...)
		}
	}
	return checks
}

// tracedCalls are the calls of observed.c in their order, as --trace shows them after time, process
// and thread.
var tracedCalls = []string{
	`vm VirtualMemory\.reserve\(hint=0x5000000000, size=0x10000\) = 0x5000000000`,
	`vm VirtualMemory\.commit\(addr=0x5000000000, size=0x10000, prot=0x3\) = ok`,
	`vm VirtualMemory\.unmap\(addr=0x5000000000, size=0x10000\) = ok`,
	`vm VirtualMemory\.unmap\(addr=0x5000000001, size=0x10000\) = misaligned`,
	`memory_allocator MemoryAllocator\.create\(size=0x20000\) = #1[0-9a-f]{4}`,
	`#1[0-9a-f]{4} release\(\) = 0`,
	`park park\(address=0x[0-9a-f]+, expected=8\) = mismatch`,
	`park unpark\(address=0x[0-9a-f]+, count=3\) = 0`,
	`vm method 1000 = invokeFailed`,
	`#ffff0fff method 0 = invokeFailed`,
	`endpoint_factory EndpointFactory\.create\(callsMax=0x1\) = #[12][0-9a-f]{4}`,
	`#[12][0-9a-f]{4} Endpoint\.makeFacet\(tag=0x7\) = #[12][0-9a-f]{4}`,
	`#[12][0-9a-f]{4} endpointCall\(\) = timedOut`,
	`reply\(\) = wrongState`,
	`#[12][0-9a-f]{4} release\(\) = 0`,
	`#[12][0-9a-f]{4} receive\(\) = facetGone, tag=0x7`,
	`timer Timer\.sleep\(durationNs=0x3e8\) = ok`,
	`timer Timer\.sleep\(durationNs=0x3e8\) = ok`,
	`timer Timer\.sleep\(durationNs=0x3e8\) = ok`,
	`stdout Console\.write\(data=<5 bytes>\) = ok`,
	`exit\(0, process\)`,
}

// countedCalls are the same calls as --stats counts them.
var countedCalls = []string{"1  Console.write, 0 failed", "1  VirtualMemory.reserve, 0 failed",
	"1  VirtualMemory.commit, 0 failed",
	"2  VirtualMemory.unmap, 1 failed", "1  MemoryAllocator.create, 0 failed", "3  " +
		"Timer.sleep, 0 failed", "2  release", "1  park", "1  unpark",
	"1  EndpointFactory.create, 0 failed", "1  Endpoint.makeFacet, 0 failed",
	"1  endpointCall", "1  reply", "1  receive", "1  uses of stdout", "4  uses of vm",
	"1  uses of memory_allocator", "2  uses of park", "3  uses of timer",
	"1  uses of endpoint_factory"}

var (
	tracedLine = regexp.MustCompile(`^(\d+\.\d{9}) (\d+/\d+) (.*)$`)
	ledgerLine = regexp.MustCompile(
		`^process \d+ observed: [1-9]\d* us CPU, peak [1-9]\d* pages committed$`)
	budgetLine = regexp.MustCompile(`^process \d+ observed: budget of (memory|threads|` +
		`capabilities|calls|cpu): \d+ used, peak \d+, limit \d+( \(none\))?, \d+ refused$`)
	freeLine   = regexp.MustCompile(`^machine: (\d+) of (\d+) frames free, (\d+) objects$`)
	digestLine = regexp.MustCompile(`^calls in order [0-9a-f]{16}, clock at [1-9]\d* ns$`)
)

func (s *suite) traceChecks(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	program, err := build(ctx)
	if err != nil {
		return single("program", err, "")
	}
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	var checks []check
	for _, c := range []struct {
		flag  string
		judge func(lines []string) error
	}{{"--trace", judgeTrace}, {"--stats", judgeStats}} {
		var stdout, stderr strings.Builder
		cmd := s.tool(ctx, "run", "--accel", "tcg", "--cpus", "1", c.flag, program, "calls")
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		if err == nil && stdout.String() != "made\n" {
			err = fmt.Errorf("standard output is %q", stdout.String())
		}
		if err == nil {
			text := strings.TrimSuffix(withoutProgress(stderr.String()), "\n")
			err = c.judge(strings.Split(text, "\n"))
		}
		checks = append(checks, single(strings.TrimPrefix(c.flag, "--"), err,
			stderr.String())...)
	}
	return append(checks, single("followed", s.followedCalls(ctx), "")...)
}

// followedCalls wants each call of a client to be received in another process, which names it.
func (s *suite) followedCalls(ctx context.Context) error {
	out, err := s.tool(ctx, "run", "--accel", "tcg", "--cpus", "1", "--trace",
		filepath.Join(s.root, "examples", "service")).CombinedOutput()
	if err != nil {
		return err
	}
	made := regexp.MustCompile(` (\d+)/(\d+) \S+ endpointCall\(\) = 0\n`)
	calls := made.FindAllStringSubmatch(string(out), -1)
	for _, m := range calls {
		received := regexp.MustCompile(` (\d+)/\d+ \S+ (?:receive|replyReceive)\(\) = `+
			`call, tag=0x\w+, from thread `+m[2]+`\n`).FindAllStringSubmatch(
			string(out), -1)
		if len(received) < len(calls) || received[0][1] == m[1] {
			return fmt.Errorf("%d calls of thread %s, and received were %v", len(calls),
				m[2], received)
		}
	}
	if len(calls) == 0 {
		return errors.New("no call of an endpoint is traced")
	}
	return nil
}

// judgeTrace wants exactly the calls that the program makes, with times that do not go back.
func judgeTrace(lines []string) error {
	if len(lines) != len(tracedCalls) {
		return fmt.Errorf("%d lines, expected %d", len(lines), len(tracedCalls))
	}
	last, lastWho := 0.0, ""
	for i, line := range lines {
		m := tracedLine.FindStringSubmatch(line)
		if m == nil || !regexp.MustCompile("^"+tracedCalls[i]+"$").MatchString(m[3]) {
			return fmt.Errorf("line %d is %q, expected %s", i+1, line, tracedCalls[i])
		}
		var now float64
		fmt.Sscan(m[1], &now)
		if now < last {
			return fmt.Errorf("the time of line %d goes back", i+1)
		}
		if lastWho != "" && m[2] != lastWho {
			return fmt.Errorf("line %d is of process and thread %s, those before of %s",
				i+1, m[2], lastWho)
		}
		last, lastWho = now, m[2]
	}
	return nil
}

// packageLine is what the tool says before the machine starts.
var packageLine = regexp.MustCompile(`^capos: the package takes \d+\.\d of \d+ MiB of memory$`)

// judgeStats wants the lines of the package, the process and the machine, exactly the counts of the
// calls that the program makes, and the digest of their order.
func judgeStats(lines []string) error {
	const budgets = 5
	if !packageLine.MatchString(lines[0]) {
		return fmt.Errorf("the package's line is %q", lines[0])
	}
	lines = lines[1:]
	if len(lines) != 3+budgets+len(countedCalls) {
		return fmt.Errorf("%d lines, expected %d", len(lines), 3+budgets+len(countedCalls))
	}
	if last := lines[len(lines)-1]; !digestLine.MatchString(last) {
		return fmt.Errorf("the last line is %q", last)
	}
	if !ledgerLine.MatchString(lines[0]) {
		return fmt.Errorf("the process's line is %q", lines[0])
	}
	for _, line := range lines[1 : 1+budgets] {
		if !budgetLine.MatchString(line) {
			return fmt.Errorf("a budget's line is %q", line)
		}
	}
	lines = lines[budgets:]
	var free, all, objects int
	if m := freeLine.FindStringSubmatch(lines[1]); m == nil {
		return fmt.Errorf("the machine's line is %q", lines[1])
	} else {
		fmt.Sscan(strings.Join(m[1:], " "), &free, &all, &objects)
	}
	if free == 0 || free >= all || objects == 0 {
		return fmt.Errorf("%d of %d frames are free, with %d objects", free, all, objects)
	}
	counted := map[string]bool{}
	for _, line := range lines[2:] {
		counted[strings.TrimSpace(line)] = true
	}
	for _, want := range countedCalls {
		if !counted[want] {
			return fmt.Errorf("there is no line %q", want)
		}
	}
	return nil
}

// Parts of a line about a thread.
const (
	stateInHelper = `CPU 0 rip 0x[0-9a-f]+ rsp 0x[0-9a-f]+ pending 0x0 mask 0x0 `
	placeInHelper = `.* in section \.text of .*`
)

// helperOutput is what the gdb helpers must say of observed.c where it comes to all_there, on one
// CPU: each line once at least.
var helperOutput = []struct{ command, lines string }{
	{"cpus", `CPU 0: thread \d+ "observed", 1 waiting to run`},
	{"queues", `CPU 0
  a process that has had \d+ ns
  runnable: thread \d+, virtual time \d+ ns
  until [1-9]\d{12} ns: thread \d+`},
	// The place of a running thread is where it entered the kernel last: its sleep, or an
	// interrupt after it.
	{"threads", `thread \d+ +running  ` + stateInHelper +
		`observed (capos_\w+|main|all_there)` + placeInHelper + `
thread \d+ +blocked  ` + stateInHelper + `sleeper capos_\w+` + placeInHelper + `
thread \d+ +ready    ` + stateInHelper + `spinner spinner` + placeInHelper},
	{"caps", `cap 0x00010001  Console          object #\d+, [1-9]\d* references
cap 0x[0-9a-f]+  VirtualMemory    object #\d+, [1-9]\d* references
cap 0x[0-9a-f]+  Timer            object #\d+, [1-9]\d* references
cap 0x[0-9a-f]+  ThreadHandle     object #\d+, [1-9]\d* references`},
	{"endpoints", `endpoint #\d+: 0 of 3 calls wait, 0 receivers, held by process 1
  facet #\d+, tag 9, held by process 1`},
	{"processes", `process 1 observed: 3 threads, \d+ capabilities, \d+ pages of any`},
	{"regions", `0x00000000200000-0x[0-9a-f]+ +\d+ KiB r-- object
0x[0-9a-f]+-0x[0-9a-f]+ +\d+ KiB r-x object
0x[0-9a-f]+-0x[0-9a-f]+ +\d+ KiB rw- demand_zero
0x00005000000000-0x00005000008000 +32 KiB r-- committed
0x00005000008000-0x00005000010000 +32 KiB --- reserved
0x[0-9a-f]+-0x[0-9a-f]+ +4 KiB rw- object pinned`},
}

func (s *suite) debuggerChecks(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	program, err := build(ctx)
	if err != nil {
		return single("program", err, "")
	}
	if _, err := exec.LookPath("gdb"); err != nil {
		return []check{{"gdb", skipped, "gdb is not installed"}}
	}
	var checks []check
	for _, kernel := range []string{"release", "debug"} {
		text, err := s.debug(ctx, kernel, program)
		checks = append(checks, single(kernel+"-session", err, text)...)
		if err != nil {
			continue
		}
		for _, c := range helperOutput {
			checks = append(checks, single(kernel+"-"+c.command,
				judgeHelper(text, c.command, c.lines), "")...)
		}
	}
	return checks
}

// judgeHelper finds the lines in what one helper printed.
func judgeHelper(text, command, lines string) error {
	_, part, found := strings.Cut(text, helperMark(command))
	if !found {
		return errors.New("the helper did not run")
	}
	part, _, _ = strings.Cut(part, helperMark(""))
	for _, line := range strings.Split(lines, "\n") {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(part) {
			return fmt.Errorf("there is no line %s in\n%s", line, part)
		}
	}
	return nil
}

func helperMark(command string) string { return "-- capos " + command }

// debug has a machine wait for a debugger, connects gdb by the command that ./capos prints, stops
// the program where all that the helpers show is there, calls them, and lets the machine go on to
// its end. It gives what gdb printed.
func (s *suite) debug(ctx context.Context, kernel, program string) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd := s.tool(ctx, "run", "-d", "--cpus", "1", "--kernel", kernel, program, "threads")
	var stdout strings.Builder
	cmd.Stdout = &stdout
	command, text, err := awaitDebugger(cmd)
	if err != nil {
		return text, err
	}
	defer cancel() // of no effect when the machine has ended by itself
	command += " -batch -ex 'hbreak all_there' -ex continue -ex backtrace"
	for _, c := range helperOutput {
		command += fmt.Sprintf(` -ex 'echo %s\n' -ex 'capos %s'`, helperMark(c.command),
			c.command)
	}
	command += fmt.Sprintf(` -ex 'echo %send\n' -ex delete -ex detach`, helperMark(""))
	// gdb waits for the machine by itself
	out, err := hostCommand(ctx, "/", "sh", "-c", command).CombinedOutput()
	text = string(out)
	if err != nil {
		return text, err
	}
	if err := cmd.Wait(); err != nil {
		return text, fmt.Errorf("the program did not go on: %w", err)
	}
	if !strings.Contains(text, "all_there (") || !strings.Contains(text, "main (") {
		return text, errors.New("the backtrace does not go from all_there to main")
	}
	if stdout.String() != "gone on\n" {
		return text, fmt.Errorf("the program printed %q", stdout.String())
	}
	return text, nil
}

// awaitDebugger starts a command that waits for a debugger and gives the gdb command that it
// prints, and what it prints before.
func awaitDebugger(cmd *exec.Cmd) (command, text string, err error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", "", err
	}
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	lines := bufio.NewReader(stderr)
	for command == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			return "", text, errors.New("no gdb command was printed")
		}
		text += line
		if line, found := strings.CutPrefix(line, "  gdb "); found {
			command = "gdb " + strings.TrimSpace(line)
		}
	}
	go io.Copy(io.Discard, lines)
	return command, text, nil
}
