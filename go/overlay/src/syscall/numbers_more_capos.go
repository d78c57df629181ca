// Calls about the process, its threads and its clocks that programs for linux make by number.

//go:build capos

package syscall

import "runtime"

const sysCapabilitiesVersion3 = 0x20080522

var numberedMore = [numbersEnd]numberedCall{
	SYS_PRCTL:             numberedPrctl,
	SYS_SCHED_GETAFFINITY: numberedGetAffinity,
	SYS_SCHED_SETAFFINITY: numberedSetAffinity,
	SYS_CLOCK_GETRES: func(a *numberArgs) (uintptr, error) {
		if _, err := clockTime(a[0]); err != nil {
			return 0, err
		}
		if to := argument[Timespec](a, 1); to != nil {
			*to = Timespec{Nsec: 1}
		}
		return 0, nil
	},
	SYS_CLOCK_NANOSLEEP: numberedClockSleep,
	SYS_TIMES: func(a *numberArgs) (uintptr, error) {
		return Times(argument[Tms](a, 0))
	},
	SYS_GETRESUID: func(a *numberArgs) (uintptr, error) { return a.storeThree(ownerUid) },
	SYS_GETRESGID: func(a *numberArgs) (uintptr, error) { return a.storeThree(ownerGid) },
	SYS_GETSID: func(a *numberArgs) (uintptr, error) {
		if pid := a.fd(0); pid != 0 && pid != Getpid() {
			return 0, ESRCH
		}
		return uintptr(Getpid()), nil
	},
	SYS_GETPRIORITY: func(a *numberArgs) (uintptr, error) {
		switch {
		case a[0] > 2:
			return 0, EINVAL
		case a[0] == 0 && a.fd(1) != 0 && a.fd(1) != Getpid():
			return 0, ESRCH
		}
		return 20, nil // 20 less the nice value, which is 0
	},
	SYS_CAPGET: numberedCapget,
	SYS_CAPSET: numberedDenied,
	SYS_SPLICE: func(a *numberArgs) (uintptr, error) {
		return number(Splice(a.fd(0), argument[int64](a, 1), a.fd(2),
			argument[int64](a, 3), int(a[4]), a.fd(5)))
	},
	SYS_TEE: func(a *numberArgs) (uintptr, error) {
		return number(Tee(a.fd(0), a.fd(1), int(a[2]), a.fd(3)))
	},
	sysCopyFileRange: func(a *numberArgs) (uintptr, error) {
		return number(copyFileRange(a.fd(0), argument[int64](a, 1), a.fd(2),
			argument[int64](a, 3), int(a[4]), a.fd(5)))
	},
}

func (a *numberArgs) storeThree(id uint32) (uintptr, error) {
	for i := range 3 {
		to, err := needed[uint32](a, i)
		if err != nil {
			return 0, err
		}
		*to = id
	}
	return 0, nil
}

// ---- prctl
// ------------------------------------------------------------------------------------------

const (
	prGetDumpable   = 3
	prSetDumpable   = 4
	prGetKeepCaps   = 7
	prSetName       = 15
	prGetName       = 16
	prGetSeccomp    = 21
	prCapbsetRead   = 23
	prCapbsetDrop   = 24
	prSetTimerSlack = 29
	prGetTimerSlack = 30
	prSetNoNewPrivs = 38
	prGetNoNewPrivs = 39

	lastCapability = 40
	threadNameSize = 16 // with its NUL
	timerSlack     = 50000
)

// settings are those of prctl. They are for the whole process, because goroutines change threads.
var settings struct {
	name        string
	named       bool
	notDumpable bool
	noNewPrivs  uintptr
}

