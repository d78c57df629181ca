package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// keepNothing is the value of --failures that keeps no file.
const keepNothing = "none"

// failuresOf is where a target's failures are kept: beside its test, or for a package of the
// library in the build directory, because the library's own is shared.
func (x *explorer) failuresOf(t *target) string {
	underBuild := filepath.Join(x.root, "build", "explore", "failures")
	switch {
	case x.flags.failures == keepNothing:
		return ""
	case x.flags.failures != "":
		underBuild = x.flags.failures
	case t.module != "" || t.c != "":
		return filepath.Join(t.dir, filepath.FromSlash(explore.FileDir))
	}
	return filepath.Join(underBuild, t.fileName())
}

// digest is what tells whether the program is the one that a file was made with.
func (t *target) digest() (string, error) { return digestOf(t.elf) }

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// keep writes a failure to a file, if a run of what the file says fails: its decisions, or where it
// could not be shrunk, its seed or those of its machine. After an interrupt nothing runs any more,
// so the file has the seeds that were seen to fail.
func (s *session) keep(ctx context.Context, f *explore.Found) {
	cut := ctx.Err() != nil
	if s.t.failures == "" || s.x.flags.noShrink || cut && f.Replay == "" {
		return
	}
	digest, err := s.t.digest()
	if err != nil {
		cli.Fail(err)
		return
	}
	flags := s.x.flags
	file := &explore.File{Package: s.t.name, Program: flags.program, C: s.t.c,
		Strict: flags.strict, Failure: f.Failure, Seed: f.Seed, Without: f.Without,
		Points:   s.attempt(f.Seed, f.Without, explore.Forcing{}).points,
		MaxPause: flags.maxPause.String(), Memory: flags.memory, Flags: s.t.words[1:],
		Env: flags.env, Digest: digest, Decisions: f.Story,
		Strategy: flags.strategy.String(), Kernel: explore.KernelPart{Name: flags.kernel,
			Points: s.kernel, Mistake: int(flags.mistake)}}
	if flags.cpus > 1 {
		file.CPUs = int(flags.cpus)
	}
	if !f.Shrunk || cut {
		file.Decisions, file.SeedsFrom = []explore.Disturbance{}, f.Shared
		if f.Shared == nil {
			file.SeedsFrom = &f.Seed
		}
		if !cut && !s.fails(ctx, file) {
			return
		}
	} else if forced, err := file.Forced(1); err != nil {
		file.Counted = true
	} else {
		_, same := s.try(ctx, s.attempt(f.Seed, f.Without, forced), f.Signature())
		file.Counted = !same
	}
	path, err := file.Write(s.t.failures)
	if err != nil {
		cli.Fail(fmt.Errorf("the failure is not kept: %w", err))
		return
	}
	f.File = shortPath(path)
	f.Replay = replayCommandOf(f.File)
}

// fails tells whether a run of what the file says does.
func (s *session) fails(ctx context.Context, file *explore.File) bool {
	run, err := s.last(ctx, file)
	return err == nil && file.Fails(run, s.source)
}

// replayCommandOf is the line that replays a file.
func replayCommandOf(path string) string {
	return machine.ShellCommand(repo.Command(), []string{"replay", path})
}

// shortPath is relative to the working directory when it is below it.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// tryKept tries the failures of earlier runs first.
func (s *session) tryKept(ctx context.Context) error {
	if s.t.failures == "" {
		return nil
	}
	paths, files, err := explore.Files(s.t.failures)
	if s.t.c != "" {
		paths, files = ofProgram(s.t.c, paths, files)
	}
	if err != nil {
		return err
	}
	var list []attempt
	var together []int // the files of which each is one run of a machine that they share
	for i, f := range files {
		if !s.hasMachineOf(f) {
			fmt.Fprintf(os.Stderr, "capos: %s: not tried, because it takes another "+
				"kernel or other CPUs\n", shortPath(paths[i]))
			continue
		}
		if f.SeedsFrom != nil || f.CPUs > 1 { // it has a machine of its own
			r, err := s.last(ctx, f)
			if err != nil {
				return err
			}
			s.tried(paths[i], f, r)
			continue
		}
		a, err := kept(f, 1)
		if err != nil {
			return err
		}
		list, together = append(list, a), append(together, i)
	}
	if len(list) == 0 {
		return nil
	}
	err = s.machine(ctx, list, func(r *explore.Run) {
		s.tried(paths[together[0]], files[together[0]], r)
		together = together[1:]
	})
	return errors.Join(err, s.broken)
}

// hasMachineOf tells whether the failure of a file can show on the machines of this session.
func (s *session) hasMachineOf(f *explore.File) bool {
	flags := s.x.flags
	return cmp.Or(f.Kernel.Name, s.x.usual) == flags.kernel &&
		f.Kernel.Mistake == int(flags.mistake) && max(1, f.CPUs) == int(flags.cpus)
}

// kept is the run that a file says, with pauses so many times as long.
func kept(f *explore.File, longer int64) (attempt, error) {
	var strategy explore.Strategy
	if f.Strategy != "" {
		if err := strategy.Set(f.Strategy); err != nil {
			return attempt{}, err
		}
	}
	forced, err := f.Forced(longer)
	return attempt{seed: f.Seed, points: f.Points, kernelPoints: f.Kernel.Points,
		strategy: strategy, without: f.Without, forced: forced}, err
}

// keptGroup is what runs on one machine for a file, the run that fails last.
func keptGroup(f *explore.File) (g group, err error) {
	a, err := kept(f, 1)
	for _, a.seed = range f.Seeds() {
		g = append(g, a)
	}
	return g, err
}

