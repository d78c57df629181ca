// Package explore judges runs of an explore build: what failed, where, and whether two failures are
// the same. It reads what programs print and knows nothing of machines.
package explore

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"capos.dev/tools/internal/report"
)

// Run is what one seed gave.
type Run struct {
	Seed   uint64
	Status int
	Output string // standard output and error
	Report string // why it ended, when it did not simply exit
	Ledger string // what the kernel did not get back

	Without string // the tests that were left out, besides those that the user leaves out
	Looks   Looks
}

// Kinds of failures.
const (
	KindDeadlock = "deadlock"
	KindLeak     = "goroutine leak"
	KindTimeout  = "virtual time out"
	KindHang     = "no end"
	KindPanic    = "panic"
	KindFatal    = "fatal error"
	KindTest     = "test failure"
	KindRace     = "data race"
	KindCrash    = "crash"
	KindStatus   = "exit status"
	KindLedger   = "kernel ledger"
	KindKernel   = "kernel panic"
	KindLeft     = "goroutines left"
	KindAssert   = "assertion"
	KindService  = "service failure"
)

// Stack is one goroutine of a failure.
type Stack struct {
	Goroutine int      `json:"goroutine"`
	State     string   `json:"state"`
	Frames    []string `json:"frames"` // "FUNCTION FILE:LINE", the program's own
	Leaked    bool     `json:"leaked,omitempty"`
	Created   string   `json:"created,omitempty"`
	Thread    bool     `json:"thread,omitempty"` // it is no goroutine but a thread
}

// Failure is what went wrong in a run.
type Failure struct {
	Kind   string  `json:"kind"`
	Test   string  `json:"test,omitempty"`
	Text   string  `json:"text"` // one line
	Stacks []Stack `json:"stacks,omitempty"`
}

// Signature is the same for two failures that are taken for one: kind, test and places, without
// addresses, numbers of goroutines or values, quoted ones too. How many goroutines are at one place
// does not matter.
func (f *Failure) Signature() string {
	var places []string
	for _, s := range f.Stacks {
		places = append(places, s.State+" "+strings.Join(s.Frames, ", "))
	}
	slices.Sort(places)
	text := numbers.ReplaceAllString(quoted.ReplaceAllString(f.Text, `"#"`), "#")
	return strings.Join(append([]string{f.Kind, f.Test, text},
		slices.Compact(places)...), "\n")
}

// Loose is the signature without lines of source, for a program that has changed meanwhile.
func (f *Failure) Loose() string { return numbers.ReplaceAllString(f.Signature(), "#") }

// Title is the failure in one line.
func (f *Failure) Title() string {
	in := ""
	if f.Test != "" {
		in = " in " + f.Test
	}
	return fmt.Sprintf("%s%s: %s", f.Kind, in, f.Text)
}

var (
	quoted     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	numbers    = regexp.MustCompile(`\b(0x[0-9a-f]+|\d+)\b`)
	statistics = regexp.MustCompile(`(?m)^capos explore: points (\d+), ` +
		`interleaving 0x([0-9a-f]+), leaked (\d+), left (\d+)(?:, accesses (\d+))?$`)
	header      = regexp.MustCompile(`^goroutine (\d+)(?: [^\[]*)? \[(.*)\]:$`)
	testName    = regexp.MustCompile(`\.((?:Test|Fuzz|Example)\w*)(?:\.func[\d.]+)?(?: |$)`)
	failedTest  = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	runningTest = regexp.MustCompile(`(?m)^\t+(\S+) \([\d.a-z]+\)$`)
	logLine     = regexp.MustCompile(`(?m)^\s+(\S+\.go:\d+: .*)$`)
)

// Statistics is what an explore build says of its run.
type Statistics struct {
	Points, Interleaving uint64
	Accesses             uint64 // of memory by the program, where they are counted
	Leaked               int    // goroutines that can never run again
	Left                 int    // those that could
}

