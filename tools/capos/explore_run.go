package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"capos.dev/tools/internal/batch"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// seedsPerMachine is how many seeds share a machine, one after the other. Most of what a run costs
// is booting and translating the program for the first time. A failure is tried again on a machine
// of its own.
const seedsPerMachine = 25

// confirmations is how often a failure is tried on a machine of its own before it is taken for one
// of shared machines.
const confirmations = 3

// session explores one target.
type session struct {
	x      *explorer
	t      *target
	launch *launch
	source explore.Source

	// What the undisturbed run has of decision points, memory accesses and points of the
	// kernel; 0: it is not known.
	points, accesses, kernel uint64
	empty                    bool // it has no test to run

	mu      sync.Mutex // guards all below
	summary explore.Summary
	next    uint64
	latest  uint64
	tries   map[*explore.Found]int
	broken  error // the machine failed
	start   time.Time
	before  time.Duration // that earlier runs took, which this one goes on with
	took    time.Duration // for all seeds; 0 while they run
	begun   []uint64      // seeds below next that an earlier run has not finished
	running map[uint64]bool
	reduced map[string]*reduced // by tests that are left out
	digest  string              // of all that a seed depends on; "": not wanted
	saved   time.Time
}

var errEnough = errors.New("enough failures")

// explore is the command without --replay.
func (x *explorer) explore(packages, rest []string) int {
	targets, err := x.prepare(packages, rest)
	if err != nil {
		cli.Fail(err)
		return exploreMisused
	}
	ctx, stop := untilInterrupted()
	defer stop()
	var last *conclusion
	for i := range targets {
		s, err := x.session(&targets[i])
		if err == nil {
			err = s.run(ctx)
		}
		last = s.end(ctx, err, last)
		if err != nil {
			break
		} else if ctx.Err() != nil {
			tellUntried(targets[i+1:])
			break
		}
	}
	<-last.done
	switch {
	case last.status == exploredQuiet && last.cut:
		return interruptedStatus(ctx)
	case last.status == exploredQuiet && !last.tested:
		cli.Fail(errors.New("no test was run: look at -run and -skip"))
		return exploreMisused
	}
	return last.status
}

// conclusion is the end of a target whose seeds have run. What its failures need is found out while
// the seeds of the next one run.
type conclusion struct {
	done   chan struct{}
	status int  // of the targets up to this one; valid after done, as is cut
	cut    bool // it was interrupted
	tested bool // any of them has something to run; valid after done
}

// end reports, after the target before it. err: its seeds could not be run.
func (s *session) end(ctx context.Context, err error, before *conclusion) *conclusion {
	e := &conclusion{done: make(chan struct{})}
	go func() {
		defer close(e.done)
		if err == nil {
			s.settle(ctx)
			s.save()
			err, e.cut = s.broken, ctx.Err() != nil
		}
		e.tested = !s.empty
		if before != nil {
			<-before.done
			e.status, e.tested = before.status, e.tested || before.tested
		}
		if err != nil {
			cli.Fail(err)
			e.status = exploreBroken
			if errors.Is(err, errOtherState) {
				e.status = exploreMisused
			}
			return
		}
		s.report(os.Stdout, e.cut)
		unseen := s.x.flags.strict && len(s.summary.Asserted.Unseen()) > 0
		if s.summary.Failed > 0 || unseen {
			e.status = max(e.status, exploredFailures)
		}
	}()
	return e
}

func (x *explorer) session(t *target) (*session, error) {
	l, err := x.launch(t)
	if err != nil {
		return nil, err
	}
	source := explore.Source{Goroot: x.goroot, Dir: t.dir, C: t.c != ""}
	if source.C {
		source.Goroot = filepath.Join(x.root, "lib")
	}
	if t.system == nil {
		source.Places, err = x.places(t)
	}
	return &session{x: x, t: t, launch: l, tries: map[*explore.Found]int{},
		running: map[uint64]bool{}, reduced: map[string]*reduced{}, start: time.Now(),
		source: source}, err
}

