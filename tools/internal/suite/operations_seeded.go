package suite

import (
	"context"
	"fmt"
	"strconv"
)

const (
	seededOperationsPrograms = 14 // seeds of the program
	seededOperationsChunk    = 20_000
)

// seededOperations is how many seeds choose for the kernel in a run of each program, on so many
// CPUs: 10.1 million operations on one CPU, and 3.4 million each on two and on four.
var seededOperations = []struct{ cpus, seeds int }{{1, 36}, {2, 12}, {4, 12}}

// runSeededOperations has seeds choose schedules for tests/machine/hostile_family, which explore
// replays: on several CPUs these run in turns.
func (s *suite) runSeededOperations(ctx context.Context) (checks []check) {
	const source = "../machine/hostile_family.c"
	for _, row := range seededOperations {
		for seed := 1; seed <= seededOperationsPrograms && ctx.Err() == nil; seed++ {
			name := fmt.Sprintf("%dcpu-program-%d", row.cpus, seed)
			found, sums, err := s.exploredOn(ctx, "operations-"+name, 0, "--seeds",
				fmt.Sprintf("1-%d", row.seeds), "--cpus",
				strconv.Itoa(row.cpus), "--timeout", "10m", "--failures", "none",
				"--no-shrink", source, "--", strconv.Itoa(seed),
				strconv.Itoa(seededOperationsChunk), "late")
			if found[source].Kind != "" || err == nil {
				err = foundNothing(found[source], sums[source], row.seeds)
			}
			fmt.Printf("          ... %s: %d of %d seeds\n", name, sums[source].Runs,
				row.seeds)
			checks = append(checks, single(name, err, "")...)
		}
	}
	return checks
}
