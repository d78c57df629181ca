package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// goPackage is an entry of tests/go/packages.txt: what one of Go's own packages must do on capOS.
// The file's head says how entries are written.
type goPackage struct {
	testsEntry
	passes    int    // on a machine with every CPU count that has no exception of its own
	exclusive bool   // measures time: nothing else may run meanwhile
	goos      string // what runtime.GOOS is in a published module, "": capos
	date      string // at power-on of a machine with a seed, "": that of ./capos run
	cpus      []int
	ci        []int // those of them that are in the share for continuous integration
	timeout   string
	tests     []goException
}

// goException is a test that does not simply pass.
type goException struct {
	// skip: it skips itself; fail: it is known to fail; exclude: it is not run with the others;
	// flaky: it fails at times everywhere and is not run
	kind   string
	cpus   int // only with that many CPUs; 0: always
	test   string
	reason string
}

func (e goException) notRun() bool {
	return e.kind == "exclude" || e.kind == "flaky"
}

const (
	goListFile    = "tests/go/packages.txt"
	ciCPUs        = 2 // of the machine, where an entry says ci and no more
	goTestTimeout = "5m"
)

func readGoPackages(file string) ([]*goPackage, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var packages []*goPackage
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			p, err := parseGoPackage(strings.Fields(line))
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, n, err)
			}
			packages = append(packages, p)
		default:
			e, err := parseGoException(strings.TrimSpace(line))
			if err == nil && len(packages) == 0 {
				err = fmt.Errorf("an exception before the first package")
			}
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, n, err)
			}
			last := packages[len(packages)-1]
			last.tests = append(last.tests, e)
		}
	}
	return packages, nil
}

func parseGoPackage(words []string) (*goPackage, error) {
	p := &goPackage{testsEntry: testsEntry{name: words[0], memory: machine.GoMemory},
		cpus: []int{1, 2, 4}, timeout: goTestTimeout}
	if len(words) < 2 {
		return nil, fmt.Errorf("%s has no number of passes", p.name)
	}
	var err error
	if p.passes, err = strconv.Atoi(words[1]); err != nil {
		return nil, err
	}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "ci":
			p.ci = []int{ciCPUs}
			if value != "" {
				p.ci, err = parseCounts(value)
			}
		case "exclusive":
			p.exclusive = true
		case "goos":
			p.goos = value
		case "date":
			p.date = value
			_, err = time.Parse(time.DateOnly, value)
		case "timeout":
			p.timeout = value
			_, err = time.ParseDuration(value)
		case "cpus":
			p.cpus, err = parseCounts(value)
		default:
			err = p.option(word)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func parseCounts(list string) (counts []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		count, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		counts = append(counts, count)
	}
	return counts, nil
}

var exceptionLine = regexp.MustCompile(`^(skip|fail|exclude|flaky)(?:@(\d+))? (\S+): (.+)$`)

func parseGoException(line string) (goException, error) {
	m := exceptionLine.FindStringSubmatch(line)
	if m == nil {
		return goException{}, fmt.Errorf("%q is not of the form KIND[@CPUS] TEST: REASON",
			line)
	}
	cpus, _ := strconv.Atoi(m[2])
	return goException{m[1], cpus, m[3], m[4]}, nil
}

// exceptions gives those that hold with so many CPUs.
func (p *goPackage) exceptions(cpus int) map[string]goException {
	found := map[string]goException{}
	for _, e := range p.tests {
		if e.cpus == 0 || e.cpus == cpus {
			found[e.test] = e
		}
	}
	return found
}

// expected is the number of passes on a machine with so many CPUs.
func (p *goPackage) expected(cpus int) int {
	n := p.passes
	for _, e := range p.tests {
		if e.cpus == cpus {
			n--
		}
	}
	return n
}

// goSteps makes the steps of every list: tests/go/packages.txt for the release that the port is
// made with, and packages-RELEASE.txt for another that it must fit as well.
func (s *suite) goSteps() ([]step, error) {
	files, err := filepath.Glob(filepath.Join(s.root, path.Dir(goListFile), "packages*.txt"))
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, file := range files {
		packages, err := readGoPackages(file)
		if err != nil {
			return nil, err
		}
		name := path.Join(path.Dir(goListFile), filepath.Base(file))
		l := &goList{name: name, release: otherRelease(file), packages: packages,
			updates: &goUpdates{file: file}}
		steps = append(steps, s.goListSteps(l)...)
	}
	return steps, nil
}

