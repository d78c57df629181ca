package main

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"capos.dev/bench/measure"
)

const (
	pairs      = 9
	bestSuffix = "_best"
	// many more than CPUs, so that the end of a run is not one CPU waiting for the other
	pieces = 32
)

// parallelLoad is work that comes in independent pieces.
type parallelLoad struct {
	name  string
	piece func(i int) uint64
}

// measureParallel compares wall times with one and with two CPUs. A run with one and a run with two
// make a pair, pairs follow each other directly, and the median of the pairs' ratios is the result:
// what else the host does meets both sides of a pair alike.
func measureParallel() {
	if runtime.NumCPU() < 2 {
		fmt.Println("fail parallel rows need a machine with two CPUs")
		return
	}
	loads := []parallelLoad{
		{"parallel.compute", func(i int) uint64 {
			return mixIntegers(1_000_000) +
				uint64(i)
		}},
		{"parallel.collect", func(i int) uint64 { return buildTrees(10, 9) + uint64(i) }},
	}
	for _, load := range loads {
		if measure.Wanted(load.name) || measure.Wanted(load.name+bestSuffix) {
			measureLoad(&load)
		}
	}
}

func measureLoad(load *parallelLoad) {
	var ratios []float64
	best := [3]time.Duration{}
	digest := load.run(2)
	for range pairs {
		var times [3]time.Duration
		for cpus := 1; cpus <= 2; cpus++ {
			runtime.GOMAXPROCS(cpus)
			runtime.GC()
			start := time.Now()
			result := load.run(cpus)
			times[cpus] = time.Since(start)
			if result != digest {
				fmt.Printf("fail %s gave %016x, then %016x\n", load.name, digest,
					result)
				return
			}
			if best[cpus] == 0 || times[cpus] < best[cpus] {
				best[cpus] = times[cpus]
			}
		}
		ratios = append(ratios, float64(times[1])/float64(times[2]))
		fmt.Printf("note %s %.1f ms on one CPU, %.1f ms on two\n", load.name,
			milliseconds(times[1]), milliseconds(times[2]))
	}
	slices.Sort(ratios)
	measure.Report(load.name, ratios[len(ratios)/2], "ratio")
	measure.Report(load.name+bestSuffix, float64(best[1])/float64(best[2]), "ratio")
	fmt.Printf("check %s %016x\n", load.name, digest)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// run does all pieces with as many goroutines as there are CPUs and returns the sum of their
// results.
func (load *parallelLoad) run(cpus int) uint64 {
	var next atomic.Int64
	var sum atomic.Uint64
	var done sync.WaitGroup
	for range cpus {
		done.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= pieces {
					return
				}
				sum.Add(load.piece(i))
			}
		})
	}
	done.Wait()
	return sum.Load()
}
