package suite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/accel"
	"capos.dev/tools/internal/batch"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// machineTest is one C program of tests/machine. Comment lines "// test: WORD VALUE" at its top say
// how it is to be run; docs/run.md lists the words.
type machineTest struct {
	name, source string
	status       int // expected exit status
	args, env    []string
	timeout      string
	limit        uint64 // bytes that it may take of the machine; 0: all
	cases        []machineCase
	// runs of the program at the same time as the first; they say nothing but their status
	beside  []machineCase
	cpus    []int    // only on machines with so many CPUs; empty: all
	kernels []string // only with these kernels; empty: all
}

// machineCase is one of several runs of a program, each in a process of its own: its argument and
// the expected exit status.
type machineCase struct {
	arg    string
	status int
}

// besideSuffix marks the names of programs that run beside another, which is taken for the writer
// of what they write.
const besideSuffix = " beside"

// runs are the batch programs of a test: one, or one per case.
func (t *machineTest) runs(elf string) (programs []batch.Program, status []int) {
	base := batch.Program{Name: t.name, ELF: elf, Args: t.args, Env: t.env, Timeout: t.timeout,
		CommittedLimit: t.limit / uint64(abi.PageSize)}
	if len(t.cases) == 0 {
		programs, status = []batch.Program{base}, []int{t.status}
	}
	for _, c := range t.cases {
		program := base
		program.Name = t.name + " " + c.arg
		program.Args = append(slices.Clone(t.args), c.arg)
		programs = append(programs, program)
		status = append(status, c.status)
	}
	for _, c := range t.beside {
		program := base
		program.Name, program.Args = t.name+besideSuffix, []string{c.arg}
		program.Together = true
		programs = append(programs, program)
		status = append(status, c.status)
	}
	return programs, status
}

// dataLines calls f with the words of each line of a data file; # begins a comment.
func dataLines(file string, f func(words []string) error) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; scanner.Scan(); n++ {
		line, _, _ := strings.Cut(scanner.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := f(words); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
	}
	return nil
}

const directivePrefix = "// test: "

func readMachineTest(source string) (machineTest, error) {
	t := machineTest{name: strings.TrimSuffix(filepath.Base(source), ".c"), source: source}
	text, err := os.ReadFile(source)
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(string(text)) {
		directive, found := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(line),
			"* "), directivePrefix)
		if !found {
			continue
		}
		word, value, _ := strings.Cut(directive, " ")
		if err := t.apply(word, strings.TrimSpace(value)); err != nil {
			return t, fmt.Errorf("%s: %w", source, err)
		}
	}
	return t, nil
}

func (t *machineTest) apply(word, value string) (err error) {
	switch word {
	case "status":
		t.status, err = strconv.Atoi(value)
	case "case":
		t.cases, err = appendCase(t.cases, value)
	case "beside":
		t.beside, err = appendCase(t.beside, value)
	case "args":
		t.args = append(t.args, strings.Fields(value)...)
	case "env":
		t.env = append(t.env, value)
	case "timeout":
		t.timeout = value
		_, err = time.ParseDuration(value)
	case "limit":
		t.limit, err = machine.ParseSize(value)
	case "kernel":
		t.kernels = append(t.kernels, value)
	case "cpus":
		var n int
		n, err = strconv.Atoi(value)
		t.cpus = append(t.cpus, n)
	default:
		err = fmt.Errorf("no such directive: %s%s", directivePrefix, word)
	}
	return err
}

func appendCase(cases []machineCase, value string) ([]machineCase, error) {
	arg, text, _ := strings.Cut(value, " ")
	status, err := strconv.Atoi(strings.TrimSpace(text))
	return append(cases, machineCase{arg, status}), err
}

// runsOn tells whether the test is meant for a machine.
func (t *machineTest) runsOn(kernel string, cpus int) bool {
	return (len(t.cpus) == 0 || slices.Contains(t.cpus, cpus)) && (len(t.kernels) == 0 ||
		slices.Contains(t.kernels, kernel))
}

// machineRow is a line of tests/run/matrix.txt or tests/run/boot-matrix.txt.
type machineRow struct {
	machine, kernel, cpu, accel, program string
	only                                 string // programs whose names begin so, by commas
	parameter                            string // of the kernel
	memoryMiB, cpus                      int
	icount, full                         bool
	serial                               bool // the host channel is a serial port
	iommu                                bool // the entropy device is behind an IOMMU
}

