// Package workload is the program that the tests of profiles measure. It computes most of the time,
// allocates, and waits for a lock.
package workload

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

var (
	kept [][]byte
	sink uint64
)

//go:noinline
func compute(duration time.Duration) (x uint64) {
	for start := time.Now(); time.Since(start) < duration; {
		for i := range uint64(200_000) {
			x = x*6364136223846793005 + i
		}
	}
	return x
}

//go:noinline
func allocate() {
	for range 200 {
		kept = append(kept, make([]byte, 20_000))
	}
}

//go:noinline
func contend() {
	var lock sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				lock.Lock()
				time.Sleep(time.Millisecond)
				lock.Unlock()
			}
		})
	}
	all.Wait()
}

func TestProfiled(t *testing.T) {
	contend()
	allocate()
	var all sync.WaitGroup
	results := make([]uint64, runtime.GOMAXPROCS(0))
	for i := range results {
		all.Go(func() { results[i] = compute(2 * time.Second) })
	}
	all.Wait()
	for _, r := range results {
		sink += r
	}
	kept = nil
}

// TestShortThreads computes half of the time on threads that live for two milliseconds, a fifth of
// the time between two samples.
func TestShortThreads(t *testing.T) {
	// The most of several tries counts, because the host may take the CPU away in between.
	rounds := 0
	for range 10 {
		tried := 0
		for start := time.Now(); time.Since(start) < 2*time.Millisecond; tried++ {
			sink += computeLong(1)
		}
		rounds = max(rounds, tried)
	}
	for range 500 {
		done := make(chan uint64)
		go func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			done <- computeShort(rounds)
		}()
		sink += <-done
		sink += computeLong(rounds)
	}
}

//go:noinline
func computeShort(rounds int) uint64 { return step(rounds) }

//go:noinline
func computeLong(rounds int) uint64 { return step(rounds) }

// step is the same code for both. As copies they may lie differently: the emulator takes nearly
// twenty times as long for a loop across the border of two pages.
//
//go:noinline
func step(rounds int) (x uint64) {
	for i := range uint64(rounds * 5000) {
		x = x*6364136223846793005 + i
	}
	return x
}
