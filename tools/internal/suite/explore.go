package suite

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/report"
)

// exploreCases are the tests of tests/explore/cases by the kinds of failure that ./capos explore is
// to find in each.
var exploreCases = map[string]string{
	"addlate":     "test failure, panic or data race",
	"doubleclose": "panic",
	"expiry":      "test failure",
	"lateanswer":  "test failure",
	"lockorder":   "deadlock",
	"lostcount":   "test failure",
	"lostupdate":  "test failure",
	"lostwakeup":  "deadlock",
	"movedstack":  "test failure",
	"publish":     "data race",
	"rereader":    "deadlock",
	"timeoutleak": "goroutine leak",
}

const (
	// exploreSeeds is within how many seeds each must be found. All are tried, so that it does
	// not depend on the host's speed which of them is shrunk.
	exploreSeeds = "100"
	// exploreQuietSeeds is how many seeds must find nothing in the corrected versions.
	exploreQuietSeeds = 50
	// exploreFixedSeeds is how many when there is time.
	exploreFixedSeeds = 2000

	// exploreStory is to how many disturbances each must shrink.
	exploreStory = 3

	exploreLimit = 10 * time.Minute

	// exploreFound and exploreMisused are statuses.
	exploreFound, exploreMisused = 1, 2
)

func (s *suite) exploreSteps() ([]step, error) {
	library, err := s.librarySteps()
	return slices.Concat(s.faultSteps(), library, []step{
		{name: "explore/cases", cpus: 2, run: exploring(s.exploreChecks)},
		{name: "explore/others", cpus: 2, run: exploring(s.exploreOthers)},
		{name: "explore/back", cpus: 1, run: exploring(s.exploreBack)},
		{name: "explore/c", cpus: 2, run: exploring(s.exploreC)},
		{name: "explore/races", cpus: 2, run: s.exploreRaces},
		{name: "explore/fixed", cpus: 2, full: true, long: true,
			run: func(ctx context.Context) []check {
				return s.exploreQuiet(ctx, exploreFixedSeeds)
			}},
		{name: "explore/strategies", cpus: 2, full: true, run: s.exploreStrategies},
		{name: "explore/goker", cpus: 1, full: true, long: true, run: s.exploreGoKer},
	}), err
}

// explored is one line of ./capos explore --json: a failure, or the sum of a package.
type explored struct {
	Package string          `json:"package"`
	Kind    string          `json:"kind"`
	Test    string          `json:"test"`
	Text    string          `json:"text"`
	Replay  string          `json:"replay"`
	File    string          `json:"file"`
	Shared  *uint64         `json:"shared_from"`
	Story   []any           `json:"story"`
	Stacks  []explore.Stack `json:"stacks"`
	exploredSum
}

// exploredSum is what a line with the sum has.
type exploredSum struct {
	Runs          int      `json:"runs"`
	Failed        int      `json:"failed"`
	Different     int      `json:"different"`
	Interleavings int      `json:"interleavings"`
	Left          int      `json:"left"`
	Interrupted   bool     `json:"interrupted"`
	NeverSeen     []string `json:"never_seen"`
	Points        int      `json:"decision_points"`
	NeverVaried   []string `json:"never_varied"`
}

// exploring runs a step within exploreLimit, with a directory of its own.
func exploring(do func(ctx context.Context, scratch string) []check) func(context.Context) []check {
	return func(ctx context.Context) []check {
		ctx, cancel := context.WithTimeout(ctx, exploreLimit)
		defer cancel()
		scratch, remove, err := makeScratch()
		if err != nil {
			return single("scratch", err, "")
		}
		defer remove()
		return do(ctx, scratch)
	}
}

func (s *suite) exploreChecks(ctx context.Context, scratch string) []check {
	checks := single("ordinary-builds", s.ordinaryBuild(), "")
	found, _, err := s.explored(ctx, 1, "--runs", exploreSeeds, "--failures",
		filepath.Join(scratch, "kept"), "./cases/...")
	checks = append(checks, single("status-found", err, "")...)
	deadlock := found[lockorder]
	tasks := []func() []check{
		func() []check { // all of them build lockorder, so they take turns
			return slices.Concat(s.exploreFinds(ctx, "lockorder", deadlock),
				s.exploreChanges(ctx, deadlock.File, scratch),
				single("why-lockorder", s.exploreWhyKept(ctx, scratch), ""))
		},
		func() []check { return s.exploreQuiet(ctx, exploreQuietSeeds) },
	}
	for _, name := range slices.Sorted(maps.Keys(exploreCases)) {
		if name != "lockorder" {
			tasks = append(tasks, func() []check {
				return s.exploreFinds(ctx, name, found["explore/cases/"+name])
			})
		}
	}
	checks = append(checks, sideBySide(tasks...)...)
	for _, args := range [][]string{
		{"wrong-use", "--runs", "1", "--seeds", "1-2", "."},
		{"no-test", "--runs", "2", "./fixed/expiry", "-run", "TestOther"},
		{"no-kernel", "--kernel", "other", "./fixed/expiry"},
	} {
		wrong := s.exploreCommand(ctx, args[1:]...)
		out, _ := wrong.CombinedOutput()
		checks = append(checks, single(args[0], wantStatus(wrong, exploreMisused),
			string(out))...)
	}
	return checks
}

