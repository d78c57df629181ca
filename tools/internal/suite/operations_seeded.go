package suite

import (
	"context"
	"fmt"
	"strconv"
)

const (
	// seededOperationsSeeds is how many seeds choose for the kernel in a run of each of so many
	// seeds of the program, on each of operationsCPUs: 10.1 million operations.
	seededOperationsSeeds    = 12
	seededOperationsPrograms = 14
	seededOperationsChunk    = 20_000
)

// seededOperations has seeds choose schedules for tests/machine/hostile_family, which explore
// replays: on several CPUs these run in turns.
func (s *suite) seededOperations(ctx context.Context) (checks []check) {
	const source = "../machine/hostile_family.c"
	for _, cpus := range operationsCPUs {
		for seed := 1; seed <= seededOperationsPrograms && ctx.Err() == nil; seed++ {
			name := fmt.Sprintf("%dcpu-program-%d", cpus, seed)
			found, sums, err := s.exploredOn(ctx, "operations-"+name, 0, "--seeds",
				fmt.Sprintf("1-%d", seededOperationsSeeds), "--cpus",
				strconv.Itoa(cpus), "--timeout", "10m", "--failures", "none",
				"--no-shrink", source, "--", strconv.Itoa(seed),
				strconv.Itoa(seededOperationsChunk), "late")
			if found[source].Kind != "" || err == nil {
				err = foundNothing(found[source], sums[source],
					seededOperationsSeeds)
			}
			fmt.Printf("          ... %s: %d of %d seeds\n", name, sums[source].Runs,
				seededOperationsSeeds)
			checks = append(checks, single(name, err, "")...)
		}
	}
	return checks
}
