package suite

import (
	"context"
	"fmt"
	"path/filepath"
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
	// A client and a service of an interface of their own.
	_, _, err = s.explored(ctx, 0, "--runs", "10", "--failures", "none",
		filepath.Join(s.root, "examples", "counter"))
	checks = append(checks, single("quiet-schema", err, "")...)
	for _, m := range exploreMistakes {
		err := s.exploreMistake(ctx, scratch, m.number, m.kind)
		checks = append(checks, single(m.name, err, "")...)
	}
	return checks
}

// exploreMistakes are what --kernel-mistake puts into the kernel, and what is found then.
var exploreMistakes = []struct{ name, number, kind string }{
	{"kernel-lost-wake", "1", "deadlock"},
	{"kernel-lock-order", "2", "kernel panic"},
}

// exploreMistake runs a right program on two CPUs of a kernel with a mistake.
func (s *suite) exploreMistake(ctx context.Context, scratch, number, kind string) error {
	const source = "c/kernel/handoff.c"
	found, _, err := s.explored(ctx, exploreFound, "--seeds", "1-24", "-j", "1", "--cpus", "2",
		"--kernel-mistake", number, "--max-failures", "1", "--no-shrink", "--failures",
		scratch, source)
	if err == nil && found[source].Kind != kind {
		err = fmt.Errorf("found %q, expected %q", found[source].Kind, kind)
	}
	return err
}
