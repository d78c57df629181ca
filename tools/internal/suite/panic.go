package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"capos.dev/tools/internal/report"
)

// panicSteps make kernels panic and hold the report, and the tool's exit status, to what a person
// needs of them.
func (s *suite) panicSteps() ([]step, error) {
	programs := &programBuilder{root: s.root}
	probe := func(ctx context.Context) (string, error) {
		return programs.build(ctx, filepath.Join(s.root, "tests", "run", "probe.c"))
	}
	return []step{
		{name: "panic/nmi", cpus: 2,
			run: func(ctx context.Context) []check { return s.nmiChecks(ctx, probe) }},
		{name: "panic/machine-check", cpus: 2,
			run: func(ctx context.Context) []check {
				return s.machineCheckChecks(ctx, probe)
			}},
		{name: "panic/checks", cpus: 1,
			run: func(ctx context.Context) []check {
				return s.selftestChecks(ctx, probe)
			}},
	}, nil
}

// nmiChecks send the machine an interrupt that cannot be masked, as an operator's button does: a
// panic wherever its CPUs are.
func (s *suite) nmiChecks(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	var checks []check
	for _, c := range []struct {
		machine, kernel string
		cpus            int
	}{{"microvm", "release", 1}, {"microvm", "release", 2}, {"microvm", "release", 4}, {"q35",
		"release", 2}, {"microvm", "debug", 4}} {
		for _, mode := range []string{"sleep", "spin"} {
			name := fmt.Sprintf("%s-%s-%dcpu-%s", c.machine, c.kernel, c.cpus, mode)
			text, err := s.injectionReport(ctx, probe, mode, injectNMI, "--machine",
				c.machine, "--kernel", c.kernel, "--cpus", strconv.Itoa(c.cpus))
			if err == nil {
				err = judgeNMI(text, c.cpus, mode == "spin")
			}
			checks = append(checks, single(name, err, text)...)
		}
	}
	return checks
}

// settle is what a program has after its first word until it spins or sleeps for good.
const settle = 300 * time.Millisecond

// machineCheckChecks raise an error that the processor found in itself, on either of two CPUs.
// Where CR4.MCE is clear that is a shutdown, and the machine is gone without a report.
func (s *suite) machineCheckChecks(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	var checks []check
	for _, kernel := range []string{"release", "debug"} {
		for cpu := range 2 {
			inject := command{"human-monitor-command", map[string]any{"command-line":
			// valid, uncorrected, enabled, with an address, context corrupt
			fmt.Sprintf("mce %d 3 0xb600000000000000 5 0x1234000 0", cpu)}}
			text, err := s.injectionReport(ctx, probe, "sleep", inject, "--kernel",
				kernel, "--cpus", "2")
			for _, want := range []string{
				"kernel panic: machine check, vector 18",
				"bank 3: status b600000000000000 address 1234000",
				fmt.Sprintf("capos: CPU %d,", cpu),
				fmt.Sprintf("capos: CPU %d stopped,", 1-cpu), "capos: stopped"} {
				if err == nil && !strings.Contains(text, want) {
					err = fmt.Errorf("the report lacks %q", want)
				}
			}
			checks = append(checks, single(fmt.Sprintf("%s-cpu%d", kernel, cpu), err,
				text)...)
		}
	}
	return checks
}

// injectionReport runs the probe, gives its machine the command and returns what the tool says.
func (s *suite) injectionReport(ctx context.Context, probe, mode string, inject command,
	flags ...string) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "capos-qmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "qmp")
	args := append([]string{"run", "--accel", "tcg", "--qemu-arg", "-qmp", "--qemu-arg",
		"unix:" + socket + ",server=on,wait=off"}, flags...)
	cmd := s.tool(ctx, append(args, probe, mode)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	_, err = io.ReadFull(stdout, make([]byte, len("spin")))
	if err == nil {
		time.Sleep(settle)
		err = inject.send(socket)
	}
	if err != nil {
		cancel()
	}
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); err == nil && status != report.StatusPanic {
		err = fmt.Errorf("exit status %d, expected %d", status, report.StatusPanic)
	}
	return stderr.String(), err
}

// command is one of QEMU's machine protocol.
type command struct {
	execute   string
	arguments map[string]any
}

var injectNMI = command{execute: "inject-nmi"}

