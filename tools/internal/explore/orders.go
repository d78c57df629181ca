package explore

import (
	"maps"
	"slices"
	"strings"
)

// Orders is what is known of a program's decision points over all runs: where they are, and at
// which of them something else came before in some run. A point is told apart by the stack that
// leads to it, and the run gives it a number.
type Orders struct {
	Places map[string]string `json:"places"` // by number; of the undisturbed run
	First  map[string]string `json:"first"`  // the order in the first run, by number
	Varied map[string]bool   `json:"varied"` // by number: another run had another one
}

const ordersEntry = saidByRuntime + "orders"

// Learn takes the places of the points from the undisturbed run, which names them.
func (o *Orders) Learn(r *Run, source Source) { o.Places = r.told(source).visited }

// add compares a run with those before. One that ended without telling its orders is left out.
func (o *Orders) add(r *Run) {
	_, told, ok := strings.Cut(r.Output, ordersEntry)
	if !ok {
		return
	}
	line, _, _ := strings.Cut(told, "\n")
	orders := map[string]string{}
	for entry := range strings.FieldsSeq(line) {
		number, order, _ := strings.Cut(entry, ":")
		orders[number] = order
	}
	if o.First == nil {
		o.First, o.Varied = orders, map[string]bool{}
		return
	}
	for number, first := range o.First {
		if orders[number] != first {
			o.Varied[number] = true
		}
	}
}

// Points are the different places of decision points.
func (o *Orders) Points() int {
	return len(slices.Compact(slices.Sorted(maps.Values(o.Places))))
}

// NeverVaried are the places before which the same goroutines came in the same order in all runs.
func (o *Orders) NeverVaried() []string {
	varied := map[string]bool{}
	for number, place := range o.Places {
		if _, known := o.First[number]; o.Varied[number] || !known {
			varied[place] = true
		}
	}
	places := slices.Compact(slices.Sorted(maps.Values(o.Places)))
	return slices.DeleteFunc(places, func(place string) bool { return varied[place] })
}
