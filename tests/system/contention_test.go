//go:build capos

package system

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Counts are right in whatever order threads get their locks. There are more goroutines than CPUs,
// and they hold the locks most of the time.
const contenders = 8

func rounds() int {
	if testing.Short() {
		return 5000
	}
	return 50000
}

func contend(f func(worker, round int)) {
	var all sync.WaitGroup
	for worker := range contenders {
		all.Go(func() {
			if worker%2 == 0 {
				// half of them wait in the kernel, half in the runtime
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			for round := range rounds() {
				f(worker, round)
			}
		})
	}
	all.Wait()
}

func TestMutexContention(t *testing.T) {
	var lock sync.Mutex
	count, order := 0, map[int]int{}
	contend(func(worker, round int) {
		lock.Lock()
		defer lock.Unlock()
		if order[worker] != round {
			t.Errorf("worker %d is in round %d, the map says %d", worker, round,
				order[worker])
		}
		order[worker]++
		count++
		if round%512 == 0 {
			runtime.Gosched()
		}
	})
	if count != contenders*rounds() {
		t.Errorf("%d, expected %d", count, contenders*rounds())
	}
}

func TestRWMutexContention(t *testing.T) {
	var lock sync.RWMutex
	var pair [2]int
	var readers, writes atomic.Int32
	contend(func(worker, round int) {
		if round%16 == worker%16 {
			lock.Lock()
			if readers.Load() != 0 {
				t.Error("a writer has readers beside it")
			}
			pair[0]++
			pair[1]--
			writes.Add(1)
			lock.Unlock()
			return
		}
		lock.RLock()
		readers.Add(1)
		if pair[0]+pair[1] != 0 {
			t.Errorf("a reader sees half of a write: %v", pair)
		}
		readers.Add(-1)
		lock.RUnlock()
	})
	if int32(pair[0]) != writes.Load() || pair[0] == 0 {
		t.Errorf("%d writes counted, %d made", pair[0], writes.Load())
	}
}

func TestChannelContention(t *testing.T) {
	for _, capacity := range []int{0, 1, 64} {
		numbers, sums := make(chan int, capacity), make(chan [2]int)
		for range contenders {
			go func() {
				var sum [2]int
				for n := range numbers {
					sum[0]++
					sum[1] += n
				}
				sums <- sum
			}()
		}
		contend(func(worker, round int) { numbers <- round })
		close(numbers)
		count, total := 0, 0
		for range contenders {
			sum := <-sums
			count += sum[0]
			total += sum[1]
		}
		if n := rounds(); count != contenders*n || total != contenders*n*(n-1)/2 {
			t.Errorf("capacity %d: %d numbers with sum %d", capacity, count, total)
		}
	}
}

func TestCondContention(t *testing.T) {
	var lock sync.Mutex
	turn, cond := 0, sync.NewCond(&lock)
	contend(func(worker, round int) {
		if round%10 != 0 { // each turn wakes all of them
			return
		}
		lock.Lock()
		for turn%contenders != worker {
			cond.Wait()
		}
		turn++
		cond.Broadcast()
		lock.Unlock()
	})
	if want := contenders * ((rounds() + 9) / 10); turn != want {
		t.Errorf("%d turns, expected %d", turn, want)
	}
}
