package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/report"
)

// Published programs of modulesFile do the tasks of a data file on capOS and on Linux, and what
// comes of it is compared. Both are built of the same source without cgo.

// ResultFile is where a task's result is remembered.
func ResultFile(root, task string) string {
	return filepath.Join(root, "build", "programs", task+".json")
}

func (s *suite) programSteps() ([]step, error) {
	tasks, _, err := ReadTasks(s.root)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, t := range tasks {
		steps = append(steps, step{name: "programs/" + t.Name, cpus: 2, full: !t.ci,
			run: func(ctx context.Context) []check { return s.doTask(ctx, t) }})
	}
	return steps, nil
}

// doTask builds the program for both systems and runs the task on each.
func (s *suite) doTask(ctx context.Context, t *Task) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	defer lockBuilt(t.Package)()
	here, there, why := s.buildBoth(ctx, t)
	if why != nil {
		return why
	}
	base := filepath.Join(s.root, "build", "programs", t.Name)
	runner := &taskRunner{s: s, task: t}
	var results [2]string
	for i, run := range []func(context.Context, string, string, *taskRun) (string, error){
		runner.onCapOS, runner.onLinux} {
		dir := filepath.Join(base, []string{"capos", "linux"}[i])
		text, err := runner.all(ctx, dir, []string{here, there}[i], run)
		if err != nil {
			return single(t.Name, err, "")
		}
		results[i] = text
		if err := os.WriteFile(dir+".txt", []byte(text), 0o644); err != nil {
			return single(t.Name, err, "")
		}
	}
	err := firstDifference(results[0], results[1])
	checks := single(t.Name, err, "")
	var linux Cost
	if s.all {
		var beside []check
		linux, beside = s.besideLinux(ctx, t, there, runner.Cost)
		checks = append(checks, beside...)
	}
	if err := s.remember(t, runner.Cost, linux, here, err); err != nil {
		return single(t.Name, err, "")
	}
	return checks
}

func (s *suite) taskDir(t *Task) string {
	return filepath.Join(s.root, filepath.Dir(TasksFile), t.Name)
}

// buildBoth gives the program for capOS and for Linux, or checks that say why there is none.
func (s *suite) buildBoth(ctx context.Context, t *Task) (here, there string, why []check) {
	linux := published{program: true, path: t.Package, version: t.Version}
	if t.source {
		linux.source = s.taskDir(t)
	}
	capos := linux
	capos.flags = t.flags
	if got := s.buildModule(ctx, capos); got[0].Verdict != passed {
		return "", "", got
	}
	if got := s.buildForLinux(ctx, linux); got[0].Verdict != passed {
		return "", "", got
	}
	return s.builtProgram(capos, ""), s.builtProgram(linux, linuxSuffix), nil
}

// taskRunner runs a task's commands and sums up what they cost on capOS.
type taskRunner struct {
	s    *suite
	task *Task
	Cost
}

// guestTaskDir is the working directory of a task on capOS. The directory's name on Linux is shown
// as this one.
const guestTaskDir = "/task"

// all runs the commands in a copy of the task's directory and describes what they said and left.
func (r *taskRunner) all(ctx context.Context, dir, program string,
	run func(context.Context, string, string, *taskRun) (string, error)) (string, error) {
	if err := r.prepare(ctx, dir); err != nil {
		return "", err
	}
	var all strings.Builder
	for i := range r.task.runs {
		text, err := run(ctx, dir, program, &r.task.runs[i])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&all, "$ %s\n%s", strings.Join(r.task.runs[i].args, " "), text)
	}
	text := all.String()
	for _, mask := range r.task.masks {
		text = mask.pattern.ReplaceAllString(text, mask.with)
	}
	files, err := r.describeFiles(dir)
	return text + files, err
}

// prepare makes a copy of the task's directory, with what is built for it.
func (r *taskRunner) prepare(ctx context.Context, dir string) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	source := r.s.taskDir(r.task)
	if _, err := os.Stat(source); err == nil {
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			return err
		}
	}
	return r.buildForWASI(ctx, dir)
}

// buildForWASI makes the programs that the task's program is to run.
func (r *taskRunner) buildForWASI(ctx context.Context, dir string) error {
	for _, name := range r.task.wasip1 {
		cmd := r.s.hostGo(ctx, r.s.taskDir(r.task), "build", "-trimpath", "-o",
			filepath.Join(dir, filepath.Base(name)+".wasm"), name+".go")
		cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// describeFiles gives names and contents of the files that the task has made or changed.
func (r *taskRunner) describeFiles(dir string) (string, error) {
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || r.ignored(name) {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&all, "file %s\n%s\n", name, content)
		return err
	})
	return all.String(), err
}

