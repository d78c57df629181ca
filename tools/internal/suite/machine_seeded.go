package suite

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"capos.dev/tools/internal/explore"
)

// seededMachineSeeds is how many seeds choose for the kernel in a run of each program, on each of
// operationsCPUs.
const seededMachineSeeds = 3

// seededMachineSteps explore the programs of tests/machine that run alone, with all that there is
// of a machine.
func (s *suite) seededMachineSteps(tests []machineTest) (steps []step) {
	for _, t := range tests {
		if len(t.beside) > 0 || t.limit != 0 {
			continue
		}
		steps = append(steps, step{name: "machine/seeded-" + t.name, cpus: 1, full: true,
			long: true, run: func(ctx context.Context) []check {
				return s.seededMachine(ctx, &t)
			}})
	}
	return steps
}

// seededMachine explores one program, each of its cases.
func (s *suite) seededMachine(ctx context.Context, t *machineTest) (checks []check) {
	runs, status := t.runs("")
	for _, cpus := range operationsCPUs {
		if !t.runsOn("explore", cpus) {
			continue
		}
		for i, run := range runs {
			name := fmt.Sprintf("%dcpu: %s", cpus, run.Name)
			err := s.seededRuns(ctx, t, cpus, run.Args, status[i])
			verdict := single(name, err, "")
			fmt.Printf("          ... %s: %s\n", name, verdict[0].Verdict)
			checks = append(checks, verdict...)
		}
	}
	return checks
}

// seededRuns explores one case on so many CPUs. It may end with its status, and in no other way.
func (s *suite) seededRuns(ctx context.Context, t *machineTest, cpus int, args []string,
	status int) error {
	source := "../machine/" + t.name + ".c"
	flags := []string{"--seeds", fmt.Sprintf("1-%d", seededMachineSeeds), "--cpus",
		strconv.Itoa(cpus), "-m", "256M", "--timeout", "10m", "--failures", "none",
		"--no-shrink"}
	for _, entry := range t.env {
		flags = append(flags, "-e", entry)
	}
	wanted := 0
	if status != 0 {
		wanted = exploreFound
	}
	name := strings.Join(slices.Concat([]string{"machine", t.name, strconv.Itoa(cpus)}, args),
		"-")
	found, sums, err := s.exploredOn(ctx, name, wanted, slices.Concat(flags, []string{source,
		"--"}, args)...)
	if status == 0 {
		if found[source].Kind != "" || err == nil {
			err = foundNothing(found[source], sums[source], seededMachineSeeds)
		}
		return err
	}
	if err != nil {
		return err
	}
	f, sum := found[source], sums[source]
	switch {
	case sum.Different != 1 || sum.Failed != seededMachineSeeds:
		return fmt.Errorf("%d of %d runs end in a failure, in %d ways, expected status %d",
			sum.Failed, sum.Runs, sum.Different, status)
	case status > 128 && f.Kind == explore.KindCrash,
		strings.HasPrefix(f.Text, fmt.Sprintf("status %d", status)):
		return nil
	}
	return fmt.Errorf("%s: %s, expected status %d: %s", f.Kind, f.Text, status, f.Replay)
}