// run tries the seeds.
func (s *session) run(ctx context.Context) error {
	seeds := s.x.flags.rangeOfSeeds()
	s.next = max(seeds.from, 1)
	resumed, err := s.resume()
	if err == nil && !resumed {
		err = s.measure(ctx, seeds.from == 0)
		if err == nil {
			err = s.tryKept(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil // interrupted
	} else if err != nil || s.empty {
		return err
	}
	whole := ctx
	if s.x.flags.time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.x.flags.time)
		defer cancel()
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if s.isEnough() {
		stop(errEnough)
	}
	var workers sync.WaitGroup
	for range s.x.flags.jobs {
		workers.Go(func() { s.work(ctx, whole, stop, seeds.to) })
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	s.showProgress(done)
	s.took = s.before + time.Since(s.start)
	s.save()
	return s.broken
}

// measure runs seed 0, which disturbs nothing and counts the decision points.
func (s *session) measure(ctx context.Context, counts bool) error {
	var failed []*explore.Run
	err := s.machine(ctx, s.counted(0), func(r *explore.Run) {
		if stats, ok := r.Statistics(); ok {
			s.points, s.accesses = stats.Points, stats.Accesses
		}
		s.kernel = r.KernelPoints()
		if s.empty = strings.Contains(r.Output, noTests); s.empty {
			return
		}
		s.summary.Orders.Learn(r, s.source)
		if !counts {
			return
		}
		if found, _ := s.summary.Add(r, s.source); found != nil {
			found.Replay = s.command("0", "")
			s.announce(r.Seed, found)
			failed = []*explore.Run{r}
		}
	})
	s.behind(ctx, failed)
	return errors.Join(err, s.broken)
}

// perMachine is how many seeds share a machine. On several CPUs each has its own, because what a
// CPU does in its turn depends on when the turn ends, and so on all that was before.
func (s *session) perMachine() int {
	if s.x.flags.cpus > 1 {
		return 1
	}
	return seedsPerMachine
}

// work takes seeds until there are no more.
// Failures are tried again until whole ends.
func (s *session) work(ctx, whole context.Context, stop context.CancelCauseFunc, last uint64) {
	for ctx.Err() == nil {
		s.mu.Lock()
		var seeds []uint64
		most := s.perMachine()
		count := min(len(s.begun), most)
		seeds, s.begun = slices.Clone(s.begun[:count]), s.begun[count:]
		for ; s.next <= last && len(seeds) < most; s.next++ {
			seeds = append(seeds, s.next)
		}
		for _, seed := range seeds {
			s.running[seed] = true
		}
		s.mu.Unlock()
		if len(seeds) == 0 {
			return
		}
		var suspects, failed []*explore.Run
		err := s.machine(ctx, s.counted(seeds...), func(r *explore.Run) {
			found, isSuspect := s.add(r)
			if found {
				failed = append(failed, r)
			}
			if isSuspect {
				suspects = append(suspects, r)
			}
			if s.isEnough() {
				stop(errEnough)
			}
		})
		if err != nil && ctx.Err() == nil {
			s.breaks(err)
		}
		for _, r := range suspects {
			s.confirm(whole, r, seeds[0])
		}
		if s.behind(ctx, failed); s.isEnough() {
			stop(errEnough)
		}
	}
}

// add counts a run and tells whether it fails, and is to be tried on a machine of its own.
func (s *session) add(r *explore.Run) (fails, isSuspect bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = r.Seed
	delete(s.running, r.Seed)
	found, isNew := s.summary.Add(r, s.source)
	if found == nil {
		return false, false
	}
	if isNew {
		s.announce(r.Seed, found)
	}
	if found.Replay != "" && found.Shared == nil || s.tries[found] == confirmations {
		return true, false
	}
	s.tries[found]++
	return true, true
}

func (s *session) isEnough() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken != nil || len(s.summary.Found) >= int(s.x.flags.maxFailures) ||
		s.x.flags.untilDry && s.summary.Dry()
}

func (s *session) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = errors.Join(s.broken, err)
}

