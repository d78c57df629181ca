// Command client adds the numbers up to its last argument to the sum that a service keeps. It waits
// until the service beside it has crashed three times, which init sees to, and prints the sum.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// The service's interface, as in examples/system/sum.
const (
	add = iota + 1
	sum
	count
)

// crashes is how often the service beside it adds to the sum.
const crashes = 3

// waitForever is the deadline that never comes.
const waitForever = ^uint64(0)

// endpointCall calls a facet with eight words, which the answer replaces. It is below zero for an
// error. call_amd64.s has it.
//
//go:noescape
func endpointCall(facet uint64, words *[8]uint64, deadlineNs uint64) int64

func call(operation, number uint64) uint64 {
	words := [8]uint64{operation, number}
	if status := endpointCall(uint64(syscall.Capability("sum")), &words,
		waitForever); status < 0 {
		fmt.Fprintf(os.Stderr, "client: the call fails with %d\n", status)
		os.Exit(1)
	}
	return words[1]
}

func main() {
	last, err := strconv.ParseUint(os.Args[len(os.Args)-1], 10, 32)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for n := range last {
		call(add, n+1)
	}
	for call(count, 0) < last+crashes {
		time.Sleep(time.Millisecond)
	}
	fmt.Printf("client: the sum of 1 to %d is %d\n", last, call(sum, 0)-1000*crashes)
}
