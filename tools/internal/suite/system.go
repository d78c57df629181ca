package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// systemSteps run the Go module tests/system: what Go programs may expect of the machine, tested on
// the machines of tests/run/system.txt, and its package host, which starts machines from here and
// looks at them from outside.
func (s *suite) systemSteps() ([]step, error) {
	dir := filepath.Join(s.root, "tests", "system")
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return []step{missing("system/programs", "there is no Go module tests/system")}, nil
	}
	rows, err := readRows(filepath.Join(s.root, "tests", "run", "system.txt"))
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, row := range rows {
		// Some of these tests measure time, so nothing runs beside them.
		steps = append(steps, step{name: "system/" + row.name(), cpus: 1 << 10,
			full: row.full, run: func(ctx context.Context) []check {
				return s.runSystemTests(ctx, dir, row)
			}})
	}
	steps = append(steps, s.capabilitySteps()...)
	steps = append(steps, step{name: "system/linux", cpus: 2, run: s.compareLinuxCalls})
	return append(steps, step{name: "system/host", cpus: 1 << 10,
		run: func(ctx context.Context) []check {
			ctx, cancel := context.WithTimeout(ctx, stepLimit)
			defer cancel()
			cmd := s.hostGo(ctx, dir, append([]string{"test", "-json", "-count=1",
				"-buildvcs=false"}, s.systemShare("./host")...)...)
			results, _ := goTestResults(cmd)
			return plainChecks(results, systemModule)
		}}), nil
}

// systemShare gives the arguments for the share of continuous integration, or for all there is.
func (s *suite) systemShare(packages string) []string {
	if s.all {
		return []string{"-timeout=14m", packages}
	}
	return []string{"-short", packages}
}

// compareLinuxCalls runs the tests of tests/linux here and on capOS. What they compare with is what
// Linux gave, so those that fail here say that it is not what Linux gives.
func (s *suite) compareLinuxCalls(ctx context.Context) (checks []check) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	dir := filepath.Join(s.root, "tests", "linux")
	goroot, err := s.toolchain("")
	if err != nil {
		return single("linux", err, "")
	}
	here, _ := goTestResults(s.hostGo(ctx, dir, "test", "-json", "-count=1",
		"-buildvcs=false", "."))
	for i := range here {
		here[i].test += " (on Linux)"
	}
	there, _ := s.portedGoTest(ctx, goroot, dir, "", nil, []string{"."})
	return plainChecks(append(here, there...), systemModule)
}

const systemModule = "capos.dev/tests/"

func (s *suite) runSystemTests(ctx context.Context, dir string, row machineRow) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	goroot, err := s.toolchain("")
	if err != nil {
		return single(row.name(), err, "")
	}
	flags := fmt.Sprintf("--machine %s --kernel %s --cpu %s --accel %s -m %dM --cpus %d",
		row.machine, row.kernel, row.cpu, row.accel,
		row.memoryMiB, row.cpus)
	env := []string{fmt.Sprintf("SYSTEM_TEST_CPUS=%d", row.cpus)}
	if row.parameter != "" {
		flags += " --kernel-arg " + row.parameter
	}
	if row.icount {
		flags += " --icount"
		env = append(env, "SYSTEM_TEST_EXACT=1")
	}
	results, _ := s.portedGoTest(ctx, goroot, dir, flags, env, append([]string{"-p=1"},
		s.systemShare("./...")...))
	return plainChecks(results, systemModule)
}
