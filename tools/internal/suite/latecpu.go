package suite

import (
	"context"
	"path/filepath"

	"capos.dev/tools/internal/report"
)

// lateCPUStep has the debug kernel's CPU 1 start late (the parameter late-cpu): the machine goes on
// without it, with a gap in the numbers of its CPUs, also when it arrives in the end.
func (s *suite) lateCPUStep() step {
	programs := &programBuilder{root: s.root}
	probe := func(ctx context.Context) (string, error) {
		return programs.build(ctx, filepath.Join(s.root, "tests", "run", "probe.c"))
	}
	flags := func(machine string, words ...string) []string {
		flags := []string{"--kernel", "debug", "--cpus", "3", "--machine", machine, "-v"}
		for _, word := range words {
			flags = append(flags, "--kernel-arg", word)
		}
		return flags
	}
	cases := []toolCase{
		{name: "in-time", flags: flags("microvm", "late-cpu=500"),
			args: []string{"cpus"}, stdout: "3: 0 1 2\n3: 0 1 2\n"},
		{name: "left-out", flags: flags("microvm", "late-cpu=4000"),
			args: []string{"cpus", "4000"}, stdout: "2: 0 2\n2: 0 2\n",
			inErr: []string{"capos: 2 of 3 CPUs started"}},
		{name: "left-out-q35", flags: flags("q35", "late-cpu=4000"),
			args: []string{"cpus", "4000"}, stdout: "2: 0 2\n2: 0 2\n",
			inErr: []string{"capos: 2 of 3 CPUs started"}},
		// The late one has no gate yet for the interrupt that stops the others.
		{name: "panic-without-it", flags: flags("microvm", "late-cpu=60000",
			"selftest=assertion"), args: []string{"exit", "0"},
			status: report.StatusPanic, inErr: []string{"expected number == 4",
				"capos: CPU 0,", "capos: CPU 2 stopped,", "capos: stopped"}},
	}
	return step{name: "boot/late-cpu", cpus: 2, run: func(ctx context.Context) []check {
		return s.runToolCases(ctx, probe, cases)
	}}
}
