package suite

import (
	"context"
	"fmt"
)

// exploreProgramsC are the programs of tests/explore/c by the kind of failure that is to be found
// in each, and a few of the first 200 seeds that show it.
var exploreProgramsC = map[string]struct{ kind, seeds string }{
	"lockorder": {"deadlock", "10-14"},
	"lostwake":  {"deadlock", "66-70"},
	"usefree":   {"crash", "27-31"},
}

// exploreC explores small C programs with the kernel's choices, and corrected versions of them.
func (s *suite) exploreC(ctx context.Context) (checks []check) {
	ctx, cancel := context.WithTimeout(ctx, exploreLimit)
	defer cancel()
	scratch, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	for name, want := range exploreProgramsC {
		source := "c/cases/" + name + ".c"
		found, _, err := s.explored(ctx, exploreFound, "--seeds", want.seeds, "--failures",
			scratch, source)
		if err == nil {
			err = s.exploredCase(ctx, found[source], want.kind)
		}
		checks = append(checks, single("finds-"+name, err, "")...)
		source = "c/fixed/" + name + ".c"
		_, sums, err := s.explored(ctx, 0, "--runs", exploreQuietSeeds, "--failures",
			"none", source)
		if sum := sums[source]; err == nil && sum.Interleavings < 2 {
			err = fmt.Errorf("%d interleavings", sum.Interleavings)
		}
		checks = append(checks, single("quiet-"+name, err, "")...)
	}
	return checks
}
