package suite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"

	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

// What a start may cost. Times are of this host, whatever else it does, so they are wide;
// instructions are exact.
const (
	kernelBytesMax = 1_000_000
	// instructions from power-on to the first statement of a Go program's main
	bootMillionsMax = 60
	testBinaryMax   = time.Second     // one test binary through go_capos_amd64_exec
	laterRunMax     = 3 * time.Second // ./capos run of a built program, until its first output
	largeTreeMax    = time.Second     // ./capos run of a built program with largeTree's files
	measurements    = 5               // of a time
)

func (s *suite) budgetStep(probe func(context.Context) (string, error)) step {
	// alone: some of it is time
	return step{name: "tool/budgets", cpus: 1 << 10, run: func(ctx context.Context) []check {
		ctx, cancel := context.WithTimeout(ctx, 5*toolLimit)
		defer cancel()
		return []check{s.kernelSize(), s.bootCost(ctx, "power-on-to-main",
			bootMillionsMax, filepath.Join(s.root, "bench", "gobench"),
			"boot.go_main"), s.testBinaryCost(ctx), s.laterRunCost(ctx, probe),
			s.largeTreeCost(ctx, probe)}
	}}
}

// within is a check that says how much was used of a budget.
func within(name string, err error, used, budget float64, unit string) check {
	why := fmt.Sprintf("%.4g of %.4g %s", used, budget, unit)
	switch {
	case err != nil:
		return check{name, failed, err.Error()}
	case used >= budget:
		return check{name, failed, why}
	}
	return check{name, passed, why}
}

func (s *suite) kernelSize() check {
	info, err := os.Stat(repo.Kernel(s.root, "release"))
	if err != nil {
		return check{"kernel-file", failed, err.Error()}
	}
	return within("kernel-file", nil, float64(info.Size()), kernelBytesMax, "bytes")
}

var bootRow = regexp.MustCompile(`(?m)^row boot\.go_main (\S+) M-instructions$`)

// bootCost has the time-stamp counter read in main, which counts instructions on such a machine:
// words are what is run, with bench/gobench in it.
func (s *suite) bootCost(ctx context.Context, name string, millionsMax float64,
	words ...string) check {
	out, err := s.tool(ctx, append([]string{"run", "--icount", "--cpus", "1"},
		words...)...).Output()
	if err != nil {
		return check{name, failed, err.Error()}
	}
	m := bootRow.FindSubmatch(out)
	if m == nil {
		return check{name, failed, fmt.Sprintf("the program printed %q", out)}
	}
	millions, err := strconv.ParseFloat(string(m[1]), 64)
	if err == nil && millions < 0.1 {
		err = fmt.Errorf("%v M instructions cannot be", millions)
	}
	return within(name, err, millions, millionsMax, "M instructions")
}

// cost is what one start took by the clock, and of the CPUs' time with all that it started.
type cost struct{ wall, cpu time.Duration }

// startCheck measures several times, after a first time that does not count: what is looked up once
// is remembered then. The median of the wall times counts, on a host with more to do than it has
// CPUs that of the CPU times if it must.
func startCheck(name string, budget time.Duration, measure func() (cost, error)) check {
	var costs []cost
	for i := range 1 + measurements {
		c, err := measure()
		if err != nil {
			return check{name, failed, err.Error()}
		}
		if i > 0 {
			costs = append(costs, c)
		}
	}
	median := func(of func(cost) time.Duration) time.Duration {
		slices.SortFunc(costs, func(a, b cost) int { return cmp.Compare(of(a), of(b)) })
		return of(costs[len(costs)/2])
	}
	wall := median(func(c cost) time.Duration { return c.wall })
	if wall < budget || !hostIsBusy() {
		return within(name, nil, wall.Seconds(), budget.Seconds(), "s")
	}
	cpu := median(func(c cost) time.Duration { return c.cpu })
	return within(name, nil, cpu.Seconds(), budget.Seconds(),
		fmt.Sprintf("s of CPU time; it took %v on a busy host", wall))
}

func hostIsBusy() bool {
	text, err := os.ReadFile("/proc/loadavg")
	var load float64
	fmt.Sscan(string(text), &load)
	return err == nil && load > float64(runtime.NumCPU())+1
}