// Statistics finds them in the output; a program that ended in a panic gives none. Of a system the
// kernel's come behind those of its services, and tell the runs apart.
func (r *Run) Statistics() (s Statistics, ok bool) {
	all := statistics.FindAllStringSubmatch(r.Output, -1)
	if len(all) == 0 {
		return s, false
	}
	m := all[len(all)-1]
	s.Points, _ = strconv.ParseUint(m[1], 10, 64)
	s.Interleaving, _ = strconv.ParseUint(m[2], 16, 64)
	s.Leaked, _ = strconv.Atoi(m[3])
	s.Left, _ = strconv.Atoi(m[4])
	s.Accesses, _ = strconv.ParseUint(m[5], 10, 64)
	return s, true
}

// Source tells the program's files from those of the standard library.
type Source struct {
	Goroot string // the library's directory, Go's or that of the C libraries
	Dir    string // of the package that is explored; it may be the library's

	C bool // it is a C program, not Go

	// Places turns addresses, as the kernel tells them, into names, files and lines.
	Places func(address uint64) (name, file string, line int)
}

func base(file string) string { return filepath.Base(file) }

func (s Source) isLibrary(file string) bool {
	if s.C && strings.Contains(file, "/build/gen/") {
		return true // stubs of calls
	}
	return strings.HasPrefix(file, s.Goroot+"/") && !strings.HasPrefix(file, s.Dir+"/")
}

// Judge finds what went wrong; nil when nothing did. Frames of the library are left out.
func (r *Run) Judge(source Source) *Failure {
	stacks := parseStacks(r.Output, source)
	stats, _ := r.Statistics()
	if f := r.ended(source); f != nil {
		return f
	}
	f := r.judgeText(stacks)
	race := r.race(source)
	if race != nil && (f == nil || strings.HasSuffix(f.Text, raceText)) {
		race.Test = testOf(race.Stacks)
		if f != nil && f.Test != "" {
			race.Test = f.Test
		}
		return race
	}
	switch {
	case f != nil:
	case r.violated() != nil:
		return r.violated()
	case r.Status == report.StatusPanic:
		return panicked(r.Report)
	case r.Status == report.StatusTimeout:
		return &Failure{Kind: KindHang, Text: firstLine(r.Report)}
	case r.Status > 128:
		f = &Failure{Kind: KindCrash, Text: firstLine(r.Report)}
	case r.Status != 0:
		f = &Failure{Kind: KindStatus, Text: fmt.Sprintf("status %d", r.Status)}
		if words := r.lastWords(); source.C && words != "" {
			f.Text += ", " + words
		}
	case stats.Leaked != 0:
		f = &Failure{Kind: KindLeak, Text: "it ended, and goroutines can never run again",
			Stacks: leaked(stacks)}
	case strings.Contains(r.Output, leftHeader):
		_, told, _ := strings.Cut(r.Output, leftHeader)
		f = &Failure{Kind: KindLeft, Text: "it ended, and goroutines had not",
			Stacks: parseStacks(told, source)}
	case r.Ledger != "":
		return &Failure{Kind: KindLedger, Text: firstLine(r.Ledger)}
	default:
		return nil
	}
	if f.Test == "" {
		f.Test = testOf(f.Stacks)
	}
	if f.Test == "" { // of the first goroutine that is told
		f.Test, _ = after(r.Output, saidByRuntime+"of ")
	}
	return f
}

var (
	panicReason = regexp.MustCompile(`kernel panic: (.*)`)
	panicPlace  = regexp.MustCompile(`^\s*\[<[0-9a-f]+>\] (\S+) \(\S*?([^/]+:\d+)\)`)
)

