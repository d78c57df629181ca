// Command gobench measures a Go system from inside: what the runtime and the kernel under it cost,
// and a dozen compute loads. The same source is built for every system that is compared; nothing
// here asks which one it runs on.
//
// It is meant for a machine with one CPU in which the time-stamp counter counts instructions. Each
// row runs a fixed number of operations, once to warm up and then three times; the best of the
// three, divided by the operations, is printed as
//
//	row NAME VALUE UNIT
//
// and, where an operation has a result, a digest of it, which must be the same on every system:
//
//	check NAME DIGEST
//
// Arguments name the rows to measure. With -parallel it measures something else: the gain from a
// second CPU, by wall time (see parallel.go).
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is one thing to measure.
type row struct {
	name string
	unit string
	ops  int

	// prepare, when there, is run before each sample and not measured.
	prepare func()

	// Either run does ops operations and returns a digest of their results, 0 when there are
	// none. Or own does them and returns the ticks that it measured itself.
	run func(ops int) (digest uint64)
	own func(ops int) (ticks uint64)
}

const (
	samples = 3

	perOp   = "instructions"   // guest instructions per operation
	perPage = perOp            // per 4 KiB
	delay   = "ns"             // guest nanoseconds
	total   = "M-instructions" // millions of guest instructions for the whole load
)

// only holds the names of the rows asked for; one that ends in "*" names all that begin so. Empty:
// all rows.
var only []string

func wanted(name string) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(pattern string) bool {
		beginning, open := strings.CutSuffix(pattern, "*")
		return name == pattern || open && strings.HasPrefix(name, beginning)
	})
}

func main() {
	atMain := ticks()
	parallel := flag.Bool("parallel", false, "measure the gain from a second CPU, by wall time")
	flag.Parse()
	only = flag.Args()
	fmt.Printf("note go %s %s/%s, %d CPU\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU())
	if *parallel {
		measureParallel()
	} else {
		if wanted("boot.go_main") {
			report("boot.go_main", float64(atMain)/1e6, total)
		}
		measureClock()
		measureMemory()
		for _, rows := range [][]row{schedulerRows(), timerRows(), collectorRows(),
			computeRows()} {
			measureAll(rows)
		}
	}
	fmt.Println("end")
}

func report(name string, value float64, unit string) {
	fmt.Printf("row %s %.2f %s\n", name, value, unit)
}

// measureAll measures those rows that were asked for.
func measureAll(rows []row) {
	for _, r := range rows {
		if wanted(r.name) {
			measure(&r)
		}
	}
}

// measure runs one row and prints it.
func measure(r *row) {
	digest := uint64(0)
	best := ^uint64(0)
	for sample := range samples + 1 {
		if r.prepare != nil {
			r.prepare()
		}
		var spent uint64
		if r.own != nil {
			spent = r.own(r.ops)
		} else {
			start := ticks()
			result := r.run(r.ops)
			spent = ticks() - start
			if sample > 0 && result != digest {
				fmt.Printf("fail %s gave %016x, then %016x\n", r.name, digest,
					result)
				os.Exit(1)
			}
			digest = result
		}
		if sample > 0 { // the first one was to warm up
			best = min(best, spent)
		}
	}
	value := float64(best) / float64(r.ops)
	if r.unit == total {
		value /= 1e6
	}
	report(r.name, value, r.unit)
	if digest != 0 {
		fmt.Printf("check %s %016x\n", r.name, digest)
	}
}

// measureClock compares the clock with the time-stamp counter over a busy stretch. Where they
// disagree, nothing below counts instructions.
func measureClock() {
	const stretch = 20_000_000
	clock, counter := time.Now(), ticks()
	for ticks()-counter < stretch {
	}
	fmt.Printf("note ticks_per_ns %.4f\n", float64(ticks()-counter)/float64(time.Since(clock)))
}
