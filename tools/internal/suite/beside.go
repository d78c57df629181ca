package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"capos.dev/tools/internal/linuxguest"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// A task also runs in the tuned Linux guest of the comparison, so that what it costs on capOS
// stands beside what it costs there: docs/benchmarks.md. What it says and leaves is compared with
// the host's, where it is the same; in the guest only its statuses are looked at.

// Cost is what a task took: thousands of instructions of all its commands, in the program and in
// the kernel for it, and the bytes of memory that one of them had at most.
type Cost struct{ Instructions, Peak int64 }

// ratioMax is how many of Linux's instructions a task may take on capOS without a reason.
const ratioMax = 1.1

// Ratio is how many instructions it took for each one of the other.
func (c Cost) Ratio(other Cost) float64 {
	return float64(c.Instructions) / float64(other.Instructions)
}

// besideLinux runs a task in the guest and holds what it took on capOS against that. A guest that
// cannot be had is no failure.
func (s *suite) besideLinux(ctx context.Context, t *Task, program string, here Cost) (Cost,
	[]check) {
	name := t.Name + " beside Linux"
	guest, err := s.linuxGuest()
	if err != nil {
		return Cost{}, []check{{name, skipped, err.Error()}}
	}
	there, err := guest.do(ctx, s, t, program)
	if err != nil {
		return Cost{}, single(name, err, "")
	}
	return there, []check{judgeRatio(name, t.slower, here.Ratio(there))}
}

// judgeRatio holds a ratio against what the task's file says of it.
func judgeRatio(name, slower string, ratio float64) check {
	switch {
	case ratio > ratioMax && slower == "":
		return check{name, failed, fmt.Sprintf("it takes %.2f times the instructions, and "+
			"%s has no reason", ratio, TasksFile)}
	case ratio <= ratioMax && slower != "":
		return check{name, failed, fmt.Sprintf("it takes %.2f times the instructions: "+
			"take the reason out of %s", ratio, TasksFile)}
	}
	return check{name, passed, slower}
}

// linuxGuest is what all tasks have in common there.
type linuxGuest struct {
	kernel       *linuxguest.Kernel
	init, runner string // files
}

var theLinuxGuest struct {
	sync.Once
	guest *linuxGuest
	err   error
}

// linuxGuest fetches the kernel and builds the programs that run tasks there.
func (s *suite) linuxGuest() (*linuxGuest, error) {
	g := &theLinuxGuest
	g.Do(func() { g.guest, g.err = s.makeLinuxGuest() })
	return g.guest, g.err
}

func (s *suite) makeLinuxGuest() (*linuxGuest, error) {
	kernel, err := linuxguest.Fetch(func(string, ...any) {})
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.root, "build", "programs", "guest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	guest := &linuxGuest{kernel, filepath.Join(dir, "init"), filepath.Join(dir, "task")}
	for _, file := range []string{guest.init, guest.runner} {
		cmd := exec.Command("gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror",
			"-static", "-o", file, filepath.Join(s.root, "bench", "linux",
				filepath.Base(file)+".c"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
	}
	return guest, nil
}

// Names in the guest.
const (
	guestRunner   = "/run-task"
	guestCommands = "/commands"
)

// do runs a task in a guest and sums up what its commands took.
func (g *linuxGuest) do(ctx context.Context, s *suite, t *Task, program string) (Cost, error) {
	base := filepath.Join(s.root, "build", "programs", t.Name)
	runner := &taskRunner{s: s, task: t}
	dir := filepath.Join(base, "guest")
	if err := runner.prepare(ctx, dir); err != nil {
		return Cost{}, err
	}
	files := filepath.Join(base, "guest.cpio")
	if err := g.writeFiles(files, dir, program, t); err != nil {
		return Cost{}, err
	}
	memory, err := machine.ParseMemory(t.memory)
	if err != nil {
		return Cost{}, err
	}
	config := &machine.Config{Machine: "microvm", CPU: "max", Accel: "tcg", MemoryMiB: memory,
		CPUs: 1, ICount: true, Kernel: repo.Kernel(s.root, "release")}
	words, err := linuxguest.Exchange(config.Args(files), g.kernel, files,
		linuxguest.CommandLine(linuxguest.Tuned, guestRunner, guestCommands))
	if err != nil {
		return Cost{}, err
	}
	out, err := hostCommand(ctx, dir, machine.DefaultQEMU, words...).CombinedOutput()
	if err != nil {
		return Cost{}, fmt.Errorf("%w: %s", err, report.LastLines(string(out), 20))
	}
	return readCosts(string(out), len(t.runs))
}

// writeFiles makes the guest's first file system.
func (g *linuxGuest) writeFiles(file, dir, program string, t *Task) error {
	var content bytes.Buffer
	archive := linuxguest.NewArchive(&content)
	for _, name := range []string{"tmp", "bin", guestTaskDir[1:]} {
		archive.AddDir(name)
	}
	add := func(name, source string) error {
		data, err := os.ReadFile(source)
		archive.Add(strings.TrimPrefix(name, "/"), data)
		return err
	}
	inside := "/bin/" + filepath.Base(program)
	archive.Add(guestCommands[1:], taskCommands(t, inside))
	err := errors.Join(add("init", g.init), add(guestRunner, g.runner), add(inside, program))
	walk := filepath.WalkDir(dir, func(source string, entry fs.DirEntry, err error) error {
		name := path.Join(guestTaskDir, strings.TrimPrefix(source, dir))
		switch {
		case err != nil || source == dir:
			return err
		case entry.IsDir():
			archive.AddDir(name[1:])
			return nil
		}
		return add(name, source)
	})
	if err := errors.Join(err, walk, archive.Close()); err != nil {
		return err
	}
	return os.WriteFile(file, content.Bytes(), 0o644)
}

// taskCommands is what bench/linux/task.c reads, which says how.
func taskCommands(t *Task, program string) []byte {
	var all bytes.Buffer
	put := func(kind, text string) { all.WriteString(kind + text + "\x00") }
	for _, variable := range taskEnvironment(guestTaskDir, "/tmp") {
		put("e", variable)
	}
	for i := range t.runs {
		run := &t.runs[i]
		if run.stdin != "" {
			put("i", run.stdin)
		}
		for _, argument := range append([]string{program}, run.args...) {
			put("a", argument)
		}
		put("r", fmt.Sprint(run.status))
	}
	return all.Bytes()
}

// readCosts sums up the lines that it prints.
func readCosts(output string, commands int) (sum Cost, err error) {
	lines, ended := 0, false
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		var microseconds, bytes int64
		if n, _ := fmt.Sscanf(line, "took %d %d", &microseconds, &bytes); n == 2 {
			lines++
			sum.Instructions += microseconds // thousands: one takes a nanosecond
			sum.Peak = max(sum.Peak, bytes)
		}
		ended = ended || line == "guest ended 0"
	}
	if lines != commands || !ended {
		return Cost{}, fmt.Errorf("%d of %d commands ran in the Linux guest:\n%s", lines,
			commands, report.LastLines(output, 30))
	}
	return sum, nil
}