// panicked is the kernel's panic with the calls that led to it, of a data race those of both
// accesses.
func panicked(report string) *Failure {
	f := &Failure{Kind: KindKernel, Text: firstLine(report)}
	at := panicReason.FindStringSubmatchIndex(report)
	if at == nil {
		return f
	}
	f.Text = report[at[2]:at[3]]
	stacks := []Stack{{}}
	for line := range strings.Lines(strings.TrimPrefix(report[at[1]:], "\n")) {
		last := &stacks[len(stacks)-1]
		if m := panicPlace.FindStringSubmatch(line); m != nil {
			last.Frames = append(last.Frames, m[1]+" "+m[2])
		} else if _, text, found := strings.Cut(line, "capos: meets the "); found {
			state := "meets the " + strings.TrimSpace(text)
			stacks = append(stacks, Stack{State: state})
		} else {
			break
		}
	}
	if len(stacks[0].Frames) > 0 {
		f.Stacks = stacks
	}
	return f
}

// leftHeader is printed before the goroutines that are left at the end, when they are a failure.
const leftHeader = saidByRuntime + "these goroutines are left:\n"

// raceText is what package testing says when there was a race and nothing else.
const raceText = "race detected during execution of test"

// race is the first data race that the runtime tells. Which of the two accesses came first does not
// matter.
func (r *Run) race(source Source) *Failure {
	_, told, found := strings.Cut(r.Output, saidByRuntime+"race\n")
	if !found {
		return nil
	}
	var list []Stack
	for line := range strings.Lines(told) {
		rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), saidByRuntime)
		word, rest, _ := strings.Cut(rest, " ")
		if word == "raced" && ok {
			var s Stack
			fmt.Sscan(rest, &s.Goroutine, &s.State)
			list = append(list, s)
			continue
		}
		if word != "at" || !ok || len(list) == 0 {
			break
		}
		last := &list[len(list)-1]
		name, file := cutPlace(rest)
		if !source.isLibrary(file) {
			last.Frames = append(last.Frames, name+" "+filepath.Base(file))
		}
	}
	list = slices.DeleteFunc(list, func(s Stack) bool { return len(s.Frames) == 0 })
	slices.SortFunc(list, func(a, b Stack) int {
		return strings.Compare(a.Frames[0]+a.State, b.Frames[0]+b.State)
	})
	return &Failure{Kind: KindRace, Text: "nothing orders two accesses of the same memory",
		Stacks: list}
}

// Hides tells whether other tests may have failed too, for all that is known of the failure of a
// test. Of goroutines that can never run again those of all tests are told.
func (r *Run) Hides(f *Failure) bool {
	if f.Test == "" || f.Kind == KindLeak || f.Kind == KindLeft {
		return false
	}
	if f.Kind != KindTest {
		return true
	}
	for _, m := range failedTest.FindAllStringSubmatch(r.Output, -1) {
		isPart := strings.HasPrefix(f.Test, m[1]+"/")
		if m[1] != f.Test && !isPart && !strings.HasPrefix(m[1], f.Test+"/") {
			return true
		}
	}
	return false
}

const deadlockText = "goroutines wait for each other and can never run again"

// judgeText looks for what the runtime, package testing and the service faults say.
func (r *Run) judgeText(stacks []Stack) *Failure {
	if text, found := after(r.Output, "faults: "); found && r.Status != 0 {
		return &Failure{Kind: KindService, Text: text}
	}
	test, behind := "", r.Output
	if m := failedTest.FindAllStringSubmatchIndex(r.Output, -1); m != nil {
		last := m[len(m)-1]
		test, behind = r.Output[last[2]:last[3]], r.Output[last[1]:]
	}
	if _, found := after(r.Output, "capos explore: deadlock"); found && r.Status != 0 {
		return &Failure{Kind: KindDeadlock, Text: deadlockText, Stacks: leaked(stacks)}
	}
	if text, found := after(r.Output, "fatal error: "); found && r.Status != 0 {
		f := &Failure{Kind: KindFatal, Text: text, Test: test, Stacks: stacks}
		if strings.Contains(text, "deadlock!") {
			f.Kind = KindDeadlock
		}
		return f
	}
	if text, found := after(r.Output, "panic: test timed out after "); found && r.Status != 0 {
		f := &Failure{Kind: KindTimeout, Text: "not at its end after " + text +
			" of virtual time", Stacks: stacks}
		if m := runningTest.FindStringSubmatch(r.Output); m != nil {
			f.Test = m[1]
		}
		if dead := leaked(stacks); len(dead) > 0 {
			f.Kind, f.Stacks = KindDeadlock, dead
			f.Text = deadlockText
		}
		return f
	}
	if text, found := after(r.Output, "panic: "); found && r.Status != 0 {
		return &Failure{Kind: KindPanic, Text: text, Test: test,
			Stacks: stacks[:min(1, len(stacks))]}
	}
	if test != "" && r.Status != 0 {
		f := &Failure{Kind: KindTest, Test: test, Text: "it failed without a message"}
		for _, text := range []string{behind, r.Output} {
			if m := logLine.FindStringSubmatch(text); m != nil {
				f.Text = m[1]
				break
			}
		}
		return f
	}
	return nil
}

