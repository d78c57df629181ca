package suite

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// exploreOthers checks what ./capos explore does besides finding failures of tests.
func (s *suite) exploreOthers(ctx context.Context) (checks []check) {
	ctx, cancel := context.WithTimeout(ctx, exploreLimit)
	defer cancel()
	scratch, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	for _, one := range []struct {
		name string
		run  func(ctx context.Context, scratch string) error
	}{
		{"program", s.exploreProgram},
		{"left", s.exploreLeft},
		{"asserts-resume", s.exploreResumed},
	} {
		checks = append(checks, single(one.name, one.run(ctx, scratch), "")...)
	}
	return checks
}

// exploreProgram explores a main package, with an argument.
func (s *suite) exploreProgram(ctx context.Context, scratch string) error {
	found, _, err := s.explored(ctx, 1, "--program", "--runs", "51", "--failures", scratch,
		"./other/program", "--", "80")
	if err != nil {
		return err
	}
	return s.exploredCase(ctx, found["explore/other/program"], "exit status")
}

// exploreLeft has a goroutine that is left at the end: a note, and with --strict a failure.
func (s *suite) exploreLeft(ctx context.Context, scratch string) error {
	const name, runs = "explore/other/left", 5
	args := []string{"--runs", fmt.Sprint(runs), "--failures", scratch, "./other/left"}
	_, sums, err := s.explored(ctx, 0, args...)
	if err != nil {
		return err
	}
	if left := sums[name].Left; left != runs {
		return fmt.Errorf("goroutines were left in %d of %d runs", left, runs)
	}
	found, _, err := s.explored(ctx, 1, append([]string{"--strict"}, args...)...)
	if err != nil {
		return err
	}
	if kind := found[name].Kind; kind != "goroutines left" {
		return fmt.Errorf("--strict finds %q", kind)
	}
	_, err = s.replayed(ctx, found[name].File, "reproduced: goroutines left in TestStarts")
	return err
}

// exploreResumed explores a test with assertions in one go and in two, which is to come to the
// same.
func (s *suite) exploreResumed(ctx context.Context, scratch string) error {
	const name = "explore/other/asserts"
	dir := filepath.Join(scratch, "state")
	var whole, resumed exploredSum
	for _, run := range []struct {
		args []string
		sum  *exploredSum
	}{
		{[]string{"--runs", "51"}, &whole},
		{[]string{"--runs", "26", "--resume", dir}, &resumed},
		{[]string{"--runs", "51", "--resume", dir}, &resumed},
	} {
		found, sums, err := s.explored(ctx, 1, slices.Concat(run.args,
			[]string{"--no-shrink", "--failures", "none", "./other/asserts"})...)
		if err != nil {
			return err
		}
		if kind := found[name].Kind; kind != "assertion" {
			return fmt.Errorf("found %q, expected an assertion", kind)
		}
		*run.sum = sums[name].exploredSum
	}
	if whole.Runs != 51 || !reflect.DeepEqual(whole, resumed) {
		return fmt.Errorf("in one go %+v, in two %+v", whole, resumed)
	}
	if len(whole.NeverSeen) != 1 || !strings.Contains(whole.NeverSeen[0], `("both at once")`) {
		return fmt.Errorf("never seen: %q", whole.NeverSeen)
	}
	_, _, err := s.explored(ctx, exploreMisused, "--resume", dir, "--max-pause", "1ms",
		"--runs", "51", "./other/asserts")
	return err
}