// sideBySide does as much at a time as the host has CPUs, and gives the checks in the order of the
// tasks.
func sideBySide(tasks ...func() []check) []check {
	results := make([][]check, len(tasks))
	room := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i, task := range tasks {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			results[i] = task()
		})
	}
	all.Wait()
	return slices.Concat(results...)
}

// exploreFinds is about what was found of one of the cases.
func (s *suite) exploreFinds(ctx context.Context, name string, found explored) []check {
	err := s.exploredCase(ctx, found, exploreCases[name])
	if err == nil && found.Test == "" {
		err = errors.New("it is not told in which test")
	}
	return single("finds-"+name, err, "")
}

// exploreQuiet explores the corrected versions.
func (s *suite) exploreQuiet(ctx context.Context, seeds int) (checks []check) {
	run := s.explored
	if seeds > exploreQuietSeeds {
		run = func(ctx context.Context, status int, args ...string) (found,
			sums map[string]explored, err error) {
			return s.exploredOn(ctx, "fixed", status, args...)
		}
	}
	found, sums, err := run(ctx, 0, "--runs", strconv.Itoa(seeds), "--failures",
		"none", "./fixed/...")
	checks = single("status-quiet", err, "")
	packages, err := filepath.Glob(filepath.Join(s.root, "tests", "explore", "fixed", "*"))
	if err != nil || len(packages) == 0 {
		return append(checks, single("packages", fmt.Errorf("none: %w", err), "")...)
	}
	for _, dir := range packages {
		name := filepath.Base(dir)
		path := "explore/fixed/" + name
		err := foundNothing(found[path], sums[path], seeds)
		checks = append(checks, single("quiet-"+name, err, "")...)
	}
	return append(checks, single("never-varied", toldVaried(sums), "")...)
}

// toldVaried is about the decision points that all runs came to in one order. expiry's test has a
// goroutine that nothing else runs beside, and in lockorder's two take the same locks.
func toldVaried(sums map[string]explored) error {
	const alone = "sync.(*Mutex).Lock, explore/fixed/expiry.(*cache).put "
	one, two := sums["explore/fixed/expiry"], sums["explore/fixed/lockorder"]
	named := slices.ContainsFunc(one.NeverVaried, func(place string) bool {
		return strings.HasPrefix(place, alone)
	})
	switch {
	case !named || len(one.NeverVaried) != one.Points:
		return fmt.Errorf("of %d decision points of expiry %q never varied", one.Points,
			one.NeverVaried)
	case two.Points == 0 || len(two.NeverVaried) != 0:
		return fmt.Errorf("of %d decision points of lockorder %q never varied", two.Points,
			two.NeverVaried)
	}
	return nil
}

// foundNothing wants all seeds to have been run without a failure. An explore that is interrupted
// has the sums of what it has run, and the status of no failure.
func foundNothing(found, sum explored, seeds int) error {
	switch {
	case found.Kind != "":
		return fmt.Errorf("%d of %d runs failed: %s: %s: %s", sum.Failed, sum.Runs,
			found.Kind, found.Text, found.Replay)
	case sum.Failed != 0:
		return fmt.Errorf("%d of %d runs failed", sum.Failed, sum.Runs)
	case sum.Runs != seeds:
		return fmt.Errorf("%d of %d seeds were run", sum.Runs, seeds)
	}
	return nil
}

// ordinaryBuild holds against hooks in programs that are not built for exploring.
func (s *suite) ordinaryBuild() error {
	file, err := program.BuildGo(s.root, filepath.Join(s.root, "examples", "hello"), ".")
	if err != nil {
		return err
	}
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil || len(symbols) == 0 {
		return fmt.Errorf("%d symbols: %w", len(symbols), err)
	}
	for _, symbol := range symbols {
		if strings.Contains(symbol.Name, "explorePoint") {
			return fmt.Errorf("an ordinary program has %s", symbol.Name)
		}
	}
	return nil
}