// wants is whether the programs of the row include one of that name.
func (r *machineRow) wants(name string) bool {
	return slices.ContainsFunc(strings.Split(r.only, ","), func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// parseRow reads words NAME=VALUE; full marks a row that is too long for continuous integration.
func parseRow(words []string) (machineRow, error) {
	row := machineRow{machine: "microvm", kernel: "release", cpu: "max", accel: "tcg",
		memoryMiB: 256, cpus: 1}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "machine":
			row.machine = value
		case "kernel":
			row.kernel = value
		case "cpu":
			row.cpu = value
		case "accel":
			row.accel = value
		case "program":
			row.program = value
		case "only":
			row.only = value
		case "parameter":
			row.parameter = value
		case "m":
			row.memoryMiB, err = machine.ParseMemory(value)
		case "cpus":
			row.cpus, err = strconv.Atoi(value)
		case "icount":
			row.icount = true
		case "iommu":
			row.iommu = true
		case "full":
			row.full = true
		case "channel":
			row.serial = value == "com2"
			if !row.serial {
				err = fmt.Errorf("channel=%s: only com2 differs from what a "+
					"machine has by itself", value)
			}
		default:
			err = fmt.Errorf("no such word: %s", name)
		}
		if err != nil {
			return row, err
		}
	}
	return row, nil
}

func (r *machineRow) name() string {
	name := fmt.Sprintf("%s-%dM-%dcpu", r.machine, r.memoryMiB, r.cpus)
	for _, extra := range [][2]string{{r.kernel, "release"}, {r.cpu, "max"}, {r.accel, "tcg"}} {
		if extra[0] != extra[1] {
			name += "-" + extra[0]
		}
	}
	if r.icount {
		name += "-icount"
	}
	if r.serial {
		name += "-com2"
	}
	if r.iommu {
		name += "-iommu"
	}
	if r.parameter != "" {
		name += "-" + r.parameter
	}
	if r.program != "" {
		name += "-" + filepath.Base(r.program)
	}
	return name
}

func (s *suite) config(r *machineRow) (*machine.Config, error) {
	c := &machine.Config{Machine: r.machine, CPU: r.cpu, Accel: r.accel, MemoryMiB: r.memoryMiB,
		CPUs:   r.cpus,
		ICount: r.icount, Serial: r.serial, Kernel: repo.Kernel(s.root, r.kernel)}
	if r.parameter != "" {
		c.KernelParameters = []string{r.parameter}
	}
	if r.iommu {
		c.Extra = []string{"-device", "intel-iommu",
			"-global", "virtio-rng-pci.iommu_platform=on",
			"-global", "virtio-rng-pci.disable-legacy=on"}
	}
	return c, c.Validate()
}

func readRows(file string) ([]machineRow, error) {
	var rows []machineRow
	err := dataLines(file, func(words []string) error {
		row, err := parseRow(words)
		rows = append(rows, row)
		return err
	})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("%s has no rows", file)
	}
	return rows, err
}

// machineTests are the programs of tests/machine.
func (s *suite) machineTests() (tests []machineTest, err error) {
	sources, err := filepath.Glob(filepath.Join(s.root, "tests", "machine", "*.c"))
	if err == nil && len(sources) == 0 {
		err = errors.New("there is no tests/machine/*.c")
	}
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		t, err := readMachineTest(source)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// machineSteps run every program of tests/machine on every machine of the matrix, many programs to
// a machine.
func (s *suite) machineSteps() ([]step, error) {
	rows, err := readRows(filepath.Join(s.root, "tests", "run", "matrix.txt"))
	if err != nil {
		return nil, err
	}
	tests, err := s.machineTests()
	if err != nil {
		return nil, err
	}
	programs := &programBuilder{root: s.root}
	steps := []step{{name: "machine/operations", cpus: 2, full: true, long: true,
		run: s.randomOperations},
		{name: "machine/operations-seeded", cpus: 2, full: true, long: true,
			run: s.runSeededOperations}}
	steps = append(steps, s.seededMachineSteps(tests)...)
	steps = append(steps, s.kernelRaceSteps(tests, programs)...)
	for _, row := range rows {
		steps = append(steps, step{name: "machine/" + row.name(), cpus: row.cpus,
			full: row.full,
			run: func(ctx context.Context) []check {
				return s.runMachineTests(ctx, row, tests, programs)
			}})
	}
	return steps, nil
}

func (s *suite) runMachineTests(ctx context.Context, row machineRow, tests []machineTest,
	programs *programBuilder) []check {
	config, err := s.config(&row)
	if err != nil {
		return single(row.name(), err, "")
	}
	var checks []check
	var list []batch.Program
	expected := map[string]int{}
	for _, t := range tests {
		if !t.runsOn(row.kernel, row.cpus) || !row.wants(t.name) {
			continue
		}
		elf, err := programs.build(ctx, t.source)
		if err != nil {
			checks = append(checks, single(t.name, err, "")...)
			continue
		}
		runs, status := t.runs(elf)
		for i := range runs {
			expected[runs[i].Name] = status[i]
		}
		list = append(list, runs...)
	}
	err = batch.Run(ctx, config, list, func(r batch.Result) {
		checks = append(checks, judgeProgram(&r, expected[r.Name])...)
	})
	if err != nil {
		checks = append(checks, single("machine", err, "")...)
	}
	return checks
}

// judgeProgram turns a program's end into checks: its own verdicts, and one about how it ended.
func judgeProgram(r *batch.Result, expectedStatus int) []check {
	var checks []check
	failures := 0
	for _, c := range verdicts(r.Stdout) {
		if c.Verdict == failed {
			failures++
		}
		checks = append(checks, check{r.Name + ": " + c.Name, c.Verdict, c.Why})
	}
	detail := strings.TrimSpace(strings.Join([]string{report.LastLines(r.Stdout, 8),
		report.LastLines(r.Stderr, 8), r.Report}, "\n"))
	switch {
	case r.Leak != "":
		checks = append(checks, check{r.Name, failed, r.Leak})
	case r.Status != expectedStatus && failures == 0:
		checks = append(checks, check{r.Name, failed,
			fmt.Sprintf("exit status %d, expected %d\n%s", r.Status, expectedStatus,
				detail)})
	case r.Status == 0 && failures > 0:
		checks = append(checks, check{r.Name, failed,
			"reports failures and exits with status 0"})
	case len(checks) == 0 && expectedStatus == 0 && !strings.HasSuffix(r.Name, besideSuffix):
		checks = append(checks, check{r.Name, failed, "printed no verdict\n" + detail})
	case len(checks) == 0:
		// a program that is there to be ended, and was
		checks = append(checks, check{r.Name, passed, ""})
	}
	return append(checks, provocations(r.Stdout)...)
}

// programBuilder compiles test programs, each once for all steps that use it.
type programBuilder struct {
	root string
	mu   sync.Mutex
	done map[string]builtProgram
}

type builtProgram struct {
	elf string
	err error
}

func (b *programBuilder) build(ctx context.Context, source string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, found := b.done[source]; found {
		return p.elf, p.err
	}
	name := strings.TrimSuffix(filepath.Base(source), ".c")
	dir := filepath.Join(b.root, "build", "tests", filepath.Base(filepath.Dir(source)))
	elf := filepath.Join(dir, name)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var out []byte
		out, err = hostCommand(ctx, b.root, program.CCompiler(b.root), "-O2", "-g", "-Wall",
			"-Wextra", "-Werror", "-I", filepath.Dir(source), "-I", "build/gen/tests",
			source, "-o", elf).CombinedOutput()
		if err != nil {
			err = errors.New("does not compile: " +
				strings.TrimSpace(string(out)+err.Error()))
		}
	}
	if b.done == nil {
		b.done = map[string]builtProgram{}
	}
	b.done[source] = builtProgram{elf, err}
	return elf, err
}