// confirm tries a failure on a machine of its own and notes how it is replayed.
func (s *session) confirm(ctx context.Context, r *explore.Run, machineFrom uint64) {
	wanted := r.Judge(s.source).Signature()
	same := s.repeats(ctx, explore.Candidate{Seed: r.Seed}, wanted)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.summary.Found {
		if f.Signature() != wanted {
			continue
		}
		if same {
			f.Shared, f.Seed, f.Without = nil, r.Seed, ""
			f.Replay = s.command(strconv.FormatUint(r.Seed, 10), "")
		} else if f.Replay == "" {
			f.Shared, f.Seed = &machineFrom, r.Seed
			f.Replay = s.command(fmt.Sprintf("%d-%d", machineFrom, r.Seed), "")
		}
	}
}

// repeats tells whether a seed fails in the same way on a machine of its own.
func (s *session) repeats(ctx context.Context, c explore.Candidate, signature string) bool {
	defer repo.Progress(fmt.Sprintf("repeating seed %d of %s", c.Seed, s.t.name))()
	_, same := s.try(ctx, s.attempt(c.Seed, c.Without, explore.Forcing{}), signature)
	return same
}

// attempt is a seed to run, with what ForcedVariable gives or nothing.
type attempt struct {
	seed, points, kernelPoints uint64
	strategy                   explore.Strategy // 0: the seed's
	forced                     explore.Forcing
	faults                     string // of a system: those that take place; "": all
	without                    string // the tests that are left out, as -skip takes them

	// At a point of the run, if that is not 0, another seed takes over, and stacks are printed
	// if stacks is 1.
	until, reseed, stacks uint64

	orders uint64 // 1: those at the decision points are told at the end
}

func (s *session) attempt(seed uint64, without string, forced explore.Forcing) attempt {
	a := attempt{seed: seed, points: s.points, kernelPoints: s.kernel,
		strategy: s.x.flags.strategy, without: without, forced: forced}
	accesses := s.accesses
	if without != "" {
		r := s.reducedTo(context.Background(), without)
		a.points, accesses = r.points, r.accesses
	}
	if a.looks().AtAccesses {
		a.points += accesses
	}
	return a
}

func (a *attempt) looks() explore.Looks { return a.strategy.Looks(a.seed) }

// attempts are seeds that nothing is forced on.
func (s *session) attempts(seeds ...uint64) (list []attempt) {
	for _, seed := range seeds {
		list = append(list, s.attempt(seed, "", explore.Forcing{}))
	}
	return list
}

// counted are seeds whose orders at decision points are compared.
func (s *session) counted(seeds ...uint64) []attempt {
	list := s.attempts(seeds...)
	for i := range list {
		list[i].orders = 1
	}
	return list
}

// try makes an attempt on a machine of its own and tells whether it fails in the way that the
// signature stands for.
func (s *session) try(ctx context.Context, a attempt, signature string) (run *explore.Run,
	same bool) {
	err := s.machine(ctx, []attempt{a}, func(r *explore.Run) {
		f := r.Judge(s.source)
		run, same = r, f != nil && f.Signature() == signature
	})
	if err != nil && ctx.Err() == nil {
		s.breaks(err)
	}
	return run, same
}

// settle finds for every failure the simplest way to have it on a machine of its own.
func (s *session) settle(ctx context.Context) {
	var all sync.WaitGroup
	var fresh []*explore.Found
	for _, f := range s.summary.Found {
		if f.File != "" {
			continue
		}
		fresh = append(fresh, f)
		if f.Shared != nil {
			continue
		}
		all.Go(func() {
			for _, c := range f.Simplest {
				if ctx.Err() != nil || s.simplify(ctx, f, c) {
					return
				}
			}
		})
	}
	all.Wait()
	for _, f := range fresh {
		s.keep(ctx, f)
	}
}

