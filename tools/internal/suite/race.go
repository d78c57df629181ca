package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"capos.dev/tools/internal/report"
)

// The race detector: programs with and without races, whose reports must be those that Go prints on
// Linux, and Go's own tests of it.

const raceDir = "tests/race"

func (s *suite) raceSteps() ([]step, error) {
	return []step{
		{name: "race/reports", cpus: 2, run: s.raceReports},
		{name: "race/go", cpus: 2, full: true, run: s.goRaceTests},
	}, nil
}

// raceCase is a run of a program that was built with -race.
type raceCase struct {
	name, program string
	cpus          int
	options       string // GORACE
	status        int
	report        func(text string) error
}

func (s *suite) raceCases() ([]raceCase, error) {
	wanted, err := os.ReadFile(filepath.Join(s.root, raceDir, "racy.txt"))
	if err != nil {
		return nil, err
	}
	same := func(text string) error {
		if got := plainReport(text); got != string(wanted) {
			return fmt.Errorf("the report is not that of Linux (%s/racy.txt):\n%s",
				raceDir, got)
		}
		return nil
	}
	silent := func(text string) error {
		if strings.Contains(text, "==") || !strings.Contains(text, "many 4000") {
			return errors.New(text)
		}
		return nil
	}
	return []raceCase{
		{"racy@1", "racy", 1, "atexit_sleep_ms=0", 66, same},
		{"racy@4", "racy", 4, "atexit_sleep_ms=0", 66, same},
		{"options", "racy", 2,
			"halt_on_error=1 exitcode=7 strip_path_prefix=tests/race/", 7, oneReport},
		{"quiet@1", "quiet", 1, "", 0, silent},
		{"quiet@4", "quiet", 4, "", 0, silent},
	}, nil
}

// oneReport is what remains when the first race ends the program.
func oneReport(text string) error {
	if strings.Count(text, "WARNING: DATA RACE") != 1 || strings.Contains(text, "Found") ||
		!strings.Contains(text, "\n      racy/main.go:") {
		return fmt.Errorf("the options have no effect:\n%s", text)
	}
	return nil
}

var (
	raceNumber    = regexp.MustCompile(`0x[0-9a-f]+`)
	raceFile      = regexp.MustCompile(`(?m)^      /.*/([^/]+:\d+ )`)
	raceGoroutine = regexp.MustCompile(`oroutine \d+`)
)

// plainReport leaves out of a report what differs from run to run: addresses, directories, and the
// numbers of goroutines.
func plainReport(text string) string {
	text = raceNumber.ReplaceAllString(text, "0x")
	text = raceFile.ReplaceAllString(text, "      $1")
	return raceGoroutine.ReplaceAllString(text, "oroutine N")
}

func (s *suite) raceReports(ctx context.Context) []check {
	cases, err := s.raceCases()
	if err != nil {
		return single("racy.txt", err, "")
	}
	built := map[string]string{}
	for _, name := range []string{"racy", "quiet"} {
		if built[name], err = s.buildRace(ctx, name); err != nil {
			return single("build of "+name, err, "")
		}
	}
	var checks []check
	for _, c := range cases {
		out, said, err := s.runForOutput(ctx, "", "run", "--cpus", strconv.Itoa(c.cpus),
			"-m", "512M", "-e", "GORACE="+c.options, built[c.program])
		checks = append(checks, single(c.name, c.judge(out+said, err), "")...)
	}
	return append(checks, s.raceInTest(ctx))
}

func (c *raceCase) judge(text string, err error) error {
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		return err
	}
	if status != c.status {
		return fmt.Errorf("status %d instead of %d\n%s", status, c.status, text)
	}
	return c.report(text)
}

func (s *suite) buildRace(ctx context.Context, name string) (string, error) {
	goroot, err := s.toolchain("")
	if err != nil {
		return "", err
	}
	elf := filepath.Join(s.root, "build", "tests", "race-"+name)
	cmd, err := s.portedGo(ctx, goroot, filepath.Join(s.root, raceDir), "build", "-race", "-o",
		elf, "./"+name)
	if err != nil {
		return "", err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return elf, nil
}

// raceInTest has go test -race fail the test that has a race, and no other.
func (s *suite) raceInTest(ctx context.Context) check {
	const name = "go test -race"
	goroot, err := s.toolchain("")
	if err != nil {
		return check{name, failed, err.Error()}
	}
	results, output := s.portedGoTest(ctx, goroot, filepath.Join(s.root, raceDir), "--cpus 2",
		nil, []string{"-race", "./tested"})
	verdicts := map[string]string{}
	for _, r := range results {
		verdicts[r.test] = r.verdict
		output += r.output
	}
	if verdicts["TestQuiet"] != passed || verdicts["TestRacy"] != failed ||
		!strings.Contains(output, "race detected during execution of test") {
		return check{name, failed, report.LastLines(output, 40)}
	}
	return check{name, passed, ""}
}

// goRaceTests runs the programs by which Go tests the detector: each test says by its name whether
// it has a race. Like Go's own driver it has one CPU, because the order of accesses decides.
func (s *suite) goRaceTests(ctx context.Context) []check {
	goroot, err := s.toolchain("")
	if err != nil {
		return single("race/go", err, "")
	}
	dir := filepath.Join(goroot, "src", "runtime", "race", "testdata")
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		return single("race/go", errors.Join(err, errors.New("no tests in "+dir)), "")
	}
	cmd, err := s.portedGo(ctx, goroot, dir,
		append([]string{"test", "-race", "-v", "-count=1"}, files...)...)
	if err != nil {
		return single("race/go", err, "")
	}
	cmd.Env = append(cmd.Env, "GOFLAGS=", "GOMAXPROCS=1",
		"GORACE=suppress_equal_stacks=0")
	out, _ := cmd.CombinedOutput()
	return judgeRaceTests(string(out))
}

// judgeRaceTests compares what was said during each test with the test's name.
func judgeRaceTests(text string) (checks []check) {
	if !strings.Contains(text, "ALL TESTS COMPLETE") {
		return []check{{"race/go", failed, "not all tests ran\n" +
			report.LastLines(text, 40)}}
	}
	for _, part := range strings.Split(text, "=== RUN   Test")[1:] {
		name, said, _ := strings.Cut(part, "\n")
		raced := strings.Contains(said, "DATA RACE")
		c := check{name, passed, ""}
		switch {
		case strings.Contains(said, "--- SKIP:"):
			c = check{name, skipped, "skips itself"}
		case raced == strings.HasPrefix(name, "Race"):
		case strings.Contains(name, "Failing"):
			c = check{name, skipped, "Go knows that the detector is wrong about it"}
		default:
			c = check{name, failed, fmt.Sprintf("a race is reported: %v\n%s", raced,
				report.LastLines(said, 40))}
		}
		checks = append(checks, c)
	}
	return checks
}
