package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stalledChecks have readers and writers on the host stand still: neither may hold up the machine,
// and keys get through.
func (s *suite) stalledChecks(ctx context.Context, build, buildGo func(context.Context) (string,
	error)) []check {
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	goProbe, err := buildGo(ctx)
	if err != nil {
		return single("go-probe", err, "")
	}
	var checks []check
	for _, flags := range [][]string{{"--cpus", "1"}, {"--cpus", "2"},
		{"--cpus", "2", "--kernel", "debug"}, {"--cpus", "2", "--machine", "q35"}} {
		name := strings.ReplaceAll(strings.Join(flags, ""), "--", "-")
		checks = append(checks, single("timers"+name, s.stalledTimers(ctx, probe, flags),
			"")...)
	}
	for _, c := range []struct {
		name, program, mode string
		stdin               io.Reader
		reads               bool
	}{
		{"key-passes-unread-input", probe, "spin", endless{}, true},
		{"key-passes-unread-output", probe, "flood", nil, false},
		{"key-passes-unread-output-of-go", goProbe, "flood", nil, false},
	} {
		for _, cpus := range []string{"1", "2"} {
			err := s.stalledKey(ctx, c.stdin, c.reads, "--cpus", cpus, c.program,
				c.mode)
			checks = append(checks, single(c.name+"-"+cpus+"cpu", err, "")...)
		}
	}
	return checks
}

const (
	// stall is how long a reader takes nothing, and stallLate what a timer may be late
	// meanwhile. A stopped machine is late by nearly all of it, a busy host by some
	// milliseconds.
	stall     = 4 * time.Second
	stallLate = stall / 4

	stallBytes = 100 * 65536 // what the probe writes
)

var lateBy = regexp.MustCompile(`late by (\d+) ms`)

// stalledTimers reads nothing for a while after the program has begun to write.
func (s *suite) stalledTimers(ctx context.Context, probe string, flags []string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd, stdout, stderr, err := s.startStalled(ctx, nil, append(flags, probe, "stall")...)
	if err != nil {
		return err
	}
	time.Sleep(stall)
	n, err := io.Copy(io.Discard, stdout)
	cmd.Wait()
	if err != nil {
		return err
	}
	late := lateBy.FindStringSubmatch(stderr.String())
	if late == nil || cmd.ProcessState.ExitCode() != 0 {
		return fmt.Errorf("exit status %d, %s", cmd.ProcessState.ExitCode(), stderr)
	}
	if n+1 != stallBytes {
		return fmt.Errorf("%d bytes of output, expected %d", n+1, stallBytes)
	}
	if ms, _ := strconv.Atoi(late[1]); time.Duration(ms)*time.Millisecond > stallLate {
		return fmt.Errorf("a timer was late by %d ms while nothing was read for %v", ms,
			stall)
	}
	return nil
}

// stalledKey interrupts a program that has filled whatever there is between it and this process.
func (s *suite) stalledKey(ctx context.Context, stdin io.Reader, reads bool, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd, stdout, _, err := s.startStalled(ctx, stdin, args...)
	if err != nil {
		return err
	}
	if reads {
		go io.Copy(io.Discard, stdout)
	}
	machines := childrenOf(cmd.Process.Pid)
	if len(machines) != 1 {
		return errors.New("no machine was seen running")
	}
	time.Sleep(time.Second) // for everything to fill up
	cmd.Process.Signal(syscall.SIGINT)
	for deadline := time.Now().Add(stall); isRunning(machines[0]); time.Sleep(signalPause) {
		if time.Now().After(deadline) {
			return errors.New("the machine still runs")
		}
	}
	io.Copy(io.Discard, stdout)
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 128+int(syscall.SIGINT) {
		return fmt.Errorf("exit status %d", got)
	}
	return nil
}

// startStalled starts a machine and returns when its program has written a byte.
func (s *suite) startStalled(ctx context.Context, stdin io.Reader, args ...string) (*exec.Cmd,
	io.Reader, *strings.Builder, error) {
	cmd := s.tool(ctx, append([]string{"run", "--accel", "tcg"}, args...)...)
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	if stdin != nil {
		to, err := cmd.StdinPipe()
		if err != nil {
			return nil, nil, nil, err
		}
		go io.Copy(to, stdin) // until the machine is gone
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, nil, err
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		cmd.Wait()
		return nil, nil, nil, fmt.Errorf("the program did not begin: %w: %s", err, stderr)
	}
	return cmd, stdout, stderr, nil
}

// endless is more input than anything holds.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