// otherRelease gives the RELEASE of packages-RELEASE.txt, and nothing for packages.txt.
func otherRelease(file string) string {
	_, release, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txt"), "-")
	return release
}

// goList is one file of packages.
type goList struct {
	name     string // the file's, below the root
	release  string // "": the one that the port is made with
	packages []*goPackage
	updates  *goUpdates
}

// group is the first part of the steps' names: go, or go1.27 for release go1.27.3.
func (l *goList) group() string {
	if words := strings.Split(l.release, "."); len(words) > 1 {
		return words[0] + "." + words[1]
	}
	return "go"
}

func (s *suite) goListSteps(l *goList) (steps []step) {
	for _, p := range l.packages {
		for _, cpus := range p.cpus {
			name := fmt.Sprintf("%s/%s@%d", l.group(), strings.ReplaceAll(p.name, "/",
				"."), cpus)
			need := min(cpus, 1)
			if p.exclusive {
				need = 1 << 10
			}
			steps = append(steps, step{name: name, cpus: need,
				full: !slices.Contains(p.ci, cpus),
				run: func(ctx context.Context) []check {
					goroot, err := s.toolchain(l.release)
					if err != nil {
						return single(name, err, "")
					}
					return s.runGoPackage(ctx, goroot, l, p, cpus)
				}})
		}
	}
	return steps
}

func (s *suite) runGoPackage(ctx context.Context, goroot string, l *goList, p *goPackage,
	cpus int) []check {
	exceptions := p.exceptions(cpus)
	var leftOut, excluded []string
	for _, e := range exceptions {
		if e.kind == "exclude" {
			excluded = append(excluded, e.test)
		}
		if e.notRun() {
			leftOut = append(leftOut, e.test)
		}
	}
	sort.Strings(excluded)
	args := []string{"-timeout", p.timeout}
	if len(leftOut) > 0 {
		sort.Strings(leftOut)
		args = append(args, "-skip", "^("+strings.Join(leftOut, "|")+")$")
	}
	results, output := s.goTest(ctx, goroot, p, cpus, args)
	if s.update {
		if why := l.updates.record(p, cpus, results); why != "" {
			return []check{{p.name, failed, why + "\n" + report.LastLines(output, 20)}}
		}
		return []check{{p.name, passed, ""}}
	}
	checks := judgeGoTests(l.name, p, cpus, results, output)
	if s.all {
		checks = append(checks, s.tryExcluded(ctx, goroot, l, p, cpus, excluded)...)
	}
	return checks
}

// goTest runs go test for one package of the standard library.
func (s *suite) goTest(ctx context.Context, goroot string, p *goPackage, cpus int,
	args []string) ([]goTest, string) {
	args = append([]string{"-vet=off", "-short"}, append(args, p.name)...)
	return s.portedGoTest(ctx, goroot, s.root, fmt.Sprintf("--cpus %d -m %s", cpus, p.memory),
		nil, args)
}

// portedGoTest runs go test for capOS on machines with the given flags; output is everything that
// is not an event.
func (s *suite) portedGoTest(ctx context.Context, goroot, dir, flags string, env,
	args []string) (results []goTest, output string) {
	cmd, err := s.portedGo(ctx, goroot, dir,
		append([]string{"test", "-json", "-count=1"}, args...)...)
	if err != nil {
		return nil, err.Error()
	}
	cmd.Env = append(cmd.Env, "GOFLAGS=", repo.StrictVar+"=1",
		repo.RunFlagsVar+"="+os.Getenv(repo.RunFlagsVar)+" "+flags)
	cmd.Env = append(cmd.Env, env...)
	return goTestResults(cmd)
}

// goTestResults runs go test -json. A failure that no test accounts for becomes a failed test
// without a name.
func goTestResults(cmd *exec.Cmd) (results []goTest, output string) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	results = parseGoTests(bytes.NewReader(stdout.Bytes()))
	output = stderr.String()
	if err != nil {
		output += err.Error()
	}
	if err != nil && !slices.ContainsFunc(results,
		func(r goTest) bool { return r.verdict == failed }) {
		results = append(results, goTest{"", "", failed,
			report.LastLines(plainOutput(stdout.Bytes()), 40) + "\n" + output})
	}
	return results, output
}

