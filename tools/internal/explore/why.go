package explore

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Turning finds the first point from which on a failure cannot be avoided any more, among the
// points 1 to last; last+1 when it can be avoided at each. fails tells whether all that was tried
// after a point fails. It is taken to stay so after each later point.
func Turning(last uint64, fails func(point uint64) bool) uint64 {
	return 1 + uint64(sort.Search(int(last), func(i int) bool { return fails(uint64(i) + 1) }))
}

// LastPoint is the last point that a run comes to.
func LastPoint(reaches func(point uint64) bool) uint64 {
	beyond := 1
	for reaches(uint64(beyond)) {
		beyond *= 2
	}
	return uint64(sort.Search(beyond, func(i int) bool { return !reaches(uint64(i) + 1) }))
}

const (
	stacksBegin = saidByRuntime + "stacks\n"
	stacksEnd   = saidByRuntime + "end of stacks\n"
)

// Moment is the goroutines or threads at a point of a run, the one that came to it first.
type Moment []Stack

// StacksAt are the goroutines as the runtime has printed them at a point, or the threads of a C
// program as the kernel has; found is false when the run did not come to it.
func (r *Run) StacksAt(source Source) (m Moment, found bool) {
	_, rest, begins := strings.Cut(r.Output, stacksBegin)
	text, _, ends := strings.Cut(rest, stacksEnd)
	if source.C {
		return threadsAt(text, source), begins && ends
	}
	return parseStacks(text, source), begins && ends
}

// threadsAt are the threads, of which the kernel says first which one has called.
func threadsAt(text string, source Source) (m Moment) {
	var running int
	first, rest, _ := strings.Cut(text, "\n")
	fmt.Sscanf(first, saidByRuntime+"running %d", &running)
	m = threads(rest, source)
	for i, s := range m {
		if s.Goroutine == running {
			if s.State != "" {
				s.State = ", calls " + s.State
			}
			s.State = "running" + s.State
			m = slices.Insert(slices.Delete(m, i, i+1), 0, s)
			break
		}
	}
	return m
}

// Running is the goroutine or the thread that is at the point, 0 if it is not one of the program's.
func (m Moment) Running() int {
	if len(m) > 0 && strings.HasPrefix(m[0].State, "running") {
		return m[0].Goroutine
	}
	return 0
}

// String shows the goroutines, the one that is at the point first.
func (m Moment) String() string {
	var b strings.Builder
	for i, s := range m {
		if i == stacksShown {
			fmt.Fprintf(&b, "  and %d more\n", len(m)-i)
			break
		}
		s.write(&b)
	}
	return b.String()
}
