package main

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/accel"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/manifest"
	"capos.dev/tools/internal/repo"
)

// machineFlags are the flags about the virtual machine, shared by every command that boots one.
type machineFlags struct {
	memory, machine, cpu, accel, kernel        string
	seed, date, record                         string
	cpus                                       cli.Count // 0: not given
	icount, trace, stats, gdb, dryRun, verbose bool

	// the program's output is compared: nothing is printed that need not be
	quiet bool

	timeout              time.Duration
	batch                string
	limits               limits
	kernelArgs, qemuArgs cli.List
}

const defaultMemory = "512M"

func (m *machineFlags) register(fs *flag.FlagSet, memory string) {
	fs.StringVar(&m.memory, "m", memory, "")
	fs.Var(&m.cpus, "cpus", "")
	fs.StringVar(&m.machine, "machine", "microvm", "")
	fs.StringVar(&m.cpu, "cpu", "max", "")
	fs.StringVar(&m.accel, "accel", "tcg", "")
	fs.StringVar(&m.kernel, "kernel", "release", "")
	fs.BoolVar(&m.icount, "icount", false, "")
	fs.StringVar(&m.seed, "seed", "", "")
	fs.StringVar(&m.date, "date", defaultDate, "")
	fs.StringVar(&m.record, "record", "", "")
	fs.BoolVar(&m.trace, "trace", false, "")
	fs.BoolVar(&m.stats, "stats", false, "")
	fs.BoolVar(&m.gdb, "d", false, "")
	fs.BoolVar(&m.dryRun, "dry-run", false, "")
	fs.BoolVar(&m.verbose, "v", false, "")
	fs.DurationVar(&m.timeout, "timeout", 0, "")
	fs.Var(&m.kernelArgs, "kernel-arg", "")
	fs.Var(&m.qemuArgs, "qemu-arg", "")
	fs.StringVar(&m.batch, "batch", "", "")
	fs.Var(&m.limits, "limit", "")
}

// limits are what --limit says.
type limits struct {
	memory uint64 // pages; 0: none
	counts bootimage.Counts
}

func (l *limits) String() string { return "" }

// Set takes NAME=SIZE, or a size alone, which is memory's.
func (l *limits) Set(value string) error {
	name, size, named := strings.Cut(value, "=")
	if !named {
		name, size = "memory", value
	}
	switch name {
	case "memory":
		return l.setMemory(size)
	case "threads":
		return setCount(&l.counts.Threads, name, size)
	case "caps":
		return setCount(&l.counts.Capabilities, name, size)
	case "calls":
		return setCount(&l.counts.Calls, name, size)
	case "cpu":
		return l.setCPU(size)
	}
	return fmt.Errorf("%q cannot be limited; memory, threads, caps, calls and cpu can", name)
}

func (l *limits) setMemory(size string) error {
	bytes, err := machine.ParseSize(size)
	if err != nil {
		return err
	}
	if l.memory = bytes / uint64(abi.PageSize); l.memory == 0 {
		return fmt.Errorf("%q is less than a page", size)
	}
	return nil
}

// setCPU takes percent of one CPU.
func (l *limits) setCPU(text string) error {
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !percent || err != nil || n == 0 || n > manifest.PercentMax {
		return fmt.Errorf("%q is no part of a CPU from 1%% to %d%%", text,
			manifest.PercentMax)
	}
	l.counts.CPU = uint32(n) * 10
	return nil
}

// countMax is less than what the kernel takes for no limit.
const countMax = 1_000_000_000

func setCount(count *uint32, name, text string) error {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 || n > countMax {
		return fmt.Errorf("%q is no number of %s from 1 to %d", text, name, countMax)
	}
	*count = uint32(n)
	return nil
}

// config turns the flags into a machine, or finds what is wrong with them; nothing is built yet.
func (m *machineFlags) config(root string) (*machine.Config, error) {
	memory, err := machine.ParseMemory(m.memory)
	if err != nil {
		return nil, err
	}
	if err := repo.CheckKernel(m.kernel); err != nil {
		return nil, err
	}
	seed, err := m.seedConfig()
	if err != nil {
		return nil, err
	}
	c := &machine.Config{Machine: m.machine, CPU: m.cpu, Accel: m.accel, MemoryMiB: memory,
		CPUs: int(m.cpus), ICount: m.icount || seed != nil || m.record != "", Seed: seed,
		Kernel: repo.Kernel(root, m.kernel), Trace: m.trace, Stats: m.stats,
		KernelParameters: m.kernelArgs, Extra: m.qemuArgs}
	if m.gdb {
		if c.GDB, err = machine.GDBAddress(); err != nil {
			return nil, err
		}
	}
	if m.record != "" && m.dryRun {
		return nil, errors.New("--record does not go with --dry-run")
	}
	if m.record != "" {
		c.Recording = &machine.Recording{}
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
	if !slices.Contains([]string{"kvm", "tcg", "auto"}, c.Accel) {
		return nil, fmt.Errorf("no accelerator %q; there are kvm, tcg and auto", c.Accel)
	}
	if m.timeout < 0 {
		return nil, fmt.Errorf("--timeout %v has passed already", m.timeout)
	}
	if m.batch != "" && c.Seed != nil {
		return nil, errors.New("--seed does not go with --batch")
	}
	if m.batch != "" && (m.dryRun || m.gdb || m.record != "") {
		return nil, errors.New("--batch does not go with --dry-run, -d or --record")
	}
	return c, nil
}

// accelerate decides what the machine runs with, once there is a kernel to try it with. In a dry
// run nothing is probed.
func (m *machineFlags) accelerate(c *machine.Config) {
	if c.Accel != "auto" {
		return
	}
	c.Accel = "tcg"
	if !c.ICount && !m.gdb {
		c.Accel = accel.Best(c, !m.dryRun, m.quiet)
	}
}
