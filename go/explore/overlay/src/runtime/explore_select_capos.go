// Exploring: which of several ready cases a select takes.
//
// The language has it be any of them, and a program may well be wrong for one. A seed draws it, as
// ordinary runs do. A run with forced disturbances takes the cases in turn, and another one only
// where that is forced. So what a seed has taken out of turn is a decision like others: it is told,
// left out where the failure does not need it, and named.

//go:build capos

package runtime

import "internal/runtime/atomic"

// exploreTakes is what a disturbance is that takes a case, with its number added; below
// exploreFault. Cases are numbered in the order of the source, those that send before others.
const exploreTakes = 1 << 61

// exploreTaken are the cases that were taken out of turn, the first of them.
var (
	exploreTaken      [exploreKept]exploreDone
	exploreTakenCount atomic.Uint32
)

// exploreCases decides which of the ready cases is looked at first. The channels of all are locked.
// Of scases, so many that send are at the beginning and those that receive at the end, the last
// first.
func exploreCases(scases []scase, nsends int, pollorder []uint16) {
	gp := getg()
	chooses := gp.explore.chooses
	gp.explore.chooses = false
	if !chooses || len(pollorder) < 2 {
		return
	}
	cases, next, drawn, ready := uint32(len(scases)), -1, -1, 0
	turn := gp.explore.turn % cases // the last select may have had more
	nearest := cases
	for i, index := range pollorder {
		if !exploreIsReady(&scases[index], int(index) < nsends) {
			continue
		}
		if ready++; ready == 1 {
			drawn = i
		}
		behind := (exploreCaseNumber(scases, nsends, index) + cases - turn) % cases
		if behind < nearest {
			nearest, next = behind, i
		}
	}
	if ready < 2 {
		return
	}
	taken := drawn
	if explore.forced != nil {
		taken = next
		for _, f := range explore.forced {
			if f.what >= exploreTakes && f.what < exploreFault &&
				f.isAt(gp, gp.explore.place, gp.explore.nth) {
				taken = exploreCaseAt(scases, nsends, pollorder, f.what, next)
			}
		}
	}
	exploreTake(gp, exploreCaseNumber(scases, nsends, pollorder[taken]), taken != next)
	pollorder[0], pollorder[taken] = pollorder[taken], pollorder[0]
}

// exploreIsReady tells whether a case can go on at once, as pass 1 of selectgo finds out. A waiting
// goroutine may turn out to be taken already; then the next case is.
func exploreIsReady(cas *scase, sends bool) bool {
	c := cas.c
	if sends {
		return c.closed != 0 || c.recvq.first != nil || c.qcount < c.dataqsiz
	}
	return c.closed != 0 || c.sendq.first != nil || c.qcount > 0
}

// exploreCaseNumber is the number of the case with this index.
func exploreCaseNumber(scases []scase, nsends int, index uint16) uint32 {
	if int(index) < nsends {
		return uint32(index)
	}
	return uint32(len(scases) - 1 - int(index) + nsends)
}

// exploreCaseAt is the place in the order of the case that is to be taken, or else another one.
func exploreCaseAt(scases []scase, nsends int, pollorder []uint16, what int64, other int) int {
	for i, index := range pollorder {
		if int64(exploreCaseNumber(scases, nsends, index)) == what-exploreTakes {
			return i
		}
	}
	return other
}

// exploreTake notes which case is taken, and keeps one that is not taken in turn to be told.
func exploreTake(gp *g, number uint32, kept bool) {
	gp.explore.turn = number + 1
	explore.signature = exploreMix(explore.signature ^ gp.explore.number<<8 ^ uint64(number))
	if !kept {
		return
	}
	i := exploreTakenCount.Add(1) - 1
	if i >= exploreKept {
		return
	}
	done := &exploreTaken[i]
	exploreNote(done, gp, exploreSelect, exploreTakes+int64(number), gp.explore.place,
		gp.explore.nth)
	exploreOver(done)
	callers(2, done.stack[:])
}
