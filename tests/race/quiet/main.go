// A program without a data race: every way of putting accesses in order, by many goroutines at a
// time. The detector has nothing to say.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const workers, rounds = 8, 2000

// all runs a function in every worker and waits for them.
func all(do func(worker int)) {
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

func locks() {
	var mutex sync.Mutex
	var shared sync.RWMutex
	a, b := 0, 0
	all(func(int) {
		for range rounds {
			mutex.Lock()
			a++
			mutex.Unlock()
			shared.RLock()
			seen := b
			shared.RUnlock()
			if seen >= 0 {
				shared.Lock()
				b++
				shared.Unlock()
			}
		}
	})
	println("locks", a, b)
}

func channels() {
	work, done := make(chan *int), make(chan *int, 3)
	go func() {
		for range rounds {
			x := new(int)
			*x = 1
			work <- x
		}
		close(work)
	}()
	go func() {
		all(func(int) {
			for x := range work {
				*x++
				done <- x
			}
		})
		close(done)
	}()
	sum := 0
	for x := range done {
		sum += *x
	}
	println("channels", sum)
}

func atomics() {
	type item struct{ value int }
	var newest atomic.Pointer[item]
	var turn atomic.Uint32
	plain, sum := 0, 0
	all(func(worker int) {
		for i := range rounds / 10 {
			newest.Store(&item{i})
			if newest.Load().value < 0 {
				panic("never")
			}
			for turn.Load()%workers != uint32(worker) {
				runtime.Gosched()
			}
			plain++
			sum += plain
			turn.Add(1)
		}
	})
	println("atomics", plain, sum)
}

func others() {
	var once sync.Once
	var table sync.Map
	pool := sync.Pool{New: func() any { return new([100]int) }}
	value, condition := 0, sync.NewCond(new(sync.Mutex))
	ready := false
	all(func(worker int) {
		once.Do(func() { value = 5 })
		for i := range rounds / 10 {
			table.LoadOrStore(i, &value)
			p := pool.Get().(*[100]int)
			p[i%100]++
			pool.Put(p)
		}
		condition.L.Lock()
		for worker != 0 && !ready {
			condition.Wait()
		}
		ready = true
		condition.L.Unlock()
		condition.Broadcast()
	})
	done := make(chan bool)
	time.AfterFunc(2*time.Millisecond, func() { close(done) })
	<-done
	println("others", value)
}

// many starts goroutines that end, so that what they leave is used again, and has the collector
// free what they shared.
func many() {
	sum := 0
	for i := range 40 {
		results := make(chan []int)
		for j := range 50 {
			go func() { results <- []int{i, j} }()
		}
		for range 50 {
			sum += len(<-results)
		}
		if i%10 == 0 {
			runtime.GC()
		}
	}
	println("many", sum)
}

// memory has goroutines that know nothing of each other use the same memory one after the other.
func memory() {
	var sum atomic.Int64
	all(func(worker int) {
		var kept *[6]int
		for i := range rounds {
			p := new([6]int)
			p[i%6] = 1
			if i%16 == 0 {
				kept = p
				runtime.Gosched()
			}
			if worker == 0 && i%500 == 0 {
				runtime.GC()
			}
		}
		sum.Add(int64(kept[(rounds-16)%6]))
	})
	println("memory", sum.Load())
}

func main() {
	memory()
	locks()
	channels()
	atomics()
	others()
	many()
}
