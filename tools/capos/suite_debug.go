package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"capos.dev/tools/capos/internal/repo"
)

// debugSteps are about what shows the inside of a machine: a debugger, traces, statistics; and about what a run may cost.
func (s *suite) debugSteps() ([]step, error) {
	programs := &programBuilder{root: s.root}
	probe := func(ctx context.Context) (string, error) {
		return programs.build(ctx, filepath.Join(s.root, "tests", "run", "probe.c"))
	}
	var steps []step
	for _, kernel := range []string{"release", "debug"} {
		steps = append(steps, step{name: "debug/gdb-" + kernel, cpus: 2, run: func(ctx context.Context) []check {
			return s.withProbe(ctx, probe, func(probe string) []check { return s.gdbCases(ctx, probe, kernel) })
		}})
	}
	return append(steps,
		step{name: "debug/trace", cpus: 1, run: func(ctx context.Context) []check {
			return s.withProbe(ctx, probe, func(probe string) []check { return s.traceCases(ctx, probe) })
		}},
		step{name: "debug/budgets", cpus: 1 << 10, run: func(ctx context.Context) []check {
			return s.withProbe(ctx, probe, func(probe string) []check { return s.budgetCases(ctx, probe) })
		}}), nil
}

func (s *suite) withProbe(ctx context.Context, build func(context.Context) (string, error), use func(probe string) []check) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	return use(probe)
}

// gdbScript stops the program inside a call and asks every helper.
var gdbScript = []string{"-batch", "-ex", "break method_timer_sleep_until", "-ex", "continue", "-ex", "capos cpus", "-ex", "capos threads",
	"-ex", "capos caps", "-ex", "capos regions", "-ex", "capos queues", "-ex", "backtrace 3", "-ex", "kill"}

// gdbCases runs gdb as ./capos run -d says, on a machine whose program sleeps.
func (s *suite) gdbCases(ctx context.Context, probe, kernel string) []check {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd := s.tool(ctx, "run", "-d", "--accel", "tcg", "--cpus", "2", "--kernel", kernel, probe, "sleep")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return single("start", err, "")
	}
	if err := cmd.Start(); err != nil {
		return single("start", err, "")
	}
	defer cmd.Wait()
	defer cancel()
	command := ""
	for lines := bufio.NewScanner(stderr); command == "" && lines.Scan(); {
		if text := strings.TrimSpace(lines.Text()); strings.HasPrefix(text, "gdb ") {
			command = text
		}
	}
	if command == "" {
		return single("command", errors.New("./capos run -d names no gdb command"), "")
	}
	gdb := hostCommand(ctx, s.root, "sh", append([]string{"-c", command + ` "$@"`, "gdb"}, gdbScript...)...)
	output, err := gdb.CombinedOutput()
	checks := single("gdb", err, string(output))
	for name, pattern := range map[string]string{
		"stops-in-the-kernel": `Breakpoint 1, .*method_timer_sleep_until`,
		"cpus":                `(?m)^CPU [01]: thread \d+ "probe"`,
		"threads":             `(?m)^thread \d+ +running +CPU \d rip 0x2.* probe capos_timer_sleep_until`,
		"caps":                `(?m)^cap 0x[0-9a-f]{8} +Timer +object #\d+, \d+ references`,
		"regions":             `(?m)^0x0*[0-9a-f]+-0x[0-9a-f]+ +8192 KiB rw- sparse`,
		"queues":              `(?m)^CPU 1$`,
		"backtrace":           `(?m)^#1 .*call`,
	} {
		checks = append(checks, matches(name, string(output), pattern))
	}
	return checks
}

func matches(name, text, pattern string) check {
	if regexp.MustCompile(pattern).MatchString(text) {
		return check{name, passed, ""}
	}
	return check{name, failed, fmt.Sprintf("nothing matches %s in:\n%s", pattern, lastLines(text, 30))}
}

