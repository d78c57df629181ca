package main

import (
	"context"
	"encoding/json"
	"os"

	"capos.dev/tools/internal/batch"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
)

// runBatchFile is --batch FILE: JSON lines in, JSON lines out, status 1 when a program failed or
// leaked.
func runBatchFile(root string, c *machine.Config, m *machineFlags, file string) int {
	programs, err := batch.Read(file)
	if err != nil {
		return cli.Fail(err)
	}
	for i := range programs {
		programs[i].CommittedLimit = m.limits.memory
		programs[i].Counts = m.limits.counts
	}
	out := json.NewEncoder(os.Stdout)
	status := 0
	err = batch.Run(context.Background(), c, programs, func(r batch.Result) {
		if !r.OK() {
			status = 1
		}
		out.Encode(r)
	})
	if err != nil {
		return cli.Fail(err)
	}
	return status
}
