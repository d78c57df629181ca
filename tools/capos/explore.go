package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
)

// Exit statuses of ./capos explore.
const (
	exploredQuiet = iota
	exploredFailures
	exploreMisused
	exploreBroken
)

type exploreFlags struct {
	runs          uint64
	time          time.Duration
	seeds         seedRange
	maxFailures   cli.Count
	maxPause      time.Duration
	timeout       time.Duration
	program, json bool
	untilDry      bool
	strict        bool
	resume        string
	strategy      explore.Strategy
	replay        replayFlag
	noShrink      bool
	jobs          cli.Count
	failures      string
	memory        string
	kernel        string
	cpus, mistake cli.Count
	env           cli.List
	faults        uint64
}

func (e *exploreFlags) register(fs *flag.FlagSet) {
	fs.Uint64Var(&e.runs, "runs", 0, "")
	fs.DurationVar(&e.time, "time", 0, "")
	fs.Var(&e.seeds, "seeds", "")
	fs.Var(&e.maxFailures, "max-failures", "")
	fs.DurationVar(&e.maxPause, "max-pause", 100*time.Millisecond, "")
	fs.DurationVar(&e.timeout, "timeout", time.Minute, "")
	fs.BoolVar(&e.program, "program", false, "")
	fs.BoolVar(&e.json, "json", false, "")
	fs.BoolVar(&e.untilDry, "until-dry", false, "")
	fs.BoolVar(&e.strict, "strict", false, "")
	fs.StringVar(&e.resume, "resume", "", "")
	fs.Var(&e.strategy, "strategy", "")
	fs.Var(&e.replay, "replay", "")
	fs.BoolVar(&e.noShrink, "no-shrink", false, "")
	e.jobs, e.maxFailures = cli.Count(runtime.NumCPU()), 10
	fs.Var(&e.jobs, "j", "")
	fs.StringVar(&e.failures, "failures", "", "")
	fs.StringVar(&e.memory, "m", defaultMemory, "")
	fs.StringVar(&e.kernel, "kernel", "", "")
	fs.Var(&e.env, "e", "")
	fs.Uint64Var(&e.faults, "faults", 40, "")
	e.cpus = 1
	fs.Var(&e.cpus, "cpus", "")
	fs.Var(&e.mistake, "kernel-mistake", "") // for tests: it is put into the kernel
}

// seedRange is a flag with one seed or a range of them.
type seedRange struct {
	from, to uint64
	set      bool
}

func (r *seedRange) String() string {
	if r.from == r.to {
		return strconv.FormatUint(r.from, 10)
	}
	return fmt.Sprintf("%d-%d", r.from, r.to)
}

func (r *seedRange) Set(value string) (err error) {
	from, to, both := strings.Cut(value, "-")
	if !both {
		to = from
	}
	if r.from, err = strconv.ParseUint(from, 10, 64); err == nil {
		r.to, err = strconv.ParseUint(to, 10, 64)
	}
	if err != nil || r.from > r.to {
		return errors.New("it is not of the form N or A-B, with numbers of 64 bits")
	}
	r.set = true
	return nil
}

// replayFlag is the same, and a seed may have a list of disturbances behind a colon, which then
// alone take place.
type replayFlag struct {
	seedRange
	forced explore.Forcing
	faults string // the numbers of those that take place in a system; "": all
}

func (r *replayFlag) Set(value string) (err error) {
	seeds, list, forced := strings.Cut(value, ":")
	if err := r.seedRange.Set(seeds); err != nil || !forced {
		return err
	}
	if r.from != r.to {
		return errors.New("a list of disturbances belongs to one seed")
	}
	if faultNumbers.MatchString(list) {
		r.faults = list
		return nil
	}
	r.forced, err = explore.ForcedVariable(list)
	return err
}

var faultNumbers = regexp.MustCompile(`^[0-9]+(,[0-9]+)*$`)

// defaultRuns is how many seeds are tried when nothing else is said.
const defaultRuns = 1000

// rangeOfSeeds is the seeds to try. Seed 0 disturbs nothing, so it comes first.
func (e *exploreFlags) rangeOfSeeds() seedRange {
	switch {
	case e.seeds.set:
		return e.seeds
	case e.runs > 0:
		return seedRange{to: e.runs - 1}
	case e.time > 0 || e.untilDry:
		return seedRange{to: 1<<63 - 1}
	}
	return seedRange{to: defaultRuns - 1}
}

func (e *exploreFlags) validate() error {
	switch {
	case e.seeds.set && e.runs > 0:
		return errors.New("--runs and --seeds both say how many seeds are tried")
	case e.maxPause < 10*time.Microsecond || e.maxPause > time.Hour:
		return errors.New("--max-pause takes 10us to 1h")
	}
	return nil
}

