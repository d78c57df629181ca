// A program with a data race of each of several kinds. What the detector says of them is in
// ../racy.txt, as Go prints it on Linux. Their order is fixed by means that the detector does not
// know, so the report is the same on any number of CPUs.
package main

import (
	"runtime"
	"sync/atomic"
)

var turn uint32

// wait returns when it is the given turn.
//
//go:norace
func wait(n uint32) {
	for turn != n {
		runtime.Gosched()
	}
}

//go:norace
func pass() { turn++ }

// race has one goroutine do the first thing and main do the second.
//
//go:noinline
func race(first, second func()) {
	n := *peek() + 1
	go func() {
		first()
		pass()
		wait(n + 1)
	}()
	wait(n)
	second()
	pass()
}

//go:norace
func peek() *uint32 {
	n := turn
	return &n
}

type pair struct{ a, b [24]byte }

var (
	word  int
	count int64
	flag  atomic.Bool
)

func inlined(p *int) { *p = 7 }

//go:noinline
func deep(n int, p *int) {
	if n == 0 {
		inlined(p)
		return
	}
	deep(n-1, p)
}

// locked has three goroutines that hold a lock, and one that does not.
func locked() {
	var guarded int
	lock := make(chan bool, 1)
	change := func() {
		lock <- true
		guarded++
		<-lock
	}
	change()
	race(change, func() { guarded = 0 })
}

func main() {
	x := new(int)
	race(func() { deep(3, x) }, func() { *x = 1 })
	race(func() { word = 1 }, func() { println(word == 1) })
	race(func() { atomic.AddInt64(&count, 1) }, func() { count = 4 })
	race(func() { flag.Store(true) }, func() { println(flag.Load()) }) // no race
	p := new(pair)
	race(func() { p.b = [24]byte{1} }, func() { println((*p).b[20]) })
	m := map[int]int{}
	race(func() { m[1] = 2 }, func() { delete(m, 1) })
	s := make([]byte, 64)
	race(func() { copy(s, "hello, world") }, func() { copy(s[3:], "lo") })
	list := append(make([]string, 0, 4), "a")
	race(func() { list = append(list, "b") }, func() { println(len(list)) })
	locked()
}
