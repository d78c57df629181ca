package suite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/report"
)

// exploreBack goes to instructions of runs that have ended, and back from there.
func (s *suite) exploreBack(ctx context.Context, scratch string) []check {
	file, err := s.exploreProgram(ctx, scratch)
	return slices.Concat(single("program", err, ""), s.withGDB("gdb-back", func() error {
		return s.debugged(ctx, goBack, wentBack, "-d", file)
	}), s.withGDB("steps", func() error { return s.exploreStep(ctx, file) }),
		s.withGDB("shared", func() error { return s.exploreShared(ctx, scratch) }),
		s.withGDB("run-steps", func() error { return s.seededStep(ctx) }))
}

// exploreOthers checks what ./capos explore does besides finding failures of tests.
func (s *suite) exploreOthers(ctx context.Context, scratch string) (checks []check) {
	for _, one := range []struct {
		name string
		run  func(ctx context.Context, scratch string) error
	}{
		{"left", s.exploreLeft},
		{"stopped", s.exploreStopped},
		{"asserts-resume", s.exploreResumed},
		{"ends-in-a-panic", s.exploreDies},
		{"longer", s.exploreLonger},
		{"child", s.exploreChild},
		{"masked", s.exploreMasked},
		{"shortwrite", s.exploreInjects},
		{"accesses", s.exploreAccesses},
		{"select-case", s.exploreSelect},
		{"interrupted", s.exploreInterrupted},
		{"interrupted-kept", s.exploreCut},
	} {
		checks = append(checks, single(one.name, one.run(ctx, scratch), "")...)
	}
	return checks
}

// exploreInjects has faults happen for which a program asks. Of two tests one takes no notice.
func (s *suite) exploreInjects(ctx context.Context, scratch string) error {
	found, _, err := s.explored(ctx, 1, "--runs", "40", "--failures", scratch,
		"./other/shortwrite")
	if err != nil {
		return err
	}
	f := found["explore/other/shortwrite"]
	told, _ := json.Marshal(f.Story)
	switch {
	case f.Test != "TestOnce":
		return fmt.Errorf("%s in %q: %s", f.Kind, f.Test, f.Text)
	case len(f.Story) != 1 || !bytes.Contains(told, []byte("had fault 2 at "+
		"capos.dev/capos.Inject, explore/other/shortwrite.(*device).Write x_test.go:")):
		return fmt.Errorf("told is %s", told)
	}
	return s.exploredCase(ctx, f, "test failure")
}

// exploreProgram explores a main package, with an argument, and gives the file of its failure.
func (s *suite) exploreProgram(ctx context.Context, scratch string) (file string, err error) {
	found, _, err := s.explored(ctx, 1, "--program", "--runs", "51", "--failures", scratch,
		"./other/program", "--", "80")
	if err != nil {
		return "", err
	}
	f := found["explore/other/program"]
	return f.File, s.exploredCase(ctx, f, "exit status")
}

// goBack are gdb's commands at the end of the program: back to the two assignments that have
// overdrawn the account, and to the instruction before the first one's.
const goBack = `set confirm off
set remotetimeout 60
frame function main.main
set language c
print a->cents
eval "watch *(long *)%p", &a->cents
reverse-continue
reverse-continue
delete
print a->cents
stepi
print a->cents
reverse-stepi
print a->cents
break main.main
reverse-continue
detach
`

// wentBack is what gdb then prints, with other lines between.
var wentBack = regexp.MustCompile(`(?s)\$1 = -60\n.*Old value = -60\nNew value = 20\n.*` +
	`main\.go:24\n.*Old value = 20\nNew value = 100\n.*main\.go:24\n.*` +
	`\$2 = 100\n.*\$3 = 20\n.*\$4 = 100\n.*Breakpoint \d+, main\.main \(\)`)

// withGDB does a check for which the host needs gdb.
func (s *suite) withGDB(name string, do func() error) []check {
	if _, err := exec.LookPath("gdb"); err != nil {
		return []check{{name, skipped, "gdb is not installed"}}
	}
	return single(name, do(), "")
}