// send has the machine carry the command out. The machine may be gone before its answer has been
// read: what it did is in its report.
func (c command) send(socket string) error {
	control, err := dialQMP(socket)
	if err != nil {
		return err
	}
	defer control.conn.Close()
	_, err = control.execute(c.execute, c.arguments)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

var (
	reportedCPU = regexp.MustCompile(
		`capos: CPU (\d+)(?: stopped)?, thread \d+ "([^"]*)", process (.*)`)
	reportedRegister = regexp.MustCompile(`(?m)^ +(rip|rax|rsi|r9 |r13) [0-9a-f]{16}`)
)

// idlePlace is where an idle CPU halts: by an inline function of the contract to the processor.
var idlePlace = regexp.MustCompile(`\] sched_idle \((sched/sched\.c|impl/cpu\.h):`)

// judgeNMI finds what the report lacks: the reason, registers, and for each CPU its thread and
// where it was, by name.
func judgeNMI(text string, cpus int, busy bool) error {
	for _, want := range []string{"the kernel panicked",
		"kernel panic: non-maskable interrupt, vector 2", "capos: stopped"} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("the report lacks %q", want)
		}
	}
	if n := len(reportedRegister.FindAllString(text, -1)); n != 5 {
		return fmt.Errorf("%d lines of registers, expected 5", n)
	}
	running, err := judgeReportedCPUs(text, cpus)
	if err != nil {
		return err
	}
	wantRunning := 0
	if busy {
		wantRunning = 1
	}
	if running != wantRunning || strings.Count(text, "] the program\n") != wantRunning {
		return fmt.Errorf("%d CPUs are said to have run the program, expected %d", running,
			wantRunning)
	}
	// Each other place twice: as the tool found it in the kernel's file, and as the kernel
	// itself did.
	if n := len(idlePlace.FindAllString(text, -1)); n != cpus-wantRunning {
		return fmt.Errorf("sched_idle is named with its line %d times, expected %d", n,
			cpus-wantRunning)
	}
	if n := strings.Count(text, " sched_idle+0x"); n != cpus-wantRunning {
		return fmt.Errorf("the kernel names sched_idle %d times, expected %d", n,
			cpus-wantRunning)
	}
	if !busy && !strings.Contains(text, "kernel_start+0x") && !strings.Contains(text,
		"ap_start+0x") {
		return errors.New("the backtrace does not reach the idle loop's caller")
	}
	return nil
}

// judgeReportedCPUs holds each CPU's thread to what may run there, and counts those that ran the
// program.
func judgeReportedCPUs(text string, cpus int) (running int, err error) {
	seen := map[string]bool{}
	for _, m := range reportedCPU.FindAllStringSubmatch(text, -1) {
		id, thread, process := m[1], m[2], m[3]
		seen[id] = true
		switch {
		case thread == "idle/"+id && process == "none (kernel)":
		case thread == "probe" && process == "probe":
			running++
		default:
			return 0, fmt.Errorf("CPU %s is said to have run thread %q of process %s",
				id, thread, process)
		}
	}
	if len(seen) != cpus {
		return 0, fmt.Errorf("the report names %d CPUs, expected %d", len(seen), cpus)
	}
	return running, nil
}

