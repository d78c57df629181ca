//go:build capos

package system

import (
	"crypto/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Stopped and reset timers fire as often as they should.
func TestTimersStopAndReset(t *testing.T) {
	const timers = 2000
	var fired atomic.Int32
	expected := 0
	for i := range timers {
		timer := time.AfterFunc(time.Hour, func() { fired.Add(1) })
		switch i % 3 {
		case 0:
			timer.Reset(time.Duration(i) * time.Microsecond)
			expected++
		case 1:
			if !timer.Stop() {
				t.Fatal("a timer fired an hour early")
			}
		default:
			timer.Reset(time.Minute)
			defer timer.Stop()
		}
	}
	if !eventually(10*time.Second, func() bool { return int(fired.Load()) >= expected }) ||
		int(fired.Load()) != expected {
		t.Errorf("%d timers fired, expected %d", fired.Load(), expected)
	}
}

// A sleeping machine wakes on time. It is never early, and late at most by the time that starting a
// thread on a halted CPU takes.
func TestSleepWakesOnTime(t *testing.T) {
	var late times
	for i := range 60 {
		delay := time.Duration(i%12+1) * 997 * time.Microsecond
		start := time.Now()
		time.Sleep(delay)
		late = append(late, time.Since(start)-delay)
	}
	if first := late.quantile(0); first < 0 {
		t.Errorf("a sleep ended %v early", -first)
	}
	late.check(t, "wake of an idle machine", time.Millisecond, 2*time.Millisecond)
}

// A program that only sleeps uses less than 0.5 % of a CPU by the kernel's accounting, with one
// wakeup. Where time is not instructions, the accounting includes what the host takes away in the
// middle, and a test from outside holds the machine to the same share of the host's CPU.
func TestSleepUsesNoCPU(t *testing.T) {
	runtime.GC()
	time.Sleep(100 * time.Millisecond) // the collector's workers and the monitor come to rest
	const duration = 3 * time.Second
	before := process().CpuTimeNs
	time.Sleep(duration)
	used := time.Duration(process().CpuTimeNs - before)
	t.Logf("%v of CPU time in %v", used, duration)
	if bound := duration / 200; exact() && used > bound {
		t.Errorf("%v of CPU time in %v, the bound is %v", used, duration, bound)
	}
}

// The monotonic clock never runs backwards on any CPU. Each of a million readings is compared with
// the last one that any goroutine made.
func TestClockAcrossCPUs(t *testing.T) {
	const readers, readings = 8, 125_000
	origin := time.Now()
	var last atomic.Int64
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for i := range readings {
				seen := last.Load()
				now := int64(time.Since(origin))
				if now < seen {
					t.Errorf("the clock reads %d after %d", now, seen)
					return
				}
				for seen < now && !last.CompareAndSwap(seen, now) {
					seen = last.Load()
				}
				if i%64 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
	if last.Load() == 0 {
		t.Error("the clock stands still")
	}
}

// Wall clock and monotonic clock advance together, because both are readings of one counter.
func TestWallClock(t *testing.T) {
	start := time.Now()
	if start.Year() < 2024 {
		t.Errorf("the machine thinks it is %v", start)
	}
	time.Sleep(200 * time.Millisecond)
	end := time.Now()
	wall, monotonic := end.Round(0).Sub(start.Round(0)), end.Sub(start)
	if d := (wall - monotonic).Abs(); d > time.Millisecond {
		t.Errorf("wall clock advanced by %v, monotonic clock by %v", wall, monotonic)
	}
}

func TestTimeZones(t *testing.T) {
	for _, c := range []struct {
		zone, summer, winter string
	}{
		{"Europe/Berlin", "14:00 CEST", "13:00 CET"},
		{"America/New_York", "08:00 EDT", "07:00 EST"},
		{"Asia/Kolkata", "17:30 IST", "17:30 IST"},
	} {
		location, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Error(err)
			continue
		}
		for month, want := range map[time.Month]string{time.July: c.summer,
			time.January: c.winter} {
			if got := time.Date(2025, month, 1, 12, 0, 0, 0,
				time.UTC).In(location).Format("15:04 MST"); got != want {
				t.Errorf("%s in %v: noon of UTC is %s, expected %s", c.zone, month,
					got, want)
			}
		}
	}
}

// Random bytes are there from the first instruction on. No block of them comes twice, and the
// number of ones is half of the bits within six standard deviations.
func TestEntropy(t *testing.T) {
	const size = 1 << 20
	data := make([]byte, size)
	if n, err := rand.Read(data); n != size || err != nil {
		t.Fatal(n, err)
	}
	seen := map[[16]byte]bool{}
	ones := 0
	for offset := 0; offset < size; offset += 16 {
		block := [16]byte(data[offset:])
		if seen[block] {
			t.Fatalf("16 bytes come twice: %x", block)
		}
		seen[block] = true
		for _, b := range block {
			for ; b != 0; b &= b - 1 {
				ones++
			}
		}
	}
	const deviation = 1448 // square root of 8*size/4
	if d := ones - 4*size; d < -6*deviation || d > 6*deviation {
		t.Errorf("%d of %d bits are ones", ones, 8*size)
	}
}