// debugged has gdb look at what ./capos replay is told to, with a script, and judges what it
// prints.
func (s *suite) debugged(ctx context.Context, script string, want *regexp.Regexp,
	args ...string) error {
	scratch, remove, err := makeScratch()
	if err != nil {
		return err
	}
	defer remove()
	path := filepath.Join(scratch, "script.gdb")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		return err
	}
	cmd := s.tool(ctx, append([]string{"replay"}, args...)...)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	command, text, err := awaitDebugger(cmd)
	if err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	command += " -batch -x " + path
	out, err := hostCommand(ctx, "/", "sh", "-c", command).CombinedOutput()
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil || !want.Match(out) {
		return fmt.Errorf("gdb prints %s: %w", out, err)
	}
	return nil
}

// stepOfLine is a line of the program with the number that --steps puts before it.
var stepOfLine = regexp.MustCompile(`(?m)^ *(\d+)  overdrawn$`)

// atStep is what gdb shows where it goes by such a number: the program is about to write the line.
var (
	showStep = "set confirm off\nset remotetimeout 60\nset language c\nbt\n" +
		`printf "it is %.9s\n", *(char **)($rsp + 16)` + "\ndetach\n"
	atStep = regexp.MustCompile(`(?s)runtime\.write1 .*main\.main \(\) at .*` +
		`\nit is overdrawn\n`)
)

// exploreStep has each line carry its step, and gdb go to that of one line.
func (s *suite) exploreStep(ctx context.Context, file string) error {
	cmd := s.tool(ctx, "replay", "--steps", file)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	line := stepOfLine.FindSubmatch(out)
	if line == nil {
		return fmt.Errorf("it prints %q: %s", out, report.LastLines(stderr.String(), 8))
	}
	return s.debugged(ctx, showStep, atStep, "--at", string(line[1]), file)
}

// exploreShared has a failure that only a machine shows that has run other seeds before: its lines
// carry their steps, gdb goes to where it fails, and the point of no return is looked for.
func (s *suite) exploreShared(ctx context.Context, scratch string) error {
	const name = "explore/other/uptime"
	found, _, err := s.explored(ctx, exploreFound, "--seeds", "1-25", "-j", "1",
		"--max-failures", "1", "--failures", scratch, "./other/uptime")
	if err != nil {
		return err
	}
	kept := found[name].File
	file, err := explore.ReadFile(kept)
	if err == nil && !file.IsShared() {
		err = fmt.Errorf("seed %d alone shows it", file.Seed)
	}
	if err != nil {
		return err
	}
	cmd := s.tool(ctx, "replay", "--steps", kept)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	out, _ := cmd.Output() // its status is that of the test
	if len(oldLine.FindAll(out, -1)) != 1 {
		return fmt.Errorf("it prints %q", out)
	}
	if err := s.debugged(ctx, showPlace, inYoung, "-d", kept); err != nil {
		return err
	}
	cmd = s.tool(ctx, "why", "--seeds", "2", kept)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	out, err = cmd.Output()
	if !bytes.Contains(out, []byte("fails from its first decision point on")) {
		return fmt.Errorf("why prints %q: %w", out, err)
	}
	return nil
}

var (
	oldLine   = regexp.MustCompile(`(?m)^ *\d+  the machine is old$`)
	showPlace = "set confirm off\nset remotetimeout 60\nbt\ndetach\n"
	inYoung   = regexp.MustCompile(`(?s)testing\.\(\*common\)\.Fail .*uptime\.TestYoung `)
	helloStep = regexp.MustCompile(`(?m)^ *(\d+)  Hello from `)
	inHello   = regexp.MustCompile(`(?s)syscall\.\(\*console\)\.write .*main\.main \(\)`)
	stepMark  = regexp.MustCompile(`(?m)^ *\d+  `)
)

