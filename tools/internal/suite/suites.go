package suite

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
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
	"strings"
	"sync"

	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// The tests of published modules run on capOS and on Linux, and what each test and subtest comes to
// is compared. A step is one package, and what has passed is remembered, so that a run which was
// interrupted goes on.

// suitesFile names the packages; its head says how. It is read like the lists of Go's own tests.
const suitesFile = "tests/suites.txt"

// suitePackage is a package of it.
type suitePackage struct {
	*goPackage
	module published
}

func readSuites(root string) ([]suitePackage, error) {
	packages, err := readGoPackages(filepath.Join(root, suitesFile))
	if err != nil {
		return nil, err
	}
	pins, err := readPins(root)
	if err != nil {
		return nil, err
	}
	var all []suitePackage
	for _, p := range packages {
		m, ok := moduleOf(p.name, pins)
		if !ok {
			return nil, fmt.Errorf("%s: %s is in no module of %s", suitesFile, p.name,
				pinsFile)
		}
		all = append(all, suitePackage{p, m})
	}
	return all, nil
}

// moduleOf gives the module that a package is in: that with the longest name.
func moduleOf(pkg string, pins []pin) (m published, ok bool) {
	for _, p := range pins {
		inside := pkg == p.module || strings.HasPrefix(pkg, p.module+"/")
		if inside && len(p.module) > len(m.path) {
			m, ok = published{path: p.module, version: p.version}, true
		}
	}
	return m, ok
}

func (s *suite) suiteSteps() ([]step, error) {
	packages, err := readSuites(s.root)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, p := range packages {
		steps = append(steps, step{name: "suites/" + p.file(), cpus: 1,
			full: p.ci == nil,
			run:  func(ctx context.Context) []check { return s.runSuite(ctx, p) }})
	}
	return steps, nil
}

// runSuite tests a package on both systems, or says that it did so before.
func (s *suite) runSuite(ctx context.Context, p suitePackage) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	goroot, err := s.toolchain("")
	if err != nil {
		return single(p.name, err, "")
	}
	memory := filepath.Join(s.root, "build", "suites", p.file()+".json")
	key, err := s.suiteKey(p, goroot)
	if err != nil {
		return single(p.name, err, "")
	}
	if old := recallSuite(memory, key); old != nil && p.ci == nil && !s.update {
		return old
	}
	dir, why := s.suiteSource(ctx, p.module)
	if why != nil {
		return why
	}
	checks := s.compareSuite(ctx, p, goroot, dir)
	if slices.ContainsFunc(checks, func(c check) bool { return c.Verdict == failed }) {
		return checks
	}
	text, err := json.Marshal(suiteMemory{key, checks})
	if err == nil {
		err = os.WriteFile(memory, text, 0o644)
	}
	if err != nil {
		return single(p.name, err, "")
	}
	return checks
}

// suiteMemory is what is kept of a package that passed.
type suiteMemory struct {
	Key    string
	Checks []check
}

// suiteKey changes with everything that a result depends on.
func (s *suite) suiteKey(p suitePackage, goroot string) (string, error) {
	kernel, err := os.ReadFile(repo.Kernel(s.root, "release"))
	if err != nil {
		return "", err
	}
	entry := fmt.Sprint(*p.goPackage, p.module.version, runtime.Version())
	return fmt.Sprintf("%s %x %s", filepath.Base(goroot), sha256.Sum256(kernel), entry), nil
}

func recallSuite(file, key string) []check {
	var old suiteMemory
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &old) != nil || old.Key != key {
		return nil
	}
	return old.Checks
}

var suiteSources sync.Map

// suiteSource gives a copy of a module in which tests can write. Replacements by directories beside
// the module, which is published without them, are taken out.
func (s *suite) suiteSource(ctx context.Context, m published) (string, []check) {
	type source struct {
		dir string
		why []check
	}
	get, _ := suiteSources.LoadOrStore(m.path, sync.OnceValue(func() source {
		dir, why := s.makeSuiteSource(ctx, m)
		return source{dir, why}
	}))
	made := get.(func() source)()
	return made.dir, made.why
}

