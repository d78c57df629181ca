package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"capos.dev/tools/internal/linuxguest"
)

const (
	linuxName = "linux"
	caposName = "capos"
	hostName  = "host" // no guest: what the machines' own machine can do
)

// run is one machine that runs one program.
type run struct {
	system  string
	column  string // of the table
	program string
	kernel  string // what the Linux kernel is told beside the rest
	cpus    int    // 1: instruction-exact
	machine string
}

// plannedRuns lists all machines in the order in which they run. Wall times come last, close
// together, on the machine type in which both systems find a second CPU. The gain that the host
// itself has from a second CPU comes with them, because no guest can exceed it.
func plannedRuns() []run {
	var runs []run
	for _, program := range []string{rawProgram, goProgram, cueProgram} {
		runs = append(runs,
			run{system: linuxName, column: columnLinux, program: program,
				kernel: linuxguest.AsShipped, cpus: 1, machine: "microvm"},
			run{system: linuxName, column: columnTuned, program: program,
				kernel: linuxguest.Tuned, cpus: 1, machine: "microvm"},
			run{system: caposName, column: columnCapos, program: program, cpus: 1,
				machine: "microvm"})
	}
	return append(runs,
		run{system: hostName, column: columnHost, program: parallelProgram, cpus: 2},
		run{system: linuxName, column: columnLinux, program: parallelProgram,
			kernel: linuxguest.AsShipped, cpus: 2, machine: "q35"},
		run{system: caposName, column: columnCapos, program: parallelProgram, cpus: 2,
			machine: "q35"})
}

var columnTitles = map[string]string{
	columnLinux: "Linux", columnTuned: "Linux, tuned", columnCapos: "capOS",
	columnHost: "the host itself",
}

func (r *run) describe() string { return columnTitles[r.column] + ", " + r.program }

// arguments are those of the guest program.
func (r *run) arguments(only []string) []string {
	if r.program == parallelProgram {
		return append([]string{"-parallel"}, only...)
	}
	return slices.Clone(only)
}

// file is the guest program's name.
func (r *run) file() string {
	if r.program == parallelProgram {
		return goProgram
	}
	return r.program
}

// machineFlags are the flags of ./capos run that make the machine. The Linux guest's QEMU command
// is derived from its command.
func (s *session) machineFlags(r *run) []string {
	flags := []string{"--accel", "tcg", "--machine", r.machine, "--cpus", strconv.Itoa(r.cpus),
		"-m", s.options.memory}
	if r.cpus == 1 {
		flags = append(flags, "--icount")
	}
	return flags
}

// runGuest runs the machine to its end. The output is nil when there was no machine.
func (s *session) runGuest(r *run) (*output, error) {
	words, err := s.hostCommand(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.options.timeout)
	defer cancel()
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	if r.system == caposName {
		args := append(append([]string{"run"}, s.machineFlags(r)...), s.program(r))
		command = exec.CommandContext(ctx, filepath.Join(s.root, "capos"),
			append(args, r.arguments(s.options.only)...)...)
	}
	// ./capos ends its machine when it is interrupted.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	// The output of both guests comes by one pipe, because QEMU connects Linux's serial port to
	// standard error.
	out := &output{command: words}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	command.Stdout, command.Stderr = write, write
	err = command.Start()
	write.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", command.Path, err)
	}
	out.parse(read, s.options.verbose)
	err = command.Wait()
	read.Close()
	if ctx.Err() != nil {
		return out, fmt.Errorf("the machine did not end within %v%s", s.options.timeout,
			out.lastWords())
	}
	return out, out.judge(r, err)
}

// hostCommand returns the command that makes the machine. For Linux it is the one that ./capos
// would start, with another kernel, first file system and kernel command line.
func (s *session) hostCommand(r *run) ([]string, error) {
	if r.system == hostName {
		return append([]string{s.program(&run{system: linuxName, program: r.program})},
			r.arguments(s.options.only)...), nil
	}
	args := append([]string{"run", "--dry-run"}, s.machineFlags(r)...)
	args = append(append(args, s.program(&run{system: caposName, program: r.program})),
		r.arguments(s.options.only)...)
	command := exec.Command(filepath.Join(s.root, "capos"), args...)
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s does not say how it would start a machine: %w", command,
			err)
	}
	words, err := splitShellWords(strings.TrimSpace(string(text)))
	if err != nil || r.system == caposName {
		return words, err
	}
	program := append([]string{"/" + r.file()}, r.arguments(s.options.only)...)
	return linuxguest.Exchange(words, s.kernel, s.initialFiles(r),
		linuxguest.CommandLine(r.kernel, program...))
}

// splitShellWords undoes the quoting of a printed command, whose words are plain or in single
// quotes.
func splitShellWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, inQuotes, escaped := false, false, false
	for _, c := range text {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\'':
			inQuotes, inWord = !inQuotes, true
		case inQuotes:
			word.WriteRune(c)
		case c == '\\':
			escaped, inWord = true, true
		case c == ' ' || c == '\n':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inQuotes || escaped {
		return nil, errors.New("a printed command ends within quotes")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// output is the output of a guest.
type output struct {
	command  []string
	rows     map[string]measured
	checks   map[string]string
	notes    []string
	failures []string
	others   []string // everything that is none of these
	ended    bool     // the program got to its end
}

// measured is one value of a row.
type measured struct {
	value float64
	unit  string
}

// parse reads the lines of the guest programs: "row NAME VALUE UNIT", "check NAME DIGEST", "note
// TEXT", "fail TEXT" and at last "end".
func (o *output) parse(r io.Reader, verbose bool) {
	o.rows, o.checks = map[string]measured{}, map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if verbose {
			say("| %s", line)
		}
		o.parseLine(line)
	}
	io.Copy(io.Discard, r) // after a line too long to be ours
}

func (o *output) parseLine(line string) {
	kind, rest, _ := strings.Cut(line, " ")
	fields := strings.Fields(rest)
	switch {
	case kind == "row" && len(fields) == 3:
		value, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			o.failures = append(o.failures, "not a value: "+line)
			return
		}
		o.rows[fields[0]] = measured{value, fields[2]}
	case kind == "check" && len(fields) == 2:
		o.checks[fields[0]] = fields[1]
	case kind == "note":
		o.notes = append(o.notes, rest)
	case kind == "fail":
		o.failures = append(o.failures, rest)
	case line == "end":
		o.ended = true
	case line != "":
		o.others = append(o.others, line)
	}
}

// judge returns why a run does not count as complete, or nil when it does.
func (o *output) judge(r *run, ended error) error {
	switch {
	case len(o.failures) > 0:
		return errors.New(strings.Join(o.failures, "; "))
	case !o.ended:
		return fmt.Errorf("the program did not get to its end%s", o.lastWords())
	case r.system == linuxName && !slices.Contains(o.others, "guest ended 0"):
		return fmt.Errorf("the program failed%s", o.lastWords())
	case ended != nil:
		return fmt.Errorf("the machine failed: %w%s", ended, o.lastWords())
	}
	return nil
}

func (o *output) lastWords() string {
	if len(o.others) == 0 {
		return " and said nothing"
	}
	return "; its last words:\n  " + strings.Join(o.others[max(0, len(o.others)-8):], "\n  ")
}
