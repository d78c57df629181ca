package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// seedCase is a run that must repeat.
type seedCase struct {
	name   string
	elf    string // a program, or
	pkg    string // a package of the standard library, whose tests are run
	flags  []string
	args   []string
	stdin  string
	seed   int
	status int // of the program
}

// disturbance is what the host does to a run.
type disturbance struct {
	name  string
	busy  bool          // the host's CPUs have other work
	stall time.Duration // the reader of the output begins this much later
}

var disturbances = []disturbance{
	{name: "idle"}, {name: "loaded", busy: true}, {name: "stalled", stall: time.Second},
}

// seedPackages are tested with a seed when everything is: their tests sleep, race, collect, and
// speak over sockets and files.
var seedPackages = []string{"bufio", "bytes", "compress/flate", "container/heap", "context",
	"crypto/sha256", "encoding/gob", "encoding/json", "errors", "fmt", "go/parser", "io",
	"io/fs", "iter", "log", "maps", "math/big", "math/rand/v2", "net/textproto",
	"net/url", "os/signal",
	"path/filepath", "regexp", "slices", "sort", "strings", "sync", "sync/atomic",
	"testing/fstest", "text/template", "time", "unique", "net/http", "net/rpc", "html/template",
	"strconv", "reflect", "encoding/binary", "unicode/utf8", "encoding/xml", "hash/crc32",
	"math", "weak"}

func (s *suite) seedSteps() ([]step, error) {
	probe := func() (string, error) {
		return program.BuildGo(s.root, filepath.Join(s.root, "tests", "run", "seedprobe"),
			".")
	}
	machine, err := s.seedMachineSteps()
	return slices.Concat([]step{
		{name: "seed/programs", cpus: 2, run: func(ctx context.Context) []check {
			elf, err := probe()
			if err != nil {
				return single("build", err, "")
			}
			cases := append(seedPrograms(elf), seedCase{name: "moments", seed: 1,
				elf: filepath.Join(s.root, "tests", "run", "moments.c")})
			return append(s.repeatAll(ctx, cases),
				s.seedChoosesRuns(ctx, elf), s.verifyCase(ctx, elf),
				s.exactBenchmarks(ctx))
		}},
	}, s.seedPackageSteps(), machine), err
}

// seedStep is a step of one case, so that a long run can be taken up where it was stopped. prepare
// may complete the case.
func (s *suite) seedStep(group string, c seedCase, prepare func(context.Context,
	*seedCase) error) step {
	name := "seed/" + group + "-" + strings.ReplaceAll(c.name, "/", "-")
	return step{name: name, cpus: 2, full: true, run: func(ctx context.Context) []check {
		if err := prepare(ctx, &c); err != nil {
			return single("build", err, "")
		}
		return s.repeatAll(ctx, []seedCase{c})
	}}
}

func isPrepared(context.Context, *seedCase) error { return nil }

func (s *suite) seedPackageSteps() (steps []step) {
	for _, pkg := range seedPackages {
		c := seedCase{name: pkg, pkg: pkg, seed: 1}
		steps = append(steps, s.seedStep("packages", c, isPrepared))
	}
	return steps
}

// seedMachineSteps are of the programs of examples that need nothing else, and of those of
// tests/machine that run alone and on one CPU. One that runs several times, with different
// arguments, does so with the first.
func (s *suite) seedMachineSteps() (steps []step, err error) {
	for _, name := range []string{"adder", "counter", "counter-go", "exec", "hello", "hello-c",
		"service", "spawn"} {
		c := seedCase{name: "example-" + name, seed: 1,
			elf: filepath.Join(s.root, "examples", name)}
		steps = append(steps, s.seedStep("machine", c, isPrepared))
	}
	tests, err := s.machineTests()
	if err != nil {
		return nil, err
	}
	programs := &programBuilder{root: s.root}
	for _, t := range tests {
		if !t.runsOn("release", 1) || len(t.beside) > 0 {
			continue
		}
		list, status := t.runs("")
		c := seedCase{name: t.name, seed: 1, args: list[0].Args, status: status[0]}
		for _, entry := range t.env {
			c.flags = append(c.flags, "-e", entry)
		}
		if t.limit != 0 {
			c.flags = append(c.flags, "--limit", fmt.Sprintf("%dK", t.limit>>10))
		}
		prepare := func(ctx context.Context, c *seedCase) (err error) {
			c.elf, err = programs.build(ctx, t.source)
			return err
		}
		steps = append(steps, s.seedStep("machine", c, prepare))
	}
	return steps, nil
}

func seedPrograms(probe string) []seedCase {
	input := strings.Repeat(everyByte(), 20)
	debug := []string{"--kernel", "debug"}
	return []seedCase{
		{name: "quiet", elf: probe, seed: 1},
		{name: "stdin", elf: probe, seed: 2, stdin: input},
		{name: "output", elf: probe, seed: 3, args: []string{"100000"}},
		{name: "many-threads", elf: probe, seed: 4, flags: []string{"-e", "GOMAXPROCS=8"}},
		{name: "debug-kernel", elf: probe, seed: 5, flags: debug},
		{name: "q35", elf: probe, seed: 6, flags: []string{"--machine", "q35"}},
		{name: "tests-of-context", pkg: "context", seed: 7},
		{name: "tests-of-sync", pkg: "sync", seed: 8},
	}
}

