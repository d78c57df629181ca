//go:build capos

package system

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Environment of a run. Without it the tests take the machine as it is.
const (
	// cpusVar is the number of CPUs the machine was given.
	cpusVar = "SYSTEM_TEST_CPUS"

	// exactVar says that time on this machine is the number of instructions (--icount), so that
	// what the host does meanwhile does not show and times can be held to what was designed.
	exactVar = "SYSTEM_TEST_EXACT"

	// stressVar is how long the collector's stress goes on, a duration.
	stressVar = "SYSTEM_TEST_STRESS"
)

// Bounds allow for a machine whose CPUs are threads of a host with other work. Over some time the
// host gives them a quarter of what they ask for. A single measurement may meet a CPU that stands
// still.
const (
	hostShare = 4
	hostStall = time.Second
)

func exact() bool { return os.Getenv(exactVar) != "" }

// times are measured durations.
type times []time.Duration

func (d times) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// check holds the median and the worst to their bounds, widened on machines that are not exact.
func (d times) check(t *testing.T, what string, median, worst time.Duration) {
	t.Helper()
	if !exact() {
		median, worst = hostShare*median, hostShare*worst+hostStall
	}
	t.Logf("%s: median %v, 99 %% %v, worst %v of %d", what, d.quantile(0.5), d.quantile(0.99),
		d.quantile(1), len(d))
	if got := d.quantile(0.5); got > median {
		t.Errorf("%s: median %v, the bound is %v", what, got, median)
	}
	if got := d.quantile(1); got > worst {
		t.Errorf("%s: worst %v, the bound is %v", what, got, worst)
	}
}

// machineCPUs is the number of CPUs that the starter of the machine gave it, or else the number
// that the kernel reports.
func machineCPUs() int {
	if n, err := strconv.Atoi(os.Getenv(cpusVar)); err == nil {
		return n
	}
	return int(process().CpusOnline)
}

// setProcs changes GOMAXPROCS for the time of the test.
func setProcs(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// spin makes no calls until it is told to stop, so that only a notification interrupts it.
//
//go:noinline
func spin(stop *atomic.Bool) (rounds uint64) {
	for !stop.Load() {
		rounds++
	}
	return rounds
}

// startHogs makes n goroutines spin, and returns when all of them have begun.
func startHogs(n int) (stop func()) {
	var flag atomic.Bool
	var begun atomic.Int32
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			begun.Add(1)
			spin(&flag)
		})
	}
	for begun.Load() < int32(n) {
		runtime.Gosched()
	}
	return func() {
		flag.Store(true)
		all.Wait()
	}
}

// eventually polls a condition that others bring about.
func eventually(limit time.Duration, holds func() bool) bool {
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
