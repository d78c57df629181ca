//go:build capos

package system

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A node is part of a tree whose shape changes all the time. sum covers everything below it, so
// that damage shows.
type node struct {
	left, right *node
	text        []byte
	crc         uint32
	sum         uint64
	note        any
}

func grow(random *rand.Rand, depth int) *node {
	n := &node{text: make([]byte, random.IntN(200))}
	for i := range n.text {
		n.text[i] = byte(random.Uint32())
	}
	if depth > 0 {
		n.left, n.right = grow(random, depth-1), grow(random, depth-1)
	}
	n.note = fmt.Sprint(len(n.text))
	n.seal()
	return n
}

func (n *node) seal() {
	n.crc = crc32.ChecksumIEEE(n.text)
	n.sum = uint64(n.crc)
	for _, child := range []*node{n.left, n.right} {
		if child != nil {
			n.sum += 3 * child.sum
		}
	}
}

// check looks at every node.
func (n *node) check() error {
	want := uint64(crc32.ChecksumIEEE(n.text))
	if note, ok := n.note.(string); !ok || note != fmt.Sprint(len(n.text)) {
		return fmt.Errorf("a note of %d bytes says %v", len(n.text), n.note)
	}
	for _, child := range []*node{n.left, n.right} {
		if child == nil {
			continue
		}
		if err := child.check(); err != nil {
			return err
		}
		want += 3 * child.sum
	}
	if n.sum != want {
		return fmt.Errorf("a node sums up to %d, its parts to %d", n.sum, want)
	}
	return nil
}

// churner is one goroutine's share of the stress: trees that are replaced, rotated, exchanged with
// others and checked.
type churner struct {
	random   *rand.Rand
	trees    [24]*node
	exchange chan *node
	cleaned  *atomic.Int64
	made     int64
}

func (c *churner) plant(i int) {
	c.trees[i] = grow(c.random, 2+c.random.IntN(4))
	runtime.AddCleanup(c.trees[i], func(n *atomic.Int64) { n.Add(1) }, c.cleaned)
	c.made++
}

func (c *churner) step() error {
	i := c.random.IntN(len(c.trees))
	switch c.random.IntN(4) {
	case 0:
		c.plant(i)
	case 1: // pointers move between objects that the collector may have seen already
		n := c.trees[i]
		n.left, n.right = n.right, n.left
		if n.left != nil && n.left.left != nil {
			n.left.left, n.left.right = n.left.right, n.left.left
		}
	case 2:
		c.exchange <- c.trees[i]
		c.trees[i] = <-c.exchange
	}
	return c.trees[i].check()
}

// The collector runs as often as it can beside goroutines on every CPU that rearrange its objects.
// Run with GODEBUG=gccheckmark=1,clobberfree=1 each mark is verified and each freed object
// overwritten.
func TestCollectorStress(t *testing.T) {
	limit := 60 * time.Second
	if testing.Short() {
		limit = 3 * time.Second
	}
	if text := os.Getenv(stressVar); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	workers := 2 * runtime.NumCPU()
	exchange := make(chan *node, workers)
	var cleaned, made, steps atomic.Int64
	var all sync.WaitGroup
	deadline := time.Now().Add(limit)
	for worker := range workers {
		all.Go(func() {
			c := &churner{random: rand.New(rand.NewPCG(uint64(worker), 2)),
				exchange: exchange, cleaned: &cleaned}
			for i := range c.trees {
				c.plant(i)
			}
			for time.Now().Before(deadline) {
				if err := c.step(); err != nil {
					t.Errorf("worker %d: %v", worker, err)
					break
				}
				steps.Add(1)
			}
			made.Add(c.made)
		})
	}
	all.Wait()
	runtime.ReadMemStats(&after)
	t.Logf("%d steps, %d collections, %d of %d trees cleaned up (GODEBUG=%s)", steps.Load(),
		after.NumGC-before.NumGC, cleaned.Load(),
		made.Load(), os.Getenv("GODEBUG"))
	if after.NumGC-before.NumGC < 5 {
		t.Errorf("%d collections are no stress", after.NumGC-before.NumGC)
	}
	if !eventually(30*time.Second,
		func() bool { runtime.GC(); return cleaned.Load() == made.Load() }) {
		t.Errorf("%d of %d trees were cleaned up", cleaned.Load(), made.Load())
	}
}

// Stacks grow and shrink under the collector, with pointers into them.
func TestStacksMove(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	var all sync.WaitGroup
	for worker := range 4 * runtime.NumCPU() {
		all.Go(func() {
			for round := range 40 {
				var local [4]int
				local[worker%4] = round
				if got := climb(50+round*10,
					&local[worker%4]); got != round+50+round*10 {
					t.Errorf("worker %d, round %d: %d", worker, round, got)
				}
				_ = strings.Repeat("x", 10000)
			}
		})
	}
	all.Wait()
}

//go:noinline
func climb(depth int, p *int) int {
	var pad [16]int
	pad[depth%16] = *p
	if depth == 0 {
		return pad[0]
	}
	return climb(depth-1, &pad[depth%16]) + 1
}
