package goker

import (
	"bytes"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The result is read while who waits for the command may still write it.
func TestMoby18412(t *testing.T) {
	run := func(limit time.Duration) (status int, late bool) {
		var output bytes.Buffer
		ended := make(chan error)
		go func() {
			time.Sleep(time.Millisecond) // the command
			output.WriteString("done")
			status = 1
			ended <- nil
		}()
		select {
		case <-time.After(limit):
			late = true
		case <-ended:
		}
		_ = output.String()
		return status, late
	}
	run(time.Millisecond)
	time.Sleep(100 * time.Millisecond)
}

// The resolver is set after the goroutine was started that uses it.
func TestGrpc3090(t *testing.T) {
	var wrapper struct {
		mu       sync.Mutex
		resolver interface{ Len() int }
	}
	build := func() interface{ Len() int } {
		wrapper.mu.Lock()
		defer wrapper.mu.Unlock()
		go func() {
			wrapper.mu.Lock()
			defer wrapper.mu.Unlock()
			if wrapper.resolver != nil {
				wrapper.resolver.Len()
			}
		}()
		return &bytes.Buffer{}
	}
	in(1, func() {
		wrapper.resolver = build()
		time.Sleep(5 * time.Millisecond)
	})
}

// in runs a function in goroutines and waits for them.
func in(count int, f func()) {
	var wg sync.WaitGroup
	wg.Add(count)
	for range count {
		go func() {
			defer wg.Done()
			f()
		}()
	}
	wg.Wait()
}

var timeout1748 = 10 * time.Second

// A test sets a variable back while a goroutine that it started reads it.
func TestGrpc1748(t *testing.T) {
	in(1, func() {
		before := timeout1748
		defer func() { timeout1748 = before }()
		var mu sync.Mutex
		var connect func()
		go func() {
			for range 10 {
				mu.Lock()
				found := connect
				mu.Unlock()
				if found != nil {
					found()
				}
			}
		}()
		mu.Lock()
		defer mu.Unlock()
		connect = func() { go func() { _ = timeout1748 }() }
	})
}

// A map is emptied while another goroutine reads it.
func TestEtcd9446(t *testing.T) {
	var wg sync.WaitGroup
	wg.Add(3)
	go func() {
		defer wg.Done()
		buckets := map[string]bool{"1": true}
		go func() {
			defer wg.Done()
			for name := range buckets {
				delete(buckets, name)
			}
		}()
		go func() {
			defer wg.Done()
			_ = buckets["1"]
		}()
	}()
	wg.Wait()
}

var rate8194 = 1000

// A goroutine of the one test reads the variable that the other test changes.
func TestEtcd8194(t *testing.T) {
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		go func() {
			for range 10 {
				leases := make([]int, 1)
				if len(leases) > rate8194/2 {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
	}()
	go func() {
		defer wg.Done()
		before := rate8194
		defer func() { rate8194 = before }()
		rate8194 = 10
	}()
	wg.Wait()
}

var interval4876 = 10 * time.Second

func TestEtcd4876(t *testing.T) {
	var wg sync.WaitGroup
	wg.Add(3)
	go func() {
		defer wg.Done()
		go func() {
			defer wg.Done()
			interval4876 = 3 * time.Second
		}()
		go func() {
			defer wg.Done()
			go func() { _ = time.NewTicker(interval4876) }()
		}()
	}()
	wg.Wait()
}

// The lock protects the map, and not what it holds.
func TestIstio16742(t *testing.T) {
	type node struct{ labels []string }
	var wg sync.WaitGroup
	wg.Add(3)
	go func() {
		defer wg.Done()
		var mu sync.RWMutex
		clients := map[string]*node{}
		go func() {
			defer wg.Done()
			n := &node{}
			mu.Lock()
			clients["1"] = n
			mu.Unlock()
			_ = len(n.labels)
		}()
		go func() {
			defer wg.Done()
			mu.RLock()
			for _, n := range clients {
				n.labels = nil
			}
			mu.RUnlock()
		}()
	}()
	wg.Wait()
}

// A counter is added to atomically and copied as it is.
func TestIstio8214(t *testing.T) {
	type counts struct{ writes uint64 }
	c := &counts{}
	in(2, func() {
		atomic.AddUint64(&c.writes, 1)
		_ = *c
	})
}

func TestIstio8144(t *testing.T) {
	in(1, func() {
		calls := 0
		var entries sync.Map
		go entries.Range(func(_, _ any) bool {
			calls++
			return true
		})
		entries.Store(1, 1)
		_ = calls
	})
}

// An item is in the queue before its count is complete.
func TestServing6472(t *testing.T) {
	type state struct{ pending int32 }
	var mu sync.Mutex
	queue := []*state{{}}
	take := func() (s *state) {
		mu.Lock()
		defer mu.Unlock()
		if len(queue) > 0 {
			s, queue = queue[0], queue[1:]
		}
		return s
	}
	var workers sync.WaitGroup
	for range 2 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			if s := take(); s != nil {
				atomic.AddInt32(&s.pending, -1)
			}
		}()
	}
	s := &state{}
	mu.Lock()
	queue = append(queue, s)
	mu.Unlock()
	s.pending++
	time.Sleep(time.Millisecond)
	workers.Wait()
}

// Reactions are added when those are in use already.
func TestServing3148(t *testing.T) {
	in(1, func() {
		var reactions []func()
		var group sync.WaitGroup
		defer group.Wait()
		group.Add(1)
		go func() {
			defer group.Done()
			in(1, func() {
				for range reactions {
				}
			})
		}()
		reactions = append([]func(){}, func() {})
	})
}

// cacher77796 resets its buffer under its lock and reads it without.
type cacher77796 struct {
	mu     sync.Mutex
	buffer []*int
}

func (c *cacher77796) dispatch() {
	c.mu.Lock()
	c.buffer = c.buffer[:0]
	c.mu.Unlock()
	for range c.buffer {
	}
}

func TestKubernetes77796(t *testing.T) {
	c := &cacher77796{}
	go c.dispatch()
	for range 3 {
		go c.dispatch()
		time.Sleep(10 * time.Millisecond)
	}
}

func TestKubernetes89164(t *testing.T) {
	c := &cacher77796{}
	go c.dispatch()
	for range 3 {
		in(1, c.dispatch)
	}
}

// until runs a function once and waits for the end.
func until(f func(), end <-chan struct{}) {
	f()
	<-end
}

func TestKubernetes88331(t *testing.T) {
	var begun sync.WaitGroup
	begun.Add(1)
	go func() {
		begun.Done()
		var mu sync.Mutex
		queue := make([]struct{}, 2)
		end := make(chan struct{})
		go until(func() {
			mu.Lock()
			defer mu.Unlock()
			queue = queue[:len(queue)-1]
		}, end)
		_ = len(queue)
	}()
	begun.Wait()
}

func TestKubernetes79631(t *testing.T) {
	var begun sync.WaitGroup
	begun.Add(1)
	go func() {
		begun.Done()
		var mu sync.Mutex
		items := map[string]bool{}
		end := make(chan struct{})
		go until(func() {
			mu.Lock()
			defer mu.Unlock()
			delete(items, "1")
		}, end)
		_ = items["1"]
	}()
	begun.Wait()
}

// A provider is made when the first one needs it, which several do.
func TestKubernetes82550(t *testing.T) {
	type provider struct{ entries map[string]int }
	var actual *provider
	for range 10 {
		go func() {
			if actual == nil {
				actual = &provider{}
			}
			_ = actual.entries["0"]
		}()
	}
}

// A volume is copied while the test writes to its annotations.
func TestKubernetes82239(t *testing.T) {
	notes := map[string]bool{}
	for i := range 2 {
		notes[strconv.Itoa(i)] = true
	}
	end := make(chan struct{})
	go func() {
		go func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				copied := make(map[string]bool, len(notes))
				for name, value := range notes {
					copied[name] = value
				}
			}
		}()
	}()
	time.Sleep(time.Millisecond)
	notes["0"] = true
	close(end)
}

