package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/report"
)

// Steps that take long and print what docs/explore.md says in figures.

// strategyRuns is how many seeds each strategy has for each case.
const strategyRuns = 100

// exploreStrategies counts the runs that fail, by strategy and case, and those of the strategies
// as the seeds choose them. A strategy that fails none of the cases fails the step.
func (s *suite) exploreStrategies(ctx context.Context) (checks []check) {
	for _, strategy := range []string{"mixed", "none", "few1", "few2", "few3", "many", "slow",
		"pct", "sampling"} {
		args := []string{"--runs", fmt.Sprint(strategyRuns), "--max-failures", "1000",
			"--no-shrink", "--failures", "none", "./cases/..."}
		if strategy != "mixed" {
			args = append([]string{"--strategy", strategy}, args...)
		}
		_, sums, err := s.exploredOn(ctx, "strategies-"+strategy, exploreFound, args...)
		if err != nil {
			checks = append(checks, single(strategy, err, "")...)
			continue
		}
		all := 0
		var told []string
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			failed := sums[name].Failed
			all += failed
			told = append(told, fmt.Sprintf("%s %d", path.Base(name), failed))
		}
		text := fmt.Sprintf("of %d runs each fail: %s; sum %d", strategyRuns,
			strings.Join(told, ", "), all)
		fmt.Printf("          ... %s: %s\n", strategy, text)
		checks = append(checks, check{strategy, passed, text})
	}
	return checks
}

// The bugs of GoBench's GoKer (Yuan and others, 2021) are real ones, reduced to tests: 68 that
// block and 35 others. Go's own source has 63 of the former; main runs each by its name.
// tests/explore has tests of this repository with the defects of the others, and of Moby27782,
// which Go's version cannot have: it holds the logger's lock while it follows the log.
const (
	goKer      = "src/runtime/testdata/testgoroutineleakprofile/goker"
	goKerOwn   = "tests/explore/goker"
	goKerCount = 103
	goKerSeeds = 100
	goKerLimit = 5 * time.Minute // for one bug
)

// goKerBug is a bug by its name and what has ./capos explore run it.
type goKerBug struct {
	name, dir string
	args      []string
}

var (
	goKerName = regexp.MustCompile(`\tregister\("(\w+)", `)
	goKerTest = regexp.MustCompile(`(?m)^func Test(\w+)\(`)
)

// exploreGoKer explores each of these bugs until it is found.
func (s *suite) exploreGoKer(ctx context.Context) []check {
	scratch, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	bugs, err := s.goKerBugs(scratch)
	if err == nil && len(bugs) != goKerCount {
		err = fmt.Errorf("%d bugs, expected %d", len(bugs), goKerCount)
	}
	if err != nil {
		return single("source", err, "")
	}
	var checks []check
	for i, bug := range bugs {
		first, kind, err := s.exploreBug(ctx, &bug)
		fmt.Printf("          ... %d of %d: %s: %s, seed %d\n", i+1, len(bugs), bug.name,
			kind, first)
		if err != nil {
			checks = append(checks, single(bug.name, err, "")...)
			continue
		}
		checks = append(checks, check{bug.name, passed,
			fmt.Sprintf("%s, seed %d", kind, first)})
	}
	return checks
}

// goKerBugs gives all of them. Go's are copied to a directory; the source is that of the toolchain,
// whose release is pinned by its checksum.
func (s *suite) goKerBugs(scratch string) (bugs []goKerBug, err error) {
	files, err := filepath.Glob(filepath.Join(s.root, goKerOwn, "*_test.go"))
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, name := range goKerTest.FindAllStringSubmatch(string(text), -1) {
			own[name[1]] = true
			bugs = append(bugs, goKerBug{name[1], filepath.Join(s.root, goKerOwn),
				[]string{".", "-run", "^Test" + name[1] + "$"}})
		}
	}
	goroot, err := s.toolchain("")
	if err != nil {
		return nil, err
	}
	names, err := copyGoKer(scratch, filepath.Join(goroot, filepath.FromSlash(goKer)))
	for _, name := range names {
		if !own[name] {
			bugs = append(bugs, goKerBug{name, scratch,
				[]string{"--program", ".", "--", name}})
		}
	}
	return bugs, err
}

// goKerCopies is how many of the programs run a bug many times over, in goroutines.
var goKerCopies = regexp.MustCompile(`(?m)^\tfor i := 0; i <=? \d+; i\+\+ \{\n` +
	`((?:\t\t//.*\n)*\t\tgo )`)

// goKerRounds is in one that has so many rounds, of which it needs a few.
const goKerRounds, goKerRoundsHere = "i < 100000;", "i < 100;"

// copyGoKer makes a module of the collection, in which each program has its bug once. They print a
// profile of leaks at the end, of a kind that ordinary builds do not have; explore looks for leaks
// itself.
func copyGoKer(dir, from string) (names []string, err error) {
	files, err := filepath.Glob(filepath.Join(from, "*.go"))
	if err != nil {
		return nil, err
	}
	texts := map[string]string{"go.mod": "module goker\n\ngo 1.26\n"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, name := range goKerName.FindAllStringSubmatch(string(text), -1) {
			names = append(names, name[1])
		}
		once := goKerCopies.ReplaceAllString(string(text),
			"\tfor i := 0; i < 1; i++ {\n$1")
		once = strings.ReplaceAll(once, goKerRounds, goKerRoundsHere)
		texts[filepath.Base(file)] = strings.ReplaceAll(once,
			"prof.WriteTo(os.Stdout, 2)", "_, _ = prof, os.Stdout")
	}
	return names, writeTexts(dir, texts)
}

// exploreBug tells with which seed a bug shows first, and as what.
func (s *suite) exploreBug(ctx context.Context, bug *goKerBug) (first uint64, kind string,
	err error) {
	ctx, cancel := context.WithTimeout(ctx, goKerLimit)
	defer cancel()
	// One machine at a time, so that the first seed does not depend on the host.
	cmd := s.tool(ctx, append([]string{"explore", "--json", "--runs", fmt.Sprint(goKerSeeds),
		"-j", "1", "--max-failures", "1", "--no-shrink", "--failures", "none"},
		bug.args...)...)
	cmd.Dir = bug.dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	var f struct {
		Kind   string `json:"kind"`
		Lowest uint64 `json:"lowest_seed"`
	}
	err = json.NewDecoder(strings.NewReader(string(out))).Decode(&f)
	if f.Kind == explore.KindHang {
		err = errors.New("a run did not end in time")
	} else if errors.Is(err, io.EOF) || err == nil && f.Kind == "" {
		err = fmt.Errorf("not found: %s", report.LastLines(stderr.String(), 2))
	}
	return f.Lowest, f.Kind, err
}