func (s *suite) traceCases(ctx context.Context, probe string) []check {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	_, trace, err := runBoth(s, ctx, "--trace", probe, "both")
	checks := single("trace", err, trace)
	for name, pattern := range map[string]string{
		"capability-method-argument-result": `(?m)^\d+\.\d{9} \d+/\d+ stdout Console\.write\(data=<10 bytes>\) = ok$`,
		"the-other-stream":                  `(?m) stderr Console\.write\(data=<10 bytes>\) = ok$`,
		"exit":                              `(?m) exit\(0, process\)$`,
	} {
		checks = append(checks, matches(name, trace, pattern))
	}
	_, trace, err = runBoth(s, ctx, "--trace", probe, "sleep-a-little")
	checks = append(checks, single("trace-of-a-sleep", err, trace)...)
	checks = append(checks, matches("sleep", trace, `(?m) timer Timer\.sleepUntil\(deadlineNs=0x[0-9a-f]+\) = ok$`))
	_, stats, err := runBoth(s, ctx, "--stats", probe, "both")
	checks = append(checks, single("stats", err, stats)...)
	for name, pattern := range map[string]string{
		"program-ledger": `(?m)^process \d+ probe: \d+ us CPU, peak [1-9]\d* pages committed$`,
		"machine-ledger": `(?m)^machine: [1-9]\d* of [1-9]\d* frames free, \d+ objects$`,
		"calls":          `(?m)^ +2  Console\.write, 0 refused$`,
	} {
		checks = append(checks, matches(name, stats, pattern))
	}
	return checks
}

// runBoth is ./capos run with standard output and standard error apart.
func runBoth(s *suite, ctx context.Context, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := s.tool(ctx, append([]string{"run", "--accel", "tcg"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

const (
	kernelBytesMax   = 1 << 20
	startMax         = 3 * time.Second
	testBinaryMax    = time.Second
	instructionsMax  = 60_000_000
	testBinaryRounds = 5
)

// budgetCases hold stated costs against what things cost here.
func (s *suite) budgetCases(ctx context.Context, probe string) []check {
	ctx, cancel := context.WithTimeout(ctx, 2*toolLimit)
	defer cancel()
	checks := []check{s.kernelSize(), s.secondRun(ctx, probe), s.bootInstructions(ctx)}
	return append(checks, s.testBinaryTime(ctx))
}

func (s *suite) kernelSize() check {
	info, err := os.Stat(repo.Kernel(s.root, "release"))
	if err == nil && info.Size() >= kernelBytesMax {
		err = fmt.Errorf("%d bytes", info.Size())
	}
	return single("kernel-under-1-MiB", err, "")[0]
}

// secondRun times the script from its start to the end of a program that does nothing, which is after QEMU has started.
func (s *suite) secondRun(ctx context.Context, probe string) check {
	start := time.Now()
	cmd := hostCommand(ctx, s.root, filepath.Join(s.root, "capos"), "run", "--accel", "tcg", probe, "exit", "0")
	out, err := cmd.CombinedOutput()
	if took := time.Since(start); err == nil && took > startMax {
		err = fmt.Errorf("%v", took)
	}
	return single("later-run-within-3-s", err, string(out))[0]
}

// bootInstructions counts from power-on to main: on an instruction-exact machine the time-stamp counter is that count.
func (s *suite) bootInstructions(ctx context.Context) check {
	program, err := buildGo(s.root, s.goProbeDir(), ".")
	if err != nil {
		return single("boot-under-60-M-instructions", err, "")[0]
	}
	out, errs, err := runBoth(s, ctx, "--icount", "--cpus", "1", program, "ticks")
	var ticks uint64
	if err == nil {
		_, err = fmt.Sscan(out, &ticks)
	}
	if err == nil && (ticks == 0 || ticks > instructionsMax) {
		err = fmt.Errorf("%d", ticks)
	}
	return single("boot-under-60-M-instructions", err, errs)[0]
}

// testBinaryTime is the median of a few starts of a test binary by the wrapper, from its start to the end of the machine.
func (s *suite) testBinaryTime(ctx context.Context) check {
	const name = "test-binary-under-1-s"
	dir, err := os.MkdirTemp("", "capos-test-")
	if err != nil {
		return single(name, err, "")[0]
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "errors.test")
	build := s.tool(ctx, "go", "test", "-c", "-vet=off", "-o", binary, "errors")
	if out, err := build.CombinedOutput(); err != nil {
		return single(name, err, string(out))[0]
	}
	var times []time.Duration
	for range testBinaryRounds {
		start := time.Now()
		cmd := hostCommand(ctx, dir, filepath.Join(repo.WrapperDir(s.root), "go_capos_amd64_exec"), binary, "-test.run=^TestNewEqual$")
		cmd.Env = append(repo.Without(cmd.Env, runFlagsVar), "CAPOS_ROOT="+s.root, runFlagsVar+"=--accel tcg")
		if out, err := cmd.CombinedOutput(); err != nil {
			return single(name, err, string(out))[0]
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	if median := times[len(times)/2]; median > testBinaryMax {
		err = fmt.Errorf("%v; all: %v", median, times)
	}
	return single(name, err, "")[0]
}