// seededStep has each line of a run with a seed carry its step, and gdb go to that of one line.
func (s *suite) seededStep(ctx context.Context) error {
	const seed, hello = "3", "../../examples/hello"
	run := func(flags ...string) ([]byte, error) {
		cmd := s.tool(ctx, slices.Concat([]string{"run"}, flags, []string{hello})...)
		cmd.Dir = filepath.Join(s.root, "tests", "explore") // as debugged has it
		return cmd.Output()
	}
	plain, err := run("--seed", seed)
	if err != nil {
		return err
	}
	stepped, err := run("--seed", seed, "--steps")
	if err != nil {
		return err
	}
	if got := stepMark.ReplaceAll(stepped, nil); !bytes.Equal(got, plain) {
		return fmt.Errorf("with steps %q, without %q", stepped, plain)
	}
	line := helloStep.FindSubmatch(stepped)
	if line == nil {
		return fmt.Errorf("it prints %q", stepped)
	}
	return s.debugged(ctx, showPlace, inHello, "--seed", seed, "--at", string(line[1]), hello)
}

// exploreLeft has a goroutine that is left at the end: a note, and with --strict a failure.
func (s *suite) exploreLeft(ctx context.Context, scratch string) error {
	const name, runs = "explore/other/left", 5
	args := []string{"--runs", fmt.Sprint(runs), "--failures", scratch, "./other/left"}
	_, sums, err := s.explored(ctx, 0, args...)
	if err != nil {
		return err
	}
	if left := sums[name].Left; left != runs {
		return fmt.Errorf("goroutines were left in %d of %d runs", left, runs)
	}
	found, _, err := s.explored(ctx, 1, append([]string{"--strict"}, args...)...)
	if err != nil {
		return err
	}
	if kind := found[name].Kind; kind != "goroutines left" {
		return fmt.Errorf("--strict finds %q", kind)
	}
	_, err = s.replayed(ctx, found[name].File, "reproduced: goroutines left in TestStarts")
	return err
}

// exploreDies has runs that all end in a panic, and tell their points and interleavings all the
// same.
func (s *suite) exploreDies(ctx context.Context, scratch string) error {
	const name = "explore/other/dies"
	found, sums, err := s.explored(ctx, exploreFound, "--runs", "9", "--strategy", "many",
		"--failures", scratch, "./other/dies")
	if err != nil {
		return err
	}
	if f, sum := found[name], sums[name]; f.Kind != "panic" || sum.Interleavings < 2 {
		return fmt.Errorf("found %q in %d interleavings", f.Kind, sum.Interleavings)
	}
	return nil
}

// exploreLonger has runs of far more points than the undisturbed one. Pauses at most of them would
// take longer than the virtual time that there is.
func (s *suite) exploreLonger(ctx context.Context, scratch string) error {
	for _, strategy := range []string{"many", "slow"} {
		_, _, err := s.explored(ctx, 0, "--runs", "17", "--strategy", strategy,
			"--failures", scratch, "./other/longer", "-timeout", "5m")
		if err != nil {
			return fmt.Errorf("strategy %s: %w", strategy, err)
		}
	}
	return nil
}

// exploreChild starts a process of the test's own binary, which is not explored.
func (s *suite) exploreChild(ctx context.Context, scratch string) error {
	found, _, err := s.explored(ctx, 0, "--runs", "5", "--failures", scratch, "./other/child")
	if f := found["explore/other/child"]; err != nil && f.Kind != "" {
		return fmt.Errorf("%s: %s", f.Kind, f.Replay)
	}
	return err
}

// exploreMasked has a test that ends the program with each seed, and finds what is behind it.
func (s *suite) exploreMasked(ctx context.Context, scratch string) error {
	const name, first, second = "explore/other/masked", "TestAlwaysWaits",
		"TestParts/some_lost"
	found, _, err := s.explored(ctx, exploreFound, "--runs", "51", "--failures", scratch,
		"./other/masked")
	if err != nil {
		return err
	}
	if f := found[name+" "+first]; f.Kind != explore.KindDeadlock {
		return fmt.Errorf("%s: found %q, expected a deadlock", first, f.Kind)
	}
	f := found[name+" "+second]
	if f.Kind != explore.KindTest {
		return fmt.Errorf("%s: found %q, expected a test failure", second, f.Kind)
	}
	_, err = s.replayed(ctx, f.File, "reproduced: test failure in "+second)
	return err
}

