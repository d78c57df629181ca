package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/repo"
)

// A test that fails may hide others: those behind it do not run when the program ends, and of
// several that fail in one run one is told. Such a seed is run again without the test that failed,
// until nothing fails or no test is left.

const skipFlag = "-test.skip="

// withoutToo is what -skip takes to leave out a test, or a subtest, besides others.
func withoutToo(without, test string) string {
	elements := strings.Split(test, "/")
	for i, element := range elements {
		elements[i] = "^" + regexp.QuoteMeta(element) + "$"
	}
	return joinSkips(without, strings.Join(elements, "/"))
}

func joinSkips(skips ...string) string {
	skips = slices.DeleteFunc(skips, func(s string) bool { return s == "" })
	return strings.Join(skips, "|")
}

// arguments are the target's, with tests left out besides those that the user leaves out.
func (t *target) arguments(without string) []string {
	if without == "" {
		return t.args
	}
	for i, arg := range t.args {
		if own, found := strings.CutPrefix(arg, skipFlag); found {
			list := slices.Clone(t.args)
			list[i] = skipFlag + joinSkips(own, without)
			return list
		}
	}
	return append([]string{skipFlag + without}, t.args...)
}

// wordsWithout is the command line that explores it so.
func (t *target) wordsWithout(without string) []string {
	if without == "" {
		return t.words
	}
	end := slices.IndexFunc(t.words, isArgs)
	if end < 0 {
		end = len(t.words)
	}
	for _, arg := range t.args {
		if own, found := strings.CutPrefix(arg, skipFlag); found {
			without = joinSkips(own, without)
		}
	}
	return slices.Insert(slices.Clone(t.words), end, "-skip", without)
}

// reduced is what is known of the target without some of its tests.
type reduced struct {
	once             sync.Once
	points, accesses uint64 // decision points and memory accesses of the undisturbed run
	empty            bool   // no test is left
}

// noTests is what package testing says then.
const noTests = "testing: warning: no tests to run\n"

// reducedTo runs the undisturbed seed without some tests, once.
func (s *session) reducedTo(ctx context.Context, without string) *reduced {
	s.mu.Lock()
	r := s.reduced[without]
	if r == nil {
		r = &reduced{}
		s.reduced[without] = r
	}
	s.mu.Unlock()
	r.once.Do(func() {
		r.empty = true // where it cannot be run
		run := s.alone(ctx, attempt{without: without})
		if run == nil {
			return
		}
		stats, _ := run.Statistics()
		r.points, r.accesses = stats.Points, stats.Accesses
		r.empty = strings.Contains(run.Output, noTests)
	})
	return r
}

// alone makes an attempt on a machine of its own; nil when that is not to be had.
func (s *session) alone(ctx context.Context, a attempt) (run *explore.Run) {
	err := s.machine(ctx, []attempt{a}, func(r *explore.Run) { run = r })
	if err != nil && ctx.Err() == nil {
		s.breaks(err)
	}
	return run
}

// behind runs seeds that have failed once more, without the test that has.
func (s *session) behind(ctx context.Context, failed []*explore.Run) {
	if s.x.flags.program || s.t.c != "" || s.t.system != nil {
		return
	}
	for len(failed) > 0 && ctx.Err() == nil && !s.isEnough() {
		var list []attempt
		for _, r := range failed {
			f := r.Judge(s.source)
			if !r.Hides(f) {
				continue
			}
			without := withoutToo(r.Without, f.Test)
			if left := s.reducedTo(ctx, without); !left.empty {
				list = append(list, s.attempt(r.Seed, without, explore.Forcing{}))
			}
		}
		if failed = nil; len(list) == 0 {
			return
		}
		done := repo.Progress(fmt.Sprintf("repeating %s of %s without the tests that "+
			"failed", explore.Runs(len(list)), s.t.name))
		err := s.machine(ctx, list, func(r *explore.Run) {
			if r.Judge(s.source) != nil {
				failed = append(failed, r)
			}
		})
		done()
		if err != nil && ctx.Err() == nil {
			s.breaks(err)
		}
		for _, r := range failed {
			s.addBehind(ctx, r)
		}
	}
}

// addBehind counts a failure that another one has hidden, if a machine of its own shows it.
func (s *session) addBehind(ctx context.Context, r *explore.Run) {
	wanted := r.Judge(s.source).Signature()
	s.mu.Lock()
	isKnown := slices.ContainsFunc(s.summary.Found, func(f *explore.Found) bool {
		return f.Signature() == wanted
	})
	s.mu.Unlock()
	if !isKnown {
		run, same := s.try(ctx, s.attempt(r.Seed, r.Without, explore.Forcing{}), wanted)
		if !same {
			return
		}
		r = run
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, isNew := s.summary.Add(r, s.source)
	if isNew {
		s.announce(r.Seed, found)
		found.Replay = s.command(strconv.FormatUint(r.Seed, 10), r.Without)
	}
}