// plainChecks turns results into checks where nothing is expected but that tests pass or say why
// they do not run.
func plainChecks(results []goTest, trim string) (checks []check) {
	for _, r := range results {
		why := ""
		switch r.verdict {
		case failed:
			why = report.LastLines(r.output, 30)
		case skipped:
			why = skipReason(r.output)
		}
		checks = append(checks, check{strings.TrimPrefix(r.pkg, trim) + "." + r.test,
			r.verdict, why})
	}
	return checks
}

// plainOutput joins the output events of go test -json.
func plainOutput(events []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(events) {
		if m := outputEvent.FindSubmatch(line); m != nil {
			if text, err := strconv.Unquote(string(m[1])); err == nil {
				b.WriteString(text)
			}
		} else if !bytes.HasPrefix(line, []byte("{")) {
			b.Write(line)
		}
	}
	return b.String()
}

var outputEvent = regexp.MustCompile(`"Output":("(?:[^"\\]|\\.)*")`)

// judgeGoTests holds what the tests did against what is listed in the file list.
func judgeGoTests(list string, p *goPackage, cpus int, results []goTest, output string) []check {
	exceptions := p.exceptions(cpus)
	seen := map[string]bool{}
	passes, whole := 0, true
	var checks []check
	for _, r := range results {
		e, listed := exceptions[r.test]
		seen[r.test] = true
		name := p.name + "." + r.test
		switch {
		case r.test == "":
			whole = false
			checks = append(checks, check{p.name, failed,
				report.LastLines(r.output, 30) +
					"\n" + output})
		case listed && e.kind == "skip" && r.verdict == skipped, listed &&
			e.kind == "fail" && r.verdict == failed:
			checks = append(checks, check{name, skipped, e.reason})
		case listed && r.verdict == passed:
			checks = append(checks, check{name, failed,
				fmt.Sprintf("passes, and is listed (%s): take it out of %s", e.kind,
					list)})
		case r.verdict == passed:
			passes++
			checks = append(checks, check{name, passed, ""})
		case r.verdict == skipped:
			checks = append(checks, check{name, failed,
				"skips itself and is not listed: " + skipReason(r.output)})
		default:
			checks = append(checks, check{name, failed, report.LastLines(r.output, 30)})
		}
	}
	for test, e := range exceptions {
		if e.notRun() {
			checks = append(checks, check{p.name + "." + test, skipped,
				e.kind + ": " + e.reason})
		} else if !seen[test] && whole && len(results) > 0 {
			checks = append(checks, check{p.name + "." + test, failed,
				"is listed and did not run: does it still exist?"})
		}
	}
	if want := p.expected(cpus); passes < want {
		checks = append(checks, check{p.name, failed,
			fmt.Sprintf("%d tests passed, %d are expected\n%s", passes, want,
				report.LastLines(output, 10))})
	}
	return checks
}

var skipText = regexp.MustCompile(`(?m)^\s+\S+\.go:\d+: (.+)$`)

// noProcess is how package testenv says that a test starts itself again.
const noProcess = "cannot exec subprocess"

// skipReason gives the last thing that a test said before it skipped itself, without what differs
// from run to run.
func skipReason(output string) string {
	found := skipText.FindAllStringSubmatch(output, -1)
	if len(found) == 0 {
		return "it gives no reason"
	}
	reason := strings.TrimSpace(found[len(found)-1][1])
	if strings.Contains(reason, noProcess) {
		return "it starts a process"
	}
	return variablePath.ReplaceAllString(reason, "...")
}

// variablePath matches paths of temporary and cache directories.
var variablePath = regexp.MustCompile(`"?/[^ :"]*/(?:go-build|go-[0-9a-f]{16})[^ :"]*"?`)

