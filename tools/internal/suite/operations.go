package suite

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"capos.dev/tools/internal/batch"
	"capos.dev/tools/internal/machine"
)

const (
	operationsChunk = 250_000
	operationsSeeds = 14 // for each of operationsCPUs: 10.5 million operations
)

var operationsCPUs = []int{1, 2, 4}

// randomOperations runs tests/machine/hostile_family with many seeds, on one CPU repeatably.
func (s *suite) randomOperations(ctx context.Context) (checks []check) {
	source := filepath.Join(s.root, "tests", "machine", "hostile_family.c")
	elf, err := (&programBuilder{root: s.root}).build(ctx, source)
	if err != nil {
		return single("hostile_family", err, "")
	}
	for _, cpus := range operationsCPUs {
		for seed := uint64(1); seed <= operationsSeeds && ctx.Err() == nil; seed++ {
			row := machineRow{machine: "microvm", kernel: "release", cpu: "max",
				accel: "tcg", memoryMiB: 256, cpus: cpus, icount: cpus == 1}
			config, err := s.config(&row)
			if err != nil {
				return append(checks, single("config", err, "")...)
			}
			if cpus == 1 {
				config.Seed = &machine.Seed{Number: seed, Date: seededDate}
			}
			name := fmt.Sprintf("%dcpu-seed-%d", cpus, seed)
			list := []batch.Program{{Name: name, ELF: elf, Timeout: "20m",
				Args: []string{strconv.FormatUint(seed, 10),
					strconv.Itoa(operationsChunk)}}}
			err = batch.Run(ctx, config, list, func(r batch.Result) {
				checks = append(checks, judgeProgram(&r, 0)...)
			})
			if err != nil {
				checks = append(checks, single(name, err, "")...)
			}
		}
	}
	return checks
}

// seededDate is when the machines are switched on that repeat.
var seededDate = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
