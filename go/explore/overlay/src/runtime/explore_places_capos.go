// Which decision points a program has, and whether what came before each of them was the same in
// all runs. The host compares: a point that never varied is one where no seed tried anything else.
//
// Points are told apart by the stack that leads to them. The order of one is a hash over the
// goroutines that came to the point of the run before it, at each of its visits.

//go:build capos

package runtime

import "internal/runtime/atomic"

const (
	explorePlacesMax  = 512                 // that are told apart; others are left out
	explorePlaceDepth = 12                  // frames, the explorer's own among them
	exploreOwnFrames  = 2                   // exploreVisit and explorePoint
	exploreDigits     = 8                   // of a number that is told
	exploreEntrySize  = 2*exploreDigits + 2 // a space, two numbers, and a colon between them
)

// exploreVisited is a place. Writers take an entry by its stack, whose addresses are only kept in
// the undisturbed run.
type exploreVisited struct {
	stack atomic.Uint64
	order uint64
	pcs   [explorePlaceDepth]uintptr
}

var (
	exploreVisits [explorePlacesMax]exploreVisited
	exploreLast   uint64 // the goroutine that came to the last point

	exploreOrdersText [explorePlacesMax * exploreEntrySize]byte
)

// exploreVisit notes that the goroutine has come to a point.
func exploreVisit(gp *g) {
	var buffer [explorePlaceDepth]uintptr
	stack := exploreCallers(buffer[:])
	hash := uint64(1)
	for _, pc := range stack[min(exploreOwnFrames, len(stack)):] {
		hash = exploreMix(hash ^ uint64(pc))
	}
	for i := range uint64(exploreProbes) {
		entry := &exploreVisits[(hash+i)%explorePlacesMax]
		if entry.stack.Load() == hash || entry.stack.CompareAndSwap(0, hash) {
			entry.order = exploreMix(entry.order ^ exploreLast)
			if explore.lists && entry.pcs[0] == 0 {
				entry.pcs = buffer
			}
			break
		}
	}
	exploreLast = gp.explore.number
}

// exploreOrders prints a number for each place and one for its order, and in the undisturbed run
// before them the stack of each. It may be called in a panic, so it allocates nothing.
func exploreOrders() {
	end := 0
	for i := range exploreVisits {
		entry := &exploreVisits[i]
		stack := entry.stack.Load()
		if stack == 0 {
			continue
		}
		text := exploreOrdersText[end:][:exploreEntrySize]
		text[0], text[exploreDigits+1] = ' ', ':'
		exploreHex(text[1:], uint32(stack))
		exploreHex(text[exploreDigits+2:], uint32(entry.order))
		end += exploreEntrySize
		if !explore.lists {
			continue
		}
		print("capos explore: visited ")
		gwrite(text[1 : exploreDigits+1])
		print("\n")
		for _, pc := range entry.pcs {
			explorePlaces(pc)
		}
	}
	print("capos explore: orders")
	gwrite(exploreOrdersText[:end])
	print("\n")
}

// exploreHex writes exploreDigits hexadecimal digits.
func exploreHex(text []byte, number uint32) {
	for i := range exploreDigits {
		text[exploreDigits-1-i] = "0123456789abcdef"[number>>(4*i)&15]
	}
}
