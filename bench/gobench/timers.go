package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// timerRows are about waking up: how late, and at what cost. The CPU is idle while they wait, and
// guest time jumps over that, so that the lateness is the instructions from the timer's interrupt
// to the Go code, and whatever slack the system allows itself.
func timerRows() []row {
	return []row{
		{name: "timer.sleep_late", unit: delay, ops: 200, own: sleepLate},
		{name: "timer.afterfunc_late", unit: delay, ops: 200, own: afterFuncLate},
		{name: "timer.start_stop", unit: perOp, ops: 20000, run: startStop},
		{name: "timer.start_stop_1000", unit: perOp, ops: 20000, run: startStopAmongMany},
		{name: "timer.fire_1000", unit: perOp, ops: 1000, own: fireTogether},
	}
}

func sleepLate(n int) (late uint64) {
	const nap = time.Millisecond
	for range n {
		start := ticks()
		time.Sleep(nap)
		late += ticks() - start - uint64(nap)
	}
	return late
}

func afterFuncLate(n int) (late uint64) {
	const wait = 500 * time.Microsecond
	ran := make(chan uint64)
	for range n {
		start := ticks()
		time.AfterFunc(wait, func() { ran <- ticks() })
		late += <-ran - start - uint64(wait)
	}
	return late
}

func startStop(n int) uint64 {
	stopped := 0
	for range n {
		if time.AfterFunc(time.Hour, func() {}).Stop() {
			stopped++
		}
	}
	return uint64(stopped)
}

func startStopAmongMany(n int) uint64 {
	others := make([]*time.Timer, 1000)
	for i := range others {
		others[i] = time.AfterFunc(time.Hour+time.Duration(i)*time.Second, func() {})
	}
	stopped := startStop(n)
	for _, timer := range others {
		timer.Stop()
	}
	return stopped
}

// fireTogether sets timers for one moment and measures from that moment until the last of their
// functions has run.
func fireTogether(n int) uint64 {
	const lead = 20 * time.Millisecond // more than setting them takes
	var done sync.WaitGroup
	var last atomic.Uint64
	done.Add(n)
	start := ticks()
	moment := time.Now().Add(lead)
	for range n {
		time.AfterFunc(time.Until(moment), func() {
			last.Store(max(last.Load(), ticks())) // one CPU: functions do not overlap
			done.Done()
		})
	}
	done.Wait()
	return last.Load() - start - uint64(lead)
}
