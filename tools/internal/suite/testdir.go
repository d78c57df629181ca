package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

const testdirListFile = "tests/go/testdir.txt"

// testdirRow is a line of it.
type testdirRow struct {
	name   string
	passes int
	ci     bool
	flags  []string
}

// readTestdirRows gives the steps, and the reasons why some programs are not expected to work.
func readTestdirRows(file string) (rows []testdirRow, skips map[string]string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	skips = map[string]string{}
	for number, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if skip, found := strings.CutPrefix(line, "skip "); found {
			program, reason, _ := strings.Cut(skip, ": ")
			if skips[program] = reason; reason == "" {
				return nil, nil, fmt.Errorf("%s:%d: want skip PROGRAM: REASON",
					file, number+1)
			}
			continue
		}
		row, err := parseTestdirRow(words)
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", file, number+1, err)
		}
		rows = append(rows, row)
	}
	return rows, skips, nil
}

func parseTestdirRow(words []string) (testdirRow, error) {
	if len(words) < 3 {
		return testdirRow{}, errors.New("want NAME PASSES [ci] FLAGS")
	}
	passes, err := strconv.Atoi(words[1])
	if err != nil {
		return testdirRow{}, fmt.Errorf("%q is no number of passes", words[1])
	}
	row := testdirRow{name: words[0], passes: passes, flags: words[2:]}
	if row.flags[0] == "ci" {
		row.ci, row.flags = true, row.flags[1:]
	}
	return row, nil
}

// testdirSteps run the programs of $GOROOT/test.
func (s *suite) testdirSteps() ([]step, error) {
	rows, skips, err := readTestdirRows(filepath.Join(s.root, testdirListFile))
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, row := range rows {
		steps = append(steps, step{name: "testdir/" + row.name, cpus: 2, full: !row.ci,
			run: func(ctx context.Context) []check {
				return s.runTestdir(ctx, &row, skips)
			}})
	}
	return steps, nil
}

// runTestdir runs Go's runner as the host's program that it is; only what it builds and starts is
// for capOS.
func (s *suite) runTestdir(ctx context.Context, row *testdirRow, skips map[string]string) []check {
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
	args := []string{"test", "-json", "-count=1", "-timeout=14m", "cmd/internal/testdir",
		"-target=capos/amd64"}
	cmd := hostCommand(ctx, s.root, filepath.Join(goroot, "bin", "go"),
		append(args, row.flags...)...)
	environment := repo.Without(repo.GoEnv(s.root, goroot, cache), "GOOS", "GOARCH", "GOFLAGS")
	cmd.Env = append(environment, "GOFLAGS=", "GOWORK=off", repo.StrictVar+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runError := cmd.Run()
	checks, passes := testdirChecks(stdout.Bytes(), skips)
	if runError != nil && len(checks) == 0 {
		checks = append(checks, check{row.name, failed, fmt.Sprintf("%v: %s", runError,
			report.LastLines(stderr.String(), 20))})
	}
	if passes < row.passes {
		checks = append(checks, check{row.name, failed,
			fmt.Sprintf("%d programs pass, %d are expected", passes, row.passes)})
	}
	return checks
}

// testdirChecks gives a check for each program: passed, failed, or left out, by Go's runner, which
// says why, or by the list of skips.
func testdirChecks(events []byte, skips map[string]string) (checks []check, passes int) {
	output := map[string]string{}
	for line := range bytes.Lines(events) {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(line, &event) != nil || !strings.Contains(event.Test, "/") {
			continue
		}
		reason, listed := skips[strings.TrimPrefix(event.Test, "Test/")]
		switch {
		case event.Action == "output":
			output[event.Test] += event.Output
		case event.Action == "pass" && listed:
			checks = append(checks, check{event.Test, failed,
				"passes, and is listed: take it out of " + testdirListFile})
		case event.Action == "pass":
			passes++
			checks = append(checks, check{event.Test, passed, ""})
		case event.Action == "fail" && listed:
			checks = append(checks, check{event.Test, skipped, reason})
		case event.Action == "skip":
			checks = append(checks, check{event.Test, skipped,
				skipReason(output[event.Test])})
		case event.Action == "fail":
			checks = append(checks, check{event.Test, failed,
				report.LastLines(output[event.Test], 20)})
		}
	}
	return checks, passes
}
