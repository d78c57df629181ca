package main

import (
	"fmt"
	"slices"
	"strings"
)

// rowInfo is a row of the table: what one of the guest programs measures, and what capOS wants of
// it. The guest programs know nothing of goals.
type rowInfo struct {
	Name    string  `json:"name"`
	About   string  `json:"about"`
	Goal    float64 `json:"goal,omitempty"` // 0: none stated
	AtLeast bool    `json:"goal_is_at_least,omitempty"`
	program string
}

// The programs that the rows come from.
const (
	goProgram       = "gobench"
	rawProgram      = "raw"
	cueProgram      = "cuebench" // needs a module proxy when it is built for the first time
	parallelProgram = "parallel" // gobench with -parallel
)

var allRows = []rowInfo{
	{Name: "boot.go_main", About: "power-on to main of a Go program, M", Goal: 60,
		program: goProgram},
	{Name: "boot.c_main", About: "power-on to main of a C program, M", program: rawProgram},

	{Name: "raw.null_call", About: "kernel call that does nothing", Goal: 150,
		program: rawProgram},
	{Name: "raw.small_call", About: "kernel call that reads the FS base", program: rawProgram},
	{Name: "raw.clock", About: "monotonic clock read from C", program: rawProgram},
	{Name: "raw.empty_wake", About: "wake (unpark, futex) without a waiter",
		program: rawProgram},
	{Name: "raw.thread_switch", About: "thread switch between two C threads, one way",
		Goal: 1000, program: rawProgram},
	{Name: "raw.event", About: "event (eventfd) to a waiting C thread, one way", Goal: 1000,
		program: rawProgram},
	{Name: "raw.thread", About: "C thread: create, run, join", program: rawProgram},
	{Name: "raw.map_unmap", About: "map and unmap one page, untouched", program: rawProgram},
	{Name: "raw.map_touch", About: "map 8 MiB, write, unmap; per page", program: rawProgram},
	{Name: "raw.process_event", About: "event (eventfd) to a thread of another process",
		Goal: 1000, program: rawProgram},
	{Name: "raw.process_call", About: "64 bytes to another process and back (pipes)",
		Goal: 700, program: rawProgram},
	{Name: "raw.ring_call", About: "the same through the ring, 1 call outstanding (pipes)",
		Goal: 1500, program: rawProgram},
	{Name: "raw.ring_call_16", About: "the same, 16 calls outstanding; each (pipes)",
		program: rawProgram},
	{Name: "raw.process_cap", About: "the same with a capability, released there (SCM_RIGHTS)",
		Goal: 2500, program: rawProgram},
	{Name: "raw.process_pipe", About: "64 bytes to another process and back, by pipes",
		program: rawProgram},
	{Name: "raw.spawn", About: "C program: spawn, run, wait", Goal: 100000,
		program: rawProgram},
	{Name: "raw.sleeper_late", About: "sleep beside 16 busy processes: ns too late, worst",
		Goal: 100000, program: rawProgram},

	{Name: "mem.first_touch", About: "allocate and write new heap memory, per page", Goal: 2500,
		program: goProgram},
	{Name: "mem.give_back", About: "debug.FreeOSMemory, per page given back",
		program: goProgram},
	{Name: "mem.retouch", About: "allocate and write it again after that, per page",
		program: goProgram},
	{Name: "mem.touch_again", About: "write to a page that is there", program: goProgram},

	{Name: "time.now", About: "time.Now", Goal: 120, program: goProgram},
	{Name: "go.spawn", About: "goroutine: start, run, end", program: goProgram},
	{Name: "go.yield", About: "runtime.Gosched between two goroutines", program: goProgram},
	{Name: "go.chan_pingpong", About: "channel token there and back, goroutines",
		program: goProgram},
	{Name: "go.chan_buffered", About: "value through a buffered channel", program: goProgram},
	{Name: "go.select", About: "value through a select of two channels", program: goProgram},
	{Name: "go.mutex", About: "sync.Mutex, free", program: goProgram},
	{Name: "go.mutex_contended", About: "sync.Mutex, 8 goroutines fight for it",
		program: goProgram},
	{Name: "go.cond", About: "sync.Cond, two goroutines take turns", program: goProgram},
	{Name: "thread.chan_pingpong", About: "channel token there and back, locked threads",
		Goal: 10000, program: goProgram},
	{Name: "thread.mutex_contended", About: "sync.Mutex, two locked threads fight for it",
		program: goProgram},
	{Name: "thread.create_exit", About: "thread of a locked goroutine: made and ended",
		Goal: 30000, program: goProgram},

	{Name: "timer.sleep_late", About: "time.Sleep(1ms): ns too late", program: goProgram},
	{Name: "timer.afterfunc_late", About: "time.AfterFunc(500us): ns too late",
		program: goProgram},
	{Name: "timer.start_stop", About: "timer: start and stop", program: goProgram},
	{Name: "timer.start_stop_1000", About: "the same among 1000 others", program: goProgram},
	{Name: "timer.fire_1000", About: "1000 timers due together: ns each", program: goProgram},

	{Name: "gc.cycle_per_mb", About: "runtime.GC, 32 MiB of small objects, per MiB",
		program: goProgram},
	{Name: "gc.cycle_small", About: "runtime.GC, next to no heap", program: goProgram},
	{Name: "gc.pause", About: "ns all goroutines stand still in one collection",
		program: goProgram},
	{Name: "alloc.16", About: "allocate 16 bytes", program: goProgram},
	{Name: "alloc.1k", About: "allocate 1 KiB", program: goProgram},
	{Name: "alloc.64k", About: "allocate 64 KiB", program: goProgram},
	{Name: "alloc.1m", About: "allocate 1 MiB", program: goProgram},

	{Name: "compute.sort", About: "slices.Sort of 100 000 numbers, M", program: goProgram},
	{Name: "compute.map", About: "map with string keys, M", program: goProgram},
	{Name: "compute.json", About: "encoding/json there and back, M", program: goProgram},
	{Name: "compute.sha256", About: "crypto/sha256, M", program: goProgram},
	{Name: "compute.crc32", About: "hash/crc32, two polynomials, M", program: goProgram},
	{Name: "compute.regexp", About: "regexp on text lines, M", program: goProgram},
	{Name: "compute.fmt", About: "fmt.Fprintf, M", program: goProgram},
	{Name: "compute.builder", About: "strings.Builder and searches, M", program: goProgram},
	{Name: "compute.flate", About: "compress/flate there and back, M", program: goProgram},
	{Name: "compute.big", About: "3000 digits of pi with math/big, M", program: goProgram},
	{Name: "compute.matrix", About: "float64 matrices multiplied, M", program: goProgram},
	{Name: "compute.trees", About: "binary trees made and dropped, M", program: goProgram},
	{Name: "compute.mandelbrot", About: "complex128 arithmetic, M", program: goProgram},
	{Name: "compute.sieve", About: "primes below two million, M", program: goProgram},

	{Name: "cue.manifest", About: "CUE: a manifest of 100 services, checked and exported, M",
		program: cueProgram},
	{Name: "cue.policy", About: "CUE: a question to a policy, M", program: cueProgram},

	{Name: "parallel.compute", About: "gain of a second CPU, arithmetic", Goal: 1.9,
		AtLeast: true, program: parallelProgram},
	{Name: "parallel.compute_best", About: "the same, best with one over best with two",
		program: parallelProgram},
	{Name: "parallel.collect", About: "gain of a second CPU, allocation and collection",
		program: parallelProgram},
	{Name: "parallel.collect_best", About: "the same, best with one over best with two",
		program: parallelProgram},
}

// meets tells whether a value reaches the row's goal.
func (r *rowInfo) meets(value float64) bool {
	if r.AtLeast {
		return value >= r.Goal
	}
	return value <= r.Goal
}

// goalText is the goal as the table shows it.
func (r *rowInfo) goalText() string {
	switch {
	case r.Goal == 0:
		return ""
	case r.AtLeast:
		return ">= " + formatValue(r.Goal)
	}
	return "<= " + formatValue(r.Goal)
}

// matchesAny tells whether a pattern names the row: its name, or its beginning followed by "*". The
// guest programs go by the same rule.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		beginning, open := strings.CutSuffix(pattern, "*")
		return name == pattern || open && strings.HasPrefix(name, beginning)
	})
}

// checkRows fails for patterns that name nothing, or that a kernel command line cannot hold.
func checkRows(patterns []string) error {
	for _, pattern := range patterns {
		known := slices.ContainsFunc(allRows,
			func(r rowInfo) bool { return matchesAny([]string{pattern}, r.Name) })
		if !known || strings.ContainsAny(pattern, " \"'") {
			return fmt.Errorf("no row is named %q; bench/run --list names them, and "+
				"mem* means all that begin so", pattern)
		}
	}
	return nil
}