func (r *taskRunner) ignored(name string) bool {
	for _, glob := range r.task.ignore {
		for part := name; part != "."; part = filepath.Dir(part) {
			if match, _ := filepath.Match(glob, part); match {
				return true
			}
		}
	}
	return false
}

// taskEnvironment is the environment that ./capos run gives.
func taskEnvironment(dir, temporary string) []string {
	return []string{"PATH=/bin", "HOME=" + temporary + "/home", "TMPDIR=" + temporary,
		"PWD=" + dir}
}

// onLinux runs a command here.
func (r *taskRunner) onLinux(ctx context.Context, dir, program string, t *taskRun) (string, error) {
	home, remove, err := makeScratch()
	if err != nil {
		return "", err
	}
	defer remove()
	cmd := hostCommand(ctx, dir, program, t.args...)
	cmd.Env = taskEnvironment(dir, home)
	if err := os.Mkdir(filepath.Join(home, "home"), 0o755); err != nil {
		return "", err
	}
	stdout, stderr, err := r.finish(cmd, t)
	names := strings.NewReplacer(dir, guestTaskDir, home, "/tmp", filepath.Dir(program), "/bin")
	return names.Replace(stdout + stderr), err
}

// onCapOS runs a command on a machine of one CPU where an instruction takes a nanosecond. What it
// writes comes back to the directory, for the next command.
func (r *taskRunner) onCapOS(ctx context.Context, dir, program string, t *taskRun) (string, error) {
	cmd := r.s.tool(ctx, append([]string{"run", "--accel", "tcg", "--seed", "1", "--stats",
		"-m", r.task.memory, "-w", guestTaskDir, "--files", ".:" + guestTaskDir,
		"-o", guestTaskDir + "/:.", program}, t.args...)...)
	cmd.Dir = dir
	stdout, stderr, err := r.finish(cmd, t)
	if err != nil {
		return "", err
	}
	stderr, err = r.count(withoutRemarks(stderr))
	return stdout + stderr, err
}

// finish runs a command and gives what it says. A status that the task does not expect is an error.
func (r *taskRunner) finish(cmd *exec.Cmd, t *taskRun) (stdout, stderr string, err error) {
	if t.stdin != "" {
		input, err := os.Open(filepath.Join(cmd.Dir, t.stdin))
		if err != nil {
			return "", "", err
		}
		defer input.Close()
		cmd.Stdin = input
	}
	var out, messages strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &messages
	err = cmd.Run()
	var ended *exec.ExitError
	if err == nil || errors.As(err, &ended) {
		err = nil
		if status := cmd.ProcessState.ExitCode(); status != t.status {
			err = fmt.Errorf("%s: status %d, expected %d\n%s%s", cmd, status, t.status,
				report.LastLines(out.String(), 10),
				report.LastLines(messages.String(), 60))
		}
	}
	return out.String(), messages.String(), err
}

// statistics begin where the program's own messages end, on the same line if that has no end.
var statistics = regexp.MustCompile(
	`process \d+ \S+: (\d+) us CPU, peak (\d+) pages committed\n` +
		`(?:process \d+ \S+: budget of .*\n)*machine: `)

// count takes the statistics off the messages of a run and adds them up.
func (r *taskRunner) count(stderr string) (messages string, err error) {
	all := statistics.FindAllStringSubmatchIndex(stderr, -1)
	if all == nil {
		return "", fmt.Errorf("there are no statistics in %q", stderr)
	}
	m := all[len(all)-1]
	var microseconds, pages int64
	fmt.Sscan(stderr[m[2]:m[3]], &microseconds)
	fmt.Sscan(stderr[m[4]:m[5]], &pages)
	r.Instructions += microseconds // thousands of them, because one takes a nanosecond
	r.Peak = max(r.Peak, pages*int64(abi.PageSize))
	return stderr[:m[0]], nil
}

// firstDifference compares what a task comes to on capOS and on Linux.
func firstDifference(here, there string) error {
	if here == there {
		return nil
	}
	a, b := strings.Split(here, "\n"), strings.Split(there, "\n")
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	after := func(lines []string) string {
		return strings.Join(lines[n:min(n+8, len(lines))], "\n")
	}
	return fmt.Errorf("line %d differs; on capOS:\n%s\non Linux:\n%s", n+1, after(a), after(b))
}

// remember keeps the result for ./capos status.
func (s *suite) remember(t *Task, capos, linux Cost, program string, difference error) error {
	info, err := os.Stat(program)
	if err != nil {
		return err
	}
	result := TaskResult{Task: t.Name, Version: t.Version, Same: difference == nil,
		Size: info.Size(), CapOS: capos, Linux: linux}
	if difference != nil {
		result.Why = difference.Error()
	}
	text, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(ResultFile(s.root, t.Name), text, 0o644)
}