func exploreCommand(args []string) int {
	var e exploreFlags
	flags := cli.NewFlags("explore")
	e.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return min(status, exploreMisused)
	}
	packages, rest := splitArguments(flags.Args())
	if err := e.validate(); err != nil {
		cli.Wrong("explore", err)
		return exploreMisused
	}
	if e.failures != "" && e.failures != keepNothing {
		e.failures, _ = filepath.Abs(e.failures)
	}
	if e.resume != "" {
		e.resume, _ = filepath.Abs(e.resume)
	}
	root, err := repo.Root()
	if err != nil {
		cli.Fail(err)
		return exploreBroken
	}
	x := &explorer{flags: &e, root: root}
	if e.replay.set {
		return x.replay(packages, rest)
	}
	return x.explore(packages, rest)
}

// splitArguments tells packages from the flags behind them.
func splitArguments(args []string) (packages, rest []string) {
	first := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	if first < 0 {
		first = len(args)
	}
	if packages = args[:first]; first == 0 {
		packages = []string{"."}
	}
	return packages, args[first:]
}

// testFlags are those of go test that are about running a test binary; all others are about
// building it. A true value says that a value follows.
var testFlags = map[string]bool{"run": true, "skip": true, "short": false, "v": false,
	"count": true, "parallel": true, "cpu": true, "timeout": true, "failfast": false,
	"shuffle": true, "bench": true, "benchtime": true, "fullpath": false}

// testArguments sorts flags of go test into those for building and those for the binary.
func testArguments(flags []string) (build, binary []string) {
	for i := 0; i < len(flags); i++ {
		if isArgs(flags[i]) {
			return build, append(binary, flags[i+1:]...)
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(flags[i], "-"), "=")
		name = strings.TrimPrefix(name, "test.")
		takesValue, known := testFlags[name]
		if !known {
			build = append(build, flags[i])
			continue
		}
		flag := "-test." + strings.TrimPrefix(strings.TrimLeft(flags[i], "-"), "test.")
		if takesValue && !hasValue && i+1 < len(flags) {
			i++
			flag += "=" + flags[i]
		}
		binary = append(binary, flag)
	}
	return build, binary
}

// isArgs tells the flag behind which all is the program's.
func isArgs(flag string) bool { return flag == "-args" || flag == "--args" }

// target is one binary to explore.
type target struct {
	name, dir string // import path, or what the command line calls a C program; directory
	c         string // the source of a C program in the directory, "." for all of it
	module    string // its path; "" in the standard library
	elf       string
	args      []string
	words     []string       // the command line that explores it, after the flags
	system    *failingSystem // nil: it is a program
	failures  string         // where its failures are kept; "": nowhere
}

// explorer is one run of the command.
type explorer struct {
	flags  *exploreFlags
	root   string
	goroot string
	config *machine.Config
	usual  string // the kernel that is taken when none is asked for

	machines chan struct{} // has one element for each that runs
}

// prepare builds the kernel, the toolchain and the targets.
func (x *explorer) prepare(packages, rest []string) ([]target, error) {
	x.machines = make(chan struct{}, x.flags.jobs)
	isC, err := areC(packages)
	if err != nil {
		return nil, err
	}
	if x.usual = "release"; isC || isSystem(packages) || x.flags.strategy.IsOfKernel() {
		x.usual = "explore"
	}
	x.flags.kernel = cmp.Or(x.flags.kernel, x.usual)
	if err := repo.CheckKernel(x.flags.kernel); err != nil {
		return nil, err
	}
	if err := repo.Make(x.root, repo.KernelGoal(x.flags.kernel)); err != nil {
		return nil, err
	}
	if err := machine.CheckQEMU(); err != nil {
		return nil, err
	}
	var m machineFlags
	m.register(flag.NewFlagSet("", flag.ContinueOnError), x.flags.memory)
	m.kernel, m.seed = x.flags.kernel, "0"
	if x.config, err = m.config(x.root); err != nil {
		return nil, err
	}
	if x.config.CPUs = int(x.flags.cpus); x.config.CPUs > 1 && !isC {
		return nil, errors.New("--cpus takes a C program; of Go programs several threads " +
			"run on one CPU")
	}
	if isC {
		return x.buildC(packages, rest)
	}
	if isSystem(packages) {
		return x.prepareSystem(packages[0], rest)
	}
	if x.goroot, err = repo.ExploreRoot(x.root); err != nil {
		return nil, err
	}
	return x.build(packages, rest)
}

func isSystem(packages []string) bool { return len(packages) == 1 && isManifest(packages[0]) }

