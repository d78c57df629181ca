package explore

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is one that the service faults has made.
type Fault struct {
	Number        int
	Kind, Service string
	At, Took      time.Duration // of the machine's time
	Recovered     bool          // or another one came before
}

var faultLine = regexp.MustCompile(`(?m)^capos fault (\d+): (\w+) (\S+) at (\d+) us, ` +
	`(?:recovered in (\d+) us|then another|not recovered)$`)

// Made are the faults that the run tells of, in the order of their numbers.
func (r *Run) Made() (list []Fault) {
	for _, m := range faultLine.FindAllStringSubmatch(r.Output, -1) {
		f := Fault{Kind: m[2], Service: m[3], Recovered: m[5] != ""}
		f.Number, _ = strconv.Atoi(m[1])
		f.At, f.Took = microseconds(m[4]), microseconds(m[5])
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Fault) int { return a.Number - b.Number })
	return list
}

func microseconds(text string) time.Duration {
	n, _ := strconv.ParseInt(text, 10, 64)
	return time.Duration(n) * time.Microsecond
}

func (f *Fault) String() string {
	return fmt.Sprintf("fault %d: %s %s at %v", f.Number, f.Kind, f.Service, f.At)
}

// Faults sums up those of all runs.
type Faults struct {
	Kinds    map[string]int
	Merged   int // another fault of the service came before it had recovered
	Recovery []time.Duration
}

func (s *Faults) add(r *Run) {
	for _, f := range r.Made() {
		if s.Kinds == nil {
			s.Kinds = map[string]int{}
		}
		s.Kinds[f.Kind]++
		if f.Recovered {
			s.Recovery = append(s.Recovery, f.Took)
		} else {
			s.Merged++
		}
	}
}

// Made is how many there were.
func (s *Faults) Made() (sum int) {
	for _, n := range s.Kinds {
		sum += n
	}
	return sum
}

// times are the median and the longest time that a service took to work again.
func (s *Faults) times() (median, longest time.Duration) {
	if len(s.Recovery) == 0 {
		return 0, 0
	}
	slices.Sort(s.Recovery)
	return s.Recovery[len(s.Recovery)/2], s.Recovery[len(s.Recovery)-1]
}

func (s *Faults) String() string {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(s.Kinds)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, s.Kinds[kind]))
	}
	median, longest := s.times()
	return fmt.Sprintf("%d faults (%s), %d before the service had recovered from the last, "+
		"time to recover %v in the median, %v at most", s.Made(),
		strings.Join(kinds, ", "), s.Merged, median, longest)
}

// Report is the same for --json.
func (s *Faults) Report() map[string]any {
	median, longest := s.times()
	return map[string]any{"made": s.Made(), "kinds": s.Kinds, "merged": s.Merged,
		"recovered": len(s.Recovery), "median_us": median.Microseconds(),
		"longest_us": longest.Microseconds()}
}
