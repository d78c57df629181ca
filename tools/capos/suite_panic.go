package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"capos.dev/tools/capos/internal/report"
)

// panicSteps make kernels panic and hold the report, and the tool's exit status, to what a person needs of them.
func (s *suite) panicSteps() ([]step, error) {
	programs := &programBuilder{root: s.root}
	probe := func(ctx context.Context) (string, error) {
		return programs.build(ctx, filepath.Join(s.root, "tests", "run", "probe.c"))
	}
	return []step{
		{name: "panic/nmi", cpus: 2, run: func(ctx context.Context) []check { return s.nmiChecks(ctx, probe) }},
	}, nil
}

// nmiChecks send the machine an interrupt that cannot be masked, as an operator's button does: a panic wherever its CPUs are.
func (s *suite) nmiChecks(ctx context.Context, build func(context.Context) (string, error)) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	var checks []check
	for _, c := range []struct {
		machine, kernel string
		cpus            int
	}{{"microvm", "release", 1}, {"microvm", "release", 2}, {"microvm", "release", 4}, {"q35", "release", 2}, {"microvm", "debug", 4}} {
		for _, mode := range []string{"sleep", "spin"} {
			name := fmt.Sprintf("%s-%s-%dcpu-%s", c.machine, c.kernel, c.cpus, mode)
			text, err := s.nmiReport(ctx, probe, mode, "--machine", c.machine, "--kernel", c.kernel, "--cpus", strconv.Itoa(c.cpus))
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

// nmiReport runs the probe, interrupts its machine and gives what the tool says.
func (s *suite) nmiReport(ctx context.Context, probe, mode string, flags ...string) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "capos-qmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "qmp")
	args := append([]string{"run", "--accel", "tcg", "--qemu-arg", "-qmp", "--qemu-arg", "unix:" + socket + ",server=on,wait=off"}, flags...)
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
		err = injectNMI(socket)
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

// injectNMI speaks QEMU's machine protocol: one JSON object a line, greeting first, then an answer for each command.
func injectNMI(socket string) error {
	conn, err := net.DialTimeout("unix", socket, toolLimit)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(toolLimit))
	lines := bufio.NewReader(conn)
	if _, err := lines.ReadString('\n'); err != nil {
		return err
	}
	for _, command := range []string{"qmp_capabilities", "inject-nmi"} {
		fmt.Fprintf(conn, "{\"execute\": %q}\n", command)
		for answered := false; !answered; {
			line, err := lines.ReadString('\n')
			if err != nil {
				// The machine may be gone before its answer has been read.
				if command == "inject-nmi" && errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			var answer map[string]json.RawMessage
			if err := json.Unmarshal([]byte(line), &answer); err != nil {
				return err
			}
			if answer["error"] != nil {
				return fmt.Errorf("QEMU refuses %s: %s", command, answer["error"])
			}
			answered = answer["return"] != nil // anything else is an event
		}
	}
	return nil
}

var (
	reportedCPU      = regexp.MustCompile(`capos: CPU (\d+)(?: stopped)?, thread \d+ "([^"]*)", process (.*)`)
	reportedRegister = regexp.MustCompile(`(?m)^ +(rip|rax|rsi|r9 |r13) [0-9a-f]{16}`)
)

// judgeNMI finds what the report lacks: the reason, registers, and for each CPU its thread and where it was, by name.
func judgeNMI(text string, cpus int, busy bool) error {
	for _, want := range []string{"the kernel panicked", "kernel panic: non-maskable interrupt, vector 2", "capos: stopped"} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("the report lacks %q", want)
		}
	}
	if n := len(reportedRegister.FindAllString(text, -1)); n != 5 {
		return fmt.Errorf("%d lines of registers, expected 5", n)
	}
	seen := map[string]bool{}
	running := 0
	for _, m := range reportedCPU.FindAllStringSubmatch(text, -1) {
		id, thread, process := m[1], m[2], m[3]
		seen[id] = true
		switch {
		case thread == "idle/"+id && process == "none (kernel)":
		case thread == "probe" && process == "probe":
			running++
		default:
			return fmt.Errorf("CPU %s is said to have run thread %q of process %s", id, thread, process)
		}
	}
	if len(seen) != cpus {
		return fmt.Errorf("the report names %d CPUs, expected %d", len(seen), cpus)
	}
	wantRunning := 0
	if busy {
		wantRunning = 1
	}
	if running != wantRunning || strings.Count(text, "] the program\n") != wantRunning {
		return fmt.Errorf("%d CPUs are said to have run the program, expected %d", running, wantRunning)
	}
	// Each other place twice: as the tool found it in the kernel's file, and as the kernel itself did.
	if n := strings.Count(text, "] sched_idle (sched/sched.c:"); n != cpus-wantRunning {
		return fmt.Errorf("sched_idle is named with its line %d times, expected %d", n, cpus-wantRunning)
	}
	if n := strings.Count(text, " sched_idle+0x"); n != cpus-wantRunning {
		return fmt.Errorf("the kernel names sched_idle %d times, expected %d", n, cpus-wantRunning)
	}
	if !busy && !strings.Contains(text, "kernel_start+0x") && !strings.Contains(text, "ap_start+0x") {
		return errors.New("the backtrace does not reach the idle loop's caller")
	}
	return nil
}
