package main

import (
	"sync"
	"sync/atomic"
	"time"

	"capos.dev/bench/measure"
)

// timerRows are about waking up: how late, and at what cost. The CPU is idle while they wait, and
// guest time jumps over that, so that the lateness is the instructions from the timer's interrupt
// to the Go code, and whatever slack the system allows itself.
func timerRows() []measure.Row {
	return []measure.Row{
		{Name: "timer.sleep_late", Unit: measure.Delay, Ops: 200, Own: sleepLate},
		{Name: "timer.afterfunc_late", Unit: measure.Delay, Ops: 200, Own: afterFuncLate},
		{Name: "timer.start_stop", Unit: measure.PerOp, Ops: 20000, Run: startStop},
		{Name: "timer.start_stop_1000", Unit: measure.PerOp, Ops: 20000,
			Run: startStopAmongMany},
		{Name: "timer.fire_1000", Unit: measure.PerOp, Ops: 1000, Own: fireTogether},
	}
}

func sleepLate(n int) (late uint64) {
	const nap = time.Millisecond
	for range n {
		start := measure.Ticks()
		time.Sleep(nap)
		late += measure.Ticks() - start - uint64(nap)
	}
	return late
}

func afterFuncLate(n int) (late uint64) {
	const wait = 500 * time.Microsecond
	ran := make(chan uint64)
	for range n {
		start := measure.Ticks()
		time.AfterFunc(wait, func() { ran <- measure.Ticks() })
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
	start := measure.Ticks()
	moment := time.Now().Add(lead)
	for range n {
		time.AfterFunc(time.Until(moment), func() {
			// on one CPU the functions do not overlap
			last.Store(max(last.Load(), measure.Ticks()))
			done.Done()
		})
	}
	done.Wait()
	return last.Load() - start - uint64(lead)
}
