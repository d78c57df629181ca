package main

import (
	"slices"
	"strings"

	"capos.dev/tools/internal/manifest"
)

// ordering sorts services so that each stands after those that it depends on, and otherwise as they
// were written.
type ordering struct {
	services []manifest.Service
	place    map[int]int // in the new order, by the old one
}

// order brings the services into an order in which they can be started, or adds a cycle.
func (c *checker) order() {
	o := &ordering{c.out.Services, map[int]int{}}
	sorted := make([]manifest.Service, 0, len(o.services))
	for len(sorted) < len(o.services) {
		next := o.next()
		if next < 0 {
			c.addCycle(o)
			return
		}
		o.place[next] = len(sorted)
		sorted = append(sorted, o.services[next])
	}
	for i := range sorted {
		for n, other := range sorted[i].After {
			sorted[i].After[n] = o.place[other]
		}
		slices.Sort(sorted[i].After)
	}
	c.out.Services = sorted
}

func (o *ordering) placed(i int) bool {
	_, done := o.place[i]
	return done
}

// next is the first service that has no place and waits for none without a place; -1: there is
// none.
func (o *ordering) next() int {
	for i := range o.services {
		if !o.placed(i) && o.waitsFor(i) < 0 {
			return i
		}
	}
	return -1
}

// waitsFor is a service without a place that service i depends on, or -1.
func (o *ordering) waitsFor(i int) int {
	for _, other := range o.services[i].After {
		if !o.placed(other) {
			return other
		}
	}
	return -1
}

// addCycle names services that wait for each other. Each one without a place waits for another, so
// the way from any of them leads into a cycle.
func (c *checker) addCycle(o *ordering) {
	first := 0
	for o.placed(first) {
		first++
	}
	for range o.services {
		first = o.waitsFor(first)
	}
	var steps []string
	for i := first; len(steps) == 0 || i != first; i = o.waitsFor(i) {
		steps = append(steps, o.services[i].Name+" waits for "+
			o.services[o.waitsFor(i)].Name)
	}
	c.add(c.of(first, "name"), "a cycle: %s", strings.Join(steps, ", "))
}
