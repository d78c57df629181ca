package explore

import (
	"fmt"
	"slices"
	"strings"
)

// strategies are the names of what the runtime calls strategies, in its order.
// Behind them are the kernel's, slices and what the seed takes of the kernel's own, and the seed's
// with memory accesses as points.
var strategies = []string{"none", "few", "many", "slow", "pct", "sampling", "few1", "few2", "few3",
	"slices", "kernel", accesses}

const accesses = "accesses"

// ofKernel are what the kernel calls strategies, in its order.
var ofKernel = []string{"none", "few", "many", "slow", "slices"}

// IsOfKernel tells whether the kernel disturbs a Go program too.
func (s *Strategy) IsOfKernel() bool {
	return s.String() == "slices" || s.String() == "kernel"
}

// Kernel is what the kernel is told; 0: the seed chooses.
func (s *Strategy) Kernel() int { return slices.Index(ofKernel, s.String()) + 1 }

// Runtime is what the Go runtime is told; 0: the seed chooses.
func (s *Strategy) Runtime() int {
	if s.String() == accesses {
		return 0
	}
	return int(*s)
}

// Looks is what a seed looks at besides what all do.
type Looks struct{ ForRaces, AtAccesses bool }

// raceShare: one seed in so many looks for data races too. Of these, one in accessShare has memory
// accesses as points.
const (
	raceShare   = 4
	accessShare = 2
)

// AlikeSeeds: a seed that is so much higher looks at the same.
const AlikeSeeds = raceShare * accessShare

// Looks tells what a seed with this strategy looks at. Seed 0 counts accesses and disturbs nothing.
func (s *Strategy) Looks(seed uint64) Looks {
	all := s.String() == accesses
	inShare := *s == 0 && (seed == 0 || seed%AlikeSeeds == raceShare*(accessShare-1))
	return Looks{all || seed%raceShare == 0, all || inShare}
}

// Strategy is a flag with the strategy that all seeds take instead of their own; 0: none is named.
type Strategy int

func (s *Strategy) String() string {
	if s == nil || *s == 0 {
		return ""
	}
	return strategies[*s-1]
}

// Set takes a name.
func (s *Strategy) Set(name string) error {
	*s = Strategy(slices.Index(strategies, name) + 1)
	if *s == 0 {
		return fmt.Errorf("strategies are %s", strings.Join(strategies, ", "))
	}
	return nil
}
