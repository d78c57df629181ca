// A program, not a test: two withdrawals of its argument both find enough money, and then take it.
package main

import (
	"os"
	"strconv"
	"sync"
)

type account struct {
	mu    sync.Mutex
	cents int
}

func (a *account) has(cents int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cents >= cents
}

func (a *account) take(cents int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cents -= cents
}

func main() {
	cents, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	a := &account{cents: 100}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if a.has(cents) {
				a.take(cents)
			}
		})
	}
	wg.Wait()
	if a.cents < 0 {
		println("overdrawn")
		os.Exit(3)
	}
}
