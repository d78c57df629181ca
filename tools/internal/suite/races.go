package suite

import (
	"context"
	"fmt"
	"sync"

	"capos.dev/tools/internal/batch"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// raceSeeds is with how many seeds each program runs, on each of raceCPUs.
const raceSeeds = 2

var raceCPUs = []int{2, 4}

// kernelRaceSteps run each program of tests/machine on several CPUs of the kernel that looks for
// data races in itself.
func (s *suite) kernelRaceSteps(tests []machineTest, programs *programBuilder) (steps []step) {
	kernel := sync.OnceValue(func() error {
		return repo.Make(s.root, repo.KernelGoal("race"))
	})
	for _, t := range tests {
		steps = append(steps, step{name: "machine/races-" + t.name, cpus: 1, full: true,
			long: true, run: func(ctx context.Context) []check {
				if err := kernel(); err != nil {
					return single(t.name, err, "")
				}
				return s.kernelRaces(ctx, &t, programs)
			}})
	}
	return steps
}

// kernelRaces runs one program. What counts is what the kernel reports: such a machine has no sense
// of time that the program's own verdicts could rely on.
func (s *suite) kernelRaces(ctx context.Context, t *machineTest,
	programs *programBuilder) (checks []check) {
	elf, err := programs.build(ctx, t.source)
	if err != nil {
		return single(t.name, err, "")
	}
	for _, cpus := range raceCPUs {
		if !t.runsOn("race", cpus) {
			continue
		}
		for seed := uint64(1); seed <= raceSeeds && ctx.Err() == nil; seed++ {
			name := fmt.Sprintf("%dcpu-seed-%d", cpus, seed)
			config, err := s.turnsConfig("race", cpus, seed)
			if err != nil {
				return single(name, err, "")
			}
			runs, _ := t.runs(elf)
			for i := range runs {
				runs[i].Env = append(runs[i].Env,
					fmt.Sprintf("CAPOS_EXPLORE_KERNEL=%d,1", seed))
			}
			err = batch.Run(ctx, config, runs, func(r batch.Result) {
				checks = append(checks, judgeRace(name, &r))
			})
			if err != nil {
				checks = append(checks, single(name, err, "")...)
			}
		}
	}
	return checks
}

// turnsConfig is a machine whose CPUs have turns, which the kernel ends by the seed: core/turns.h.
func (s *suite) turnsConfig(kernel string, cpus int, seed uint64) (*machine.Config, error) {
	row := machineRow{machine: "microvm", kernel: kernel, cpu: "max", accel: "tcg",
		memoryMiB: 256, cpus: 1, icount: true}
	config, err := s.config(&row)
	if err != nil {
		return nil, err
	}
	config.CPUs, config.Seed = cpus, &machine.Seed{Number: seed, Date: seededDate}
	return config, nil
}

func judgeRace(machine string, r *batch.Result) check {
	c := check{machine + ": " + r.Name, passed, fmt.Sprintf("%d ms", r.DurationMS)}
	switch {
	case r.Leak != "":
		c.Verdict, c.Why = failed, r.Leak
	case r.Status >= report.StatusNoBoot && r.Status <= report.StatusFailed:
		c.Verdict, c.Why = failed, r.Report
	}
	return c
}