// after gives the rest of the first line that begins with mark.
func after(output, mark string) (rest string, found bool) {
	for line := range strings.Lines(output) {
		if rest, found := strings.CutPrefix(line, mark); found {
			return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest),
				"[recovered, repanicked]")), true
		}
	}
	return "", false
}

func firstLine(text string) string {
	text = strings.TrimPrefix(strings.TrimSpace(text), "capos: ")
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// leaked are the goroutines that the collector has found to wait for ever, less those of package
// testing, which wait for them.
func leaked(stacks []Stack) (dead []Stack) {
	for _, s := range stacks {
		if s.Leaked && len(s.Frames) > 0 {
			dead = append(dead, s)
		}
	}
	return dead
}

// testOf is the test in whose function, or below it, a goroutine is.
func testOf(stacks []Stack) string {
	for _, s := range stacks {
		for _, frame := range append(slices.Clone(s.Frames), s.Created) {
			if m := testName.FindStringSubmatch(frame); m != nil {
				return m[1]
			}
		}
	}
	return ""
}

// parseStacks reads the goroutines that the runtime prints. Frames of the standard library are left
// out, and so are goroutines that have no others.
func parseStacks(output string, source Source) (stacks []Stack) {
	var current *Stack
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		if m := header.FindStringSubmatch(line); m != nil {
			number, _ := strconv.Atoi(m[1])
			next := Stack{Goroutine: number}
			next.State, next.Leaked = cutLeaked(m[2])
			stacks = append(stacks, next)
			current = &stacks[len(stacks)-1]
			continue
		}
		if line == "" {
			current = nil
		}
		if current == nil || i+1 == len(lines) || strings.HasPrefix(line, "\t") ||
			!strings.HasPrefix(lines[i+1], "\t") {
			continue
		}
		current.addFrame(line, strings.TrimSpace(lines[i+1]), source)
	}
	return slices.DeleteFunc(stacks, func(s Stack) bool { return len(s.Frames) == 0 })
}

// cutLeaked takes what varies out of a state: "chan send (leaked), 10 minutes, locked to thread".
func cutLeaked(state string) (short string, leaked bool) {
	short, _, _ = strings.Cut(state, ",")
	return strings.CutSuffix(short, " (leaked)")
}

var inGoroutine = regexp.MustCompile(` in goroutine \d+$`)

func (s *Stack) addFrame(function, place string, source Source) {
	file, _, _ := strings.Cut(place, " +0x")
	if source.isLibrary(file) || strings.HasPrefix(file, "_testmain.go:") {
		return
	}
	name, created := strings.CutPrefix(function, "created by ")
	if created {
		s.Created = inGoroutine.ReplaceAllString(name, "") + " " + filepath.Base(file)
		return
	}
	if open := strings.LastIndex(name, "("); open > 0 {
		name = name[:open]
	}
	s.Frames = append(s.Frames, name+" "+filepath.Base(file))
}
