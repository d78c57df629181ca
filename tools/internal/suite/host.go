package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// stepLimit ends a step that hangs, so that the run reports it instead of being ended as a whole.
const stepLimit = 15 * time.Minute

// command makes a command that dies with the context, children included.
func hostCommand(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = repo.Without(os.Environ(), "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// portedGo makes a command of the ported Go toolchain, which builds for capOS.
func (s *suite) portedGo(ctx context.Context, goroot, dir string, args ...string) (*exec.Cmd,
	error) {
	cache, err := repo.CacheDir()
	if err != nil {
		return nil, err
	}
	cmd := hostCommand(ctx, dir, filepath.Join(goroot, "bin", "go"), args...)
	cmd.Env = append(repo.GoEnv(s.root, goroot, cache), "GOWORK=off")
	return cmd, nil
}

// single is the result of a step that is one check.
func single(name string, err error, output string) []check {
	if err == nil {
		return []check{{name, passed, ""}}
	}
	return []check{{name, failed, strings.TrimSpace(output + "\n" + err.Error())}}
}

func (s *suite) buildSteps() []step {
	var steps []step
	for _, b := range [][2]string{{"kernel", "build/kernel/capos.elf"},
		{"kernel-debug", "build/kernel-debug/capos.elf"},
		{"lib", "build/lib/libcapos.a"}} {
		goal := b[0]
		// All CPUs: nothing may start before what it needs is built.
		steps = append(steps, step{name: "build/" + goal, cpus: 1 << 10,
			run: func(ctx context.Context) []check {
				return s.buildGoal(ctx, goal, b[1])
			}})
	}
	return append(steps, step{name: "build/go-toolchain", cpus: 1 << 10,
		run: func(context.Context) []check {
			_, err := repo.GoRoot(s.root, "")
			return single("go-toolchain", err, "")
		}})
}

// buildGoal has make build a goal, which must leave its product.
func (s *suite) buildGoal(ctx context.Context, goal, product string) []check {
	out, err := hostCommand(ctx, s.root, "make", "--no-print-directory", "-s", "-j2",
		goal).CombinedOutput()
	if _, statErr := os.Stat(filepath.Join(s.root, product)); err == nil && statErr != nil {
		err = fmt.Errorf("make %s succeeded without making %s", goal, product)
	}
	return single(goal, err, string(out))
}

// hostSteps are the groups of tests/host/host.mk, one for each directory beside it, and the tests
// of the host tools themselves.
func (s *suite) hostSteps() ([]step, error) {
	programs, err := filepath.Glob(filepath.Join(s.root, "tests", "host", "*", "test_*.c"))
	if err != nil {
		return nil, err
	}
	steps := []step{{name: "host/tools", cpus: 2, run: s.testTools},
		{name: "host/go-port", cpus: 2, run: s.testPort},
		{name: "host/stacks", cpus: 1, run: s.stackDepths}}
	var groups []string
	for _, program := range programs {
		groups = append(groups, filepath.Base(filepath.Dir(program)))
	}
	for _, group := range slices.Compact(groups) {
		steps = append(steps, step{name: "host/" + group, cpus: 1,
			run: func(ctx context.Context) []check { return s.hostGroup(ctx, group) }})
	}
	if len(groups) == 0 {
		steps = append(steps, missing("host/groups", "there is no tests/host/*/test_*.c"))
	}
	return steps, nil
}

// hostGroup builds and runs a group of host tests. Where one program fails the others run all the
// same. What groups share is made by the first that comes.
func (s *suite) hostGroup(ctx context.Context, group string) []check {
	if err := repo.Make(s.root, "schema"); err != nil {
		return single(group, err, "")
	}
	return s.runScript(ctx, group, "make", "--no-print-directory", "-s", "-k",
		"host-test-"+group)
}

// testPort builds the whole standard library for capOS, has vet compare the overlay's assembly with
// its Go declarations, and looks at the build tags of packages outside the Go root and inside, at
// what people do with the go command, and at what ./capos run does for a command of a module.
func (s *suite) testPort(ctx context.Context) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var checks []check
	for _, c := range []struct {
		name string
		args []string
	}{{"std", []string{"build", "std"}}, {"asmdecl", []string{"vet", "-asmdecl", "runtime",
		"syscall"}}} {
		out, err := s.tool(ctx, append([]string{"go"}, c.args...)...).CombinedOutput()
		checks = append(checks, single(c.name, err, string(out))...)
	}
	checks = append(checks, single("tags", s.testOutside(ctx), "")...)
	checks = append(checks, s.testGoUses(ctx)...)
	return append(checks, single("module-built-once", s.testBuiltOnce(ctx), "")...)
}

// missing is a step for a part that should be there.
func missing(name, why string) step {
	return step{name: name, cpus: 1, run: func(context.Context) []check {
		return []check{{name,
			failed, why}}
	}}
}

// runScript runs a program that prints verdicts and reads them. One that fails without saying which
// check did, or that says nothing at all, has failed.
func (s *suite) runScript(ctx context.Context, name, program string, arguments ...string) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	out, err := hostCommand(ctx, s.root, program, arguments...).CombinedOutput()
	return judge(name, string(out), err)
}

