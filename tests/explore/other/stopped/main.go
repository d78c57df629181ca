// A program that takes a computation of some microseconds for one that is never stopped for long.
package main

import (
	"fmt"
	"os"
	"time"
)

const (
	rounds  = 200
	steps   = 10_000
	allowed = 20 * time.Millisecond
)

func compute(from uint64) uint64 {
	for range steps {
		from = from*6364136223846793005 + 1442695040888963407
	}
	return from
}

func main() {
	sum := uint64(0)
	for range rounds {
		begun := time.Now()
		sum += compute(sum)
		if time.Since(begun) > allowed {
			fmt.Println("a computation took too long")
			os.Exit(3)
		}
	}
	fmt.Println(sum)
}