// simplify tries to have the failure with a seed, and with as little of it as it takes. It tells
// whether it could; if not, the failure stays as it was, or has the disturbances of this seed where
// none were known.
func (s *session) simplify(ctx context.Context, f *explore.Found, c explore.Candidate) bool {
	isOther := c.Seed != f.Seed || c.Without != f.Without
	if isOther && !s.repeats(ctx, c, f.Signature()) {
		return false
	}
	tried := *f
	tried.Seed, tried.Without = c.Seed, c.Without
	tried.Replay = s.command(strconv.FormatUint(c.Seed, 10), c.Without)
	if !s.x.flags.noShrink {
		s.shrink(ctx, &tried)
	}
	if tried.Shrunk || s.x.flags.noShrink || f.Story == nil {
		*f = tried
	}
	return tried.Shrunk || s.x.flags.noShrink
}

// shrinkRuns bounds how many runs go into leaving out what a failure does not need.
const shrinkRuns = 90

// shrink leaves out disturbances. What remains is forced in the replay, whatever the seed would do.
func (s *session) shrink(ctx context.Context, f *explore.Found) {
	defer repo.Progress(fmt.Sprintf("shrinking seed %d of %s", f.Seed, s.t.name))()
	signature := f.Signature()
	r, same := s.try(ctx, s.attempt(f.Seed, f.Without, explore.Forcing{}), signature)
	if !same {
		return
	}
	if s.t.system != nil {
		s.shrinkFaults(ctx, f, r)
		return
	}
	all, told := r.Disturbances(s.source)
	if !told {
		return
	}
	var last *explore.Run
	first := func(lists [][]explore.Disturbance) int {
		index, run := s.first(ctx, f, lists)
		if run != nil {
			last = run
		}
		return index
	}
	how, trials := explore.Shrink, explore.Trials{First: first,
		Likely: func(lists [][]explore.Disturbance) []bool {
			return s.likely(ctx, f, lists)
		}}
	if first([][]explore.Disturbance{all}) < 0 {
		how = explore.ShrinkOther
	}
	needed := how(all, s.x.flags.maxPause.Nanoseconds(), shrinkRuns, trials)
	if last == nil {
		f.Story, f.Of = all, 0
		return
	}
	f.Of, f.Shrunk = len(all), true
	f.Failure = *last.Judge(s.source)
	f.Story, _ = last.Disturbances(s.source)
	f.Replay = s.command(fmt.Sprintf("%d:%s", f.Seed, explore.Forced(needed)), f.Without)
}

// first gives the first of several lists of disturbances that fails on a machine of its own, and
// its run; -1: none does. Where the host has room, the next lists are tried at the same time.
func (s *session) first(ctx context.Context, f *explore.Found,
	lists [][]explore.Disturbance) (int, *explore.Run) {
	signature := f.Signature()
	for from := 0; from < len(lists) && ctx.Err() == nil; {
		room := max(1, cap(s.x.machines)-len(s.x.machines))
		part := lists[from:min(from+room, len(lists))]
		failed := make([]*explore.Run, len(part))
		var all sync.WaitGroup
		for i, list := range part {
			all.Go(func() {
				forced, err := explore.ForcedVariable(explore.Forced(list))
				if err != nil {
					s.breaks(err)
					return
				}
				run, same := s.try(ctx, s.attempt(f.Seed, f.Without, forced),
					signature)
				if same {
					failed[i] = run
				}
			})
		}
		all.Wait()
		for i, run := range failed {
			if run != nil {
				return from + i, run
			}
		}
		from += len(part)
	}
	return -1, nil
}

