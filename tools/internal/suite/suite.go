package suite

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/repo"
)

// Verdicts of a check.
const (
	passed  = "ok"
	failed  = "FAIL"
	skipped = "skip"
)

// check is one thing that was found to hold or not; a step has at least one.
type check struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"`
	Why     string `json:"why,omitempty"`
}

// step is one unit of the run. Its name is GROUP/NAME.
type step struct {
	name string
	cpus int  // host CPUs that it keeps busy, at least 1
	full bool // not in the share for continuous integration
	long bool // takes minutes, and one CPU: it begins early
	run  func(ctx context.Context) []check
	// in place of run: judges what the others have found, once they all are through
	last func(ctx context.Context, results []StepResult) []check
}

// StepResult is what is remembered of a step.
type StepResult struct {
	Step    string  `json:"step"`
	Seconds float64 `json:"seconds"`
	Checks  []check `json:"checks"`
	// Provoked are errors that its tests got: see provoked.go.
	Provoked []string `json:"provoked,omitempty"`
}

// Passed is how many of its checks held.
func (r *StepResult) Passed() int { return r.count(passed) }

// Failed is how many of its checks did not hold.
func (r *StepResult) Failed() int { return r.count(failed) }

func (r *StepResult) count(verdict string) (n int) {
	for _, c := range r.Checks {
		if c.Verdict == verdict {
			n++
		}
	}
	return n
}

func (st *step) group() string {
	group, _, _ := strings.Cut(st.name, "/")
	return group
}

// suite is a whole run.
type suite struct {
	root    string
	all     bool
	verbose bool
	partial bool      // only some steps were asked for: the results of the others are kept
	times   cli.Count // how often each step is run, builds apart
	update  bool      // rewrite the counts in tests/go/packages.txt

	toolchains toolchains
	commands   []Command
}

// Command is a subcommand of ./capos as its help is to tell it: with these flags.
type Command struct {
	Name  string
	Flags []string
}