// tryExcluded runs each excluded test alone: one that has begun to pass must not stay excluded.
func (s *suite) tryExcluded(ctx context.Context, goroot string, l *goList, p *goPackage, cpus int,
	excluded []string) (checks []check) {
	for _, test := range excluded {
		results, _ := s.goTest(ctx, goroot, p, cpus, []string{"-timeout", "1m", "-run",
			"^" + regexp.QuoteMeta(test) + "$"})
		ok := len(results) > 0
		for _, r := range results {
			ok = ok && r.verdict == passed
		}
		if ok {
			checks = append(checks, check{p.name + "." + test, failed,
				"passes, and is excluded: take it out of " + l.name})
		}
	}
	return checks
}

// goUpdates collects what tests do now, for --update-go.
type goUpdates struct {
	mu   sync.Mutex
	file string
	seen map[string]map[int][]goTest
}

// record notes the results of one run and rewrites the package's entry. Failures are never written
// into the list.
func (u *goUpdates) record(p *goPackage, cpus int, results []goTest) (why string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var failures []string
	for _, r := range results {
		if r.verdict == failed && p.exceptions(cpus)[r.test].kind != "fail" {
			failures = append(failures,
				orPackage(r.test)+"\n"+report.LastLines(r.output, 12))
		}
	}
	if len(failures) > 0 || len(results) == 0 {
		return fmt.Sprintf("%d failure(s), the entry stays as it is: %s", len(failures),
			strings.Join(failures, "\n"))
	}
	if u.seen == nil {
		u.seen = map[string]map[int][]goTest{}
	}
	if u.seen[p.name] == nil {
		u.seen[p.name] = map[int][]goTest{}
	}
	u.seen[p.name][cpus] = results
	if len(u.seen[p.name]) < len(p.cpus) {
		return "" // the other CPU counts are still to come
	}
	p.learn(u.seen[p.name])
	if err := rewriteGoPackage(u.file, p); err != nil {
		return err.Error()
	}
	return ""
}

func orPackage(test string) string {
	if test == "" {
		return "(the package)"
	}
	return test
}

// learn takes passes and skips from runs on every CPU count; reasons that are listed already stay.
func (p *goPackage) learn(runs map[int][]goTest) {
	known := map[string]string{}
	var kept []goException
	for _, e := range p.tests {
		known[e.test] = e.reason
		if e.kind != "skip" {
			kept = append(kept, e)
		}
	}
	skips := map[string][]int{}
	for cpus, results := range runs {
		for _, r := range results {
			if r.verdict == skipped {
				skips[r.test] = append(skips[r.test], cpus)
				if known[r.test] == "" {
					known[r.test] = skipReason(r.output)
				}
			}
		}
	}
	for test, counts := range skips {
		if len(counts) == len(p.cpus) {
			counts = []int{0}
		}
		for _, cpus := range counts {
			kept = append(kept, goException{"skip", cpus, test, known[test]})
		}
	}
	sort.SliceStable(kept, func(i, j int) bool { return kept[i].test < kept[j].test })
	p.tests = kept
	p.passes = 0
	for cpus, results := range runs {
		n := p.passes - p.expected(cpus) // what the exceptions for this count take away
		for _, r := range results {
			if r.verdict == passed {
				n++
			}
		}
		p.passes = max(p.passes, n)
	}
}

// rewriteGoPackage replaces one entry of the file and leaves everything else in it alone. Others
// can do so at the same time.
func rewriteGoPackage(file string, p *goPackage) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	before, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	after := replaceGoPackage(string(before), p)
	_, err = f.WriteAt([]byte(after), 0)
	return errors.Join(err, f.Truncate(int64(len(after))))
}

func replaceGoPackage(text string, p *goPackage) string {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		heading := len(words) > 1 && line[0] != ' ' && line[0] != '\t' && line[0] != '#'
		if heading {
			other, _ := parseGoPackage(words)
			inside = other != nil && other.name == p.name && other.run == p.run
		}
		switch {
		case heading && inside:
			out.WriteString(strings.TrimRight(fmt.Sprintf("%-32s %4d %s", p.name,
				p.passes, strings.Join(words[2:], " ")), " ") + "\n")
			for _, e := range p.tests {
				cpus := ""
				if e.cpus != 0 {
					cpus = fmt.Sprintf("@%d", e.cpus)
				}
				fmt.Fprintf(&out, "    %s%s %s: %s\n", e.kind, cpus, e.test,
					e.reason)
			}
		case inside && len(words) > 0 && (line[0] == ' ' || line[0] == '\t'):
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}
