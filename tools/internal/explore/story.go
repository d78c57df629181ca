package explore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Forced is a list of disturbances as --replay takes it.
func Forced(list []Disturbance) string {
	var words []string
	for _, d := range list {
		words = append(words, fmt.Sprintf("%s%d.%d.%d", d.Kernel, d.Goroutine, d.Point,
			d.What))
	}
	return strings.Join(words, ",")
}

// Forcing is what takes place in a run instead of what its seed would choose. The zero value leaves
// it to the seed.
type Forcing struct {
	Runtime string // what the Go runtime reads behind its numbers
	Kernel  string // what the kernel does
}

// ForcedVariable turns a list of disturbances into that.
func ForcedVariable(forced string) (f Forcing, err error) {
	var runtime, kernel []string
	for entry := range strings.SplitSeq(forced, ",") {
		if forced == "" {
			break
		}
		numbers := strings.TrimLeft(entry, kernelKinds)
		kind := entry[:len(entry)-len(numbers)]
		words := strings.Split(numbers, ".")
		wrong := len(words) != 3 || len(kind) > 1
		for _, word := range words {
			_, err := strconv.ParseUint(word, 10, 63)
			wrong = wrong || err != nil
		}
		if wrong {
			return Forcing{}, fmt.Errorf("%q is no list of disturbances", forced)
		}
		if kind == "" {
			runtime = append(runtime, strings.Join(words, ","))
		} else {
			kernel = append(kernel, kind+strings.Join(words, ","))
		}
	}
	return Forcing{Runtime: ";" + strings.Join(runtime, ";"),
		Kernel: ";" + strings.Join(kernel, ";")}, nil
}

// NamedVariable is the same for disturbances by name, with pauses so many times as long.
func NamedVariable(list []Disturbance, longer int64) (Forcing, error) {
	var b strings.Builder
	b.WriteString(";")
	for i, d := range list {
		name, err := strconv.ParseUint(d.Name, 16, 64)
		if err != nil {
			return Forcing{}, fmt.Errorf("%q is no name of a decision", d.Name)
		}
		if i > 0 {
			b.WriteString(";")
		}
		what := d.What
		if what > collect {
			what *= longer
		}
		fmt.Fprintf(&b, "%d,%d,%d,1", name, d.Nth, what)
	}
	return Forcing{Runtime: b.String(), Kernel: ";"}, nil
}

// shrinking is the state of Shrink.
type shrinking struct {
	list  []Disturbance // fails
	calls int           // that are left
	fails func([]Disturbance) bool
}

// Shrink leaves out disturbances as long as the run still fails, and then makes pauses as short as
// they can be. pauseMax, in ns, bounds a pause that stands for several. It calls fails at most so
// many times.
func Shrink(list []Disturbance, pauseMax int64, calls int,
	fails func([]Disturbance) bool) []Disturbance {
	s := &shrinking{list, calls * 2 / 3, fails}
	s.leaveOut()
	s.calls += calls - calls*2/3
	s.merge(pauseMax)
	s.strengthen(pauseMax)
	s.shortenAll()
	return s.list
}

// ShrinkOther is for a list whose run does not fail when it is forced, because its exact times
// matter. One or two of the disturbances may do, as pauses; nil when they do not.
func ShrinkOther(list []Disturbance, pauseMax int64, calls int,
	fails func([]Disturbance) bool) []Disturbance {
	s := &shrinking{list, calls, fails}
	if !s.strengthen(pauseMax) {
		return nil
	}
	s.shortenAll()
	return s.list
}

func (s *shrinking) shortenAll() {
	for i := range s.list {
		s.shorten(i)
	}
}

func (s *shrinking) try(candidate []Disturbance) bool {
	if s.calls == 0 {
		return false
	}
	s.calls--
	if !s.fails(candidate) {
		return false
	}
	s.list = candidate
	return true
}

// leaveOut tries the list without a half of it, then without smaller parts.
func (s *shrinking) leaveOut() {
	for size := max(1, len(s.list)/2); len(s.list) > 0 && s.calls > 0; size = max(1, size/2) {
		smaller := false
		for i := 0; i < len(s.list); {
			end := min(i+size, len(s.list))
			if s.try(slices.Concat(s.list[:i:i], s.list[end:])) {
				smaller = true
			} else {
				i = end
			}
		}
		if size == 1 && !smaller {
			return
		}
	}
}

// merges is in how many places one pause is tried instead of several.
const merges = 6

// merge tries one pause instead of many that add up.
func (s *shrinking) merge(pauseMax int64) {
	sum, all := int64(0), s.list
	for _, d := range all {
		if d.What > collect && d.canPause() {
			sum += d.What
		}
	}
	if len(all) < 2 || sum == 0 {
		return
	}
	for i := 0; i < len(all); i += max(1, len(all)/merges) {
		one := all[i]
		one.What = min(sum, pauseMax)
		if one.canPause() && s.try([]Disturbance{one}) {
			return
		}
	}
}

const (
	strengthened = 8   // of how many disturbances one or two alone are tried
	strongPause  = 1e6 // ns: others get done with much in it
)

// strengthen tries one or two disturbances alone, as pauses. Where goroutines step back by turns, a
// pause of one of them has the same effect. The second of two pauses is ten times as long, so that
// what the first goroutine does then is over before it ends.
func (s *shrinking) strengthen(pauseMax int64) (done bool) {
	var strong []Disturbance
	for _, d := range s.list[:min(len(s.list), strengthened)] {
		if !d.canPause() {
			continue
		}
		if d.What <= collect {
			d.What = strongPause
		}
		strong = append(strong, d)
	}
	if len(s.list) < 2 {
		return false
	}
	for _, what := range []int64{strongPause, pauseMax} {
		for _, d := range strong {
			d.What = max(d.What, what)
			if s.try([]Disturbance{d}) {
				return true
			}
		}
	}
	for i := range strong {
		for _, d := range strong[i+1:] {
			d.What = max(d.What, 10*strongPause)
			if s.try([]Disturbance{strong[i], d}) {
				return true
			}
		}
	}
	return false
}

// shorten tries a step back instead of a pause, then pauses ten times shorter and longer ones.
// Instead of the collector, which takes time too, it tries a step back and a pause.
func (s *shrinking) shorten(i int) {
	with := func(what int64) bool {
		shorter := slices.Clone(s.list)
		shorter[i].What = what
		return s.try(shorter)
	}
	if s.list[i].What == collect && !with(stepBack) {
		with(strongPause)
	}
	whole := s.list[i].What
	if whole <= collect || !s.list[i].canPause() {
		return
	}
	low := int64(stepBack)
	for _, what := range []int64{stepBack, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9} {
		if what >= whole || with(what) {
			break
		}
		low = what
	}
	const refinements = 3
	for range refinements {
		high := s.list[i].What
		middle := (low + high) / 2
		if high < 10e3 { // a decade is good enough for short ones
			break
		}
		if middle -= middle % 1000; !with(middle) {
			low = middle
		}
	}
}