func TestKubernetes81148(t *testing.T) {
	type pod struct{ since time.Time }
	in(1, func() {
		var mu sync.RWMutex
		pods := map[string]*pod{}
		go until(func() {
			mu.Lock()
			defer mu.Unlock()
			for _, p := range pods {
				_ = p.since
			}
		}, nil)
		mu.Lock()
		pods["1"] = &pod{time.Now()}
		mu.Unlock()
		pods["1"].since = time.Now().Add(-time.Minute)
	})
}

// pieces has two workers do pieces of work.
func pieces(count int, work func(int)) {
	queue := make(chan int, count)
	for i := range count {
		queue <- i
	}
	close(queue)
	in(2, func() {
		for i := range queue {
			work(i)
		}
	})
}

func TestKubernetes81091(t *testing.T) {
	in(1, func() {
		calls := 0
		pieces(2, func(int) { calls++ })
	})
}

func TestKubernetes80284(t *testing.T) {
	var rotate func()
	in(2, func() {
		var b bytes.Buffer
		rotate = b.Reset
	})
	_ = rotate
}

// The handler has no way to tell the test that it was called.
func TestKubernetes49404(t *testing.T) {
	called := false
	var server sync.WaitGroup
	server.Add(1)
	go func() {
		defer server.Done()
		go func() { called = true }()
	}()
	_ = called
	time.Sleep(10 * time.Millisecond)
}