// repeatAll runs each case once for each disturbance and compares.
func (s *suite) repeatAll(ctx context.Context, cases []seedCase) []check {
	var checks []check
	for _, c := range cases {
		var first string
		var err error
		for _, d := range disturbances {
			var got string
			if got, err = s.seededRun(ctx, &c, d); err != nil {
				break
			}
			if first == "" {
				first = got
			}
			if got != first {
				err = fmt.Errorf("%s: %q, with an idle host %q", d.name, got, first)
				break
			}
		}
		checks = append(checks, single(c.name, err, "")...)
	}
	return checks
}

// seedChoosesRuns holds against a seed that has no effect, with which all runs would be equal.
func (s *suite) seedChoosesRuns(ctx context.Context, probe string) check {
	seen := map[string]bool{}
	for seed := range 4 {
		got, err := s.seededRun(ctx, &seedCase{elf: probe, seed: seed}, disturbances[0])
		if err != nil {
			return single("seeds-differ", err, "")[0]
		}
		seen[got] = true
	}
	var err error
	if len(seen) != 4 {
		err = fmt.Errorf("4 seeds gave %d different runs", len(seen))
	}
	return single("seeds-differ", err, "")[0]
}

func (s *suite) verifyCase(ctx context.Context, probe string) check {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	out, err := s.tool(ctx, "replay", "--verify", "--seed", "9", probe).Output()
	if err == nil && !strings.HasPrefix(string(out), "both runs are the same: digest ") {
		err = fmt.Errorf("it says %q", out)
	}
	return single("replay-verify", err, string(out))[0]
}

// exactBenchmarks runs a benchmark of the library twice, each time so often and so many times over
// as it is told. Its lines are to be those that benchstat reads, and equal.
func (s *suite) exactBenchmarks(ctx context.Context) check {
	const name, count = "benchmarks", 3
	line := regexp.MustCompile(`(?m)^BenchmarkSortString1K\S* +\t +20\t +\d+ instructions/op$`)
	var said [2]string
	for i := range said {
		cmd := s.tool(ctx, "go", "test", "-vet=off", "-run=^$", "-bench=SortString1K$",
			"-benchtime=20x", fmt.Sprint("-count=", count), "sort")
		cmd.Env = append(cmd.Env, repo.RunFlagsVar+"=--seed 1")
		out, err := cmd.CombinedOutput()
		lines := line.FindAllString(string(out), -1)
		if err != nil || len(lines) != count {
			err = fmt.Errorf("%d lines in instructions, expected %d: %w", len(lines),
				count, err)
			return single(name, err, string(out))[0]
		}
		said[i] = strings.Join(lines, "\n")
	}
	var err error
	if said[0] != said[1] {
		err = fmt.Errorf("%s\nand then\n%s", said[0], said[1])
	}
	return single(name, err, "")[0]
}

var seedDigest = regexp.MustCompile(`(?m)^capos: seed \d+, digest of the run ([0-9a-f]{32})$`)

// seededLimit ends a run that hangs.
const seededLimit = 5 * time.Minute

// seededRun gives the digest that the machine's statistics end with, and the length of its output.
func (s *suite) seededRun(ctx context.Context, c *seedCase, d disturbance) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, seededLimit)
	defer cancel()
	if d.busy {
		for range 2 * runtime.NumCPU() {
			go func() {
				for ctx.Err() == nil {
				}
			}()
		}
	}
	cmd := s.seededCommand(ctx, c)
	cmd.Stdin = strings.NewReader(c.stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	time.Sleep(d.stall)
	var said bytes.Buffer // go test shows both streams on one
	n, err := io.Copy(&said, stdout)
	ended := cmd.Wait()
	if c.status != 0 && cmd.ProcessState.ExitCode() == c.status {
		ended = nil
	}
	err = errors.Join(err, ended)
	digest := seedDigest.FindStringSubmatch(stderr.String() + said.String())
	if err != nil || digest == nil {
		return "", fmt.Errorf("%s: %v: %s", d.name, err,
			report.LastLines(stderr.String(), 8))
	}
	if c.pkg != "" {
		n = 0 // go test adds how long it took
	}
	return fmt.Sprintf("%s, %d bytes", digest[1], n), nil
}

func (s *suite) seededCommand(ctx context.Context, c *seedCase) *exec.Cmd {
	flags := append([]string{"--seed", strconv.Itoa(c.seed), "--stats"}, c.flags...)
	if c.pkg == "" {
		args := slices.Concat([]string{"run"}, flags, []string{c.elf}, c.args)
		return s.tool(ctx, args...)
	}
	cmd := s.tool(ctx, "go", "test", "-short", "-count=1", "-vet=off", "-v", c.pkg)
	cmd.Env = append(cmd.Env, repo.RunFlagsVar+"="+strings.Join(flags, " "))
	return cmd
}
