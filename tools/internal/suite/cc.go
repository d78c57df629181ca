package suite

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"capos.dev/tools/internal/batch"
	"capos.dev/tools/internal/machine"
)

// ccCase is a C or C++ program of tests/cc: how it is compiled, run, and ends.
type ccCase struct {
	name    string
	sources []string
	flags   []string
	args    []string
	status  int
	stdout  string
	stderr  string   // part of it
	report  []string // parts of what is said of its end
	mistake string   // of the compilation, which must fail then
}

var ccCases = []ccCase{
	{name: "int128", sources: []string{"int128.c"},
		stdout: "319d7e7a6c2380c4 6c4b5\n" +
			"-875358395 24197857203266735158629454382393982976\n"},
	{name: "stack-protector", sources: []string{"protector.c"},
		flags: []string{"-fstack-protector-all"}, stdout: "5\n"},
	{name: "stack-protector-finds", sources: []string{"protector.c"},
		flags: []string{"-fstack-protector-all"}, args: []string{"overflow"}, status: 134,
		stdout: "5\n", stderr: "the stack is overwritten"},
	{name: "undefined-traps", sources: []string{"undefined.c"},
		flags: []string{"-fsanitize=undefined"}, status: 132, stdout: "2147483647\n"},
	{name: "undefined-signed", sources: []string{"undefined.c"},
		flags: []string{"-fwrapv"}, stdout: "2147483647\nnot reached: -2147483648\n"},
	{name: "math-library", sources: []string{"int128.c"}, flags: []string{"-lm", "-c"}},
	{name: "optimised-as-a-whole", sources: []string{"two_a.c", "two_b.c"},
		flags: []string{"-flto"}, status: 42},
	{name: "shared", sources: []string{"two_b.c"}, flags: []string{"-shared"},
		mistake: "-shared: programs for capOS are static"},
	{name: "missing-header", sources: []string{"missing_header.c"},
		mistake: "capos-cc: <math.h> is not there yet; docs/status.md lists"},
	{name: "has-include", sources: []string{"has_header.c"}, flags: []string{"-c"}},
	{name: "c++", sources: []string{"cxx.cc"},
		stdout: "make first\nmake second\nmake local\n432 49 3\n" +
			"unmake local\nunmake second\nunmake first\n"},
	{name: "stack-overflow", sources: []string{"stack_overflow.c"},
		args: []string{"first", "small"}, status: 139,
		report: []string{"stack overflow of thread ", "at deeper", "called from deeper"}},
	{name: "stack-overflow-of-a-thread", sources: []string{"stack_overflow.c"},
		args: []string{"second", "small"}, status: 139,
		report: []string{"stack overflow of thread ", "called from deeper"}},
	{name: "stack-overflow-by-a-leap", sources: []string{"stack_overflow.c"},
		args: []string{"second", "large"}, status: 139,
		report: []string{"stack overflow of thread ", "at leap", "called from overflow"}},
	{name: "first-thread-detached", sources: []string{"first_detached.c"},
		stdout: "the handle is gone\n"},
}

func (s *suite) ccSteps() ([]step, error) {
	var steps []step
	for _, compiler := range []string{"clang-19", "gcc"} {
		steps = append(steps, step{name: "cc/" + compiler, cpus: 1,
			run: func(ctx context.Context) []check {
				return s.ccChecks(ctx, compiler)
			}})
	}
	return steps, nil
}

// ccChecks compiles every program and runs those that came of it on one machine.
func (s *suite) ccChecks(ctx context.Context, compiler string) []check {
	dir, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	var checks []check
	var cases []*ccCase
	var programs []batch.Program
	for i := range ccCases {
		c := &ccCases[i]
		elf := filepath.Join(dir, c.name)
		done, err := s.compileCC(ctx, compiler, c, elf)
		switch {
		case done || err != nil:
			checks = append(checks, single(c.name, err, "")...)
		default:
			cases = append(cases, c)
			programs = append(programs, batch.Program{Name: c.name, ELF: elf,
				Args: c.args})
		}
	}
	var config *machine.Config
	row, err := parseRow([]string{"cpus=2"})
	if err == nil {
		config, err = s.config(&row)
	}
	if err == nil {
		err = batch.Run(ctx, config, programs, func(r batch.Result) {
			checks = append(checks, judgeCC(cases[0], &r))
			cases = cases[1:]
		})
	}
	if err != nil || len(cases) > 0 {
		checks = append(checks, single("run", fmt.Errorf("%d programs did not run: %v",
			len(cases), err), "")...)
	}
	return checks
}

// compileCC is done when there is nothing to run.
func (s *suite) compileCC(ctx context.Context, compiler string, c *ccCase, elf string) (done bool,
	err error) {
	args := append([]string{"cc"}, c.flags...)
	for _, source := range c.sources {
		args = append(args, filepath.Join(s.root, "tests", "cc", source))
	}
	cmd := s.tool(ctx, append(args, "-o", elf)...)
	cmd.Env = append(cmd.Env, "CAPOS_CC="+compiler)
	var said bytes.Buffer
	cmd.Stderr = &said
	err = cmd.Run()
	switch {
	case c.mistake != "" && err == nil:
		return true, fmt.Errorf("it was compiled")
	case c.mistake != "" && !strings.Contains(said.String(), c.mistake):
		return true, fmt.Errorf("the compiler says %q", said.String())
	case c.mistake != "":
		return true, nil
	case err != nil:
		return true, fmt.Errorf("%w: %s", err, said.String())
	}
	return slices.Contains(c.flags, "-c"), nil
}

func judgeCC(c *ccCase, r *batch.Result) check {
	switch {
	case r.Status != c.status:
		return check{c.name, failed, fmt.Sprintf("status %d, not %d: %s%s", r.Status,
			c.status, r.Report, r.Stderr)}
	case r.Stdout != c.stdout:
		return check{c.name, failed, fmt.Sprintf("it printed %q", r.Stdout)}
	case !strings.Contains(r.Stderr, c.stderr):
		return check{c.name, failed, fmt.Sprintf("on standard error: %q", r.Stderr)}
	case r.Leak != "":
		return check{c.name, failed, r.Leak}
	}
	for _, part := range c.report {
		if !strings.Contains(r.Report, part) {
			return check{c.name, failed, fmt.Sprintf("no %q in: %s", part, r.Report)}
		}
	}
	return check{c.name, passed, ""}
}
