package explore

import (
	"fmt"
	"slices"
	"strings"
)

// strategies are the names of what the runtime calls strategies, in its order.
// The last two are the kernel's: slices, and what the seed takes of the kernel's own.
var strategies = []string{"none", "few", "many", "slow", "pct", "sampling", "few1", "few2", "few3",
	"slices", "kernel"}

// ofKernel are what the kernel calls strategies, in its order.
var ofKernel = []string{"none", "few", "many", "slow", "slices"}

// IsOfKernel tells whether the kernel disturbs a Go program too.
func (s *Strategy) IsOfKernel() bool {
	return s.String() == "slices" || s.String() == "kernel"
}

// Kernel is what the kernel is told; 0: the seed chooses.
func (s *Strategy) Kernel() int { return slices.Index(ofKernel, s.String()) + 1 }

// Strategy is a flag with the strategy that all seeds take instead of their own. It is what the
// runtime is told; 0: none is named.
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