func (s *suite) makeSuiteSource(ctx context.Context, m published) (string, []check) {
	base := filepath.Join(s.root, "build", "suites")
	// The last name is what tests expect of a checkout. No name has a colon, because
	// lists of directories are separated by colons.
	dir := filepath.Join(base, "source", m.version,
		strings.ReplaceAll(m.path, "/", "_"), path.Base(m.path))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return dir, nil
	}
	fetch := filepath.Join(base, "fetch", m.name())
	err := writeTexts(fetch, map[string]string{"go.mod": "module capos.dev/fetch\n"})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(dir), 0o755)
	}
	if err != nil {
		return "", single(m.path, err, "")
	}
	files, why := s.fetchPinned(m, fetch, func(dir string, args ...string) (string, error) {
		out, err := s.hostGo(ctx, dir, args...).CombinedOutput()
		return string(out), err
	})
	if why == nil {
		why = failure(m.path, s.copyWritable(ctx, m, dir, files))
	}
	return dir, why
}

// failure is a failed check, or none.
func failure(name string, err error) []check {
	if err == nil {
		return nil
	}
	return single(name, err, "")
}

// copyWritable copies a directory of the module cache, all of it or nothing.
func (s *suite) copyWritable(ctx context.Context, m published, to,
	from string) error {
	part := to + ".part"
	if err := errors.Join(os.RemoveAll(part), os.CopyFS(part, os.DirFS(from))); err != nil {
		return err
	}
	mod := filepath.Join(part, "go.mod")
	if _, err := os.Stat(mod); os.IsNotExist(err) { // it is older than modules
		err := writeTexts(part, map[string]string{"go.mod": "module " + m.path + "\n"})
		return errors.Join(err, os.Rename(part, to))
	}
	return errors.Join(s.dropLocalReplaces(ctx, part), os.Rename(part, to))
}

