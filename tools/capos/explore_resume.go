package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
)

// saveEvery is how often it is written down how far a run has come.
const saveEvery = 20 * time.Second

var errOtherState = errors.New("of another program, other flags or another capos, and a seed " +
	"means something else now; remove it to begin anew")

func (s *session) statePath() string {
	return filepath.Join(s.x.flags.resume, s.t.fileName()+".json")
}

// resume takes up what an earlier run has written down, if anything.
func (s *session) resume() (resumed bool, err error) {
	if s.x.flags.resume == "" {
		return false, nil
	}
	if s.digest, err = s.inputs(); err != nil {
		return false, err
	}
	state, err := explore.ReadState(s.statePath())
	if state == nil || err != nil {
		return false, err
	}
	if state.Digest != s.digest {
		return false, fmt.Errorf("%s is %w", shortPath(s.statePath()), errOtherState)
	}
	s.points, s.accesses, s.kernel = state.Points, state.Accesses, state.KernelPoints
	s.next, s.begun = max(s.next, state.Next), state.Begun
	s.summary, s.before = state.Summary, state.Took
	fmt.Fprintf(os.Stderr, "capos: %s: going on after %s\n", s.t.name,
		explore.Runs(s.summary.Runs))
	return true, nil
}

// inputs is a digest of all that a seed depends on.
func (s *session) inputs() (string, error) {
	sum := sha256.New()
	program, err := digestOf(s.t.elf)
	if err != nil {
		return "", err
	}
	kernel, err := digestOf(s.x.config.Kernel)
	if err != nil {
		return "", err
	}
	system := ""
	if s.t.system != nil {
		if system, err = s.t.system.digest(); err != nil {
			return "", err
		}
	}
	instance := s.x.instance(s.t, attempt{strategy: s.x.flags.strategy})
	fmt.Fprintf(sum, "%s %s %s %q %q %v %s %d", program, kernel, system, instance.Args,
		instance.Env, s.x.flags.timeout, s.x.flags.memory, s.x.flags.cpus)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// save writes down how far the run has come.
func (s *session) save() {
	if s.digest == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := &explore.State{Package: s.t.name, Digest: s.digest, Points: s.points,
		Accesses:     s.accesses,
		KernelPoints: s.kernel, Next: s.next, Begun: slices.Clone(s.begun),
		Took: s.took, Summary: s.summary}
	if state.Took == 0 {
		state.Took = s.before + time.Since(s.start)
	}
	for seed := range s.running {
		state.Begun = append(state.Begun, seed)
	}
	slices.Sort(state.Begun)
	s.saved = time.Now()
	if err := state.Write(s.statePath()); err != nil {
		cli.Fail(fmt.Errorf("how far it is is not kept: %w", err))
	}
}

// saveSometimes does so when the last time is long ago.
func (s *session) saveSometimes() {
	if time.Since(s.saved) > saveEvery {
		s.save()
	}
}
