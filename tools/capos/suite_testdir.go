package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"capos.dev/tools/capos/internal/repo"
)

// testdirRow is a line of tests/go/testdir.txt.
type testdirRow struct {
	name   string
	passes int
	ci     bool
	flags  []string
}

func readTestdirRows(file string) ([]testdirRow, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []testdirRow
	for number, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) < 3 {
			return nil, fmt.Errorf("%s:%d: want NAME PASSES [ci] FLAGS", file, number+1)
		}
		passes, err := strconv.Atoi(words[1])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %q is no number of passes", file, number+1, words[1])
		}
		row := testdirRow{name: words[0], passes: passes, flags: words[2:]}
		if row.flags[0] == "ci" {
			row.ci, row.flags = true, row.flags[1:]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// testdirSteps run the programs of $GOROOT/test.
func (s *suite) testdirSteps() ([]step, error) {
	rows, err := readTestdirRows(filepath.Join(s.root, "tests", "go", "testdir.txt"))
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, row := range rows {
		steps = append(steps, step{name: "testdir/" + row.name, cpus: 2, full: !row.ci, run: func(ctx context.Context) []check {
			return s.runTestdir(ctx, &row)
		}})
	}
	return steps, nil
}

// runTestdir runs Go's runner as the host's program that it is; only what it builds and starts is for capOS.
func (s *suite) runTestdir(ctx context.Context, row *testdirRow) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	goroot, err := s.toolchain("")
	if err != nil {
		return single(row.name, err, "")
	}
	cache, err := repo.CacheDir()
	if err != nil {
		return single(row.name, err, "")
	}
	args := []string{"test", "-json", "-count=1", "-timeout=14m", "cmd/internal/testdir", "-target=capos/amd64"}
	cmd := hostCommand(ctx, s.root, filepath.Join(goroot, "bin", "go"), append(args, row.flags...)...)
	environment := repo.Without(repo.GoEnv(s.root, goroot, cache), "GOOS", "GOARCH", "GOFLAGS")
	cmd.Env = append(environment, "GOFLAGS=", "GOWORK=off", strictVar+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runError := cmd.Run()
	checks, passes := testdirChecks(stdout.Bytes())
	if runError != nil && !slices.ContainsFunc(checks, func(c check) bool { return c.Verdict == failed }) {
		checks = append(checks, check{row.name, failed, fmt.Sprintf("%v: %s", runError, lastLines(stderr.String(), 20))})
	}
	if passes < row.passes {
		checks = append(checks, check{row.name, failed, fmt.Sprintf("%d programs pass, %d are expected", passes, row.passes)})
	}
	return checks
}

// testdirChecks gives a check for each program: passed, failed, or left out by Go's runner, which says why.
func testdirChecks(events []byte) (checks []check, passes int) {
	output := map[string]string{}
	for line := range bytes.Lines(events) {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(line, &event) != nil || !strings.Contains(event.Test, "/") {
			continue
		}
		switch event.Action {
		case "output":
			output[event.Test] += event.Output
		case "pass":
			passes++
			checks = append(checks, check{event.Test, passed, ""})
		case "skip":
			checks = append(checks, check{event.Test, skipped, skipReason(output[event.Test])})
		case "fail":
			checks = append(checks, check{event.Test, failed, lastLines(output[event.Test], 20)})
		}
	}
	return checks, passes
}
