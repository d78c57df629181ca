package main

import (
	"flag"
	"fmt"
	"runtime"
	"time"

	"capos.dev/tools/internal/accel"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
)

// machineFlags are the flags about the virtual machine, shared by every command that boots one.
type machineFlags struct {
	memory, machine, cpu, accel, kernel        string
	seed, date                                 string
	cpus                                       int
	icount, trace, stats, gdb, dryRun, verbose bool

	// the program's output goes to somebody who compares it: nothing is said that need not be
	quiet bool

	timeout              time.Duration
	kernelArgs, qemuArgs cli.List
}

const defaultMemory = "512M"

func (m *machineFlags) register(fs *flag.FlagSet, memory string) {
	fs.StringVar(&m.memory, "m", memory, "memory of the machine, `SIZE` like 64M or 2G")
	fs.IntVar(&m.cpus, "cpus", 0, "number of CPUs (default: the host's, at most 2)")
	fs.StringVar(&m.machine, "machine", "microvm", "machine `TYPE`: microvm, q35 or pc")
	fs.StringVar(&m.cpu, "cpu", "max", "CPU `MODEL`, in QEMU's words")
	fs.StringVar(&m.accel, "accel", "auto",
		"kvm, tcg, or auto: kvm where a short probe shows that it works")
	fs.StringVar(&m.kernel, "kernel", "release",
		"release, or debug: with assertions and checks of every memory access and "+
			"undefined operation")
	fs.BoolVar(&m.icount, "icount", false,
		"instruction-exact on one CPU: a guest nanosecond is one instruction")
	fs.StringVar(&m.seed, "seed", "",
		"a run that repeats exactly: `NUMBER` stands for all chance; docs/seed.md")
	fs.StringVar(&m.date, "date", defaultDate, "`DATE` at power-on of a run with --seed")
	fs.BoolVar(&m.trace, "trace", false,
		"name every capability call with arguments and result on standard error")
	fs.BoolVar(&m.stats, "stats", false,
		"print ledgers and calls per method at the end on standard error")
	fs.BoolVar(&m.gdb, "d", false, "wait for gdb and print the command that connects it")
	fs.BoolVar(&m.dryRun, "dry-run", false,
		"print the exact QEMU command instead of running it")
	fs.BoolVar(&m.verbose, "v", false, "show the kernel's log on standard error")
	fs.DurationVar(&m.timeout, "timeout", 0,
		"end the machine after this `DURATION` (30s, 5m) with status 124")
	fs.Var(&m.kernelArgs, "kernel-arg",
		"append a `PARAMETER` to the kernel's command line, such as clock=hpet "+
			"(repeatable; see docs/run.md)")
	fs.Var(&m.qemuArgs, "qemu-arg", "pass one more `ARGUMENT` to QEMU (repeatable)")
}

// config turns the flags into a machine. In a dry run nothing is built and nothing is probed.
func (m *machineFlags) config(root string) (*machine.Config, error) {
	memory, err := machine.ParseMemory(m.memory)
	if err != nil {
		return nil, err
	}
	if m.kernel != "release" && m.kernel != "debug" {
		return nil, fmt.Errorf("no kernel %q; there are release and debug", m.kernel)
	}
	seed, err := m.seedConfig()
	if err != nil {
		return nil, err
	}
	c := &machine.Config{Machine: m.machine, CPU: m.cpu, Accel: m.accel, MemoryMiB: memory,
		CPUs: m.cpus, ICount: m.icount || seed != nil, Seed: seed,
		Kernel: repo.Kernel(root, m.kernel), Trace: m.trace, Stats: m.stats,
		KernelParameters: m.kernelArgs, Extra: m.qemuArgs}
	if m.gdb {
		if c.GDB, err = machine.GDBAddress(); err != nil {
			return nil, err
		}
	}
	if c.CPUs == 0 {
		c.CPUs = min(runtime.NumCPU(), 2)
		if c.ICount {
			c.CPUs = 1
		}
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch c.Accel {
	case "kvm", "tcg":
	case "auto":
		c.Accel = "tcg"
		if !c.ICount && !m.gdb {
			c.Accel = accel.Best(c, !m.dryRun, m.quiet)
		}
	default:
		return nil, fmt.Errorf("no accelerator %q; there are kvm, tcg and auto", c.Accel)
	}
	return c, nil
}
