package suite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/report"
)

// recordCase is a run that is recorded and repeated.
type recordCase struct {
	name   string
	flags  []string
	mode   string         // the argument of tests/run/probe.c; "": tests/run/seedprobe
	lines  []string       // of standard input, with a pause after each
	signal syscall.Signal // sent after the last line; 0: none
	status int
	stderr string // part of what both runs say
}

var recordCases = []recordCase{
	{name: "input", lines: []string{"some", "words", "in pieces"}},
	{name: "input-q35", flags: []string{"--machine", "q35"}, lines: []string{"a", "b"}},
	{name: "input-pc-debug", flags: []string{"--machine", "pc", "--kernel", "debug"},
		lines: []string{"a", "b"}},
	{name: "conversation", mode: "ask", lines: []string{"one", "two"}, status: 2},
	{name: "trace", flags: []string{"--trace", "--stats"}, mode: "ask", lines: []string{"one"},
		status: 1, stderr: "Console.read"},
	{name: "interrupt", mode: "ask", lines: []string{"one"}, signal: syscall.SIGINT,
		status: 130, stderr: "was ended: interrupt"},
	{name: "timeout", flags: []string{"--timeout", "2s"}, mode: "spin",
		status: report.StatusTimeout, stderr: "did not end within 2s"},
	{name: "fault", mode: "read-nil", status: 139, stderr: "called from"},
}

// recordPause is between two lines of input, and longer than a machine takes to boot.
const recordPause = 300 * time.Millisecond

func (s *suite) recordSteps() ([]step, error) {
	return []step{{name: "tool/record", cpus: 1, run: func(ctx context.Context) []check {
		goProbe, err := program.BuildGo(s.root, filepath.Join(s.root, "tests", "run",
			"seedprobe"), ".")
		if err != nil {
			return single("build", err, "")
		}
		probe, err := program.Find(s.root, filepath.Join(s.root, "tests", "run", "probe.c"))
		if err != nil {
			return single("build", err, "")
		}
		return s.recordChecks(ctx, goProbe, probe)
	}}}, nil
}

func (s *suite) recordChecks(ctx context.Context, goProbe, probe string) []check {
	dir, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	var checks []check
	for _, c := range recordCases {
		command := []string{goProbe}
		if c.mode != "" {
			command = []string{probe, c.mode}
		}
		err := s.recordAndReplay(ctx, &c, filepath.Join(dir, c.name), command)
		checks = append(checks, single(c.name, err, "")...)
	}
	return append(checks, s.recordingsDiffer(dir), s.strangeRecordings(ctx, dir))
}

// recordAndReplay leaves the output of the run beside the recording.
func (s *suite) recordAndReplay(ctx context.Context, c *recordCase, file string,
	command []string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	args := append(append([]string{"run", "--record", file}, c.flags...), command...)
	recorded := s.startRecorded(ctx, args)
	if recorded.err == nil {
		recorded.feed(c)
	}
	if err := recorded.end(c); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if err := os.WriteFile(file+".out", recorded.stdout.Bytes(), 0o644); err != nil {
		return err
	}
	replayed := s.startRecorded(ctx, []string{"replay", file})
	if err := replayed.end(c); err != nil {
		return fmt.Errorf("replaying: %w", err)
	}
	if !bytes.Equal(recorded.stdout.Bytes(), replayed.stdout.Bytes()) {
		return fmt.Errorf("the run printed %q, and its repetition %q", &recorded.stdout,
			&replayed.stdout)
	}
	if recorded.said() != replayed.said() {
		return fmt.Errorf("the run said %q, and its repetition %q", recorded.said(),
			replayed.said())
	}
	return nil
}

// recordedRun is a run of the tool with input that arrives slowly.
type recordedRun struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr bytes.Buffer
	began          chan struct{} // closed with the first output
	err            error
}

// Write takes standard output.
func (r *recordedRun) Write(p []byte) (int, error) {
	if r.stdout.Len() == 0 {
		close(r.began)
	}
	return r.stdout.Write(p)
}

// said is what the tool said of the run, without what it said of builds that took long.
func (r *recordedRun) said() string {
	var said strings.Builder
	for line := range strings.Lines(r.stderr.String()) {
		if !strings.HasPrefix(line, "capos: building ") {
			said.WriteString(strings.Replace(line, "the recording ends here: ", "", 1))
		}
	}
	return said.String()
}

func (s *suite) startRecorded(ctx context.Context, args []string) *recordedRun {
	r := &recordedRun{cmd: s.tool(ctx, args...), began: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r, &r.stderr
	if r.stdin, r.err = r.cmd.StdinPipe(); r.err == nil {
		r.err = r.cmd.Start()
	}
	return r
}

func (r *recordedRun) feed(c *recordCase) {
	for _, line := range c.lines {
		time.Sleep(recordPause)
		io.WriteString(r.stdin, line+"\n")
	}
	if c.signal != 0 {
		<-r.began // the machine takes keys
		time.Sleep(recordPause)
		r.cmd.Process.Signal(c.signal)
	}
}

// end waits for the run and compares how it ended.
func (r *recordedRun) end(c *recordCase) error {
	if r.err != nil {
		return r.err
	}
	r.stdin.Close()
	r.cmd.Wait()
	switch got := r.cmd.ProcessState.ExitCode(); {
	case got != c.status:
		return fmt.Errorf("exit status %d: %s", got, &r.stderr)
	case !strings.Contains(r.stderr.String(), c.stderr):
		return fmt.Errorf("on standard error: %q", &r.stderr)
	}
	return nil
}

// recordingsDiffer holds against machines that repeat because nothing reaches them at all.
func (s *suite) recordingsDiffer(dir string) check {
	first, err := os.ReadFile(filepath.Join(dir, "input.out"))
	if err == nil {
		var second []byte
		second, err = os.ReadFile(filepath.Join(dir, "input-q35.out"))
		if err == nil && bytes.Equal(first, second) {
			err = fmt.Errorf("two runs with chance printed the same: %q", first)
		}
	}
	return single("recordings-differ", err, "")[0]
}

// strangeRecordings gives replay what is no recording.
func (s *suite) strangeRecordings(ctx context.Context, dir string) check {
	cut := filepath.Join(dir, "cut")
	whole, err := os.ReadFile(filepath.Join(dir, "input"))
	if err == nil {
		err = os.WriteFile(cut, whole[:len(whole)/2], 0o644)
	}
	for name, says := range map[string]string{cut: "not a recording",
		filepath.Join(dir, "input.out"): "not a recording",
		filepath.Join(dir, "none"):      "no such file"} {
		out, runErr := s.tool(ctx, "replay", name).CombinedOutput()
		if err == nil && (runErr == nil || !strings.Contains(string(out), says)) {
			err = fmt.Errorf("replay %s says %q", filepath.Base(name), out)
		}
	}
	out, runErr := s.tool(ctx, "replay", "--cpus", "2", filepath.Join(dir, "input")).
		CombinedOutput()
	if err == nil && (runErr == nil || !strings.Contains(string(out), "decides about -cpus")) {
		err = fmt.Errorf("with two CPUs: %q", out)
	}
	return single("strange-recordings", err, "")[0]
}
