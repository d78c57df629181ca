package suite

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
	"strings"

	"capos.dev/tools/internal/report"
)

// libraryPackage is a package of Go's library whose own tests are explored. The head of
// tests/explore/library.txt says how one is written.
type libraryPackage struct {
	name  string
	runs  string
	known map[string]string // the cause, by what fails: a test, or else the kind of failure
}

func readLibrary(file string) (packages []*libraryPackage, err error) {
	err = dataLines(file, func(words []string) error {
		if words[0] != "known" {
			if len(words) != 2 {
				return errors.New("not of the form PACKAGE RUNS")
			}
			packages = append(packages, &libraryPackage{name: words[0], runs: words[1],
				known: map[string]string{}})
			return nil
		}
		what, cause, found := strings.Cut(strings.Join(words[1:], " "), ": ")
		if !found || len(packages) == 0 {
			return errors.New("not of the form known WHAT: CAUSE below a package")
		}
		packages[len(packages)-1].known[what] = cause
		return nil
	})
	return packages, err
}

// exploreLibrary explores Go's own tests. How far it is is kept in the build directory, so that the
// step goes on where it was stopped.
func (s *suite) exploreLibrary(ctx context.Context) (checks []check) {
	packages, err := readLibrary(filepath.Join(s.root, "tests", "explore", "library.txt"))
	if err != nil {
		return single("library.txt", err, "")
	}
	ported, err := readGoPackages(filepath.Join(s.root, goListFile))
	if err != nil {
		return single("packages.txt", err, "")
	}
	for i, p := range packages {
		at := slices.IndexFunc(ported, func(g *goPackage) bool { return g.name == p.name })
		if at < 0 {
			checks = append(checks, single(p.name,
				errors.New("it is not among the packages that are tested"), "")...)
			continue
		}
		found, sum, err := s.exploreOwnTests(ctx, p, ported[at])
		fmt.Printf("          ... %d of %d: %s: %d of %d runs failed\n", i+1,
			len(packages), p.name, sum.Failed, sum.Runs)
		checks = append(checks, single(p.name, err, "")...)
		for _, f := range found {
			checks = append(checks, p.judge(&f))
		}
	}
	return checks
}

// libraryFailure is a failure as ./capos explore --json has it.
type libraryFailure struct {
	explored
	Test  string `json:"test"`
	Text  string `json:"text"`
	Count int    `json:"count"`
}

// judge tells a failure with a known cause from one that is to be looked into.
func (p *libraryPackage) judge(f *libraryFailure) check {
	what, _, _ := strings.Cut(f.Test, "/")
	if what == "" {
		what = f.Kind
	}
	name := p.name + "/" + strings.ReplaceAll(what, " ", "-")
	if cause := p.known[what]; cause != "" {
		return check{name, passed, fmt.Sprintf("%d runs: %s", f.Count, cause)}
	}
	return check{name, failed, fmt.Sprintf("%d runs: %s: %s; %s", f.Count, f.Kind, f.Text,
		f.Replay)}
}

// exploreOwnTests explores those tests of a package that are run on capOS.
func (s *suite) exploreOwnTests(ctx context.Context, p *libraryPackage, g *goPackage) (
	found []libraryFailure, sum exploredSum, err error) {
	state := filepath.Join(s.root, "build", "explore", "library",
		strings.ReplaceAll(p.name, "/", "-"))
	args := []string{"--json", "--no-shrink", "--failures", "none", "--runs", p.runs,
		"--max-failures", "1000", "--timeout", "30m", "-m", g.memory, "--resume", state,
		p.name, "-short"}
	var leftOut []string
	for test, e := range g.exceptions(1) {
		if e.kind != "skip" {
			leftOut = append(leftOut, test)
		}
	}
	if len(leftOut) > 0 {
		slices.Sort(leftOut)
		args = append(args, "-skip", "^("+strings.Join(leftOut, "|")+")$")
	}
	cmd := s.exploreCommand(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	if status := cmd.ProcessState.ExitCode(); status == exploreMisused {
		// What is kept is of another program; it is of no use any more.
		if os.RemoveAll(state) == nil {
			cmd = s.exploreCommand(ctx, args...)
			cmd.Stderr = &stderr
			out, _ = cmd.Output()
		}
	}
	if status := cmd.ProcessState.ExitCode(); status != 0 && status != exploreFound {
		return nil, sum, fmt.Errorf("status %d: %s", status,
			report.LastLines(stderr.String(), 4))
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