// kernelMistakes are the deliberate mistakes of kernel/init/selftest.c, what the debug kernel must
// call each, and the function that a person has to find in the backtrace ("": it is named by the
// reason).
var kernelMistakes = []struct{ name, reason, function string }{
	{"object-use-after-free", "KASAN: use of a free kernel object: read of 1 bytes",
		"object_use_after_free"},
	{"object-write-after-free", "KASAN: use of a free kernel object: write of 8 bytes",
		"object_write_after_free"},
	{"object-read-behind", "KASAN: access behind the end of a kernel object: read of 1 bytes",
		"object_read_behind"},
	{"object-write-behind", "KASAN: access behind the end of a kernel object: write of 1 bytes",
		"object_write_behind"},
	{"object-read-across", "KASAN: access behind the end of a kernel object: read of 4 bytes",
		"object_read_across"},
	{"large-object-write-behind",
		"KASAN: access behind the end of a kernel object: write of 1 bytes",
		"large_object_write_behind"},
	{"object-double-free", "is freed twice", "kmem_free"},
	{"copy-behind", "KASAN: access behind the end of a kernel object: write of 41 bytes",
		"memset"},
	{"user-copy-behind", "KASAN: access behind the end of a kernel object: write of 41 bytes",
		"copy_from_user"},
	{"frame-use-after-free", "KASAN: use of a free frame: read of 1 bytes",
		"frame_use_after_free"},
	{"frame-double-free", "is not an allocated block of order 0", "frame_give"},
	{"global-behind", "KASAN: access behind a global variable: read of 1 bytes",
		"global_behind"},
	{"user-access", "KASAN: user memory without the functions for it: read of 1 bytes at 10000",
		"user_access"},
	{"index-behind", "UBSAN: index out of bounds at kernel/init/selftest.c:", "index_behind"},
	{"addition-overflow", "UBSAN: signed addition overflows at kernel/init/selftest.c:",
		"addition_overflow"},
	{"shift-too-far", "UBSAN: shift out of range at kernel/init/selftest.c:", "shift_too_far"},
	{"division-by-zero", "UBSAN: division by zero or overflow at kernel/init/selftest.c:",
		"division_by_zero"},
	{"misaligned", "UBSAN: misaligned pointer at kernel/init/selftest.c:", "misaligned"},
	{"bad-bool", "UBSAN: value that its type does not have at kernel/init/selftest.c:",
		"bad_bool"},
	{"stack-overrun", "kernel stack overrun", "stack_overrun"},
	{"lock-order", "lock order: PROCESS taken while FRAMES is held", "lock_check_acquire"},
	{"lock-not-held", "lock WAIT is not held", "assert_held"},
	{"wake-without-lock", "lock WAIT is not held", "wait_queue_wake"},
	{"wait-with-locks", "lock PROCESS is held where none may be", "wait_block"},
	{"user-copy-with-lock", "lock order: ASPACE may be needed while THREAD is held",
		"copy_from_user"},
	{"assertion", "expected number == 4", "assertion"},
	{"user-page-read", "exception in the kernel, vector 14 error 1 address 10000\n",
		"user_page_read"},
	{"user-page-call", "exception in the kernel, vector 14 error 11 address 10000\n", ""},
	{"data-call", "exception in the kernel, vector 14 error 11 address ffffffff8", ""},
	{"constant-call", "exception in the kernel, vector 14 error 11 address ffffffff8", ""},
	{"stack-call", "exception in the kernel, vector 14 error 11 address ffff80", ""},
	{"object-call", "exception in the kernel, vector 14 error 11 address ffff80", ""},
	{"image-alias-call", "exception in the kernel, vector 14 error 11 address ffff80", ""},
	{"code-write", "exception in the kernel, vector 14 error 3 address ffffffff8",
		"code_write"},
	{"constant-write", "exception in the kernel, vector 14 error 3 address ffffffff8",
		"constant_write"},
	{"nil-read", "exception in the kernel, vector 14 error 0 address 0\n", "nil_read"},
}

// processorGuards are mistakes that go unnoticed on a processor without the feature: it is what
// notices them on others.
var processorGuards = []struct{ name, feature string }{{"user-page-read", "smap"},
	{"user-page-call", "smep"}, {"data-call", "nx"}}

// unsupportedProcessors lack what the kernel cannot do without.
var unsupportedProcessors = []struct{ cpu, reason string }{
	{"qemu64,-syscall", "this processor lacks SYSCALL or long mode"},
	{"max,-fxsr", "this processor lacks FXSAVE or SSE2, which Go code needs"},
	{"max,-sse2", "this processor lacks FXSAVE or SSE2, which Go code needs"},
	{"max,-apic", "this processor has no local APIC"},
}

// selftestChecks have the debug kernel make each mistake, and see that other kernels do not know
// the word.
func (s *suite) selftestChecks(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	flags := func(kernel, name string) []string {
		return []string{"--kernel", kernel, "--cpus", "1", "--qemu-arg", "-append",
			"--qemu-arg", "channel=virtio selftest=" + name}
	}
	var cases []toolCase
	for _, c := range unsupportedProcessors {
		cases = append(cases, toolCase{name: "rejects-" + c.cpu,
			flags: []string{"--cpu", c.cpu}, args: []string{"exit", "0"},
			status: report.StatusNoBoot, inErr: []string{"capos: capOS does not run " +
				"on the CPU model " + c.cpu + ": " + c.reason + "\n"}})
	}
	for _, c := range processorGuards {
		cases = append(cases, toolCase{name: c.name + "-without-" + c.feature,
			flags: append(flags("debug", c.name), "--cpu", "max,-"+c.feature),
			args: []string{"exit",
				"0"}, status: report.StatusPanic,
			inErr: []string{"self test " + c.name + " went unnoticed"}})
	}
	for _, m := range kernelMistakes {
		cases = append(cases, toolCase{name: m.name, flags: flags("debug", m.name),
			args: []string{"exit", "0"}, status: report.StatusPanic,
			inErr: []string{"kernel panic: ", m.reason, "] " + m.function,
				"capos: CPU 0, thread ", "\"main\", process none (kernel)"}})
	}
	cases = append(cases,
		toolCase{name: "no-such-mistake", flags: flags("debug", "none"),
			args: []string{"exit", "0"}, status: report.StatusPanic,
			inErr: []string{"there is no such self test"}},
		toolCase{name: "release-kernel-makes-none", flags: flags("release",
			kernelMistakes[0].name), args: []string{"exit", "5"}, status: 5,
			silent: true})
	return s.runToolCases(ctx, func(context.Context) (string, error) { return probe, nil },
		cases)
}
