package suite

import (
	"context"
	"fmt"

	"capos.dev/tools/internal/batch"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/report"
)

// raceSeeds is with how many seeds each program runs, on each of raceCPUs.
const raceSeeds = 2

var raceCPUs = []int{2, 4}

// kernelRaces runs the programs of tests/machine on several CPUs of the kernel that looks for data
// races in itself. What counts is what the kernel reports: such a machine has no sense of time that
// the programs' own verdicts could rely on.
func (s *suite) kernelRaces(ctx context.Context, tests []machineTest) (checks []check) {
	programs := &programBuilder{root: s.root}
	for _, cpus := range raceCPUs {
		for seed := uint64(1); seed <= raceSeeds && ctx.Err() == nil; seed++ {
			row := machineRow{machine: "microvm", kernel: "race", cpu: "max",
				accel: "tcg", memoryMiB: 256, cpus: 1, icount: true}
			config, err := s.config(&row)
			if err != nil {
				return single("config", err, "")
			}
			// The CPUs have turns, which the kernel ends by the seed: core/turns.h.
			config.CPUs = cpus
			config.Seed = &machine.Seed{Number: seed, Date: seededDate}
			name := fmt.Sprintf("%dcpu-seed-%d", cpus, seed)
			list, err := racePrograms(ctx, programs, tests, cpus, seed)
			if err == nil {
				err = batch.Run(ctx, config, list, func(r batch.Result) {
					checks = append(checks, judgeRace(name, &r))
				})
			}
			if err != nil {
				checks = append(checks, single(name, err, "")...)
			}
		}
	}
	return checks
}

// racePrograms are what the machine runs, each with the seed.
func racePrograms(ctx context.Context, programs *programBuilder, tests []machineTest, cpus int,
	seed uint64) (list []batch.Program, err error) {
	for _, t := range tests {
		if !t.runsOn("race", cpus) {
			continue
		}
		elf, err := programs.build(ctx, t.source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		runs, _ := t.runs(elf)
		for _, r := range runs {
			r.Env = append(r.Env, fmt.Sprintf("CAPOS_EXPLORE_KERNEL=%d,1", seed))
			list = append(list, r)
		}
	}
	return list, nil
}

func judgeRace(machine string, r *batch.Result) check {
	c := check{machine + ": " + r.Name, passed, ""}
	switch {
	case r.Leak != "":
		c.Verdict, c.Why = failed, r.Leak
	case r.Status >= report.StatusNoBoot && r.Status <= report.StatusFailed:
		c.Verdict, c.Why = failed, r.Report
	}
	return c
}
