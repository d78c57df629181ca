// Command bench compares capOS with a Linux guest. It builds the benchmark programs for both, runs
// them in machines that QEMU makes with the same flags, and prints the results side by side.
// docs/benchmarks.md describes the method.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"capos.dev/tools/internal/linuxguest"
	"capos.dev/tools/internal/repo"
)

const usageText = `Usage: bench/run [FLAGS]

Runs the benchmark programs on capOS and on a Linux guest and prints the results side by side;
writes build/bench/results.json and build/bench/results.md. A part of it (--only, --system)
takes what it does not measure from the last whole comparison, says so, and writes
build/bench/partial.json and partial.md.

`

// options are those of the command line.
type options struct {
	only    list
	systems string
	memory  string
	timeout time.Duration
	strict  bool
	list    bool
	verbose bool
}

// list is a flag that may be given several times and hold several values separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	for value := range strings.SplitSeq(text, ",") {
		if value = strings.TrimSpace(value); value != "" {
			*l = append(*l, value)
		}
	}
	return nil
}

func main() {
	var o options
	flag.Var(&o.only, "only",
		"measure only this `ROW`; one that ends in * means all that begin so (repeatable)")
	flag.StringVar(&o.systems, "system", "both", "which side to run: `both`, linux or capos")
	flag.StringVar(&o.memory, "m", "512M", "memory of every machine, `SIZE`")
	flag.DurationVar(&o.timeout, "timeout", 5*time.Minute,
		"end a machine after this `DURATION`")
	flag.BoolVar(&o.strict, "strict", false, "fail when a stated goal is missed")
	flag.BoolVar(&o.list, "list", false, "list the rows and measure none")
	flag.BoolVar(&o.verbose, "v", false, "show what the machines print")
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, usageText)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if o.list {
		for _, row := range allRows {
			fmt.Printf("%-24s %s\n", row.Name, row.About)
		}
		return
	}
	ok, err := compare(&o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// session is one comparison while it runs.
type session struct {
	options *options
	root    string // of the repository
	out     string // build/bench
	kernel  *linuxguest.Kernel
	leftOut map[string]bool // programs that could not be fetched
	result  *result
}

func compare(o *options) (ok bool, err error) {
	if o.systems != "both" && o.systems != linuxName && o.systems != caposName {
		return false, fmt.Errorf("no system %q; there are both, %s and %s", o.systems,
			linuxName, caposName)
	}
	if err := checkRows(o.only); err != nil {
		return false, err
	}
	s := &session{options: o, leftOut: map[string]bool{}, result: newResult()}
	if err := s.findPlaces(); err != nil {
		return false, err
	}
	if err := checkTools(); err != nil {
		return false, err
	}
	if err := s.prepare(); err != nil {
		return false, err
	}
	for _, run := range plannedRuns() {
		if s.isWanted(&run) {
			if err := s.measure(&run); err != nil {
				return false, err
			}
		}
	}
	name := wholeName
	if s.isPartial() {
		name = partialName
		s.result.fillIn(s.out, o.only)
	}
	s.result.finish(o.only)
	fmt.Println()
	s.result.print(os.Stdout)
	if err := s.result.save(s.out, name); err != nil {
		return false, err
	}
	fmt.Printf("\nwritten: build/bench/%s.json and build/bench/%s.md\n", name, name)
	return len(s.result.Failures) == 0 && !(o.strict && s.result.missesGoals()), nil
}

// findPlaces finds the repository around this process's working directory or, when bench/run
// started it, by name.
func (s *session) findPlaces() error {
	s.root = os.Getenv("CAPOS_ROOT")
	if s.root == "" {
		return errors.New("CAPOS_ROOT is not set: start this with bench/run or make bench")
	}
	s.out = filepath.Join(s.root, "build", "bench")
	return os.MkdirAll(s.out, 0o755)
}

// prepare builds the programs that will run and gets the Linux kernel when it is needed.
func (s *session) prepare() error {
	say("building the benchmark programs")
	built := map[string]bool{}
	for _, r := range plannedRuns() {
		if !s.isWanted(&r) {
			continue
		}
		// Commands of Linux machines are derived from capOS's, which name its program. The
		// host runs a Linux program.
		if file := r.file(); !built[file] {
			built[file] = true
			err := errors.Join(s.buildCapos(file), s.buildLinux(file))
			if err != nil && !s.leavesOut(file, err) {
				return err
			}
		}
		if r.system == linuxName && s.kernel == nil && s.isWanted(&r) {
			var err error
			if s.kernel, err = linuxguest.Fetch(say); err != nil {
				return err
			}
		}
	}
	return nil
}

// leavesOut tells whether a program cannot be built because its modules cannot be fetched, and
// remarks it. Its rows stay empty.
func (s *session) leavesOut(file string, err error) bool {
	why, is := repo.Unreachable(err.Error())
	if is {
		s.leftOut[file] = true
		s.result.Remarks = append(s.result.Remarks, "rows of "+file+" are left out: "+
			repo.NoProxy+why)
	}
	return is
}

func (s *session) isPartial() bool { return len(s.options.only) > 0 || s.options.systems != "both" }

// isWanted tells whether a run is about a system and rows that were asked for.
func (s *session) isWanted(r *run) bool {
	if s.options.systems != "both" && s.options.systems != r.system && r.system != hostName {
		return false
	}
	if s.leftOut[r.file()] {
		return false
	}
	return len(s.options.only) == 0 || slices.ContainsFunc(allRows, func(row rowInfo) bool {
		return row.program == r.program && matchesAny(s.options.only, row.Name)
	})
}

// measure makes one machine run one program. The comparison fails if a machine does not get to the
// end. The others still run, and the values that it had measured by then count.
func (s *session) measure(r *run) error {
	say("%s", r.describe())
	start := time.Now()
	output, err := s.runGuest(r)
	if output == nil {
		return err
	}
	if err != nil {
		s.result.fail("%s: %v", r.describe(), err)
	}
	s.result.add(r, output)
	say("%s: %d rows in %.0f s", r.describe(), len(output.rows), time.Since(start).Seconds())
	return nil
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// hostText describes the host of the machines.
func hostText() string {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, _ := strings.Cut(line,
				":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d CPUs, %s", runtime.NumCPU(), model)
}
