package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"capos.dev/tools/internal/explore"
)

// exploreProgramsC are the programs of tests/explore/c by the kind of failure that is to be found
// in each.
var exploreProgramsC = map[string]string{
	"lockorder":  "deadlock",
	"lostwake":   "deadlock",
	"shortwrite": "exit status",
	"usefree":    "crash",
}

// exploreSeedsC is within how many seeds each must be found.
const exploreSeedsC = "200"

// exploreC explores small C programs with the kernel's choices, and corrected versions of them.
func (s *suite) exploreC(ctx context.Context, scratch string) (checks []check) {
	for name, kind := range exploreProgramsC {
		source := "c/cases/" + name + ".c"
		// One machine at a time, so that it does not depend on the host which is first.
		found, _, err := s.explored(ctx, exploreFound, "--runs", exploreSeedsC, "-j", "1",
			"--max-failures", "1", "--failures", scratch, source)
		if err == nil {
			err = s.exploredCase(ctx, found[source], kind)
		}
		checks = append(checks, single("finds-"+name, err, "")...)
		if name == "lockorder" && err == nil {
			err = s.exploreWhy(ctx, found[source].File, lockorderTurnC)
			checks = append(checks, single("why-"+name, err, "")...)
		}
		if name == "shortwrite" && err == nil {
			out, _ := s.tool(ctx, "replay", found[source].File).CombinedOutput()
			if bytes.Contains(out, []byte("the program has changed")) {
				err = errors.New("a replay takes it for another program")
			}
			checks = append(checks, single("same-"+name, err, string(out))...)
		}
		source = "c/fixed/" + name + ".c"
		_, sums, err := s.explored(ctx, 0, "--runs", strconv.Itoa(exploreQuietSeeds),
			"--failures", "none", source)
		if sum := sums[source]; err == nil && sum.Interleavings < 2 {
			err = fmt.Errorf("%d interleavings", sum.Interleavings)
		}
		checks = append(checks, single("quiet-"+name, err, "")...)
	}
	// Faults happen in explore builds only.
	out, err := s.tool(ctx, "run", filepath.Join(s.root, "tests", "explore", "c", "cases",
		"shortwrite.c")).CombinedOutput()
	checks = append(checks, single("ordinary-shortwrite", err, string(out))...)
	// A client and a service of an interface of their own.
	_, _, err = s.explored(ctx, 0, "--runs", "10", "--failures", "none",
		filepath.Join(s.root, "examples", "counter"))
	checks = append(checks, single("quiet-schema", err, "")...)
	checks = append(checks, single("kept-often", s.exploreKeptBySeed(ctx, scratch,
		"often", "--strategy", "slow"), "")...)
	checks = append(checks, single("kept-uptime", s.exploreKeptBySeed(ctx, scratch, "uptime"),
		"")...)
	return append(checks, s.exploreMistakes(ctx, scratch)...)
}

// lockorderTurnC is the step at which a thread takes its first lock while another one, which has
// its first, is about to wait for that.
var lockorderTurnC = regexp.MustCompile(`(?s)it can still pass: .*it fails with each of 12; ` +
	`thread \d runs\n  thread \d, running, calls capos_mutex_lock\n` +
	` +(main|back) lockorder\.c:1[56]\n  thread \d, capos_mutex_lock\n` +
	` +(main|back) lockorder\.c:16\n`)

// exploreKeptBySeed finds a failure that cannot be shrunk, and replays the file in which it is
// kept.
func (s *suite) exploreKeptBySeed(ctx context.Context, scratch, name string,
	args ...string) error {
	source := "c/other/" + name + ".c"
	found, _, err := s.explored(ctx, exploreFound, append(args, "--seeds", "1-25", "-j", "1",
		"--max-failures", "1", "--failures", scratch, source)...)
	if err != nil {
		return err
	}
	file, err := explore.ReadFile(found[source].File)
	if err == nil && (file.SeedsFrom == nil || len(file.Decisions) != 0) {
		err = fmt.Errorf("kept with %d decisions", len(file.Decisions))
	}
	if err != nil {
		return err
	}
	_, err = s.replayed(ctx, found[source].File, "reproduced: ")
	return err
}

// exploreMistakes are what --kernel-mistake puts into the kernel, the program of tests/explore/c
// that it then breaks, on so many CPUs, and what is found.
var exploreMistakes = []struct{ name, number, program, cpus, kind string }{
	{"kernel-lock-order", "2", "handoff", "4", "kernel panic"},
	{"kernel-lost-reference", "3", "sharing", "4", "kernel ledger"},
	{"kernel-second-release", "4", "sharing", "2", "kernel panic"},
}

// exploreMistakes runs right programs on several CPUs of a kernel with a mistake, and of one
// without.
func (s *suite) exploreMistakes(ctx context.Context, scratch string) (checks []check) {
	for _, m := range exploreMistakes {
		source := "c/kernel/" + m.program + ".c"
		found, _, err := s.explored(ctx, exploreFound, "--seeds", "1-24", "-j", "1",
			"--cpus", m.cpus, "--kernel-mistake", m.number, "--max-failures", "1",
			"--no-shrink", "--failures", scratch, source)
		if kind := found[source].Kind; err == nil && kind != m.kind {
			err = fmt.Errorf("found %q, expected %q", kind, m.kind)
		}
		checks = append(checks, single(m.name, err, "")...)
	}
	const lostWake = "c/kernel/handoff.c"
	found, _, err := s.explored(ctx, exploreFound, "--seeds", "1-24", "--cpus", "2",
		"--kernel-mistake", "1", "--failures", scratch, lostWake)
	if err == nil {
		err = s.exploredCase(ctx, found[lostWake], "deadlock")
	}
	checks = append(checks, single("kernel-lost-wake", err, "")...)
	_, _, err = s.explored(ctx, 0, "--seeds", "1-24", "--cpus", "4", "--failures", "none",
		"c/kernel/handoff.c", "c/kernel/sharing.c")
	return append(checks, single("kernel-quiet", err, "")...)
}

// exploreRaces has the kernel that looks for data races in itself find one that is put in, with the
// calls of both accesses, and none in what machine tests do.
func (s *suite) exploreRaces(ctx context.Context) []check {
	ctx, cancel := context.WithTimeout(ctx, exploreLimit)
	defer cancel()
	const source = "c/kernel/handoff.c"
	race := []string{"--kernel", "race", "--failures", "none", "--no-shrink"}
	found, _, err := s.explored(ctx, exploreFound, append(race, "--seeds", "1-24", "-j", "1",
		"--cpus", "2", "--kernel-mistake", "5", "--max-failures", "1", source)...)
	f := found[source]
	if err == nil && (!strings.HasPrefix(f.Text, "data race: ") || len(f.Stacks) != 2 ||
		!slices.ContainsFunc(f.Stacks[0].Frames, isParking) ||
		!slices.ContainsFunc(f.Stacks[1].Frames, isParking)) {
		err = fmt.Errorf("found %q at %v", f.Text, f.Stacks)
	}
	checks := single("finds-race", err, "")
	for _, cpus := range []string{"2", "4"} {
		_, _, err = s.explored(ctx, 0, append(race, "--seeds", "1-6", "--cpus", cpus,
			source, "c/kernel/sharing.c")...)
		checks = append(checks, single("quiet-"+cpus+"cpu", err, "")...)
	}
	return checks
}

// isParking tells whether a call is of a thread that parks.
func isParking(call string) bool { return strings.Contains(call, " park.c:") }