// likely runs lists of disturbances on one machine. On a machine of its own a run may go otherwise.
func (s *session) likely(ctx context.Context, f *explore.Found,
	lists [][]explore.Disturbance) []bool {
	likely := make([]bool, len(lists))
	var attempts []attempt
	for _, list := range lists {
		forced, err := explore.ForcedVariable(explore.Forced(list))
		if err != nil {
			s.breaks(err)
			return likely
		}
		attempts = append(attempts, s.attempt(f.Seed, f.Without, forced))
	}
	index, signature := 0, f.Signature()
	err := s.machine(ctx, attempts, func(r *explore.Run) {
		failure := r.Judge(s.source)
		likely[index] = failure != nil && failure.Signature() == signature
		index++
	})
	if err != nil && ctx.Err() == nil {
		s.breaks(err)
	}
	return likely
}

// command is the line that replays a seed, with tests left out.
func (s *session) command(seed, without string) string {
	words := []string{"explore", "--replay", seed}
	if s.x.flags.program {
		words = append(words, "--program")
	}
	if s.x.flags.strict {
		words = append(words, "--strict")
	}
	if name := s.x.flags.strategy.String(); name != "" {
		words = append(words, "--strategy", name)
	}
	if pause := s.x.flags.maxPause; pause != 100*time.Millisecond {
		words = append(words, "--max-pause", pause.String())
	}
	if s.x.flags.cpus > 1 {
		words = append(words, "--cpus", s.x.flags.cpus.String())
	}
	if s.x.flags.mistake > 0 {
		words = append(words, "--kernel-mistake", s.x.flags.mistake.String())
	}
	if s.x.flags.memory != defaultMemory {
		words = append(words, "-m", s.x.flags.memory)
	}
	if s.t.system != nil {
		words = append(words, "--faults", strconv.FormatUint(s.x.flags.faults, 10))
	}
	if s.x.flags.kernel != s.x.usual {
		words = append(words, "--kernel", s.x.flags.kernel)
	}
	for _, entry := range s.x.flags.env {
		words = append(words, "-e", entry)
	}
	return machine.ShellCommand(repo.Command(), append(words, s.t.wordsWithout(without)...))
}

// machine makes attempts one after the other. Its own seed is that of the first.
func (s *session) machine(ctx context.Context, attempts []attempt,
	result func(*explore.Run)) error {
	config := *s.x.config
	config.Seed = &machine.Seed{Number: attempts[0].seed, Date: s.x.config.Seed.Date}
	programs := make([]batch.Program, len(attempts))
	for i := range attempts {
		programs[i] = batch.Program{ELF: s.t.elf, Timeout: s.x.flags.timeout.String()}
	}
	image := func(left []batch.Program) (*os.File, error) {
		tree, list, err := s.image(attempts[len(attempts)-len(left):])
		if err != nil {
			return nil, err
		}
		return bootimage.Temporary(tree, list)
	}
	select {
	case s.x.machines <- struct{}{}:
		defer func() { <-s.x.machines }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	index := 0
	return batch.RunImage(ctx, &config, programs, image, func(r batch.Result) {
		if ctx.Err() != nil {
			return // it was cut off, and tells nothing
		}
		a := &attempts[index]
		if machineFailed(&r) {
			s.breaks(fmt.Errorf("seed %d: %s", a.seed, strings.TrimSpace(r.Report)))
		}
		result(&explore.Run{Seed: a.seed, Status: r.Status, Output: r.Stdout + r.Stderr,
			Report: r.Report, Ledger: r.Leak, Without: a.without, Looks: a.looks()})
		index++
	})
}

// image gives what a machine holds that makes the attempts.
func (s *session) image(attempts []attempt) (*bootimage.Tree, []bootimage.Program, error) {
	if s.t.system != nil {
		return s.t.system.image(s.x, attempts)
	}
	var list []bootimage.Program
	for _, a := range attempts {
		list = append(list, s.x.instance(s.t, a))
	}
	return s.launch.tree, list, nil
}

// machineFailed tells a machine that could not run the program from a program with such a status.
func machineFailed(r *batch.Result) bool {
	failures := []int{report.StatusNoBoot, report.StatusFailed, report.StatusNotProgram}
	return r.Report != "" && slices.Contains(failures, r.Status)
}

// progressEvery is how often it is said how far it is.
const progressEvery = 2 * time.Second

func (s *session) showProgress(done <-chan struct{}) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			s.mu.Lock()
			fmt.Fprintf(os.Stderr, "capos: seed %d: %s\n", s.latest, s.numbers())
			s.mu.Unlock()
			s.saveSometimes()
		}
	}
}

