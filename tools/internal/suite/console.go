package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// consoleLine is a whole line of tests/run/console/writer, with its number.
var consoleLine = regexp.MustCompile(`^([a-z]+): (\d{8}) 0{46}(\d{8})$`)

const (
	logEvents = "0 0\n2 3\n3 1\n0 0\n2 3\n4 1\n" // kind and code of what the service brief does

	goConsoleLines = "printed\nlate end\ncut \noff\nno end\n"
	crashesMin     = 3
)

// consoleSteps have several services write to the console, and read init's log.
func (s *suite) consoleSteps() []step {
	return []step{
		{name: "init/console", cpus: 1, run: func(ctx context.Context) []check {
			return s.consoleChecks(ctx, "system", s.talkersAndFlood)
		}},
		{name: "init/console-crash", cpus: 1, run: func(ctx context.Context) []check {
			checks := s.consoleChecks(ctx, "crash", crashingConsole)
			checks = append(checks, s.consoleChecks(ctx, "drain", drainedConsole)...)
			return append(checks, s.lastWords(ctx)...)
		}},
		{name: "init/log", cpus: 1, run: s.readLog},
	}
}

// consoleChecks runs a system of tests/run/console with exact timing.
func (s *suite) consoleChecks(ctx context.Context, name string, look func(out, err string) error,
) []check {
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	out, text, err := s.runSystem(ctx, "--seed", "1",
		filepath.Join(s.root, "tests", "run", "console", name+".cue"))
	if err == nil {
		err = look(out, text)
	}
	return single(name, err, text)
}

func (s *suite) runSystem(ctx context.Context, words ...string) (out, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	cmd := s.tool(ctx, append([]string{"run"}, words...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// linesOf are the lines of a service, without its name.
func linesOf(text, service string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, service+": "); found {
			lines.WriteString(rest)
		}
	}
	return lines.String()
}

// inSequence finds a service whose lines are not all there, whole and in order.
func inSequence(out, service string, count int) error {
	n := 0
	for line := range strings.Lines(out) {
		m := consoleLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if !strings.HasPrefix(line, service+": ") {
			continue
		}
		if want := fmt.Sprintf("%08d", n); m == nil || m[2] != want || m[3] != want {
			return fmt.Errorf("line %d of %s is %q", n, service, line)
		}
		n++
	}
	if n != count {
		return fmt.Errorf("%d lines of %s, expected %d", n, service, count)
	}
	return nil
}

func (s *suite) talkersAndFlood(out, text string) error {
	for service, count := range map[string]int{"flood": 20000, "pieces": 100} {
		if err := inSequence(out, service, count); err != nil {
			return err
		}
	}
	if got := linesOf(out, "talker"); got != goConsoleLines {
		return fmt.Errorf("the lines of talker are\n%s", got)
	}
	if n := strings.Count(out, "\n"); n != 20000+100+strings.Count(goConsoleLines, "\n") {
		return fmt.Errorf("%d lines together", n)
	}
	if got := linesOf(text, "talker"); got != "to standard error\nby the runtime\n" {
		return fmt.Errorf("the lines of talker on standard error are\n%s", got)
	}
	return nil
}

// drainedConsole wants what was in the pipes when consoled had failed at its end.
func drainedConsole(out, text string) error {
	for _, service := range []string{"one", "two"} {
		if got := linesOf(out, service); got != "first\nlast\n" {
			return fmt.Errorf("the lines of %s are %q", service, got)
		}
	}
	if !strings.Contains(text, "; started again for what is left\n") {
		return errors.New("consoled did not fail at its end")
	}
	return nil
}

// lastWords wants the library's message of a program whose pipe was full.
func (s *suite) lastWords(ctx context.Context) []check {
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	_, text, err := s.runSystem(ctx, "--seed", "1",
		filepath.Join(s.root, "tests", "run", "console", "full.cue"))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 134 {
		err = nil
	}
	if err == nil && !strings.Contains(text, "\nfull: libcapos: ") {
		err = errors.New("what the library says is not there")
	}
	return single("full", err, text)
}

func crashingConsole(out, text string) error {
	if n := strings.Count(text, "init: consoled: was ended by a fault"); n < crashesMin {
		return fmt.Errorf("consoled crashed %d times only", n)
	}
	for _, service := range []string{"one", "two"} {
		if err := inSequence(out, service, 4000); err != nil {
			return err
		}
		if !strings.Contains(text, "init: "+service+": ended with status 0\n") {
			return fmt.Errorf("%s did not end well", service)
		}
	}
	return nil
}

// readLog has a program in C and one in Go read init's log, and prints it at the end.
func (s *suite) readLog(ctx context.Context) []check {
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	out, text, err := s.runSystem(ctx, "--seed", "1", "--init-log",
		filepath.Join(s.root, "tests", "run", "log", "system.cue"))
	if err != nil && !strings.Contains(text, "status 3, that of brief") {
		return single("run", err, text)
	}
	var checks []check
	for _, reader := range []string{"reader", "goreader"} {
		var wrong error
		if got := linesOf(out, reader); got != logEvents {
			wrong = fmt.Errorf("it read\n%s", got)
		}
		checks = append(checks, single(reader, wrong, text)...)
	}
	printed := regexp.MustCompile(`init: \d+ at \d+\.\d{3} ms: brief: gave up, 1\n`)
	var wrong error
	if !printed.MatchString(text) {
		wrong = fmt.Errorf("the log is not printed at the end")
	}
	return append(checks, single("printed", wrong, text)...)
}