func judge(name, output string, err error) []check {
	return append(judgeOutput(name, output, err), provocations(output)...)
}

func judgeOutput(name, output string, err error) []check {
	checks := verdicts(output)
	var exit *exec.ExitError
	failures := (&StepResult{Checks: checks}).count(failed)
	switch {
	case err != nil && !errors.As(err, &exit):
		checks = append(checks, check{name, failed, err.Error()})
	case err != nil && failures == 0:
		checks = append(checks, check{name, failed, report.LastLines(output, 20) + "\n" +
			err.Error()})
	case err == nil && failures > 0:
		checks = append(checks, check{name, failed,
			"reports failures and exits with status 0"})
	case len(checks) == 0:
		checks = append(checks, check{name, failed, "printed no verdict\n" +
			report.LastLines(output, 20)})
	}
	return checks
}

// hostGo runs the Go that built this tool, for this host.
func (s *suite) hostGo(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := hostCommand(ctx, dir, "go", args...)
	cmd.Env = append(repo.Without(cmd.Env, "GOOS", "GOARCH", "GOROOT", "GOFLAGS"),
		"GOTOOLCHAIN=local", "GOWORK=off", "CAPOS_ROOT="+s.root)
	return cmd
}

// codecPackage has tests that need the kernel's codec as a host program; make host-test-codec
// builds that and runs them.
const codecPackage = "capos.dev/tools/capnpc-capos"

// testTools runs vet and the tests of the module tools/ with the Go that built this tool.
func (s *suite) testTools(ctx context.Context) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	dir := filepath.Join(s.root, "tools")
	goTool := func(args ...string) *exec.Cmd { return s.hostGo(ctx, dir, args...) }
	out, err := goTool("vet", "./...").CombinedOutput()
	checks := single("vet", err, string(out))
	packages, err := goTool("list", "./...").Output()
	if err != nil {
		return append(checks, single("go list", err, "")...)
	}
	arguments := []string{"test", "-json", "-buildvcs=false"}
	for name := range strings.FieldsSeq(string(packages)) {
		if name != codecPackage {
			arguments = append(arguments, name)
		}
	}
	results, _ := goTestResults(goTool(arguments...))
	checks = append(checks, plainChecks(results, "capos.dev/tools/")...)
	results, _ = goTestResults(s.hostGo(ctx, filepath.Join(s.root, "go", "capos"), "test",
		"-json", "-buildvcs=false", "."))
	return append(checks, plainChecks(results, "capos.dev/")...)
}

// goTest is the end of one top-level test, example or fuzz target of a Go package.
type goTest struct {
	pkg, test, verdict, output string
}

// parseGoTests reads the events of go test -json. Subtests are counted with the test they belong
// to. A package that fails outside of its tests appears as a failed test without a name, with what
// was printed of those without a verdict: the program may have ended in the middle of one.
func parseGoTests(r io.Reader) []goTest {
	type event struct{ Action, Package, Test, Output string }
	var results []goTest
	output := map[string]*strings.Builder{}
	failures := map[string]bool{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		top, _, _ := strings.Cut(e.Test, "/")
		key := e.Package + " " + top
		if output[key] == nil {
			output[key] = &strings.Builder{}
		}
		verdict := map[string]string{"pass": passed, "fail": failed,
			"skip": skipped}[e.Action]
		switch {
		case e.Action == "output":
			output[key].WriteString(e.Output)
		case verdict == "" || e.Test != top:
		case e.Test != "":
			failures[e.Package] = failures[e.Package] || verdict == failed
			results = append(results, goTest{e.Package, e.Test, verdict,
				output[key].String()})
			delete(output, key)
		case verdict == failed && !failures[e.Package]:
			results = append(results, goTest{e.Package, "", failed,
				unfinished(output, e.Package) + output[key].String()})
		}
	}
	return results
}

// unfinished is what the tests of a package have printed that have no verdict.
func unfinished(output map[string]*strings.Builder, pkg string) (text string) {
	for _, key := range slices.Sorted(maps.Keys(output)) {
		if test, ok := strings.CutPrefix(key, pkg+" "); ok && test != "" {
			text += output[key].String()
		}
	}
	return text
}

// modelSteps checks the models of the protocols with races, once there are any.
func (s *suite) modelSteps() []step {
	if _, err := os.Stat(filepath.Join(s.root, "models")); err != nil {
		return nil
	}
	script := filepath.Join(s.root, "models", "run.sh")
	return []step{
		{name: "models/short", cpus: 1, long: true,
			run: func(ctx context.Context) []check {
				return s.runScript(ctx, "models", script, "--short")
			}},
		{name: "models/all", cpus: 1, full: true, long: true,
			run: func(ctx context.Context) []check {
				return s.runScript(ctx, "models", script)
			}},
	}
}