// numbers sums up in one line.
func (s *session) numbers() string {
	text := fmt.Sprintf("%s, %.1f a second, %d failed", explore.Runs(s.summary.Runs), s.rate(),
		s.summary.Failed)
	if s.summary.Failed > 0 {
		text += fmt.Sprintf(" (%d different)", len(s.summary.Found))
	}
	return text + fmt.Sprintf(", %d interleavings", len(s.summary.Varied))
}

func (s *session) rate() float64 {
	took := s.took
	if took == 0 {
		took = s.before + time.Since(s.start)
	}
	return float64(s.summary.Runs) / took.Seconds()
}

func (s *session) announce(seed uint64, f *explore.Found) {
	fmt.Fprintf(os.Stderr, "capos: seed %d: %s\n", seed, f.Title())
}

// report says what was found. cut: it was interrupted.
func (s *session) report(out io.Writer, cut bool) {
	for _, f := range s.summary.Found {
		if f.Replay == "" { // there was no time to try it again
			f.Replay = s.command(strconv.FormatUint(f.Seed, 10), f.Without)
		}
	}
	if s.x.flags.json {
		s.reportJSON(json.NewEncoder(out), cut)
		return
	}
	if s.empty {
		fmt.Fprintf(out, "%s: no tests to run\n", s.t.name)
		return
	}
	for _, f := range s.summary.Found {
		fmt.Fprintf(out, "%s\n", f)
	}
	fmt.Fprintf(out, "%s: %s", s.t.name, s.numbers())
	if s.summary.Failed == 0 {
		fmt.Fprintf(out, ", %d of the last %d runs showed a new one", s.summary.Late,
			min(explore.LateRuns, s.summary.Runs))
	}
	fmt.Fprintln(out)
	if s.summary.Failed == 0 {
		s.reportOrders(out)
	}
	if cut && s.unfinished() {
		fmt.Fprintln(out, "  interrupted: not all seeds were run")
	} else if cut {
		fmt.Fprintln(out, "  interrupted: all seeds were run, "+
			"and not all failures looked into")
	}
	if s.summary.Left > 0 {
		fmt.Fprintf(out, "  goroutines that could still run were left in %s, which "+
			"--strict fails\n", explore.Runs(s.summary.Left))
	}
	if s.t.system != nil {
		fmt.Fprintf(out, "  %s\n", &s.summary.Faults)
	}
	for _, text := range s.summary.Asserted.Unseen() {
		fmt.Fprintf(out, "  never seen: %s\n", text)
	}
}

// reportOrders names the decision points at which all runs were the same.
func (s *session) reportOrders(out io.Writer) {
	const shown = 6
	same := s.summary.Orders.NeverVaried()
	if len(same) == 0 || s.summary.Runs < 2 {
		return
	}
	fmt.Fprintf(out, "  %d of %d decision points never varied: the same came before them in "+
		"all runs\n", len(same), s.summary.Orders.Points())
	for _, place := range same[:min(shown, len(same))] {
		fmt.Fprintf(out, "      %s\n", place)
	}
	if len(same) > shown {
		fmt.Fprintf(out, "      and %d more\n", len(same)-shown)
	}
}

