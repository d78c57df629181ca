// Command client adds the numbers up to its last argument to the sum that a service keeps. It waits
// until the service beside it has crashed three times, which init sees to, and prints the sum.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"capos.dev/capos"
)

// The service's interface, as in examples/system/sum.
const (
	add = iota + 1
	sum
	count
)

// crashes is how often the service beside it adds to the sum.
const crashes = 3

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(2)
	}
}

func run() error {
	last, err := strconv.ParseUint(os.Args[len(os.Args)-1], 10, 32)
	if err != nil {
		return err
	}
	facet, err := capos.Granted[capos.Facet]("sum")
	if err != nil {
		return err
	}
	for n := range last {
		if _, err := call(facet, add, n+1); err != nil {
			return err
		}
	}
	for done := uint64(0); done < last+crashes; time.Sleep(time.Millisecond) {
		if done, err = call(facet, count, 0); err != nil {
			return err
		}
	}
	total, err := call(facet, sum, 0)
	fmt.Printf("client: the sum of 1 to %d is %d\n", last, total-1000*crashes)
	return err
}

func call(facet capos.Facet, operation, number uint64) (uint64, error) {
	m := capos.Message{Words: [8]uint64{operation, number}}
	err := facet.Call(&m, time.Time{})
	return m.Words[1], err
}
