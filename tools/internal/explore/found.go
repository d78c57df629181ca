package explore

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Found is one failure among many runs.
type Found struct {
	Failure
	Count  int    `json:"count"`
	Lowest uint64 `json:"lowest_seed"`
	Seed   uint64 `json:"seed"` // the one to replay
	// Without are the tests that are left out then, as -skip takes them.
	Without string `json:"without,omitempty"`
	Replay  string `json:"replay"`
	File    string `json:"file,omitempty"` // the failure is kept in

	// Story is what the seed decided, as far as the failure needs it.
	Story []Disturbance `json:"story,omitempty"`
	// Of is how many disturbances there were before those that are not needed were left out; 0:
	// it was not tried.
	Of int `json:"of,omitempty"`

	// Shrunk says that disturbances were left out as far as the failure does not need them.
	Shrunk bool `json:"-"`

	// Simplest are seeds whose runs had few disturbances, the fewest first.
	Simplest []Candidate `json:"-"`

	// Shared is the first seed of the machine in which it was seen, when a machine of its own
	// did not show it.
	Shared *uint64 `json:"shared_from,omitempty"`
}

// Candidate is a seed that failed, and how many disturbances its run had.
type Candidate struct {
	Seed    uint64
	Without string
	Weight  int
}

const candidatesKept = 4

// offer takes a seed among the simplest if it is one of them.
func (f *Found) offer(c Candidate) {
	f.Simplest = append(f.Simplest, c)
	slices.SortStableFunc(f.Simplest, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Weight, b.Weight), cmp.Compare(a.Seed, b.Seed))
	})
	f.Simplest = f.Simplest[:min(len(f.Simplest), candidatesKept)]
}

// Summary gathers the runs of a program.
type Summary struct {
	Runs     int
	Failed   int
	Found    []*Found
	Varied   map[uint64]bool // interleavings seen
	Late     int             // how many of the last LateRuns showed a new one
	Recently []bool          // which of them
	Left     int             // runs that ended before goroutines that could still run
	Orders   Orders
	Asserted Assertions
	Faults   Faults
}

// LateRuns is over how many runs it is told whether there still were new interleavings.
const LateRuns = 100

// Dry tells whether none of the last LateRuns runs showed a new interleaving.
func (s *Summary) Dry() bool { return len(s.Recently) == LateRuns && s.Late == 0 }

// Add takes a run and returns its failure, if any, and whether it is the first of its kind.
func (s *Summary) Add(r *Run, source Source) (found *Found, isNew bool) {
	if r.Without == "" {
		s.Runs++
		s.count(r)
		s.Orders.add(r)
		s.Asserted.add(r)
		s.Faults.add(r)
	}
	f := r.Judge(source)
	if f == nil {
		if stats, _ := r.Statistics(); stats.Left > 0 && r.Without == "" {
			s.Left++
		}
		return nil, false
	}
	if r.Without == "" {
		s.Failed++
	}
	for _, known := range s.Found {
		if known.Signature() == f.Signature() {
			known.Count++
			known.Lowest = min(known.Lowest, r.Seed)
			known.offer(Candidate{r.Seed, r.Without, r.weight(f, source)})
			return known, false
		}
	}
	found = &Found{Failure: *f, Count: 1, Lowest: r.Seed, Seed: r.Seed,
		Without: r.Without}
	found.offer(Candidate{r.Seed, r.Without, r.weight(f, source)})
	s.Found = append(s.Found, found)
	return found, true
}

// weight is how many disturbances a failed run had. A run that looks for races and finds another
// failure counts as the heaviest, because the detector's locks move threads, and what is left when
// disturbances are taken away often runs otherwise.
func (r *Run) weight(f *Failure, source Source) int {
	list, told := r.Disturbances(source)
	if !told || r.Looks.ForRaces && f.Kind != KindRace {
		return math.MaxInt
	}
	return len(list)
}