// bootSteps boot one program on each machine of the boot matrix.
func (s *suite) bootSteps() ([]step, error) {
	rows, err := readRows(filepath.Join(s.root, "tests", "run", "boot-matrix.txt"))
	if err != nil {
		return nil, err
	}
	var steps []step
	// each program is built once, by the first row that boots it
	built := map[string]func() (string, error){}
	for _, row := range rows {
		if row.program == "" {
			return nil, fmt.Errorf("boot-matrix.txt: %s names no program", row.name())
		}
		build := built[row.program]
		if build == nil {
			build = sync.OnceValues(func() (string, error) {
				return program.Find(s.root,
					filepath.Join(s.root, row.program))
			})
			built[row.program] = build
		}
		steps = append(steps, step{name: "boot/" + row.name(), cpus: row.cpus,
			full: row.full,
			run: func(ctx context.Context) []check {
				return s.bootRow(ctx, row, build)
			}})
	}
	return append(steps, s.lateCPUStep()), nil
}

func (s *suite) bootRow(ctx context.Context, row machineRow, build func() (string, error)) []check {
	if available := availableMiB(); available < row.memoryMiB+row.memoryMiB/8+256 {
		return []check{{row.name(), skipped, fmt.Sprintf("the host has %d MiB to spare",
			available)}}
	}
	if row.accel == "kvm" && accel.Best(&machine.Config{Machine: row.machine,
		Kernel: repo.Kernel(s.root, row.kernel)}, true, false) != "kvm" {
		return []check{{row.name(), skipped, "KVM does not work on this host"}}
	}
	config, err := s.config(&row)
	if err != nil {
		return single(row.name(), err, "")
	}
	elf, err := build()
	if err != nil {
		return single(row.name(), err, "")
	}
	var checks []check
	hello := []batch.Program{{Name: "hello", ELF: elf}}
	err = batch.Run(ctx, config, hello, func(r batch.Result) {
		switch {
		case !r.OK():
			err := fmt.Errorf("exit status %d", r.Status)
			checks = single(row.name(), err, r.Stdout+r.Stderr+r.Report+r.Leak)
		case !strings.Contains(strings.ToLower(r.Stdout), "hello"):
			checks = []check{{row.name(), failed,
				fmt.Sprintf("no greeting in its output: %q", r.Stdout)}}
		default:
			checks = []check{{row.name(), passed, ""}}
		}
	})
	if err != nil {
		checks = single(row.name(), err, "")
	}
	return checks
}

// availableMiB is the memory that the host can give without swapping.
func availableMiB() int {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) >= 2 && words[0] == "MemAvailable:" {
			kib, _ := strconv.Atoi(words[1])
			return kib >> 10
		}
	}
	return 0
}