// tried counts the run of a file.
func (s *session) tried(path string, file *explore.File, r *explore.Run) {
	path = shortPath(path)
	fmt.Fprintf(os.Stderr, "capos: %s: %s\n", path, file.Verdict(r, s.source))
	if found, _ := s.summary.Add(r, s.source); found != nil {
		found.File, found.Replay = path, replayCommandOf(path)
		found.Seed = file.Seed
		found.Story, _ = r.Disturbances(s.source)
		if file.SeedsFrom == nil {
			found.Of = len(found.Story)
		}
	}
}

// last runs the seeds of a file on one machine and gives the run of the last.
func (s *session) last(ctx context.Context, file *explore.File) (run *explore.Run, err error) {
	list, err := keptGroup(file)
	if err != nil {
		return nil, err
	}
	err = s.machine(ctx, list, func(r *explore.Run) { run = r })
	return run, errors.Join(err, s.broken)
}

// ofProgram are the files of one of the C programs in a directory.
func ofProgram(c string, paths []string, files []*explore.File) (p []string, f []*explore.File) {
	for i, file := range files {
		if file.C == c {
			p, f = append(p, paths[i]), append(f, file)
		}
	}
	return p, f
}

// replayFile repeats a failure that is kept in a file.
func replayFile(root, path string, timeout time.Duration) int {
	file, err := explore.ReadFile(path)
	if err != nil {
		return cli.Fail(err)
	}
	s, err := openFailure(root, path, file, timeout)
	if err != nil {
		return cli.Fail(err)
	}
	run, err := s.reproduce(file)
	if err != nil {
		return cli.Fail(err)
	}
	fmt.Print(explore.WithoutTelling(run.Output))
	fmt.Fprint(os.Stderr, run.Report)
	digest, err := s.t.digest()
	if err == nil && digest != file.Digest {
		fmt.Fprintln(os.Stderr, "capos: the program has changed since the file was made")
	}
	if file.Fails(run, s.source) {
		fmt.Fprint(os.Stderr, s.told(run, len(file.Decisions)))
	}
	fmt.Fprintf(os.Stderr, "capos: %s\n", file.Verdict(run, s.source))
	return s.replayed(file, run)
}

// told is what a run that fails shows besides what it has printed: its story, and of a data race
// the two accesses.
func (s *session) told(run *explore.Run, of int) string {
	found := &explore.Found{Failure: *run.Judge(s.source), Of: of}
	found.Story, _ = run.Disturbances(s.source)
	if found.Kind == explore.KindRace {
		return found.What()
	}
	return found.Tale()
}

// replayed is the exit status for a run that repeats a failure.
func (s *session) replayed(file *explore.File, run *explore.Run) int {
	switch {
	case run.Status != 0:
		return run.Status
	case run.Judge(s.source) != nil:
		return 1
	case file.SeedsFrom != nil || len(file.Missing(run, s.source)) > 0:
		return report.StatusFailed
	}
	return 0
}

// openFailure builds the program of a file.
func openFailure(root, path string, file *explore.File, timeout time.Duration) (*session, error) {
	var e exploreFlags
	e.register(cli.NewFlags("explore"))
	e.program, e.memory, e.env = file.Program, file.Memory, file.Env
	e.strict, e.cpus = file.Strict, cli.Count(max(1, file.CPUs))
	e.kernel, e.mistake = file.Kernel.Name, cli.Count(file.Kernel.Mistake)
	if timeout != 0 {
		e.timeout = timeout
	}
	var err error
	if e.maxPause, err = time.ParseDuration(file.MaxPause); err == nil {
		err = e.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	name := file.Package
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if dir, beside := strings.CutSuffix(filepath.ToSlash(filepath.Dir(whole)),
		"/"+explore.FileDir); beside {
		if err := os.Chdir(dir); err != nil {
			return nil, err
		}
		name = "."
		if file.C != "" {
			name = file.C
		}
	}
	x := &explorer{flags: &e, root: root}
	targets, err := x.prepare([]string{name}, file.Flags)
	if err != nil {
		return nil, err
	}
	s, err := x.session(&targets[0])
	return s, err
}

// reproduce runs what the file says and, when that does not fail, the same with longer pauses and
// other random numbers. It gives the run that fails, or the first.
func (s *session) reproduce(file *explore.File) (run *explore.Run, err error) {
	ctx := context.Background()
	if file.SeedsFrom != nil {
		return s.last(ctx, file)
	}
	list, err := s.variants(file)
	if err != nil {
		return nil, err
	}
	for _, part := range [][]attempt{list[0], slices.Concat(list[1:]...)} {
		err := s.machine(ctx, part, func(r *explore.Run) {
			if run == nil || !file.Fails(run, s.source) && file.Fails(r, s.source) {
				run = r
			}
		})
		if err = errors.Join(err, s.broken); err != nil || file.Fails(run, s.source) {
			return run, err
		}
	}
	return run, nil
}

// otherSeeds is how many seeds are tried instead of a file's, besides it.
const otherSeeds = 3

// variants are the run that a file says, and others that may fail when that does not.
func (s *session) variants(file *explore.File) (list []group, err error) {
	if file.SeedsFrom != nil {
		g, err := keptGroup(file)
		return []group{g}, err
	}
	for _, longer := range []int64{1, 2, 10} {
		a, err := kept(file, longer)
		if err != nil {
			return nil, err
		}
		for i := range uint64(1 + otherSeeds) {
			a.seed = file.Seed + i*explore.AlikeSeeds
			isSame := func(g group) bool { return g[0] == a }
			if !slices.ContainsFunc(list, isSame) {
				list = append(list, group{a})
			}
		}
	}
	return list, nil
}