// count keeps what tells how much the runs differ.
func (s *Summary) count(r *Run) {
	stats, ok := r.Statistics()
	if !ok {
		return
	}
	if s.Varied == nil {
		s.Varied = map[uint64]bool{}
	}
	fresh := !s.Varied[stats.Interleaving]
	s.Varied[stats.Interleaving] = true
	s.Recently = append(s.Recently, fresh)
	if fresh {
		s.Late++
	}
	if len(s.Recently) > LateRuns {
		if s.Recently[0] {
			s.Late--
		}
		s.Recently = s.Recently[1:]
	}
}

// stacksShown bounds a report to about a screen.
const (
	stacksShown = 6
	framesShown = 5
)

// write is the goroutine in a report.
func (s *Stack) write(b *strings.Builder) {
	if s.Goroutine != 0 { // 0: it is not known
		kind := "goroutine"
		if s.Thread {
			kind = "thread"
		}
		fmt.Fprintf(b, "  %s %d", kind, s.Goroutine)
		if s.State != "" {
			fmt.Fprintf(b, ", %s", s.State)
		}
		if s.Created != "" {
			fmt.Fprintf(b, ", created by %s", s.Created)
		}
		b.WriteString("\n")
	} else if s.State != "" {
		fmt.Fprintf(b, "  %s\n", s.State)
	}
	for i, frame := range s.Frames {
		if i == framesShown {
			b.WriteString("      ...\n")
			break
		}
		fmt.Fprintf(b, "      %s\n", frame)
	}
}

// What is the failure with its stacks and its story.
func (f *Found) What() string { return f.stacks() + f.Tale() }

func (f *Found) stacks() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", f.Title())
	for i, s := range f.Stacks {
		if i == stacksShown {
			fmt.Fprintf(&b, "  and %d more\n", len(f.Stacks)-i)
			break
		}
		s.write(&b)
	}
	return b.String()
}

// String is the report of one failure.
func (f *Found) String() string {
	var b strings.Builder
	b.WriteString(f.stacks())
	fmt.Fprintf(&b, "  seen in %s, the lowest seed is %d\n", Runs(f.Count), f.Lowest)
	if f.Without != "" {
		fmt.Fprintf(&b, "  seen without what failed before it: -skip %s\n", f.Without)
	}
	if f.Shared != nil {
		b.WriteString("  seen only in a machine that had run other seeds before\n")
	}
	b.WriteString(f.Tale())
	fmt.Fprintf(&b, "  replay: %s\n", f.Replay)
	return b.String()
}

// Runs is so many of them in words.
func Runs(count int) string {
	if count == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", count)
}

// A story that could not be shrunk may be of hundreds.
const (
	decisionsShown = 12
	stepsShown     = 6
)

func (s Step) String() string {
	if s.Source == "" {
		return s.Text
	}
	return s.Text + " | " + s.Source
}

// Tale is the story alone: who was held up where, and what ran meanwhile.
func (f *Found) Tale() string {
	var b strings.Builder
	if f.Shrunk && len(f.Story) == 0 {
		b.WriteString("  it takes no disturbance\n")
	} else if f.Of > 0 {
		fmt.Fprintf(&b, "  it takes this (%d of %d disturbances):\n", len(f.Story), f.Of)
	} else if len(f.Story) > 0 {
		fmt.Fprintf(&b, "  its seed decided this (%d disturbances); "+
			"how much of it matters is not known:\n", len(f.Story))
	}
	for i, d := range f.Story {
		if i == decisionsShown {
			fmt.Fprintf(&b, "      and %d more\n", len(f.Story)-i)
			break
		}
		fmt.Fprintf(&b, "      %s\n", d.Text)
		if d.Source != "" {
			fmt.Fprintf(&b, "          | %s\n", d.Source)
		}
		if d.Created != "" {
			fmt.Fprintf(&b, "          created at %s\n", d.Created)
		}
		for i, step := range d.Meanwhile {
			if i == stepsShown {
				fmt.Fprintf(&b, "          and so on\n")
				break
			}
			fmt.Fprintf(&b, "          meanwhile %s\n", step)
		}
	}
	if len(f.Story) > 0 {
		fmt.Fprintf(&b, "      then: %s\n", f.Text)
	}
	return b.String()
}
