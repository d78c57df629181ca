// Command seedprobe does what makes runs of a Go program differ from each other: goroutines that
// talk over sockets, channels and select, maps, random numbers, sleeps, the collector, the clock.
// It prints a digest of all that, after as many lines of output as its argument asks for.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	clients  = 12
	requests = 30
	largest  = 1000
)

// notes is a digest that goroutines add to in the order in which they come.
type notes struct {
	mu sync.Mutex
	h  hash.Hash
}

func (n *notes) add(values ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintln(n.h, values...)
}

func main() {
	n := &notes{h: sha256.New()}
	input, err := io.ReadAll(os.Stdin)
	check(err)
	n.add(len(input), sha256.Sum256(input))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go serve(listener)
	ticks := make(chan int, 1)
	go tick(ticks)
	var all sync.WaitGroup
	for id := range clients {
		all.Go(func() { client(n, listener.Addr().String(), id, ticks) })
	}
	all.Wait()
	runtime.GC()
	if len(os.Args) > 1 {
		lines, err := strconv.Atoi(os.Args[1])
		check(err)
		out := bufio.NewWriter(os.Stdout)
		for i := range lines {
			fmt.Fprintln(out, i, rand.Uint64())
		}
		check(out.Flush())
	}
	fmt.Printf("%x %d\n", n.h.Sum(nil), time.Now().UnixNano())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func serve(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		go io.Copy(c, c)
	}
}

func tick(ticks chan<- int) {
	for i := 0; ; i++ {
		ticks <- i
		time.Sleep(50 * time.Microsecond)
	}
}

func client(n *notes, address string, id int, ticks <-chan int) {
	c, err := net.Dial("tcp", address)
	check(err)
	defer c.Close()
	buffer := make([]byte, largest)
	for i := range requests {
		size := 1 + rand.IntN(largest)
		_, err := c.Write(buffer[:size])
		check(err)
		_, err = io.ReadFull(c, buffer[:size])
		check(err)
		n.add(id, i, size, firstOfMap(size))
		select {
		case t := <-ticks:
			n.add("tick", t)
		case <-time.After(time.Duration(size) * time.Microsecond):
			n.add("late")
		}
	}
}

// firstOfMap is a key of a map of some size: the order of a map is random.
func firstOfMap(size int) int {
	m := map[int][]byte{}
	for k := range 100 {
		m[k*size] = make([]byte, size)
	}
	for k := range m {
		return k
	}
	return 0
}