// dropLocalReplaces takes out replacements by directories beside the module.
func (s *suite) dropLocalReplaces(ctx context.Context, part string) error {
	var mod struct {
		Replace []struct {
			Old, New struct{ Path, Version string }
		}
	}
	out, err := s.hostGo(ctx, part, "mod", "edit", "-json").Output()
	if err := errors.Join(err, json.Unmarshal(out, &mod)); err != nil {
		return err
	}
	for _, r := range mod.Replace {
		if r.New.Version != "" {
			continue
		}
		old := strings.TrimSuffix(r.Old.Path+"@"+r.Old.Version, "@")
		cmd := s.hostGo(ctx, part, "mod", "edit", "-dropreplace="+old)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// suiteTimeout is for the go command, which measures it on the host. The step ends before.
const suiteTimeout = "15m"

// compareSuite tests a package on both systems and holds what differs against what is listed.
func (s *suite) compareSuite(ctx context.Context, p suitePackage, goroot, dir string) []check {
	here, err := s.portedGo(ctx, goroot, dir, p.testArgs(p.goosFlags()...)...)
	if err != nil {
		return single(p.name, err, "")
	}
	here.Env = append(here.Env, "GOFLAGS=", repo.RunFlagsVar+"="+
		os.Getenv(repo.RunFlagsVar)+" "+p.runFlags())
	there := s.hostGo(ctx, dir, p.testArgs()...)
	there.Env = append(there.Env, "CGO_ENABLED=0")
	linux := suiteVerdicts(there)
	if why, ok := repo.Unreachable(linux.output); ok && len(linux.tests) == 0 {
		return []check{{p.name, skipped, repo.NoProxy + why}}
	}
	capos := suiteVerdicts(here)
	if s.update {
		if err := learnSuite(filepath.Join(s.root, suitesFile), p, capos,
			linux); err != nil {
			return single(p.name, err, "")
		}
	}
	return judgeSuite(p, capos, linux)
}

// runFlags are those of the machine.
func (p suitePackage) runFlags() string {
	flags := "--seed 1 -m " + p.memory
	if p.date != "" {
		flags += " --date " + p.date
	}
	return flags
}

// testArgs are those of the go command.
func (p suitePackage) testArgs(flags ...string) []string {
	args := append([]string{"test", "-mod=mod", "-json", "-count=1", "-short", "-vet=off",
		"-timeout", suiteTimeout}, flags...)
	var leftOut []string
	for _, e := range p.tests {
		if e.notRun() {
			leftOut = append(leftOut, e.test)
		}
	}
	if len(leftOut) > 0 {
		args = append(args, "-skip", "^("+strings.Join(leftOut, "|")+")$")
	}
	if p.run != "" {
		args = append(args, "-run", p.run)
	}
	return append(args, p.name)
}

// goosFlags make the module's packages see another runtime.GOOS than capos.
func (p suitePackage) goosFlags() []string {
	if p.goos == "" {
		return nil
	}
	return []string{"-gcflags=" + p.module.path + "/...=-env=runtime.GOOS=" + p.goos}
}

// learnSuite writes into the list how many tests pass now, unless a run was cut off. Differences
// are never written.
func learnSuite(file string, p suitePackage, here, linux suiteRun) error {
	if !here.isWhole() || !linux.isWhole() {
		return nil
	}
	passes := 0
	for name, verdict := range here.tests {
		if verdict == passed && linux.tests[name] == passed {
			passes++
		}
	}
	p.passes = passes
	return rewriteGoPackage(file, p.goPackage)
}

// suiteRun is what a package's tests came to on one system, subtests included.
type suiteRun struct {
	tests  map[string]string           // to verdicts
	said   map[string]*strings.Builder // by top-level tests
	begun  map[string]bool             // tests without a verdict
	output string                      // what belongs to no test
}

// isWhole reports whether all tests came to their ends.
func (r suiteRun) isWhole() bool { return len(r.tests) > 0 && len(r.begun) == 0 && !ended(r) }

// suiteVerdicts runs go test -json.
func suiteVerdicts(cmd *exec.Cmd) suiteRun {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	run := parseSuite(&stdout)
	run.output += stderr.String()
	if err != nil {
		run.output += err.Error()
	}
	return run
}

func parseSuite(events io.Reader) suiteRun {
	run := suiteRun{tests: map[string]string{}, said: map[string]*strings.Builder{},
		begun: map[string]bool{}}
	var output strings.Builder
	verdicts := map[string]string{"pass": passed, "fail": failed, "skip": skipped}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		switch err := json.Unmarshal(lines.Bytes(), &e); {
		case err != nil:
			output.WriteString(lines.Text() + "\n")
		case e.Test == "":
			output.WriteString(e.Output)
		case e.Action == "output":
			top, _, _ := strings.Cut(e.Test, "/")
			if run.said[top] == nil {
				run.said[top] = new(strings.Builder)
			}
			run.said[top].WriteString(e.Output)
		case e.Action == "run":
			run.begun[e.Test] = true
		case verdicts[e.Action] != "":
			delete(run.begun, e.Test)
			run.tests[address.ReplaceAllString(e.Test, "0x")] = verdicts[e.Action]
		}
	}
	run.output = output.String()
	return run
}

// address is what differs in names of subtests that were made of values.
var address = regexp.MustCompile(`0x[0-9a-f]+`)

// judgeSuite gives a check for each top-level test. A test passes when it and its subtests came to
// the same on both systems, whatever that is.
func judgeSuite(p suitePackage, here, linux suiteRun) (checks []check) {
	listed := p.exceptions(1)
	differ := map[string]string{}
	passes := 0
	names := maps.Clone(linux.tests)
	maps.Copy(names, here.tests)
	for name := range names {
		top, _, _ := strings.Cut(name, "/")
		if _, seen := differ[top]; !seen {
			differ[top] = ""
		}
		if a, b := here.tests[name], linux.tests[name]; a != b {
			differ[top] += fmt.Sprintf("%s: %s, on Linux %s\n", name, orNothing(a),
				orNothing(b))
		} else if a == passed {
			passes++
		}
	}
	for _, top := range slices.Sorted(maps.Keys(differ)) {
		e, is := listed[top]
		c := check{p.name + "." + top, passed, ""}
		switch why := differ[top]; {
		case is && why == "":
			c.Verdict, c.Why = failed, "is as on Linux: take it out of "+suitesFile
		case is:
			c.Verdict, c.Why = skipped, e.reason
		case why != "":
			c.Verdict = failed
			c.Why = why
			if said := here.said[top]; said != nil {
				c.Why += report.LastLines(said.String(), 30)
			}
		}
		checks = append(checks, c)
	}
	for _, e := range p.tests {
		if e.notRun() {
			checks = append(checks, check{p.name + "." + e.test, skipped, e.reason})
		}
	}
	nothing := passes == 0 && len(p.tests) == 0
	if passes < p.passes || nothing || ended(here) && !ended(linux) {
		why := fmt.Sprintf("%d tests and subtests pass on both systems, %d are expected\n"+
			"on capOS:\n%s\non Linux:\n%s", passes, p.passes,
			report.LastLines(here.output, 20), report.LastLines(linux.output, 10))
		checks = append(checks, check{p.name, failed, why})
	}
	return checks
}

// ended reports whether the tests broke off, because of a panic or a time-out.
func ended(run suiteRun) bool {
	return strings.Contains(run.output, "panic: ") ||
		strings.Contains(run.output, "Test killed")
}

func orNothing(verdict string) string {
	if verdict == "" {
		return "not run"
	}
	return verdict
}
