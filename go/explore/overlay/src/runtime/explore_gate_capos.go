// Exploring by priorities: of all goroutines that are at a decision point, the one of the highest
// priority goes on, and the others wait until it is at its next one or cannot run.
//
// With priorities that are drawn once for each goroutine and lowered at up to two points this is
// PCT (Burckhardt and others: A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs,
// 2010), counted in decision points. With one that is drawn for each operation it is partial-order
// sampling in its basic form (Yuan, Yang, Gu: Partial Order Aware Concurrency Sampling, 2018),
// without what it knows of operations that do not conflict. Neither lets time pass, so a run has up
// to three pauses besides.
//
// Go's scheduler stays as it is. Who waits steps back behind all others again and again, so others
// run on until each of them waits here, too. A priority that is never the highest must not be for
// ever, because the goroutine that has it may hold up one that only polls; and of many goroutines
// only some wait, because each turn takes them all. In a run of very many points goroutines wait at
// some of them, because waiting takes ten times as long as the rest of a point.

//go:build capos

package runtime

const (
	exploreGates   = 16  // goroutines that can wait at a time
	exploreTurnMax = 400 // so often one steps back for others

	// At about so many operations and memory accesses of a run goroutines wait.
	exploreGatedMax     = 1 << 16
	exploreGatedSeenMax = 1 << 12
)

// exploreGateWeights are the priorities of those that wait; 0 is a free place. exploreGatePassed
// counts those that went on. Both are guarded by exploreGateLock.
var (
	exploreGateLock    mutex
	exploreGateWeights [exploreGates]uint64
	exploreGatePassed  uint64
)

// exploreWeight is a priority above those that a change gives.
func exploreWeight() uint64 { return exploreRandom64() | 1<<63 }

// exploreGate has the goroutine wait until its priority is the highest.
func exploreGate(gp *g, point uint64, operation uint8) {
	oneIn := explore.gated
	if operation >= exploreRead {
		oneIn = explore.gatedSeen
	}
	if oneIn != 0 && exploreRandom64()%oneIn != 0 {
		return
	}
	if gp.explore.weight == 0 {
		gp.explore.weight = exploreWeight()
	}
	place, passed := exploreGateEnter(gp.explore.weight)
	if place < 0 {
		return
	}
	begin := nanotime()
	for turn := 0; ; turn++ {
		Gosched()
		if since, first := exploreGateLeave(place, turn == exploreTurnMax); first {
			passed = since - passed
			break
		}
	}
	if passed == 0 {
		return
	}
	if done := exploreKeep(gp, operation, nanotime()-begin, 0, 0); done != nil {
		done.from = point
		exploreOver(done)
	}
}

// exploreGateEnter takes a place, or none, and tells how many have passed before.
func exploreGateEnter(weight uint64) (place int, passed uint64) {
	lock(&exploreGateLock)
	place, passed = -1, exploreGatePassed
	for i, taken := range exploreGateWeights {
		if taken == 0 {
			exploreGateWeights[i], place = weight, i
			break
		}
	}
	unlock(&exploreGateLock)
	return place, passed
}

// exploreGateLeave gives up the place if no other has a higher priority, or in any case. It tells
// how many others have passed till then.
func exploreGateLeave(place int, always bool) (passed uint64, leaves bool) {
	lock(&exploreGateLock)
	passed, leaves = exploreGatePassed, true
	for _, weight := range exploreGateWeights {
		leaves = leaves && weight <= exploreGateWeights[place]
	}
	if leaves = leaves || always; leaves {
		exploreGateWeights[place] = 0
		exploreGatePassed++
	}
	unlock(&exploreGateLock)
	return passed, leaves
}