// takenTwiceSeeds is how many seeds have what exploreAccesses looks for.
const takenTwiceSeeds = "200"

// toldCase is a failure of a package below tests/explore that a change of its source does not hide
// and that is told as story says.
type toldCase struct {
	dir, kind, runs string
	edit            exploreEdit
	story           *regexp.Regexp
}

func (c *toldCase) name() string { return "explore/" + c.dir + " " + c.kind }

// takenTwice is a failure where a goroutine stops at one of its accesses.
var takenTwice = toldCase{"other/takentwice", explore.KindPanic, takenTwiceSeeds,
	exploreEdit{old: "\ts.count--", new: "\tfmt.Println(2)\n\ts.count--",
		verdict: "reproduced: panic in TestTake"},
	regexp.MustCompile(`goroutine \d+ (?:stepped back|paused for \S+) at a ` +
		`(?:read|write), \S+take x_test\.go:\d+\n`)}

// drained is a failure of a case that is not next in turn.
var drained = toldCase{"other/drained", explore.KindTest, "20",
	exploreEdit{old: "\tfor {\n", new: "\tfmt.Println(2)\n\tfor {\n",
		verdict: "reproduced: test failure in TestSum"},
	regexp.MustCompile(`it takes this \(1 of \d+ disturbances\):\n` +
		` +goroutine \d+ took case <-end while another case was ready at select, ` +
		`\S+sum x_test\.go:12\n`)}

// exploreTold finds, changes and replays the failure.
func (s *suite) exploreTold(ctx context.Context, scratch string, c *toldCase) error {
	found, _, err := s.explored(ctx, exploreFound, "--runs", c.runs, "--failures", scratch,
		"./"+c.dir)
	f := found[c.name()]
	if err == nil {
		err = s.exploredCase(ctx, f, c.kind)
	}
	if err == nil {
		err = s.exploreChange(ctx, c.dir, f.File, scratch, c.edit)
	}
	if err != nil {
		return err
	}
	said, err := s.replayed(ctx, f.File, "reproduced: "+c.kind)
	if err == nil && !c.story.MatchString(said) {
		err = fmt.Errorf("the story lacks %q: %s", c.story, said)
	}
	return err
}

// exploreAccesses has a race with a consequence that only a goroutine shows that stops between two
// accesses, which the seeds of one other strategy do not find.
func (s *suite) exploreAccesses(ctx context.Context, scratch string) error {
	if err := s.exploreTold(ctx, scratch, &takenTwice); err != nil {
		return err
	}
	found, _, err := s.explored(ctx, exploreFound, "--strategy", "sampling", "--runs",
		takenTwiceSeeds, "--no-shrink", "--failures", "none", "./"+takenTwice.dir)
	if f := found[takenTwice.name()]; err == nil && f.Kind != "" {
		err = fmt.Errorf("found without a point at accesses: %s", f.Replay)
	}
	return err
}

// exploreSelect has a failure that only which of two ready cases is taken decides.
func (s *suite) exploreSelect(ctx context.Context, scratch string) error {
	return s.exploreTold(ctx, scratch, &drained)
}

// exploreInterrupted ends the command when some seeds have run without a failure.
func (s *suite) exploreInterrupted(ctx context.Context, _ string) error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		_, err := s.interrupted(ctx, signal, 128+int(signal), func(line string) bool {
			return strings.HasPrefix(line, "capos: seed ")
		}, "--failures", "none", "./fixed/lockorder", "./fixed/publish")
		if err != nil {
			return err
		}
	}
	return nil
}

// exploreCut ends the command after a failure, which is kept by its seed.
func (s *suite) exploreCut(ctx context.Context, scratch string) error {
	hasFailed := regexp.MustCompile(`^capos: seed \d{3,}: .* ([3-9]|\d\d+) failed`)
	lines, err := s.interrupted(ctx, syscall.SIGINT, 1, hasFailed.MatchString,
		"--failures", scratch, "./cases/lockorder")
	if err != nil {
		return err
	}
	path := lines[0].File
	file, err := explore.ReadFile(path)
	if err == nil && (len(file.Decisions) != 0 || file.SeedsFrom == nil) {
		err = fmt.Errorf("%s is not kept by its seed", path)
	}
	if err == nil {
		_, err = s.replayed(ctx, path, "reproduced: ")
	}
	return err
}

