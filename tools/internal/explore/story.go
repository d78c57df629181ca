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
		if d.isPause() {
			what *= longer
		}
		fmt.Fprintf(&b, "%d,%d,%d,1", name, d.Nth, what)
	}
	return Forcing{Runtime: b.String(), Kernel: ";"}, nil
}

// Trials are what Shrink asks.
type Trials struct {
	// First gives the index of the first list that fails when it is run by itself; -1: none
	// does. It may run several at a time.
	First func([][]Disturbance) int
	// Likely tells of several whether they may fail, at less cost each. A list of which it is
	// wrong is left out, or run in vain. nil: all may.
	Likely func([][]Disturbance) []bool
}

// shrinking is the state of Shrink.
type shrinking struct {
	list   []Disturbance // fails
	calls  int           // that are left
	trials Trials
}

const (
	guessed   = 16 // so many are asked for at once
	guessCost = 2  // calls
	proven    = 6  // so many that are left are left out each without a guess before
)

// Shrink leaves out disturbances as long as the run still fails, and then makes pauses as short as
// they can be. pauseMax, in ns, bounds a pause that stands for several. At most so many lists
// are run.
func Shrink(list []Disturbance, pauseMax int64, calls int, trials Trials) []Disturbance {
	s := &shrinking{list, calls * 2 / 3, trials}
	s.leaveOut()
	s.calls += calls - calls*2/3
	s.takeOne()
	s.merge(pauseMax)
	s.strengthen(pauseMax)
	if trials.Likely != nil {
		s.leaveOutSingly()
	}
	s.shortenAll()
	return s.list
}

// ShrinkOther is for a list whose run does not fail when it is forced, because its exact times
// matter. One of the disturbances may do, or two as pauses; nil when they do not.
func ShrinkOther(list []Disturbance, pauseMax int64, calls int, trials Trials) []Disturbance {
	s := &shrinking{list, calls, trials}
	if !s.takeOne() && !s.strengthen(pauseMax) {
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

// pick takes the first candidate that fails; -1: none does.
func (s *shrinking) pick(candidates [][]Disturbance) int {
	candidates = candidates[:min(len(candidates), s.calls)]
	if len(candidates) == 0 {
		return -1
	}
	index := s.trials.First(candidates)
	if index < 0 {
		s.calls -= len(candidates)
		return -1
	}
	s.calls -= index + 1
	s.list = candidates[index]
	return index
}

// first is pick with a guess before, which spares runs.
func (s *shrinking) first(candidates [][]Disturbance) int {
	for from := 0; from < len(candidates) && s.calls > 0; from += guessed {
		part := candidates[from:min(from+guessed, len(candidates))]
		likely := s.guess(part)
		var chosen [][]Disturbance
		var places []int
		for i, candidate := range part {
			if likely[i] {
				chosen, places = append(chosen, candidate), append(places, from+i)
			}
		}
		if index := s.pick(chosen); index >= 0 {
			return places[index]
		}
	}
	return -1
}

func (s *shrinking) guess(candidates [][]Disturbance) []bool {
	if s.trials.Likely != nil && len(candidates) > guessCost && s.calls > guessCost {
		s.calls -= guessCost
		return s.trials.Likely(candidates)
	}
	return slices.Repeat([]bool{true}, len(candidates))
}

// leaveOut tries the list without a half of it, then without smaller parts.
func (s *shrinking) leaveOut() {
	for size := max(1, len(s.list)/2); len(s.list) > 0 && s.calls > 0; size = max(1, size/2) {
		smaller := false
		for i := 0; i < len(s.list); {
			found := s.first(without(s.list, i, size))
			if found < 0 {
				break
			}
			smaller = true
			i += found * size
		}
		if size == 1 && !smaller {
			return
		}
	}
}

// without is the list without a part of the size, for each part from the index on.
func without(list []Disturbance, from, size int) (candidates [][]Disturbance) {
	for i := from; i < len(list); i += size {
		candidates = append(candidates,
			slices.Concat(list[:i:i], list[min(i+size, len(list)):]))
	}
	return candidates
}

// leaveOutSingly tries the few that are left without any guess.
func (s *shrinking) leaveOutSingly() {
	for i := 0; i < len(s.list) && len(s.list) <= proven; {
		found := s.pick(without(s.list, i, 1))
		if found < 0 {
			return
		}
		i += found
	}
}

// takeOne tries each of several that are left by itself. A part of the list often fails no more
// where one of it does: what CPUs do between two of their choices changes with each that is left
// out, and a stack that moves twice may be where it was.
func (s *shrinking) takeOne() bool {
	if len(s.list) < 3 {
		return false
	}
	var candidates [][]Disturbance
	for _, d := range s.list {
		candidates = append(candidates, []Disturbance{d})
	}
	return s.first(candidates) >= 0
}

// merges is in how many places one pause is tried instead of several.
const merges = 6

// merge tries one pause instead of many that add up.
func (s *shrinking) merge(pauseMax int64) {
	sum, all := int64(0), s.list
	for _, d := range all {
		if d.isPause() {
			sum += d.What
		}
	}
	if len(all) < 2 || sum == 0 {
		return
	}
	var candidates [][]Disturbance
	for i := 0; i < len(all); i += max(1, len(all)/merges) {
		one := all[i]
		one.What = min(sum, pauseMax)
		if one.canPause() {
			candidates = append(candidates, []Disturbance{one})
		}
	}
	s.first(candidates)
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
		if !d.isPause() {
			d.What = strongPause
		}
		strong = append(strong, d)
	}
	if len(s.list) < 2 {
		return false
	}
	var candidates [][]Disturbance
	for _, what := range []int64{strongPause, pauseMax} {
		for _, d := range strong {
			d.What = max(d.What, what)
			candidates = append(candidates, []Disturbance{d})
		}
	}
	for i := range strong {
		for _, d := range strong[i+1:] {
			d.What = max(d.What, 10*strongPause)
			candidates = append(candidates, []Disturbance{strong[i], d})
		}
	}
	return s.first(candidates) >= 0
}

// shorten tries a step back instead of a pause, then pauses ten times shorter and longer ones.
// Instead of the collector and a move of the stack, which take time too, it tries a step back and a
// pause.
func (s *shrinking) shorten(i int) {
	with := func(whats ...int64) int {
		var shorter [][]Disturbance
		for _, what := range whats {
			list := slices.Clone(s.list)
			list[i].What = what
			shorter = append(shorter, list)
		}
		return s.pick(shorter)
	}
	if !s.list[i].canPause() {
		return
	}
	if what := s.list[i].What; what == collect || what == move {
		with(stepBack, strongPause)
	}
	whole := s.list[i].What
	if !s.list[i].isPause() {
		return
	}
	steps := []int64{stepBack, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}
	shorter, _ := slices.BinarySearch(steps, whole)
	low, found := steps[max(0, shorter-1)], with(steps[:shorter]...)
	if found >= 0 {
		low = steps[max(0, found-1)]
	}
	const refinements = 3
	for range refinements {
		high := s.list[i].What
		middle := (low + high) / 2
		if high < 10e3 { // a decade is good enough for short ones
			break
		}
		if middle -= middle % 1000; with(middle) < 0 {
			low = middle
		}
	}
}
