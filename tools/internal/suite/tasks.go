package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"capos.dev/tools/internal/program"
)

// TasksFile is the data file; its head says how it is read.
const TasksFile = "tests/programs/tasks.txt"

// Task is what one program is given to do: commands that run one after the other in a directory.
type Task struct {
	Name, Package, Version string

	What string // in the words of docs/programs.md

	ci     bool
	source bool     // the program is main.go of the task's directory, which uses the package
	memory string   // of the machine
	slower string   // why it takes more instructions than on Linux
	flags  []string // of go build for capOS
	wasip1 []string // Go programs that are made for wasip1 first, without suffix
	runs   []taskRun
	masks  []taskMask
	ignore []string // globs of files that are not compared
}

type taskRun struct {
	args   []string
	stdin  string // a file of the task's directory
	status int
}

// taskMask replaces what differs between two runs on one system too.
type taskMask struct {
	pattern *regexp.Regexp
	with    string
}

// TaskResult is what is known of a task after it ran.
type TaskResult struct {
	Task, Version string

	Same         bool
	Why          string // the first difference
	Size         int64  // of the program, in bytes
	CapOS, Linux Cost   // Linux: in the tuned guest; nothing where it did not run there
}

// ProgramName is what its program is called.
func ProgramName(t *Task) string { return program.Name(t.Package + "@" + t.Version) }

// Without is a line about what a program does not do.
type Without struct{ Package, Version, Why string }

// ReadTasks reads the data file. Versions are those of modulesFile.
func ReadTasks(root string) ([]*Task, []Without, error) {
	text, err := os.ReadFile(filepath.Join(root, TasksFile))
	if err != nil {
		return nil, nil, err
	}
	entries, err := readModules(filepath.Join(root, modulesFile))
	if err != nil {
		return nil, nil, err
	}
	versions := map[string]string{}
	for _, m := range entries {
		versions[m.path] = m.version
	}
	return parseTasks(string(text), versions)
}

func parseTasks(text string, versions map[string]string) (tasks []*Task, without []Without,
	err error) {
	n, begun := 0, ""
	for line := range strings.Lines(text) {
		n++
		line = begun + strings.TrimSpace(line)
		if head, goesOn := strings.CutSuffix(line, "\\"); goesOn {
			begun = head
			continue
		}
		begun = ""
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch {
		case line == "" || line[0] == '#':
			continue
		case word == "task":
			var t *Task
			if t, err = newTask(rest, versions); err == nil {
				tasks = append(tasks, t)
			}
		case word == "without":
			pkg, why, _ := strings.Cut(rest, " ")
			without = append(without, Without{pkg, versions[pkg], why})
			if versions[pkg] == "" || why == "" {
				err = fmt.Errorf("want without PACKAGE WHY")
			}
		case len(tasks) == 0:
			err = fmt.Errorf("%s stands before the first task", word)
		default:
			err = tasks[len(tasks)-1].add(word, rest)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", TasksFile, n, err)
		}
	}
	for _, t := range tasks {
		if len(t.runs) == 0 || t.What == "" {
			return nil, nil, fmt.Errorf("%s: task %s runs or shows nothing", TasksFile,
				t.Name)
		}
	}
	return tasks, without, nil
}

func newTask(rest string, versions map[string]string) (*Task, error) {
	words := strings.Fields(rest)
	ci := len(words) == 3 && words[2] == "ci"
	if len(words) != 2 && !ci {
		return nil, fmt.Errorf("want task NAME PACKAGE [ci]")
	}
	t := &Task{Name: words[0], Package: words[1], Version: versions[words[1]], ci: ci,
		memory: "512M"}
	if t.Version == "" {
		return nil, fmt.Errorf("%s has no line for %s", modulesFile, t.Package)
	}
	return t, nil
}

// add takes one line of a task.
func (t *Task) add(word, rest string) error {
	switch word {
	case "shows":
		t.What = rest
	case "memory":
		t.memory = rest
	case "slower":
		t.slower = rest
	case "flags":
		t.flags = append(t.flags, strings.Fields(rest)...)
	case "source":
		t.source = true
	case "wasip1":
		t.wasip1 = append(t.wasip1, strings.Fields(rest)...)
	case "ignore":
		t.ignore = append(t.ignore, strings.Fields(rest)...)
	case "run":
		t.runs = append(t.runs, taskRun{args: taskWords(rest)})
	case "fails":
		run := taskRun{}
		status, args, _ := strings.Cut(rest, " ")
		if _, err := fmt.Sscan(status, &run.status); err != nil {
			return err
		}
		run.args = taskWords(args)
		t.runs = append(t.runs, run)
	case "input":
		if len(t.runs) == 0 {
			return fmt.Errorf("input stands before the first run")
		}
		t.runs[len(t.runs)-1].stdin = rest
	case "mask":
		pattern, with, _ := strings.Cut(rest, " => ")
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			return err
		}
		t.masks = append(t.masks, taskMask{compiled, with})
	default:
		return fmt.Errorf("%q is no word of a task", word)
	}
	return nil
}

// taskWords splits at spaces outside single quotes.
func taskWords(line string) (words []string) {
	word, quoted, begun := "", false, false
	for _, c := range line + " " {
		switch {
		case c == '\'':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(c), true
		}
	}
	return words
}
