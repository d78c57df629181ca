// Command gobench measures a Go system from inside: what the runtime and the kernel under it cost,
// and a dozen compute loads. Package measure says how, and what is printed.
//
// Arguments name the rows to measure. With -parallel it measures something else: the gain from a
// second CPU, by wall time (see parallel.go).
package main

import (
	"flag"

	"capos.dev/bench/measure"
)

func main() {
	atMain := measure.Ticks()
	parallel := flag.Bool("parallel", false, "measure the gain from a second CPU, by wall time")
	flag.Parse()
	measure.Only = flag.Args()
	measure.Begin()
	if *parallel {
		measureParallel()
	} else {
		if measure.Wanted("boot.go_main") {
			measure.Report("boot.go_main", float64(atMain)/1e6, measure.Total)
		}
		measure.Clock()
		measureMemory()
		for _, rows := range [][]measure.Row{schedulerRows(), timerRows(), collectorRows(),
			computeRows()} {
			measure.All(rows)
		}
	}
	measure.End()
}