func (s *suite) exploreCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := s.tool(ctx, append([]string{"explore"}, args...)...)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	return cmd
}

func wantStatus(cmd *exec.Cmd, want int) error {
	if got := cmd.ProcessState.ExitCode(); got != want {
		return fmt.Errorf("%s: status %d, expected %d", strings.Join(cmd.Args[1:], " "),
			got, want)
	}
	return nil
}

// explored runs the command and gives, by package, the first failure and the sum, and by package,
// space and test or kind the first failure of that.
func (s *suite) explored(ctx context.Context, status int, args ...string) (found,
	sums map[string]explored, err error) {
	found, sums = map[string]explored{}, map[string]explored{}
	cmd := s.exploreCommand(ctx, append([]string{"--json"}, args...)...)
	stderr := progress{shown: time.Now()}
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var line explored
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, fmt.Errorf("%w in %q", err, out)
		}
		if line.Kind == "" {
			sums[line.Package] = line
			continue
		}
		for _, name := range []string{line.Package, line.Package + " " + line.Test,
			line.Package + " " + line.Kind} {
			if _, known := found[name]; !known {
				found[name] = line
			}
		}
	}
	if err := wantStatus(cmd, status); err != nil {
		return found, sums, fmt.Errorf("%w: %s", err, report.LastLines(stderr.String(), 8))
	}
	return found, sums, nil
}

// progress keeps what the command says, and shows now and then how far it is.
type progress struct {
	bytes.Buffer
	shown time.Time
}

const showProgressEvery = time.Minute

func (p *progress) Write(text []byte) (int, error) {
	line, isProgress := strings.CutPrefix(string(text), "capos: seed ")
	if isProgress && time.Since(p.shown) > showProgressEvery {
		p.shown = time.Now()
		fmt.Printf("          ... seed %s", line)
	}
	return p.Buffer.Write(text)
}

// exploredOn is the same and goes on where it was stopped. How far it is is kept in the build
// directory by a name. What is kept of another program is removed.
func (s *suite) exploredOn(ctx context.Context, name string, status int, args ...string) (found,
	sums map[string]explored, err error) {
	state := filepath.Join(s.root, "build", "explore", "long", name)
	args = append([]string{"--resume", state}, args...)
	found, sums, err = s.explored(ctx, status, args...)
	if err != nil && len(sums) == 0 && ctx.Err() == nil && os.RemoveAll(state) == nil {
		found, sums, err = s.explored(ctx, status, args...)
	}
	return found, sums, err
}

// exploredCase judges one failure, and holds two replays of it against each other.
func (s *suite) exploredCase(ctx context.Context, f explored, kind string) error {
	if f.Kind == "" || !strings.Contains(kind, f.Kind) {
		return fmt.Errorf("found %q within %s seeds, expected %s", f.Kind, exploreSeeds,
			kind)
	}
	if f.Shared != nil {
		return errors.New("a machine of its own does not show it")
	}
	fewest := 1
	if f.Kind == "data race" {
		fewest = 0
	}
	if n := len(f.Story); n < fewest || n > exploreStory {
		return fmt.Errorf("%d disturbances are left, expected %d to %d: %s", n, fewest,
			exploreStory, f.Replay)
	}
	var said [2]string
	for i := range said {
		var err error
		if said[i], err = s.replayed(ctx, f.File, "reproduced: "); err != nil {
			return err
		}
	}
	if said[0] != said[1] || said[0] == "" {
		return fmt.Errorf("%s prints %q, then %q", f.File, said[0], said[1])
	}
	if f.Kind == "data race" && !strings.Contains(said[0], ", write\n") {
		return fmt.Errorf("%s does not show the accesses: %q", f.File, said[0])
	}
	return nil
}

// replayed repeats a failure from its file and gives what is printed.
func (s *suite) replayed(ctx context.Context, file, verdict string) (string, error) {
	cmd := s.tool(ctx, "replay", file)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if !strings.Contains("\n"+stderr.String(), "\ncapos: "+verdict) {
		return "", fmt.Errorf("./capos replay %s: %v, and not %q: %s", file, err, verdict,
			report.LastLines(stderr.String(), 8))
	}
	return stdout.String() + withoutRemarks(stderr.String()), nil
}

const lockorder = "explore/cases/lockorder"

