package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"time"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

type whyFlags struct {
	seeds   cli.Count
	timeout time.Duration
}

func (w *whyFlags) register(fs *flag.FlagSet) {
	w.seeds = 20
	fs.Var(&w.seeds, "seeds", "")
	fs.DurationVar(&w.timeout, "timeout", time.Minute, "")
}

// whyCommand finds the point of no return of a failure that is kept in a file.
func whyCommand(args []string) int {
	var w whyFlags
	flags := cli.NewFlags("why")
	w.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	if flags.NArg() != 1 {
		return cli.Failf("why what? ./capos why FILE, which ./capos explore has kept")
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Fail(err)
	}
	path := flags.Arg(0)
	file, err := explore.ReadFile(path)
	if err != nil {
		return cli.Fail(err)
	}
	s, err := openFailure(root, path, file, w.timeout)
	if err != nil {
		return cli.Fail(err)
	}
	g, err := keptGroup(file)
	if err != nil {
		return cli.Fail(err)
	}
	q := &question{session: s, file: file, seeds: int(w.seeds), before: g[:g.before()],
		attempt: g[g.before()]}
	return q.answer(context.Background())
}

// question is why a run fails: from which point on it had to.
type question struct {
	*session
	file    *explore.File
	before  group   // what the machine runs first
	attempt attempt // the run that fails
	seeds   int     // how many decide what comes after a point
}

// answer finds the point and shows the goroutines at the one before it, where it could still pass.
func (q *question) answer(ctx context.Context) int {
	run := q.once(ctx, q.attempt)
	if q.broken != nil {
		return cli.Fail(q.broken)
	}
	if !q.file.Fails(run, q.source) {
		fmt.Printf("%s\n", q.file.Verdict(run, q.source))
		return report.StatusFailed
	}
	fmt.Printf("%s\n", q.file.Failure.Title())
	done := repo.Progress("looking for the point of no return")
	last := explore.LastPoint(func(point uint64) bool {
		_, found := q.stacks(ctx, point)
		return found
	})
	turn := explore.Turning(last, func(point uint64) bool {
		return q.passes(ctx, point, true) == 0
	})
	done()
	if q.broken == nil {
		q.tell(ctx, last, turn)
	}
	if q.broken != nil {
		return cli.Fail(q.broken)
	}
	return 0
}

func (q *question) tell(ctx context.Context, last, turn uint64) {
	if turn == 1 {
		fmt.Printf("  it fails from its first decision point on, with each of %d seeds\n",
			q.seeds)
		return
	}
	passed := q.passes(ctx, turn-1, false)
	before, _ := q.stacks(ctx, turn-1)
	fmt.Printf("  at point %d of %d it can still pass: %d of %d seeds do; %s %d runs\n",
		turn-1, last, passed, q.seeds, q.runner(), before.Running())
	fmt.Print(before)
	if turn > last {
		return
	}
	after, _ := q.stacks(ctx, turn)
	fmt.Printf("  at point %d it fails with each of %d; %s %d runs\n", turn, q.seeds,
		q.runner(), after.Running())
	fmt.Print(after)
}

// runner is what comes to points.
func (q *question) runner() string {
	if q.file.C != "" {
		return "thread"
	}
	return "goroutine"
}

// stacks are the goroutines at a point of the run.
func (q *question) stacks(ctx context.Context, point uint64) (explore.Moment, bool) {
	a := q.attempt
	a.until, a.stacks = point, 1
	run := q.once(ctx, a)
	if run == nil {
		return nil, false
	}
	return run.StacksAt(q.source)
}

// once makes an attempt on a machine that runs nothing else but what comes before; nil when that
// is not to be had.
func (q *question) once(ctx context.Context, a attempt) (run *explore.Run) {
	list := slices.Concat(q.before, group{a})
	if err := q.machine(ctx, list, func(r *explore.Run) { run = r }); err != nil {
		q.breaks(err)
	}
	return run
}

// passes counts the seeds with which the run passes when they decide what comes after a point.
// Seed 0 is one of them and disturbs nothing. It stops at the first such seed when one is enough.
func (q *question) passes(ctx context.Context, point uint64, one bool) (passed int) {
	var mu sync.Mutex
	for first := 0; first < q.seeds && !(one && passed > 0); first += int(q.x.flags.jobs) {
		var runs sync.WaitGroup
		for seed := first; seed < min(first+int(q.x.flags.jobs), q.seeds); seed++ {
			a := q.attempt
			a.until, a.reseed = point, uint64(seed)
			runs.Go(func() {
				r := q.once(ctx, a)
				mu.Lock()
				defer mu.Unlock()
				if r != nil && !q.file.Fails(r, q.source) {
					passed++
				}
			})
		}
		runs.Wait()
		if q.broken != nil {
			break
		}
	}
	return passed
}