// goCommand gives a command of the toolchain for explore builds.
func (x *explorer) goCommand(args ...string) (*exec.Cmd, error) {
	cache, err := repo.CacheDir()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(x.goroot, "bin", "go"), args...)
	cmd.Env = repo.GoEnv(x.root, x.goroot, cache)
	if here, err := os.Getwd(); err == nil && strings.HasPrefix(here+"/", x.root+"/") {
		cmd.Env = append(cmd.Env, "GOWORK=off") // as in program.BuildGo
	}
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// list finds the packages that have something to run.
func (x *explorer) list(packages []string) ([]target, error) {
	format := "{{if or .TestGoFiles .XTestGoFiles}}"
	if x.flags.program {
		format = "{{if eq .Name \"main\"}}"
	}
	format += "{{.ImportPath}}\t{{.Dir}}\t{{if .Module}}{{.Module.Path}}{{end}}{{end}}"
	cmd, err := x.goCommand(append([]string{"list", "-f", format, "--"}, packages...)...)
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", strings.Join(packages, " "), err)
	}
	var targets []target
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.Split(line, "\t"); len(words) == 3 {
			targets = append(targets, target{name: words[0], dir: words[1],
				module: words[2]})
		}
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("no package to explore among %s",
			strings.Join(packages, " "))
	}
	return targets, nil
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// fileName is the target's name, as a file may be called.
func (t *target) fileName() string {
	return strings.Trim(notInFileNames.ReplaceAllString(t.name, "-"), "-")
}

// build makes the binaries, once each.
func (x *explorer) build(packages, rest []string) ([]target, error) {
	targets, err := x.list(packages)
	if err != nil {
		return nil, err
	}
	buildFlags, args := testArguments(rest)
	if x.flags.program {
		buildFlags, args = nil, rest
		if len(rest) > 0 && rest[0] == "--" {
			args = rest[1:]
		}
	} else {
		args = append([]string{"-test.paniconexit0", "-test.timeout=10m0s"}, args...)
	}
	for i := range targets {
		t := &targets[i]
		t.args = args
		t.elf = filepath.Join(x.root, "build", "explore", t.fileName())
		verb := []string{"build", "-o", t.elf}
		if !x.flags.program {
			t.elf += ".test"
			verb = []string{"test", "-c", "-vet=off", "-o", t.elf}
		}
		if t.module != "" {
			// Memory accesses are told to the runtime's race detector. Calls of the
			// functions of sync/atomic stay calls, which are decision points.
			verb = append(verb, "-gcflags=std=-race", "-gcflags=sync/atomic=",
				"-gcflags="+t.module+"/...=-race -d=ssa/intrinsics/off")
		}
		cmd, err := x.goCommand(slices.Concat(verb, buildFlags, []string{"."})...)
		if err != nil {
			return nil, err
		}
		cmd.Dir, cmd.Stdout = t.dir, os.Stderr
		done := repo.Progress("building " + t.name + " for exploring")
		err = cmd.Run()
		done()
		if err != nil {
			return nil, fmt.Errorf("building %s failed: %w", t.name, err)
		}
		t.words = append([]string{t.word(packages)}, rest...)
		t.failures = x.failuresOf(t)
	}
	return targets, nil
}

// word names the package on the command line that replays it.
func (t *target) word(packages []string) string {
	if len(packages) == 1 && !strings.Contains(packages[0], "...") {
		return packages[0]
	}
	return t.name
}

// launch gives the files that the target sees.
func (x *explorer) launch(t *target) (*launch, error) {
	if t.system != nil {
		return t.system.launch, nil
	}
	l := &launch{root: x.root, config: x.config, host: t.elf, flags: &machineFlags{}}
	if err := l.makeTree(t.dir, x.goroot, !x.flags.program && t.c == ""); err != nil {
		return nil, err
	}
	if err := l.tree.AddHostFile(t.elf, t.elf); err != nil {
		return nil, err
	}
	l.tree.Input, l.tree.Date = hostchannel.Input(nil), x.config.Seed.Date
	return l, nil
}

// oneIf is how the runtime reads what holds.
func oneIf(holds bool) int {
	if holds {
		return 1
	}
	return 0
}

// instance is the target as an attempt runs it. The environment is not the caller's, because a seed
// is to mean the same everywhere.
func (x *explorer) instance(t *target, a attempt) bootimage.Program {
	looks := a.looks()
	env := []string{"PATH=/bin", "HOME=" + bootimage.Home, "TMPDIR=/tmp", "PWD=" + t.dir,
		explore.AssertionsVariable + "=" + explore.AssertionsFile}
	env = append(env, (&runFlags{env: x.flags.env}).environment()...)
	if variable := x.kernelVariable(t, a); variable != "" {
		env = append(env, variable)
	}
	if t.c == "" {
		env = append(env, fmt.Sprintf("CAPOS_EXPLORE=%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d%s",
			a.seed, x.flags.maxPause.Microseconds(), a.points, oneIf(x.flags.program),
			a.until, a.reseed, a.stacks, oneIf(looks.ForRaces), oneIf(x.flags.strict),
			a.strategy.Runtime(), a.orders, oneIf(looks.AtAccesses), a.forced.Runtime))
	}
	return bootimage.Program{Path: t.elf, Env: bootimage.LastWins(env),
		Args: append([]string{t.elf}, t.arguments(a.without)...)}
}
