package suite

import (
	"bytes"
	"cmp"
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
	"time"

	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/report"
)

// libraryPackage is a package whose own tests are explored: one of Go's library, or of a published
// module. The head of tests/explore/library.txt says how one is written.
type libraryPackage struct {
	testsEntry
	runs    int
	leftOut []string
	causes  map[string]libraryCause // by what fails: a test, or else the kind of failure
	module  *published
}

// libraryCause is why a failure is none of capOS.
type libraryCause struct {
	late   bool // the test takes something for sure to come in time
	reason string
}

const (
	libraryFile = "tests/explore/library.txt"

	// libraryTime is how long a step tries seeds of one package. The next run of it goes on.
	libraryTime = time.Hour

	// libraryRunTime is how long one run may take. The tests of some packages take minutes.
	libraryRunTime = 30 * time.Minute
)

// readLibrary reads the file, and what the lists of tests that run on capOS say of its packages.
func readLibrary(root string) (packages []*libraryPackage, err error) {
	err = dataLines(filepath.Join(root, libraryFile), func(words []string) error {
		if slices.Contains([]string{"known", "late", "skip"}, words[0]) {
			if len(packages) == 0 {
				return errors.New("it is below no package")
			}
			return packages[len(packages)-1].parseTest(words)
		}
		p, err := parseLibraryPackage(words)
		packages = append(packages, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	ported, err := readGoPackages(filepath.Join(root, goListFile))
	if err != nil {
		return nil, err
	}
	suites, err := readSuites(root)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		for _, g := range ported {
			p.like(g)
		}
		for _, u := range suites {
			if p.like(u.goPackage) {
				p.module = &u.module
			}
		}
	}
	return packages, nil
}

func parseLibraryPackage(words []string) (p *libraryPackage, err error) {
	p = &libraryPackage{testsEntry: testsEntry{name: words[0], memory: machine.GoMemory},
		causes: map[string]libraryCause{}}
	if len(words) > 1 {
		p.runs, err = strconv.Atoi(words[1])
	}
	if err != nil || p.runs == 0 {
		return nil, errors.New("not of the form PACKAGE RUNS [m=SIZE] [run=PATTERN]")
	}
	for _, word := range words[2:] {
		if err := p.option(word); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *libraryPackage) parseTest(words []string) error {
	what, reason, found := strings.Cut(strings.Join(words[1:], " "), ": ")
	switch {
	case !found:
		return errors.New("not of the form known|late|skip WHAT: REASON")
	case words[0] == "skip":
		p.leftOut = append(p.leftOut, what)
	default:
		p.causes[what] = libraryCause{words[0] == "late", reason}
	}
	return nil
}

// like takes over what a list says of the package, if it is of this one.
func (p *libraryPackage) like(g *goPackage) bool {
	if g.name != p.name {
		return false
	}
	p.memory = g.memory
	for test, e := range g.exceptions(1) {
		if e.kind != "skip" {
			p.leftOut = append(p.leftOut, test)
		}
	}
	return true
}

// librarySteps explore the tests of packages that others have written.
func (s *suite) librarySteps() ([]step, error) {
	packages, err := readLibrary(s.root)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, p := range packages {
		steps = append(steps, step{name: "explore/library-" + p.file(), cpus: 1, full: true,
			long: true, run: func(ctx context.Context) []check {
				return s.exploreLibrary(ctx, p)
			}})
	}
	return steps, nil
}

// exploreLibrary explores the tests of one entry. How far it is is kept in the build directory, so
// that the step goes on where it was stopped.
func (s *suite) exploreLibrary(ctx context.Context, p *libraryPackage) (checks []check) {
	dir := filepath.Join(s.root, "tests", "explore")
	if p.module != nil {
		var why []check
		if dir, why = s.suiteSource(ctx, *p.module); why != nil {
			return why
		}
	}
	found, sum, err := s.exploreOwnTests(ctx, p, dir)
	if err != nil {
		return single(p.name, err, "")
	}
	late := 0
	for _, f := range found {
		if p.causes[f.what()].late {
			late += f.Count
		}
		checks = append(checks, p.judge(&f))
	}
	result := fmt.Sprintf("%d of %d runs, %d failed, %d of these because something came late",
		sum.Runs, p.runs, sum.Failed, late)
	fmt.Printf("          ... %s: %s\n", p.name, result)
	if sum.Runs < p.runs {
		return append(checks, check{p.name, skipped, result + "; the next run goes on"})
	}
	return append(checks, check{p.name, passed, result})
}

// libraryFailure is a failure as ./capos explore --json has it.
type libraryFailure struct {
	explored
	Count int `json:"count"`
}

// what is the test that failed, or the kind of failure where none did.
func (f *libraryFailure) what() string {
	test, _, _ := strings.Cut(f.Test, "/")
	return cmp.Or(test, f.Kind)
}

// judge tells a failure with a known cause from one that is to be looked into.
func (p *libraryPackage) judge(f *libraryFailure) check {
	name := p.name + "/" + strings.ReplaceAll(f.what(), " ", "-")
	if cause, known := p.causes[f.what()]; known {
		return check{name, passed, fmt.Sprintf("%d runs: %s", f.Count, cause.reason)}
	}
	return check{name, failed, fmt.Sprintf("%d runs: %s: %s; %s", f.Count, f.Kind, f.Text,
		f.Replay)}
}

// exploreOwnTests explores those tests of a package that are run on capOS.
func (s *suite) exploreOwnTests(ctx context.Context, p *libraryPackage, dir string) (
	found []libraryFailure, sum exploredSum, err error) {
	state := filepath.Join(s.root, "build", "explore", "library", p.file())
	args := []string{"--json", "--no-shrink", "--failures", "none", "-j", "1", "--runs",
		strconv.Itoa(p.runs), "--max-failures", "1000", "--time", libraryTime.String(),
		"--timeout", libraryRunTime.String(), "-m", p.memory, "--resume", state, p.name,
		"-short"}
	if p.run != "" {
		args = append(args, "-run", p.run)
	}
	if len(p.leftOut) > 0 {
		slices.Sort(p.leftOut)
		args = append(args, "-skip", "^("+strings.Join(p.leftOut, "|")+")$")
	}
	out, stderr, status := s.exploreIn(ctx, dir, args)
	// What is kept may be of another program; it is of no use any more.
	if status == exploreMisused && os.RemoveAll(state) == nil {
		out, stderr, status = s.exploreIn(ctx, dir, args)
	}
	if status != 0 && status != exploreFound {
		return nil, sum, fmt.Errorf("status %d: %s", status, report.LastLines(stderr, 4))
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var line libraryFailure
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) {
			return found, sum, nil
		} else if err != nil {
			return nil, sum, err
		}
		if line.Kind == "" {
			sum = line.exploredSum
		} else {
			found = append(found, line)
		}
	}
}

// exploreIn runs the command in a directory.
func (s *suite) exploreIn(ctx context.Context, dir string, args []string) (stdout []byte,
	stderr string, status int) {
	cmd := s.exploreCommand(ctx, args...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stderr = &said
	stdout, _ = cmd.Output()
	return stdout, said.String(), cmd.ProcessState.ExitCode()
}
