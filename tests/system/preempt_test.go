//go:build capos

package system

import (
	"crypto/rand"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"
)

// Bounds of scheduling. The runtime lets a goroutine run for slice before it asks it to yield, and
// its monitor may take as long again to notice. The kernel adds at most a slice of its own for each
// thread that is ahead.
const (
	slice        = 10 * time.Millisecond
	kernelMargin = 5 * time.Millisecond
)

// stoppingTimes returns, from the runtime's histogram, how often stopping all goroutines took up to
// each bucket's upper end.
func stoppingTimes() map[time.Duration]uint64 {
	sample := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	counts := map[time.Duration]uint64{}
	for i, n := range h.Counts {
		upper := h.Buckets[i+1]
		if math.IsInf(upper, 1) {
			upper = h.Buckets[i]
		}
		counts[time.Duration(upper*1e9)] += n
	}
	return counts
}

// Loops without calls on every CPU yield to a collection that another goroutine asks for. A
// collection stops the world twice.
func TestCollectionStopsLoops(t *testing.T) {
	procsMax := 4
	if exact() {
		// collections share their one CPU with the loops, and every instruction costs the
		// host
		procsMax = 2
	}
	for procs := 1; procs <= procsMax; procs *= 2 {
		setProcs(t, procs)
		runtime.GC()
		before := stoppingTimes()
		stop := startHogs(procs + 1)
		const collections = 5
		for range collections {
			runtime.GC()
		}
		stop()
		var stops times
		for upper, n := range stoppingTimes() {
			for range n - before[upper] {
				stops = append(stops, upper)
			}
		}
		if len(stops) < 2*collections {
			t.Fatalf("%d collections stopped the world %d times", collections,
				len(stops))
		}
		stops.check(t, "stop of loops", slice+kernelMargin, slice+kernelMargin)
	}
}

// With one P a goroutine that yields waits for one slice of each loop.
func TestLoopsAreInterrupted(t *testing.T) {
	setProcs(t, 1)
	stop := startHogs(1)
	defer stop()
	var waits times
	for range 20 {
		start := time.Now()
		runtime.Gosched()
		waits = append(waits, time.Since(start))
	}
	waits.check(t, "turn after a loop", 2*slice+kernelMargin, 2*slice+2*kernelMargin)
}

// A timer fires while every CPU is in a loop. It does so when one of them yields, after one slice
// and the monitor's delay.
func TestTimersBesideLoops(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	stop := startHogs(procs)
	defer stop()
	var late times
	for range 20 {
		const delay = 3 * time.Millisecond
		fired := make(chan time.Duration, 1)
		start := time.Now()
		time.AfterFunc(delay, func() { fired <- time.Since(start) - delay })
		late = append(late, <-fired)
	}
	if late.quantile(0) < 0 {
		t.Errorf("a timer fired %v early", -late.quantile(0))
	}
	late.check(t, "timer beside loops", 2*slice+kernelMargin, 3*slice+2*kernelMargin)
}

// Here the runtime has a P for every goroutine, and the kernel has to choose. There are twice as
// many threads in loops as CPUs, beside one that sleeps and wakes. A woken thread goes before
// threads that have used up their share, so the bound is the rest of one slice.
func TestLoopsDoNotStarveWakers(t *testing.T) {
	setProcs(t, 2*machineCPUs()+2)
	stop := startHogs(2 * machineCPUs())
	defer stop()
	var late times
	for range 200 {
		const delay = 2 * time.Millisecond
		start := time.Now()
		time.Sleep(delay)
		late = append(late, time.Since(start)-delay)
	}
	if late.quantile(0) < 0 {
		t.Errorf("a sleep ended %v early", -late.quantile(0))
	}
	if p99 := late.quantile(0.99); exact() && p99 > 2*slice {
		t.Errorf("99 %% of the wakers wait up to %v, the bound is %v", p99, 2*slice)
	}
	late.check(t, "waking beside loops", slice, 3*slice+2*kernelMargin)
}

// Random bytes come from the kernel in pieces, so that reading many of them does not delay stopping
// the world, as the collector does. (A whole collection takes several turns on one CPU, and may
// last as long as the reading.)
func TestRandomBytesArePreempted(t *testing.T) {
	for name, read := range map[string]func([]byte){
		"crypto/rand": func(b []byte) { rand.Read(b) },
		"/dev/random": func(b []byte) {
			file, err := os.Open("/dev/random")
			if err != nil {
				t.Error(err)
				return
			}
			defer file.Close()
			if n, err := file.Read(b); n != len(b) {
				t.Error(n, err)
			}
		},
	} {
		var begun, done atomic.Bool
		buf := make([]byte, 32<<20)
		go func() {
			begun.Store(true)
			read(buf)
			done.Store(true)
		}()
		for !begun.Load() {
			runtime.Gosched()
		}
		time.Sleep(time.Millisecond)
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		if done.Load() {
			t.Errorf("%s: the world was stopped only after all of it", name)
		}
		if !eventually(time.Minute, done.Load) {
			t.Fatalf("%s does not end", name)
		}
	}
}
