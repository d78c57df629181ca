// Command hello shows that an ordinary Go program runs on capOS: goroutines on all CPUs, channels,
// the clock, arguments.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

func main() {
	begin := time.Now()
	fmt.Printf("Hello from %s on %s/%s.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Printf("%d CPUs counted the primes below %d: %d.\n", runtime.NumCPU(), limit,
		countPrimes())
	if len(os.Args) > 1 {
		fmt.Printf("Arguments: %s.\n", strings.Join(os.Args[1:], ", "))
	}
	fmt.Printf("It is %s; this took %v.\n", begin.UTC().Format(time.DateTime),
		time.Since(begin).Round(time.Microsecond))
}

const limit = 50_000

// countPrimes splits the numbers among one goroutine per CPU and adds up what they report.
func countPrimes() int {
	counts := make(chan int)
	var workers sync.WaitGroup
	for first := range runtime.NumCPU() {
		workers.Go(func() {
			count := 0
			for n := first; n < limit; n += runtime.NumCPU() {
				if isPrime(n) {
					count++
				}
			}
			counts <- count
		})
	}
	go func() {
		workers.Wait()
		close(counts)
	}()
	sum := 0
	for count := range counts {
		sum += count
	}
	return sum
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n >= 2
}