// unfinished tells whether seeds are left.
func (s *session) unfinished() bool {
	return s.next <= s.x.flags.rangeOfSeeds().to || len(s.begun)+len(s.running) > 0
}

func (s *session) reportJSON(out *json.Encoder, cut bool) {
	for _, f := range s.summary.Found {
		out.Encode(struct {
			Package string `json:"package"`
			*explore.Found
		}{s.t.name, f})
	}
	sum := map[string]any{"package": s.t.name, "runs": s.summary.Runs,
		"failed": s.summary.Failed, "different": len(s.summary.Found),
		"interleavings":   len(s.summary.Varied),
		"new_of_last_100": s.summary.Late, "runs_a_second": s.rate(),
		"decision_points": s.summary.Orders.Points(),
		"never_varied":    s.summary.Orders.NeverVaried(),
		"left":            s.summary.Left, "never_seen": s.summary.Asserted.Unseen(),
		"interrupted": cut}
	if s.t.system != nil {
		sum["faults"] = s.summary.Faults.Report()
	}
	out.Encode(sum)
}

// replay shows what one seed does.
func (x *explorer) replay(packages, rest []string) int {
	targets, err := x.prepare(packages, rest)
	if err == nil && len(targets) != 1 {
		err = fmt.Errorf("--replay takes one package, not %d", len(targets))
	}
	if err != nil {
		cli.Fail(err)
		return exploreMisused
	}
	s, err := x.session(&targets[0])
	if err == nil && x.flags.replay.to != 0 { // seed 0 does without what it measures
		err = s.measure(context.Background(), false)
	}
	if err != nil {
		cli.Fail(err)
		return exploreBroken
	}
	if x.flags.replay.from != x.flags.replay.to {
		return s.replayShared()
	}
	return s.replayAlone()
}

// replayAlone shows the output of the seed as it comes.
func (s *session) replayAlone() int {
	seed := s.x.flags.replay.from
	config := *s.x.config
	config.Seed = &machine.Seed{Number: seed, Date: s.x.config.Seed.Date}
	s.launch.config, s.launch.flags.timeout = &config, s.x.flags.timeout
	a := s.attempt(seed, "", s.x.flags.replay.forced)
	a.faults = s.x.flags.replay.faults
	tree, programs, err := s.image([]attempt{a})
	if err != nil {
		cli.Fail(err)
		return exploreBroken
	}
	s.launch.tree, s.launch.program = tree, programs[0]
	var said bytes.Buffer
	outcome, err := s.launch.boot(machine.Guest{Stdout: io.MultiWriter(os.Stdout, &said),
		Stderr: io.MultiWriter(os.Stderr, &said), Notes: &said})
	if err != nil {
		cli.Fail(err)
		return exploreBroken
	}
	status := s.launch.explain(outcome)
	run := explore.Run{Seed: seed, Status: status, Output: said.String()}
	failure := run.Judge(s.source)
	if failure != nil && s.t.c != "" {
		story, _ := run.Disturbances(s.source)
		found := explore.Found{Failure: *failure, Story: story, Of: len(story)}
		fmt.Fprint(os.Stderr, found.What())
	}
	if status == 0 && failure != nil {
		return 1
	}
	return status
}

// replayShared runs the seeds that shared a machine and shows the output of the last.
func (s *session) replayShared() int {
	var seeds []uint64
	for seed := s.x.flags.replay.from; seed <= s.x.flags.replay.to; seed++ {
		seeds = append(seeds, seed)
	}
	var last *explore.Run
	err := s.machine(context.Background(), s.attempts(seeds...),
		func(r *explore.Run) { last = r })
	if err = errors.Join(err, s.broken); err != nil {
		cli.Fail(err)
		return exploreBroken
	}
	fmt.Print(last.Output, last.Report)
	if last.Status == 0 && last.Judge(s.source) != nil {
		return 1
	}
	return last.Status
}
