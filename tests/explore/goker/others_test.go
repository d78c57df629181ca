package goker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Channels.

// The balancer is gone when the resolver tells it of addresses.
func TestGrpc2371(t *testing.T) {
	type balancer struct{ addresses chan int }
	for range 10 {
		var mu sync.RWMutex
		b := &balancer{make(chan int, 1)}
		go func() {
			mu.Lock()
			select {
			case <-b.addresses:
			default:
			}
			b.addresses <- 1
			mu.Unlock()
		}()
		go func() {
			mu.Lock()
			b = nil
			mu.Unlock()
		}()
	}
	time.Sleep(100 * time.Millisecond)
}

// What is written after the status is sent to a channel that is closed.
func TestGrpc1687(t *testing.T) {
	closed, writes := make(chan bool), make(chan func())
	write := func() {
		select {
		case <-closed:
		default:
			select {
			case writes <- func() {}:
			case <-closed:
			}
		}
	}
	go func() {
		write()
		close(writes)
		write()
	}()
	for f := range writes {
		f()
	}
	time.Sleep(10 * time.Millisecond)
}

// The node's channels are made by the goroutine that waits for them, and used by another one.
func TestEtcd3077(t *testing.T) {
	var node struct{ stop, done chan struct{} }
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		go func() {
			node.stop, node.done = make(chan struct{}), make(chan struct{})
			defer close(node.done)
			<-node.stop
		}()
		time.Sleep(10 * time.Millisecond)
		defer close(done)
		<-stop
		node.stop <- struct{}{}
		<-node.done
	}()
	stop <- struct{}{}
	<-done
}

// Who waits for the channel may find it gone, and then waits for ever.
func TestIstio8967(t *testing.T) {
	in(1, func() {
		done := make(chan struct{})
		go func() { <-done }()
		close(done)
		done = nil
		time.Sleep(5 * time.Millisecond)
	})
}

func TestServing5865(t *testing.T) {
	var mu sync.RWMutex
	mu.Lock()
	addresses := make(chan int, 1)
	go func() {
		time.Sleep(time.Second)
		close(addresses)
	}()
	mu.Unlock()
	addresses <- 1
	time.Sleep(2 * time.Second)
}

// Work is given to a pool whose channel is closed.
func TestServing3068(t *testing.T) {
	const count = 5
	work := make(chan func(), count)
	var doing, given sync.WaitGroup
	go func() {
		for f := range work {
			f()
			doing.Done()
		}
	}()
	var done int32
	given.Add(count)
	go func() {
		for range count {
			doing.Add(1)
			work <- func() { atomic.AddInt32(&done, 1) }
			time.Sleep(10 * time.Millisecond)
			given.Done()
		}
	}()
	close(work)
	go doing.Wait()
	given.Wait()
	if done == count {
		t.Error("nothing was lost")
	}
}

// Functions that share the variable of a loop.

func TestCockroach35501(t *testing.T) {
	in(1, func() {
		var check struct{ name string }
		for i := range 10 {
			check.name = "nil string"
			if i%2 == 0 {
				check.name = "another"
			}
			go func() { _ = len(check.name) }()
		}
	})
}

func TestKubernetes70892(t *testing.T) {
	results := make([][]int, 3)
	for i := range results {
		results[i] = make([]int, 2)
	}
	pieces(2, func(int) {
		for i := range results {
			if results[i][0] != 4 {
				results[i] = []int{7, 8, 9}
			}
		}
	})
}

func TestMoby22941(t *testing.T) {
	var mu sync.Mutex
	var pair [2][]byte
	for _, pair = range [][2][]byte{{[]byte("GET"), []byte("a")}, {[]byte("POST"), nil}} {
		go func() {
			text := pair[0]
			mu.Lock()
			defer mu.Unlock()
			_ = text[1:]
		}()
	}
	time.Sleep(10 * time.Millisecond)
}

func TestMoby27037(t *testing.T) {
	var wg sync.WaitGroup
	var i int
	for i = 17; i <= 21; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_ = fmt.Sprintf("v1.%d", i)
		}()
	}
	wg.Wait()
}

// Tests that have ended before a goroutine uses their log.

func TestServing6171(t *testing.T) {
	in(1, func() {
		t.Run("watcher", func(t *testing.T) {
			go func() {
				go func() { t.Logf("checked") }()
			}()
		})
	})
}

func TestServing4908(t *testing.T) {
	in(1, func() {
		t.Run("tick", func(t *testing.T) {
			in(1, func() {
				go func() { t.Logf("checked") }()
			})
		})
	})
}

// Wait groups.

// Goroutines are added to a group while it may be waited for.
func TestCockroach4407(t *testing.T) {
	var mu, stop sync.Mutex
	var workers sync.WaitGroup
	defer func() {
		workers.Wait()
		stop.Lock()
		defer stop.Unlock()
	}()
	for range 2 {
		go func() {
			mu.Lock()
			defer mu.Unlock()
			workers.Add(1)
			go func() {
				defer workers.Done()
				mu.Lock()
				defer mu.Unlock()
			}()
		}()
	}
	time.Sleep(time.Millisecond)
}

// A controller counts down what the test has not counted up yet, or not as often as it will.
func TestKubernetes13058(t *testing.T) {
	var deleted sync.WaitGroup
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			deleted.Done()
			time.Sleep(10 * time.Millisecond)
		}
	}()
	const threads = 3
	var wg sync.WaitGroup
	wg.Add(threads)
	deleted.Add(threads)
	for i := range threads {
		go func(name string) {
			defer wg.Done()
			_ = name
		}(fmt.Sprint("client ", i))
	}
	wg.Wait()
	deleted.Wait()
	close(stop)
}