func cpuTime(p *os.ProcessState) time.Duration { return p.UserTime() + p.SystemTime() }

// testBinaryCost runs a small test of the standard library as go test does, build apart.
func (s *suite) testBinaryCost(ctx context.Context) check {
	const name = "test-binary"
	goroot, env, err := program.GoEnvironment(s.root)
	if err != nil {
		return check{name, failed, err.Error()}
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return check{name, failed, err.Error()}
	}
	defer remove()
	binary := filepath.Join(dir, "errors.test")
	build := hostCommand(ctx, s.root, filepath.Join(goroot, "bin", "go"), "test", "-c", "-o",
		binary, "errors")
	build.Env = env
	if out, err := build.CombinedOutput(); err != nil {
		return single(name, err, string(out))[0]
	}
	return startCheck(name, testBinaryMax, func() (cost, error) {
		cmd := hostCommand(ctx, filepath.Join(goroot, "src", "errors"),
			filepath.Join(repo.WrapperDir(s.root), repo.WrapperName),
			binary, "-test.paniconexit0", "-test.timeout=1m")
		cmd.Env = repo.Without(env, repo.RunFlagsVar)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return cost{}, fmt.Errorf("%w: %s", err, out)
		}
		return cost{time.Since(start), cpuTime(cmd.ProcessState)}, nil
	})
}

// laterRunCost starts a built program by the script, as a person does, and waits for its first
// output.
func (s *suite) laterRunCost(ctx context.Context, build func(context.Context) (string,
	error)) check {
	const name = "start-of-a-later-run"
	program, err := build(ctx)
	if err != nil {
		return check{name, failed, err.Error()}
	}
	return startCheck(name, laterRunMax, func() (cost, error) {
		cmd := hostCommand(ctx, os.TempDir(), filepath.Join(s.root, "capos"), "run",
			"--accel", "tcg", program, "both")
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return cost{}, err
		}
		start := time.Now()
		if err := cmd.Start(); err != nil {
			return cost{}, err
		}
		_, err = io.ReadFull(stdout, make([]byte, 1))
		took := time.Since(start)
		io.Copy(io.Discard, stdout)
		if err := errors.Join(err, cmd.Wait()); err != nil {
			return cost{}, err
		}
		return cost{took, cpuTime(cmd.ProcessState)}, nil
	})
}

// The files of a large tree: 200 MB.
const (
	largeTreeFiles     = 2000
	largeTreeFileBytes = 100_000
)

func makeLargeTree(dir string) error {
	content := bytes.Repeat([]byte("a large tree\n"), largeTreeFileBytes/13+1)
	for i := range largeTreeFiles {
		name := filepath.Join(dir, fmt.Sprintf("d%02d", i%40), fmt.Sprintf("f%d", i))
		err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755),
			os.WriteFile(name, content[:largeTreeFileBytes], 0o644))
		if err != nil {
			return err
		}
	}
	return nil
}

// largeTreeCost runs a built program beside many files, in a machine that has a tenth more memory
// than the program and they have bytes.
func (s *suite) largeTreeCost(ctx context.Context, build func(context.Context) (string,
	error)) check {
	const name = "start-with-a-large-tree"
	program, err := build(ctx)
	if err != nil {
		return check{name, failed, err.Error()}
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return check{name, failed, err.Error()}
	}
	defer remove()
	if err := makeLargeTree(dir); err != nil {
		return check{name, failed, err.Error()}
	}
	info, err := os.Stat(program)
	if err != nil {
		return check{name, failed, err.Error()}
	}
	memory := (largeTreeFiles*largeTreeFileBytes + info.Size()) * 11 / 10 >> 20
	return startCheck(name, largeTreeMax, func() (cost, error) {
		cmd := hostCommand(ctx, os.TempDir(), filepath.Join(s.root, "capos"), "run",
			"--accel", "tcg", "-m", fmt.Sprintf("%dM", memory), "--files", dir+":/tree",
			program, "both")
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return cost{}, fmt.Errorf("%w: %s", err, out)
		}
		return cost{time.Since(start), cpuTime(cmd.ProcessState)}, nil
	})
}
