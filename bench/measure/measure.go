// Package measure is what the Go programs that are compared have in common: how a row is measured,
// and how it is printed. The same source is built for every system; nothing here asks which one it
// runs on.
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
package measure

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Row is one thing to measure.
type Row struct {
	Name string
	Unit string
	Ops  int

	// Prepare, when there, is run before each sample and not measured.
	Prepare func()

	// Either Run does Ops operations and returns a digest of their results, 0 when there are
	// none. Or Own does them and returns the ticks that it measured itself.
	Run func(ops int) (digest uint64)
	Own func(ops int) (ticks uint64)
}

const samples = 3

// Units.
const (
	PerOp   = "instructions"   // guest instructions per operation
	PerPage = PerOp            // per 4 KiB
	Delay   = "ns"             // guest nanoseconds
	Total   = "M-instructions" // millions of guest instructions for the whole load
)

// Only holds the names of the rows asked for; one that ends in "*" names all that begin so. Empty:
// all rows.
var Only []string

// Wanted tells whether a row was asked for.
func Wanted(name string) bool {
	return len(Only) == 0 || slices.ContainsFunc(Only, func(pattern string) bool {
		beginning, open := strings.CutSuffix(pattern, "*")
		return name == pattern || open && strings.HasPrefix(name, beginning)
	})
}

// Begin says by which Go the program was built and what it runs on.
func Begin() {
	fmt.Printf("note go %s %s/%s, %d CPU\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU())
}

// End says that nothing is missing.
func End() { fmt.Println("end") }

// Report prints a value.
func Report(name string, value float64, unit string) {
	fmt.Printf("row %s %.2f %s\n", name, value, unit)
}

// All measures those rows that were asked for.
func All(rows []Row) {
	for _, r := range rows {
		if Wanted(r.Name) {
			measure(&r)
		}
	}
}

// measure runs one row and prints it.
func measure(r *Row) {
	digest := uint64(0)
	best := ^uint64(0)
	for sample := range samples + 1 {
		if r.Prepare != nil {
			r.Prepare()
		}
		var spent uint64
		if r.Own != nil {
			spent = r.Own(r.Ops)
		} else {
			start := Ticks()
			result := r.Run(r.Ops)
			spent = Ticks() - start
			if sample > 0 && result != digest {
				fmt.Printf("fail %s gave %016x, then %016x\n", r.Name, digest,
					result)
				os.Exit(1)
			}
			digest = result
		}
		if sample > 0 { // the first one was to warm up
			best = min(best, spent)
		}
	}
	value := float64(best) / float64(r.Ops)
	if r.Unit == Total {
		value /= 1e6
	}
	Report(r.Name, value, r.Unit)
	if digest != 0 {
		fmt.Printf("check %s %016x\n", r.Name, digest)
	}
}

// Clock compares the clock with the time-stamp counter over a busy stretch. Where they disagree,
// no value counts instructions.
func Clock() {
	const stretch = 20_000_000
	clock, counter := time.Now(), Ticks()
	for Ticks()-counter < stretch {
	}
	fmt.Printf("note ticks_per_ns %.4f\n",
		float64(Ticks()-counter)/float64(time.Since(clock)))
}
