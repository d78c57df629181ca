package suite

import (
	"context"
	"fmt"
)

// exploreProgramsC are the programs of tests/explore/c by the kind of failure that is to be found
// in each.
var exploreProgramsC = map[string]string{
	"lockorder": "deadlock",
	"lostwake":  "deadlock",
	"usefree":   "crash",
}

// exploreSeedsC is within how many seeds each must be found.
const exploreSeedsC = "200"

// exploreC explores small C programs with the kernel's choices, and corrected versions of them.
func (s *suite) exploreC(ctx context.Context) (checks []check) {
	ctx, cancel := context.WithTimeout(ctx, exploreLimit)
	defer cancel()
	scratch, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	for name, kind := range exploreProgramsC {
		source := "c/cases/" + name + ".c"
		// One machine at a time, so that it does not depend on the host which is first.
		found, _, err := s.explored(ctx, exploreFound, "--runs", exploreSeedsC, "-j", "1",
			"--max-failures", "1", "--failures", scratch, source)
		if err == nil {
			err = s.exploredCase(ctx, found[source], kind)
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
