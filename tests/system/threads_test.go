//go:build capos

package system

import (
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"capos.dev/tests/system/internal/abi"
)

func TestNumCPU(t *testing.T) {
	if n := machineCPUs(); runtime.NumCPU() != n || int(process().CpusOnline) != n {
		t.Errorf("NumCPU is %d, the kernel counts %d, the machine has %d", runtime.NumCPU(),
			process().CpusOnline, n)
	}
	if got := runtime.GOMAXPROCS(0); got != runtime.NumCPU() {
		t.Errorf("GOMAXPROCS begins as %d", got)
	}
}

// Busy goroutines get as many CPUs as GOMAXPROCS says and the machine has. CPU time is the guest's
// own accounting, which does not see what the host takes away. A tenth is left for the other
// threads of the runtime and for starting and stopping.
func TestParallelism(t *testing.T) {
	for procs := 1; procs <= machineCPUs(); procs *= 2 {
		setProcs(t, procs)
		stop := startHogs(2 * procs)
		cpu, wall := process().CpuTimeNs, time.Now()
		time.Sleep(300 * time.Millisecond)
		used := float64(process().CpuTimeNs-cpu) / float64(time.Since(wall))
		stop()
		t.Logf("GOMAXPROCS %d: %.2f CPUs busy", procs, used)
		if used < 0.9*float64(procs) || used > 1.1*float64(procs)+0.1 {
			t.Errorf("GOMAXPROCS %d: %.2f CPUs busy", procs, used)
		}
	}
}

// A thousand goroutines with a thread each exist at the same time, and all go on. That is as many
// as services with one thread a client have, and a quarter of what the kernel allows a process.
func TestThousandLockedThreads(t *testing.T) {
	const threads, rounds = 1000, 5
	var arrived atomic.Int32
	var progress [threads]atomic.Int32
	open := make(chan bool)
	gates := make([]chan bool, rounds)
	for i := range gates {
		gates[i] = make(chan bool)
	}
	var all sync.WaitGroup
	for i := range threads {
		all.Go(func() {
			// without unlocking, so that the thread ends with the goroutine
			runtime.LockOSThread()
			arrived.Add(1)
			<-open
			for _, gate := range gates {
				progress[i].Add(1)
				<-gate
			}
		})
	}
	if !eventually(30*time.Second, func() bool { return arrived.Load() == threads }) {
		t.Fatalf("%d of %d threads have begun", arrived.Load(), threads)
	}
	if n := process().Threads; n < threads {
		t.Errorf("the kernel counts %d threads while %d are held", n, threads)
	}
	close(open)
	for round, gate := range gates {
		done := func() bool {
			for i := range progress {
				if progress[i].Load() != int32(round+1) {
					return false
				}
			}
			return true
		}
		if !eventually(30*time.Second, done) {
			t.Errorf("not every thread reached round %d", round)
		}
		close(gate)
	}
	all.Wait()
}

// Threads end when a goroutine that is locked to one returns. Ten thousand of them leave neither
// threads nor memory. Only the few threads that the runtime keeps may be left, and 4 MiB by which
// its own lists may have grown (a thread has more than 64 KiB).
func TestThreadsComeAndGo(t *testing.T) {
	const wave, few = 50, 24
	waves := 200
	// so many threads take long where the host has other work
	if testing.Short() && !exact() {
		waves = 10
	}
	runWave := func() {
		var all sync.WaitGroup
		for range wave {
			all.Add(1)
			go func() {
				runtime.LockOSThread()
				all.Done()
			}()
		}
		all.Wait()
	}
	settle := func() uint64 {
		if !eventually(20*time.Second, func() bool { return process().Threads <= few }) {
			t.Fatalf("%d threads are left", process().Threads)
		}
		debug.FreeOSMemory()
		return ledger().CommittedPages
	}
	for range 4 {
		runWave()
	}
	before := settle()
	for range waves {
		runWave()
	}
	after := settle()
	t.Logf("%d threads ended, %d left; %d pages charged before, %d after", waves*wave,
		process().Threads, before, after)
	if after > before+4<<20/abi.PageSize {
		t.Errorf("%d pages are charged, before it were %d", after, before)
	}
}

// Threads that wait do not keep others from running. With one P and a hundred blocked threads, a
// thousand rounds of another goroutine and its timers go on.
func TestBlockedThreadsBlockNobody(t *testing.T) {
	setProcs(t, 1)
	release := make(chan bool)
	var blocked, all sync.WaitGroup
	for range 100 {
		blocked.Add(1)
		all.Go(func() {
			runtime.LockOSThread()
			blocked.Done()
			<-release
		})
	}
	blocked.Wait()
	token, back := make(chan int), make(chan int)
	go func() {
		for n := range token {
			back <- n + 1
		}
		close(back)
	}()
	for i := range 1000 {
		token <- i
		if got := <-back; got != i+1 {
			t.Fatalf("%d came back for %d", got, i)
		}
	}
	close(token)
	var late times
	for range 20 {
		start := time.Now()
		time.Sleep(time.Millisecond)
		late = append(late, time.Since(start)-time.Millisecond)
	}
	late.check(t, "sleep beside blocked threads", 10*time.Millisecond, 20*time.Millisecond)
	close(release)
	all.Wait()
}

// A signal to the process arrives although threads end all the time. On one CPU Go's scheduler
// takes up to a second to run the signal's goroutine beside two that wake each other, on Linux too.
func TestSignalsAmongEndingThreads(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	defer signal.Stop(signals)
	var stop atomic.Bool
	var others sync.WaitGroup
	others.Go(func() {
		for !stop.Load() {
			ended := make(chan bool)
			go func() {
				runtime.LockOSThread() // and ends with the goroutine
				close(ended)
			}()
			<-ended
		}
	})
	count := 100
	if runtime.NumCPU() == 1 {
		count = 10
	}
	for i := range count {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		select {
		case <-signals:
		case <-time.After(10 * time.Second):
			t.Fatalf("signal %d is lost", i)
		}
	}
	stop.Store(true)
	others.Wait()
}
