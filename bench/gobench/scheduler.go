package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"capos.dev/bench/measure"
)

// schedulerRows are about goroutines, the threads under them, and how they wait for each other.
func schedulerRows() []measure.Row {
	return []measure.Row{
		{Name: "time.now", Unit: measure.PerOp, Ops: 20000, Run: readClock},
		{Name: "go.spawn", Unit: measure.PerOp, Ops: 20000, Run: spawnGoroutines},
		{Name: "go.yield", Unit: measure.PerOp, Ops: 20000, Run: yieldBetweenTwo},
		{Name: "go.chan_pingpong", Unit: measure.PerOp, Ops: 20000,
			Run: func(n int) uint64 { return pingPong(n, false) }},
		{Name: "go.chan_buffered", Unit: measure.PerOp, Ops: 50000, Run: bufferedChannel},
		{Name: "go.select", Unit: measure.PerOp, Ops: 20000, Run: selectOfTwo},
		{Name: "go.mutex", Unit: measure.PerOp, Ops: 100000, Run: mutexFree},
		{Name: "go.mutex_contended", Unit: measure.PerOp, Ops: 20000,
			Run: func(n int) uint64 { return mutexContended(n, 8, false) }},
		{Name: "go.cond", Unit: measure.PerOp, Ops: 20000, Run: condition},
		{Name: "thread.chan_pingpong", Unit: measure.PerOp, Ops: 2000,
			Run: func(n int) uint64 { return pingPong(n, true) }},
		{Name: "thread.mutex_contended", Unit: measure.PerOp, Ops: 2000,
			Run: func(n int) uint64 { return mutexContended(n, 2, true) }},
		{Name: "thread.create_exit", Unit: measure.PerOp, Ops: 500, Run: createThreads},
	}
}

var timeSink time.Time

func readClock(n int) uint64 {
	for range n {
		timeSink = time.Now()
	}
	return 0
}

func spawnGoroutines(n int) uint64 {
	var done sync.WaitGroup
	var sum atomic.Uint64
	for i := range n {
		done.Add(1)
		go func() {
			sum.Add(uint64(i))
			done.Done()
		}()
		if i%64 == 63 {
			done.Wait()
		}
	}
	done.Wait()
	return sum.Load()
}

func yieldBetweenTwo(n int) uint64 {
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() {
			for range n / 2 {
				runtime.Gosched()
			}
		})
	}
	done.Wait()
	return 0
}

// pingPong passes a token from one goroutine to another and back, n times. Locked, each has a
// thread of its own and each switch from one to another is a thread switch.
func pingPong(n int, locked bool) uint64 {
	there, back := make(chan int), make(chan int)
	last := make(chan int)
	hold := func() {
		if locked {
			runtime.LockOSThread()
		}
	}
	release := func() {
		if locked {
			runtime.UnlockOSThread()
		}
	}
	go func() {
		hold()
		defer release()
		for token := range there {
			back <- token + 1
		}
		close(back)
	}()
	go func() {
		hold()
		defer release()
		token := 0
		for range n {
			there <- token
			token = <-back
		}
		close(there)
		<-back
		last <- token
	}()
	return uint64(<-last)
}

func bufferedChannel(n int) uint64 {
	queue := make(chan int, 128)
	go func() {
		for i := range n {
			queue <- i
		}
		close(queue)
	}()
	sum := 0
	for i := range queue {
		sum += i
	}
	return uint64(sum)
}

func selectOfTwo(n int) uint64 {
	a, b := make(chan int), make(chan int)
	quit := make(chan struct{})
	go func() {
		for i := range n {
			if i%2 == 0 {
				a <- i
			} else {
				b <- -1
			}
		}
		close(quit)
	}()
	sum := 0
	for {
		select {
		case i := <-a:
			sum += i
		case i := <-b:
			sum += i
		case <-quit:
			return uint64(sum)
		}
	}
}

func mutexFree(n int) uint64 {
	var lock sync.Mutex
	count := 0
	for range n {
		lock.Lock()
		count++
		lock.Unlock()
	}
	return uint64(count)
}

// mutexContended has goroutines compete for a lock whose holder always lets the others run, so each
// of the n passes finds the lock taken. Locked, every goroutine has a thread of its own.
func mutexContended(n, goroutines int, locked bool) uint64 {
	var lock sync.Mutex
	var done sync.WaitGroup
	count := 0
	for range goroutines {
		done.Go(func() {
			if locked {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			for range n / goroutines {
				lock.Lock()
				count++
				runtime.Gosched()
				lock.Unlock()
			}
		})
	}
	done.Wait()
	return uint64(count)
}

func condition(n int) uint64 {
	var lock sync.Mutex
	turn := sync.NewCond(&lock)
	var done sync.WaitGroup
	count := 0
	for me := range 2 {
		done.Go(func() {
			lock.Lock()
			defer lock.Unlock()
			for range n / 2 {
				for count%2 != me {
					turn.Wait()
				}
				count++
				turn.Signal()
			}
		})
	}
	done.Wait()
	return uint64(count)
}

// createThreads starts goroutines that lock their thread and end without unlocking it, which ends
// the thread with them. The one that starts them is no such goroutine itself and waits for each: at
// every step one thread ends and another has to be made.
func createThreads(n int) uint64 {
	finished := make(chan int)
	go func() {
		done := make(chan int)
		sum := 0
		for i := range n {
			go func() {
				runtime.LockOSThread()
				done <- i
			}()
			sum += <-done
		}
		finished <- sum
	}()
	return uint64(<-finished)
}
