// Texts of /proc and /sys about the process and what it may use.
//
// A process knows its own time on the CPUs, not that of others. So all time that is not its own is
// idle here. The control group is the process: its limits are those of its memory, and it may use
// all CPUs.

//go:build capos

package syscall

import (
	"internal/strconv"
	"runtime"
)

const clockTick = 1e9 / 100 // of the times in /proc/stat

func numberText(n uint64) string { return strconv.FormatUint(n, 10) }

// idleNs is the time that all CPUs together had for others.
func idleNs(own uint64) uint64 {
	all := uint64(runtime_nanotime()) * uint64(runtime.NumCPU())
	return max(all, own) - own
}

// machineText is /proc/stat. It has no line for each CPU, because nothing is known of those.
func machineText() string {
	own := processInfo().cpuTimeNs
	booted := (nowNs() - runtime_nanotime()) / 1e9
	return "cpu  " + numberText(own/clockTick) + " 0 0 " + numberText(idleNs(own)/clockTick) +
		" 0 0 0 0 0 0\nbtime " + numberText(uint64(booted)) + "\nprocs_running 1\n"
}

func uptimeText() string {
	seconds := func(ns uint64) string {
		hundredths := numberText(ns / clockTick % 100)
		if len(hundredths) < 2 {
			hundredths = "0" + hundredths
		}
		return numberText(ns/1e9) + "." + hundredths
	}
	return seconds(uint64(runtime_nanotime())) + " " +
		seconds(idleNs(processInfo().cpuTimeNs)) + "\n"
}

// namedStatusText is /proc/self/status.
func namedStatusText() string {
	pid := numberText(uint64(Getpid()))
	usage := memoryUsage()
	four := func(id uint64) string {
		one := "\t" + numberText(id)
		return one + one + one + one
	}
	kib := func(pages uint64) string {
		return "\t" + numberText(pages*abiPageSize/1024) + " kB"
	}
	return "Name:\t" + programName() + "\nState:\tR (running)\nTgid:\t" + pid +
		"\nPid:\t" + pid + "\nPPid:\t" + numberText(uint64(Getppid())) +
		"\nTracerPid:\t0\nUid:" + four(ownerUid) + "\nGid:" + four(ownerGid) +
		"\nVmSize:" + kib(usage.reservedPages) + "\nVmHWM:" + kib(usage.peakCommitted) +
		"\nVmRSS:" + kib(usage.residentPages) +
		"\nThreads:\t" + numberText(uint64(processInfo().threads)) +
		"\nCapEff:\t0000000000000000\n"
}

// limitsText is /proc/self/limits: what Getrlimit says of those that there are.
func limitsText() string {
	padded := func(text string, width int) string {
		for len(text) < width {
			text += " "
		}
		return text
	}
	line := func(name, soft, hard, unit string) string {
		return padded(name, 26) + padded(soft, 21) + padded(hard, 21) +
			padded(unit, 10) + "\n"
	}
	files := descriptorsLimit()
	return line("Limit", "Soft Limit", "Hard Limit", "Units") +
		line("Max open files", numberText(files.Cur), numberText(files.Max), "files") +
		line("Max address space", "unlimited", "unlimited", "bytes")
}

// mountsText is /proc/self/mountinfo, which says where the control group is.
func mountsText() string {
	return "1 1 0:1 / / rw - tmpfs tmpfs rw\n" +
		"2 1 0:2 / /proc ro - proc proc ro\n" +
		"3 1 0:3 / /sys/fs/cgroup ro - cgroup2 cgroup2 ro\n"
}

// fillControlGroup adds /sys/fs/cgroup, by which programs learn what they may use. It is run once.
func fillControlGroup(sys *node) {
	sys.dir.refresh = nil
	dir := sys
	for _, name := range [...]string{"fs", "cgroup"} {
		next := newNode(S_IFDIR | 0o555)
		next.fixed = true
		dir.add(name, next)
		dir = next
	}
	dir.addMade("cgroup.controllers", func() string { return "cpu memory\n" })
	dir.addMade("cgroup.procs", func() string { return numberText(uint64(Getpid())) + "\n" })
	dir.addMade("cpu.max", func() string { return "max 100000\n" })
	dir.addMade("memory.max", func() string {
		usage := memoryUsage()
		if usage.committedLimit == usage.machinePages {
			return "max\n"
		}
		return numberText(usage.committedLimit*abiPageSize) + "\n"
	})
	dir.addMade("memory.current", func() string {
		return numberText(memoryUsage().residentPages*abiPageSize) + "\n"
	})
}