// interrupted explores without end, sends a signal once it says a line like that, and gives what it
// prints. The status and the last line are to be those of an interrupt.
func (s *suite) interrupted(ctx context.Context, signal syscall.Signal, status int,
	like func(line string) bool, args ...string) (lines []explored, err error) {
	cmd := s.exploreCommand(ctx, append([]string{"--json", "--runs", "1000000"}, args...)...)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	said := bufio.NewScanner(stderr)
	for sent := false; said.Scan(); {
		if !sent && like(said.Text()) {
			sent = true
			err = cmd.Process.Signal(signal)
		}
	}
	_ = cmd.Wait() // its status is checked
	if err = errors.Join(err, wantStatus(cmd, status)); err != nil {
		return nil, err
	}
	for decoder := json.NewDecoder(&stdout); decoder.More(); {
		var line explored
		if err := decoder.Decode(&line); err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	if n := len(lines); n == 0 || !lines[n-1].Interrupted || lines[n-1].Runs == 0 {
		return nil, fmt.Errorf("%v: it prints %+v", signal, lines)
	}
	return lines, nil
}

// exploreResumed explores a test with assertions in one go and in two, which is to come to the
// same.
func (s *suite) exploreResumed(ctx context.Context, scratch string) error {
	const name = "explore/other/asserts"
	dir := filepath.Join(scratch, "state")
	var whole, resumed exploredSum
	for _, run := range []struct {
		args []string
		sum  *exploredSum
	}{
		{[]string{"--runs", "51"}, &whole},
		{[]string{"--runs", "26", "--resume", dir}, &resumed},
		{[]string{"--runs", "51", "--resume", dir}, &resumed},
	} {
		found, sums, err := s.explored(ctx, 1, slices.Concat(run.args,
			[]string{"--no-shrink", "--failures", "none", "./other/asserts"})...)
		if err != nil {
			return err
		}
		if kind := found[name].Kind; kind != "assertion" {
			return fmt.Errorf("found %q, expected an assertion", kind)
		}
		*run.sum = sums[name].exploredSum
	}
	if whole.Runs != 51 || !reflect.DeepEqual(whole, resumed) {
		return fmt.Errorf("in one go %+v, in two %+v", whole, resumed)
	}
	if len(whole.NeverSeen) != 1 || !strings.Contains(whole.NeverSeen[0], `("both at once")`) {
		return fmt.Errorf("never seen: %q", whole.NeverSeen)
	}
	_, _, err := s.explored(ctx, exploreMisused, "--resume", dir, "--max-pause", "1ms",
		"--runs", "51", "./other/asserts")
	return err
}

// stoppedFile is the failure of tests/explore/other/stopped by a choice of the kernel alone.
var stoppedFile = explore.File{Package: "explore/other/stopped", Program: true, Strategy: "kernel",
	Kernel: explore.KernelPart{Name: "explore"}, Counted: true, Seed: 1, MaxPause: "100ms",
	Memory: "512M", Failure: explore.Failure{Kind: explore.KindStatus, Text: "status 3"},
	Decisions: []explore.Disturbance{{Kernel: "i", Goroutine: 1, Point: 1, What: 50e6}}}

// stoppedPlace is in the computation's loop, whose instruction it is depends on the kernel.
var stoppedPlace = regexp.MustCompile(
	`thread 1 was stopped and paused for 50ms at main\.main main\.go:1[78]\n`)

// exploreStopped replays it, which takes the kernel that the file names. The story has the place in
// the Go program.
func (s *suite) exploreStopped(ctx context.Context, scratch string) error {
	file, err := stoppedFile.Write(scratch)
	if err != nil {
		return err
	}
	said, err := s.replayed(ctx, file, "reproduced: exit status: status 3")
	if err == nil && !stoppedPlace.MatchString(said) {
		err = fmt.Errorf("the story lacks %q: %s", stoppedPlace, said)
	}
	return err
}