// lockorderFile is a failure of tests/explore/cases/lockorder by one disturbance, which is named.
// Which seeds fail depends on the directory of the tree, because the program has paths in it, and
// the point of no return is another one with another disturbance.
var lockorderFile = explore.File{Package: lockorder, Seed: 34, Points: 36,
	Kernel: explore.KernelPart{Name: "release"}, MaxPause: "100ms", Memory: "512M",
	Failure: explore.Failure{Kind: explore.KindDeadlock, Test: "TestTransfers",
		Text: "goroutines wait for each other and can never run again",
		Stacks: []explore.Stack{
			{State: "sync.WaitGroup.Wait",
				Frames: []string{lockorder + ".TestTransfers x_test.go:28"}},
			{State: "sync.Mutex.Lock",
				Frames: []string{lockorder + ".transfer x_test.go:17",
					lockorder + ".TestTransfers.func1 x_test.go:26"}},
			{State: "sync.Mutex.Lock",
				Frames: []string{lockorder + ".transfer x_test.go:17",
					lockorder + ".TestTransfers.func2 x_test.go:27"}},
		}},
	Decisions: []explore.Disturbance{{Goroutine: 2, Point: 4, What: 1,
		Name: "b4890a37b13f8e8b", Nth: 4, Text: "goroutine 9 stepped back at " +
			"sync.(*Mutex).Lock, explore/cases/lockorder.transfer x_test.go:17"}}}

// exploreWhy looks for the point of no return of a deadlock of two locks: a goroutine or a thread
// holds the one and another takes the other.
func (s *suite) exploreWhy(ctx context.Context, file string, turn *regexp.Regexp) error {
	cmd := s.tool(ctx, "why", "--seeds", "12", file)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, report.LastLines(stderr.String(), 8))
	}
	if !turn.Match(out) {
		return fmt.Errorf("it prints\n%s", out)
	}
	return nil
}

// exploreWhyKept does so for lockorderFile.
func (s *suite) exploreWhyKept(ctx context.Context, scratch string) error {
	file, err := lockorderFile.Write(filepath.Join(scratch, "why"))
	if err != nil {
		return err
	}
	return s.exploreWhy(ctx, file, lockorderTurn)
}

// lockorderTurn has the step that takes the second lock of a goroutine's, and where the other one
// is then.
var lockorderTurn = regexp.MustCompile(`(?s)it can still pass: .*` +
	`goroutine \d+, running\n +\S+/lockorder\.transfer x_test\.go:15\n.*` +
	`it fails with each of 12; .*goroutine \d+, running\n +\S+/lockorder\.transfer ` +
	`x_test\.go:17\n.*goroutine \d+, runnable\n +\S+/lockorder\.transfer x_test\.go:17\n`)

// exploreEdit is a change of a program, with what a replay of its failure then says.
type exploreEdit struct{ name, old, new, verdict string }

var exploreEdits = []exploreEdit{
	{"println", "\tfrom.mu.Lock()", "\tprintln(1)\n\tfmt.Println(2)\n\tfrom.mu.Lock()",
		"reproduced: deadlock in TestTransfers"},
	{"renamed", "transfer(", "move(", "not reproduced, 0 of 1 decisions applied"},
	{"corrected", "transfer(b, a, 2)", "transfer(a, b, 2)", "not reproduced, "},
}

// exploreChanges replays a failure of lockorder after changes of its source.
func (s *suite) exploreChanges(ctx context.Context, file, scratch string) (checks []check) {
	for _, edit := range exploreEdits {
		err := s.exploreChange(ctx, "cases/lockorder", file, scratch, edit)
		checks = append(checks, single("changed-"+edit.name, err, "")...)
	}
	return checks
}

// exploreChange replays a failure of a package below tests/explore after a change of its source.
func (s *suite) exploreChange(ctx context.Context, dir, file, scratch string,
	edit exploreEdit) error {
	source, err := os.ReadFile(filepath.Join(s.root, "tests", "explore", dir, "x_test.go"))
	kept, err2 := os.ReadFile(file)
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	changed := strings.ReplaceAll(string(source), edit.old, edit.new)
	changed = strings.Replace(changed, "import (", "import (\n\t\"fmt\"", 1) +
		"\nvar _ = fmt.Sprint\n"
	moved := path.Join(dir, explore.FileDir, filepath.Base(file))
	err = writeTexts(scratch, map[string]string{
		"go.mod":                    "module explore\n\ngo 1.26\n",
		path.Join(dir, "x_test.go"): changed,
		moved:                       string(kept),
	})
	if err == nil {
		_, err = s.replayed(ctx, filepath.Join(scratch, moved), edit.verdict)
	}
	return err
}
