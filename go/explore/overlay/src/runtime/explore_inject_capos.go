// Faults that a program asks for by Inject of package capos. Each is asked for at a decision point,
// and is a decision like those of the schedule: it is named, forced, left out and told as they are.
// They have a stream of their own, so that they and the schedule do not change each other.

//go:build capos

package runtime

import (
	"internal/runtime/atomic"
	_ "unsafe" // for go:linkname
)

// exploreFault is what a disturbance is, and the number of the fault added: no pause is as long.
const exploreFault = 1 << 62

// exploreFaultsMaxShift: one question has a fault in at most so many powers of two.
const exploreFaultsMaxShift = 6

var exploreFaults struct {
	stream atomic.Uint64
	oneIn  uint64 // of so many questions one has a fault; 0: none has
}

// exploreChooseFaults has one seed in four without any.
func exploreChooseFaults(seed uint64) {
	exploreFaults.stream.Store(exploreMix(seed ^ 0x6661756c74)) // "fault"
	if exploreFaultRandom()%4 != 0 {
		exploreFaults.oneIn = 1 << (exploreFaultRandom() % (exploreFaultsMaxShift + 1))
	}
}

func exploreFaultRandom() uint64 {
	return exploreMix(exploreFaults.stream.Add(-0x61c8864680b583eb))
}

// exploreInject tells which of so many faults happens at this point of the goroutine; 0: none.
//
//go:linkname exploreInject
func exploreInject(ways uint64) uint64 {
	explorePoint(exploreAsks)
	gp := getg()
	if !explore.on || ways == 0 || gp.explore.harness || gp.explore.inside {
		return 0
	}
	gp.explore.inside = true
	fault := exploreFaultAt(gp, ways)
	gp.explore.inside = false
	return fault
}

func exploreFaultAt(gp *g, ways uint64) (fault uint64) {
	var name, nth uint64
	if exploreNamed {
		name, nth = exploreName(gp, explore.points.Load())
	}
	if explore.forced != nil {
		for _, f := range explore.forced {
			if f.what > exploreFault && f.isAt(gp, name, nth) {
				fault = uint64(f.what - exploreFault)
			}
		}
	} else if oneIn := exploreFaults.oneIn; oneIn != 0 && exploreFaultRandom()%oneIn == 0 {
		fault = 1 + exploreFaultRandom()%ways
	}
	if fault == 0 || fault > ways {
		return 0
	}
	explore.signature = exploreMix(explore.signature ^ gp.explore.number<<8 ^ fault)
	if done := exploreKeep(gp, exploreAsks, exploreFault+int64(fault), name, nth); done != nil {
		exploreOver(done)
	}
	return fault
}
