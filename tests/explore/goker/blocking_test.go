// Package goker has tests with the defects of bugs of GoBench's GoKer (Yuan and others, CGO 2021)
// that Go's source has not: its 35 bugs that do not block, and 6 of those that do. The code is of
// this repository. Each test has the goroutines, locks, channels and waits that make the bug, and
// nothing else of the program that it was found in. A test has the name of its bug.
package goker

import (
	"errors"
	"math/rand"
	"sync"
	"testing"
	"time"
)

// balancer7443 tells of addresses while it holds its lock, which whoever hears of them needs.
type balancer7443 struct {
	mu     sync.Mutex
	news   chan []int
	pinned int // 0: none
	closed bool
}

func (b *balancer7443) up(address int) (down func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return func() {}
	}
	if b.pinned == 0 {
		b.pinned = address
		b.news <- []int{address}
	}
	return func() { b.down(address) }
}

func (b *balancer7443) down(address int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pinned == address && !b.closed {
		b.pinned = 0
		b.news <- []int{0, 1, 2}
	}
}

func (b *balancer7443) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.news)
	}
}

// link7443 is a connection to an address.
type link7443 struct {
	mu   sync.Mutex
	down func()
}

func (l *link7443) raise(b *balancer7443, address int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = b.up(address)
}

func (l *link7443) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		l.down()
	}
}

// client7443 has the links of the addresses that it was told of last.
type client7443 struct {
	mu    sync.Mutex
	b     *balancer7443
	links map[int]*link7443 // nil: it was closed
}

func (c *client7443) follow() {
	for addresses := range c.b.news {
		for _, l := range c.change(addresses) {
			l.end()
		}
	}
}

// change raises the links that are missing and takes away the others, which it gives.
func (c *client7443) change(addresses []int) (gone []*link7443) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.links == nil {
		return nil
	}
	wanted := map[int]bool{}
	for _, address := range addresses {
		wanted[address] = true
		if c.links[address] == nil {
			l := &link7443{}
			c.links[address] = l
			go l.raise(c.b, address)
		}
	}
	for address, l := range c.links {
		if !wanted[address] {
			gone = append(gone, l)
			delete(c.links, address)
		}
	}
	return gone
}

func (c *client7443) close() {
	c.mu.Lock()
	links := c.links
	c.links = nil
	c.mu.Unlock()
	c.b.close()
	for _, l := range links {
		l.end()
	}
}

func TestEtcd7443(t *testing.T) {
	b := &balancer7443{news: make(chan []int, 1)}
	b.news <- []int{0, 1, 2}
	c := &client7443{b: b, links: map[int]*link7443{}}
	go c.follow()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		b.close()
	}()
	go c.close()
	<-closed
}

// The sender holds the lock that the receiver takes before it receives again.
func TestGrpc1353(t *testing.T) {
	var mu sync.Mutex
	news := make(chan bool)
	go func() {
		for range 100 {
			mu.Lock()
			news <- true
			mu.Unlock()
		}
		close(news)
	}()
	go func() {
		for range news {
			for range 2 { // links that go down
				mu.Lock()
				mu.Unlock()
			}
		}
	}()
}

// Nobody receives the result.
func TestMoby4395(t *testing.T) {
	start := func(work func() error) chan error {
		result := make(chan error)
		go func() { result <- work() }()
		return result
	}
	start(func() error { return errors.New("no such container") })
}

// Who waits for a condition is not told when another one makes it hold, because none does.
func TestMoby29733(t *testing.T) {
	var active bool
	changed := sync.NewCond(&sync.Mutex{})
	await := func() {
		done := make(chan struct{})
		go func() {
			changed.L.Lock()
			for !active {
				changed.Wait()
			}
			changed.L.Unlock()
			close(done)
		}()
		<-done
	}
	await()
	active = false
	await()
}

// The error is sent before anybody has the channel.
func TestMoby33293(t *testing.T) {
	wait := func() <-chan error {
		failed := make(chan error)
		if rand.Int31n(2) == 1 {
			failed <- errors.New("it has failed")
		}
		return failed
	}
	go wait()
}

// watcher27782 gives events until it is closed. Removed files wait for an event of another kind.
type watcher27782 struct {
	mu      sync.Mutex
	removed *sync.Cond
	events  chan int
	done    chan struct{}
}

func watch27782() *watcher27782 {
	w := &watcher27782{events: make(chan int), done: make(chan struct{})}
	w.removed = sync.NewCond(&w.mu)
	go w.run()
	return w
}

func (w *watcher27782) run() {
	defer close(w.events)
	for {
		select {
		case <-w.done:
			return
		default:
		}
		time.Sleep(300 * time.Nanosecond)
		select {
		case w.events <- 1:
		case <-w.done:
			return
		}
	}
}

func (w *watcher27782) remove() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		w.removed.Wait()
	}
}

func TestMoby27782(t *testing.T) {
	type reader struct {
		closed chan struct{}
		once   sync.Once
	}
	var mu sync.Mutex
	readers := map[*reader]bool{}
	follow := func(r *reader) {
		w := watch27782()
		defer close(w.done)
		time.Sleep(300 * time.Nanosecond)
		select {
		case <-w.events:
		case <-r.closed:
			w.remove()
		}
	}
	go func() {
		r := &reader{closed: make(chan struct{})}
		go func() {
			mu.Lock()
			readers[r] = true
			mu.Unlock()
			follow(r)
		}()
		mu.Lock()
		defer mu.Unlock()
		for r := range readers {
			r.once.Do(func() { close(r.closed) })
			delete(readers, r)
		}
	}()
}