// numberedPrctl knows what has a meaning here. Programs know that kernels differ in the rest.
func numberedPrctl(a *numberArgs) (uintptr, error) {
	descriptors.Lock()
	defer descriptors.Unlock()
	s := &settings
	switch a[0] {
	case prSetName, prGetName:
		return a.threadName(s.named)
	case prGetDumpable:
		if s.notDumpable {
			return 0, nil
		}
		return 1, nil
	case prSetDumpable:
		if a[1] > 1 {
			return 0, EINVAL
		}
		s.notDumpable = a[1] == 0
		return 0, nil
	case prGetKeepCaps, prGetSeccomp:
		return 0, nil
	case prCapbsetRead: // it has no capability of Linux's, and gets none
		if a[1] > lastCapability {
			return 0, EINVAL
		}
		return 0, nil
	case prCapbsetDrop:
		return 0, EPERM
	case prGetTimerSlack:
		return timerSlack, nil
	case prSetTimerSlack:
		return 0, nil // timers are exact with any
	case prSetNoNewPrivs:
		if a[1] != 1 || a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, EINVAL
		}
		s.noNewPrivs = 1
		return 0, nil
	case prGetNoNewPrivs:
		if a[1] != 0 || a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, EINVAL
		}
		return s.noNewPrivs, nil
	}
	return 0, EINVAL
}

func (a *numberArgs) threadName(named bool) (uintptr, error) {
	if a[1] == 0 {
		return 0, EFAULT
	}
	if a[0] == prSetName {
		name := a.text(1)
		settings.name, settings.named = name[:min(len(name), threadNameSize-1)], true
		return 0, nil
	}
	name := settings.name
	if !named {
		name = programName()
	}
	to := memoryAt(a[1], threadNameSize)
	clear(to)
	copy(to[:threadNameSize-1], name)
	return 0, nil
}

type capabilityHead struct {
	version uint32
	pid     int32
}

// numberedCapget says that the process has no capability of Linux's.
func numberedCapget(a *numberArgs) (uintptr, error) {
	head, err := needed[capabilityHead](a, 0)
	if err != nil {
		return 0, err
	}
	if head.version != sysCapabilitiesVersion3 {
		head.version = sysCapabilitiesVersion3
		if a[1] == 0 {
			return 0, nil
		}
		return 0, EINVAL
	}
	if head.pid != 0 && int(head.pid) != Getpid() {
		return 0, ESRCH
	}
	return with(a, 1, func(to *[6]uint32) error {
		*to = [6]uint32{}
		return nil
	})
}

// ---- CPUs
// ------------------------------------------------------------------------------------------

func numberedGetAffinity(a *numberArgs) (uintptr, error) {
	if pid := a.fd(0); pid != 0 && pid != Getpid() {
		return 0, ESRCH
	}
	size := (uintptr(runtime.NumCPU()) + wordBits - 1) / wordBits * (wordBits / 8)
	switch {
	case a[1] < size || a[1]%(wordBits/8) != 0:
		return 0, EINVAL
	case a[2] == 0:
		return 0, EFAULT
	}
	mask := memoryAt(a[2], size)
	clear(mask)
	for cpu := range runtime.NumCPU() {
		mask[cpu/8] |= 1 << (cpu % 8)
	}
	return size, nil
}

// numberedSetAffinity accepts the set of all CPUs, which every thread has.
func numberedSetAffinity(a *numberArgs) (uintptr, error) {
	switch pid := a.fd(0); {
	case pid != 0 && pid != Getpid():
		return 0, ESRCH
	case a[2] == 0:
		return 0, EFAULT
	}
	mask, wanted := memoryAt(a[2], a[1]), 0
	for cpu := range runtime.NumCPU() {
		if cpu/8 < len(mask) && mask[cpu/8]>>(cpu%8)&1 != 0 {
			wanted++
		}
	}
	switch wanted {
	case 0:
		return 0, EINVAL
	case runtime.NumCPU():
		return 0, nil
	}
	return 0, EPERM
}

// ---- clocks
// ------------------------------------------------------------------------------------------

// numberedClockSleep sleeps for a time, or until one. No signal ends it early.
func numberedClockSleep(a *numberArgs) (uintptr, error) {
	now, err := clockTime(a[0])
	if err != nil {
		return 0, err
	}
	limit, err := needed[Timespec](a, 2)
	if err != nil {
		return 0, err
	}
	ns, err := limit.interval()
	if err != nil {
		return 0, err
	}
	if ns < 0 {
		ns = forever / 2
	}
	if a[1]&timerAbsolute != 0 {
		ns -= now
	}
	runtime_sleep(ns)
	return 0, nil
}