// Main is ./capos test: it gives the exit status. commands are all that the tool has.
func Main(args []string, commands []Command) int {
	s := &suite{commands: commands}
	var only cli.List
	flags := cli.NewFlags("test")
	flags.Var(&only, "only", "")
	listOnly := flags.Bool("list", false, "")
	jobs := cli.Count(runtime.NumCPU())
	flags.Var(&jobs, "j", "")
	flags.BoolVar(&s.all, "all", false, "")
	flags.BoolVar(&s.verbose, "v", false, "")
	s.times = 1
	flags.Var(&s.times, "times", "")
	flags.BoolVar(&s.update, "update-go", false, "")
	s.explainFlags("test", flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	var err error
	if s.root, err = repo.Root(); err != nil {
		return cli.Fail(err)
	}
	steps, err := s.steps()
	if err != nil {
		return cli.Fail(err)
	}
	if steps, err = s.choose(steps, only); err != nil {
		return cli.Fail(err)
	}
	steps = repeatSteps(steps, int(s.times))
	if *listOnly {
		for _, st := range steps {
			fmt.Println(st.name)
		}
		return 0
	}
	s.partial = len(only) > 0
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return s.conclude(s.runAll(ctx, steps, int(jobs)))
}

// explainFlags adds the flags of a command to those that its help must explain.
func (s *suite) explainFlags(command string, flags *flag.FlagSet) {
	for i := range s.commands {
		if s.commands[i].Name == command {
			flags.VisitAll(func(f *flag.Flag) {
				s.commands[i].Flags = append(s.commands[i].Flags, f.Name)
			})
		}
	}
}

// steps gathers everything, in the order in which it is started: builds first, for the rest depends
// on them.
func (s *suite) steps() ([]step, error) {
	steps := append(s.buildSteps(), s.tidySteps()...)
	for _, more := range []func() ([]step, error){s.hostSteps, s.machineSteps, s.bootSteps,
		s.toolSteps, s.recordSteps, s.seedSteps, s.manifestSteps, s.exploreSteps,
		s.ccSteps, s.raceSteps, s.panicSteps, s.imageSteps, s.systemSteps, s.goSteps,
		s.moduleSteps, s.programSteps, s.suiteSteps, s.testdirSteps, s.provokedSteps} {
		list, err := more()
		if err != nil {
			return nil, err
		}
		steps = append(steps, list...)
	}
	return append(steps, s.modelSteps()...), nil
}

// choose gives the steps that the globs ask for, and with those that boot machines the builds these
// start with.
func (s *suite) choose(steps []step, only []string) ([]step, error) {
	var builds, chosen []step
	boots := false
	for _, st := range steps {
		wanted := len(only) == 0
		for _, glob := range only {
			match, err := path.Match(glob, st.name)
			if err != nil {
				return nil, fmt.Errorf("--only %s: %w", glob, err)
			}
			wanted = wanted || match || glob == st.group()
		}
		// A step that is asked for by its whole name runs even when it is not in the
		// ordinary share.
		if wanted && (s.all || !st.full || len(only) > 0 && slices.Contains(only,
			st.name)) {
			chosen = append(chosen, st)
			boots = boots || !slices.Contains([]string{"build", "tidy", "host",
				"models", "modules"}, st.group())
		} else if st.group() == "build" {
			builds = append(builds, st)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no step matches; ./capos test --list names them")
	}
	if boots {
		chosen = append(builds, chosen...)
	}
	return chosen, nil
}

// toolchains are the ported Go roots by release, each looked up, and built if need be, when it is
// first wanted.
type toolchains struct {
	mu    sync.Mutex
	roots map[string]func() (string, error)
}

// toolchain gives the ported Go of a release; "": of the one that the port is made with.
func (s *suite) toolchain(release string) (goroot string, err error) {
	t := &s.toolchains
	t.mu.Lock()
	if t.roots == nil {
		t.roots = map[string]func() (string, error){}
	}
	if t.roots[release] == nil {
		t.roots[release] = sync.OnceValues(func() (string,
			error) {
			return repo.GoRoot(s.root, release)
		})
	}
	find := t.roots[release]
	t.mu.Unlock()
	return find()
}

// repeatSteps gives the builds once and the rest in so many rounds.
func repeatSteps(steps []step, times int) []step {
	rounds := steps
	for range times - 1 {
		for _, st := range steps {
			if st.group() != "build" && st.last == nil {
				rounds = append(rounds, st)
			}
		}
	}
	return rounds
}

// heartbeat is how long the run may be silent: continuous integration shows nothing else of a long
// step.
const heartbeat = 30 * time.Second

// runner is a run under way. mu guards everything below it.
type runner struct {
	s     *suite
	total int

	mu      sync.Mutex
	room    *sync.Cond // there are more free CPUs than before
	free    int        // CPUs
	results []StepResult
	running map[string]time.Time
	last    time.Time // when something was printed
}

// runAll runs the steps, several at once as long as they fit the CPUs. Builds run first, one by
// one. Then each free CPU gets the first step that fits, so that none idles beside a step that
// waits for all of them; what is known to take long begins first.
func (s *suite) runAll(ctx context.Context, steps []step, cpus int) []StepResult {
	r := &runner{s: s, total: len(steps), free: cpus, running: map[string]time.Time{},
		last: time.Now()}
	r.room = sync.NewCond(&r.mu)
	done := make(chan struct{})
	defer close(done)
	go r.beat(done)
	var all sync.WaitGroup
	judges := func(st step) bool { return st.last != nil }
	for waiting := inOrder(slices.DeleteFunc(slices.Clone(steps), judges)); len(waiting) > 0; {
		var st step
		st, waiting = r.begin(waiting, cpus)
		all.Go(func() { r.end(runStep(ctx, st), st.need(cpus)) })
	}
	all.Wait()
	for _, st := range steps {
		if judges(st) {
			found := slices.Clone(r.results)
			st.run = func(ctx context.Context) []check { return st.last(ctx, found) }
			st, _ = r.begin([]step{st}, cpus)
			r.end(runStep(ctx, st), st.need(cpus))
		}
	}
	return r.results
}

// beat says what is running when nothing else has been said for some time.
func (r *runner) beat(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(heartbeat / 6):
		}
		r.mu.Lock()
		if time.Since(r.last) > heartbeat {
			r.last = time.Now()
			fmt.Printf("          ... %s\n", describeRunning(r.running))
		}
		r.mu.Unlock()
	}
}

// begin waits until there is room for one of the steps, takes it and gives the step and the rest.
func (r *runner) begin(waiting []step, cpus int) (st step, rest []step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		for i, st := range waiting {
			if st.need(cpus) > r.free {
				if st.group() == "build" {
					break // what comes after it needs it
				}
				continue
			}
			r.free -= st.need(cpus)
			r.running[st.name] = time.Now()
			return st, slices.Delete(waiting, i, i+1)
		}
		r.room.Wait()
	}
}

// inOrder gives the order in which steps are started: as they come, but builds first, then what
// takes long on one CPU.
func inOrder(steps []step) []step {
	order := slices.Clone(steps)
	rank := func(st step) int {
		switch {
		case st.group() == "build":
			return 0
		case st.long:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(order, func(a, b step) int { return rank(a) - rank(b) })
	return order
}

// need is how many of so many CPUs a step keeps busy.
func (st *step) need(cpus int) int { return min(max(st.cpus, 1), cpus) }

// end takes a step's result and gives its room back.
func (r *runner) end(result StepResult, cpus int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += cpus
	delete(r.running, result.Step)
	r.results = append(r.results, result)
	r.last = time.Now()
	r.s.printStep(len(r.results), r.total, &result)
	r.room.Broadcast()
}

func describeRunning(running map[string]time.Time) string {
	var parts []string
	for name, since := range running {
		parts = append(parts, fmt.Sprintf("%s has been running for %.0f s", name,
			time.Since(since).Seconds()))
	}
	return strings.Join(parts, ", ")
}

func runStep(ctx context.Context, st step) StepResult {
	start := time.Now()
	var checks []check
	if ctx.Err() != nil {
		checks = []check{{st.name, failed, "interrupted before it began"}}
	} else if checks = st.run(ctx); len(checks) == 0 {
		checks = []check{{st.name, failed, "the step found nothing to check"}}
	}
	checks, pairs := splitProvoked(checks)
	return StepResult{st.name, time.Since(start).Seconds(), checks, pairs}
}

func (s *suite) printStep(n, total int, r *StepResult) {
	verdict := passed
	if r.count(failed) > 0 {
		verdict = failed
	}
	counts := fmt.Sprintf("%d passed", r.count(passed))
	for _, v := range []string{failed, skipped} {
		if k := r.count(v); k > 0 {
			counts += fmt.Sprintf(", %d %s", k, map[string]string{failed: "failed",
				skipped: "skipped"}[v])
		}
	}
	fmt.Printf("[%*d/%d] %-4s %-34s %-30s %6.1f s\n", len(fmt.Sprint(total)), n, total, verdict,
		r.Step, counts, r.Seconds)
	for _, c := range r.Checks {
		excused := c.Verdict == skipped && r.Step == provokedStep
		counted := c.Verdict == passed && c.Why != ""
		if c.Verdict == failed || excused || counted || s.verbose {
			fmt.Printf("          %-4s %s%s\n", c.Verdict, c.Name, indentWhy(c.Why))
		}
	}
}

// whyLinesMax keeps one failure from burying the others; the whole text is in the results file.
const whyLinesMax = 40

func indentWhy(why string) string {
	why = strings.TrimRight(why, "\n")
	if why == "" {
		return ""
	}
	lines := strings.Split(why, "\n")
	if len(lines) == 1 {
		return ": " + why
	}
	if cut := len(lines) - whyLinesMax; cut > 0 {
		lines = append([]string{fmt.Sprintf("(%d lines cut)", cut)}, lines[cut:]...)
	}
	return "\n               " + strings.Join(lines, "\n               ")
}

// mergeResults puts the steps of a partial run in the place of what the file remembers of them.
func mergeResults(file string, results []StepResult) []StepResult {
	var all []StepResult
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &all) != nil {
		return results
	}
	for _, r := range results {
		if i := slices.IndexFunc(all,
			func(old StepResult) bool { return old.Step == r.Step }); i >= 0 {
			all[i] = r
		} else {
			all = append(all, r)
		}
	}
	return all
}

func (s *suite) resultsFile() string {
	return filepath.Join(s.root, "build", "test", "results.json")
}

// conclude writes the results file and the closing line.
func (s *suite) conclude(results []StepResult) int {
	counts := map[string]int{}
	for _, r := range results {
		for _, c := range r.Checks {
			counts[c.Verdict]++
		}
	}
	file := s.resultsFile()
	remembered := results
	if s.partial {
		remembered = mergeResults(file, results)
	}
	if text, err := json.MarshalIndent(remembered, "", " "); err == nil && s.times <= 1 {
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			fmt.Fprintf(os.Stderr, "capos: the results were not written: %v\n", err)
		}
	}
	for _, r := range results {
		if n := r.count(failed); n > 0 {
			fmt.Printf("failed: %s (%d)\n", r.Step, n)
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", counts[passed], counts[failed],
		counts[skipped])
	if counts[failed] > 0 {
		return 1
	}
	return 0
}

// verdicts reads lines "ok NAME", "FAIL NAME: why", "skip NAME: why" from the output of a test
// program; other lines are its talk.
func verdicts(output string) []check {
	var checks []check
	for line := range strings.Lines(output) {
		word, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if word != passed && word != failed && word != skipped || rest == "" {
			continue
		}
		name, why, found := strings.Cut(rest, ": ")
		if !found && word != passed {
			name, why, _ = strings.Cut(rest, " ")
		}
		checks = append(checks, check{name, word, why})
	}
	return checks
}
