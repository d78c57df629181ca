// Exploring: a seed decides what a scheduler is free to decide.
//
// This file is part of explore builds only. go/explore/edits.txt puts calls of explorePoint at the
// operations by which goroutines meet. There the seed may have the goroutine step back behind the
// others or pause for a virtual time, or have the collector run. Each of these happens on ordinary
// machines too, only rarely. No operation gets another meaning, so whatever fails here is a failure
// of the program.
//
// CAPOS_EXPLORE holds the seed, the longest pause in microseconds, about how many points a run has,
// and 1 for a program that is no test, with commas between. Two more numbers are a point of the run
// and the seed that decides what comes after it, a third one has the stacks printed there, with a
// fourth one data races are looked for, with a fifth one goroutines that are left at the end are
// named, and a sixth one, if it is not 0, is one more than the strategy. With a seventh one the
// orders at decision points are told at the end, and with an eighth one the program's memory
// accesses are points too, where data races are looked for; with seed 0 they are counted.
// Without the variable, or before the first test, nothing is disturbed; with seed 0 points are only
// counted. Decisions come from one stream and what the program sees as random from another, so
// neither shifts the other.

//go:build capos

package runtime

import (
	"internal/goarch"
	"internal/runtime/atomic"
	"unsafe"
)

// Operations at decision points. Packages that cannot import this one use the numbers, which
// go/explore/edits.txt holds; they only tell interleavings apart.
const (
	exploreAtomic = 5
	exploreSend   = iota + 15
	exploreReceive
	exploreClose
	exploreSelect
	exploreGo
	exploreAsks // for a fault
	exploreRead
	exploreWrite
)

// Strategies: how the disturbances of a run are spread.
const (
	exploreUndisturbed = iota
	exploreFew         // up to three pauses, anywhere in the run
	exploreMany        // each point has the same probability
	exploreSlow        // some goroutines pause at each of their points
	explorePCT         // the goroutine of the highest priority runs, and up to three pauses
	exploreSampling    // the operation of the highest priority is next, and up to three pauses
	exploreFew1        // one, two or three pauses, when the host asks for it
	exploreFew2
	exploreFew3
)

// exploreShare is how many of exploreShares seeds take a strategy: docs/explore.md says why.
var exploreShare = [...]uint64{exploreUndisturbed: 1, exploreFew: 4, exploreMany: 3, exploreSlow: 2,
	explorePCT: 3, exploreSampling: 3}

const exploreShares = 16

// exploreG is what a run knows of a goroutine.
type exploreG struct {
	number  uint64 // in the order of creation since the first test
	points  uint64 // of this goroutine so far
	pause   int64  // in ns, at each of its points; strategy exploreSlow
	weight  uint64 // its priority; strategies explorePCT and exploreSampling
	inside  bool   // it is at a decision point now
	harness bool   // it is the runtime's or package testing's, and not to be disturbed
	name    uint64 // when disturbances are forced; see explore_names_capos.go
	child   uint64 // what the next goroutine is named after
	childAt uint16 // where it is made, as an index of exploreStacksKnown
	place   uint64 // the name of the point that it came to last, when disturbances are forced
	nth     uint64 // it is so many of this name
	chooses bool   // this point is a select
	turn    uint32 // the number of the case that is next where several are ready
	test    string // that it or one of its creators was made for; "": none
}

// exploreForced is a disturbance that the host asks for, by goroutine and point of this goroutine,
// or by name and how often it has occurred.
type exploreForced struct {
	goroutine, point uint64
	what             int64 // ns, one of the constants below, exploreTakes or exploreFault
	named            bool
}

// What a disturbance is, when it is no pause.
const (
	exploreStepBack = 0
	exploreCollect  = -1
	exploreMove     = -2 // of the goroutine's stack
)

// exploreDone is a disturbance that has taken place.
type exploreDone struct {
	goroutine, point uint64
	what             int64
	operation        uint8
	id               uint64 // as in stacks
	name, nth        uint64 // 0 unless disturbances are forced
	from, to         uint64 // points of the run when it began and ended; to is 0 before
	stack            [24]uintptr
}

// exploreKept is how many disturbances can be told and forced; a run with more is not shrunk.
const exploreKept = 256

var (
	exploreForcedOnes [2 * exploreKept]exploreForced // with those of exploreTaken
	exploreDoneOnes   [exploreKept]exploreDone
	exploreDoneCount  atomic.Uint32
)

var explore struct {
	armed     bool // there is a seed
	on        bool // points disturb
	ended     bool // the program exits: no disturbance any more
	program   bool // it is no test: disturbed from the beginning of main
	strict    bool // goroutines that are left at the end are named
	orders    bool // those at decision points are told
	lists     bool // and where these are
	strategy  uint8
	probable  uint64 // exploreMany: one point in so many
	thinned   uint64 // exploreSlow: one point in so many
	cpus      int32
	main      *g              // runs main.main of a test, or nil
	pauseMax  int64           // ns: the longest that the seed uses
	forced    []exploreForced // instead of what the seed would do
	until     uint64          // at this point of the run another seed takes over; 0: never
	reseed    uint64          // that seed
	stacks    bool            // stacks are printed then
	wanted    uint64          // strategy that the host asks for, and 1; 0: the seed's
	few       [3]uint64       // points at which a goroutine pauses or, exploreSlow, starts to
	changes   [2]uint64       // explorePCT: the points at which a priority changes
	collect   [2]uint64       // points at which the collector runs; 0: none
	move      [3]uint64       // points at which a stack moves; 0: none
	gated     uint64          // of operations, one in so many waits for its priority; 0: each
	gatedSeen uint64          // and so of accesses
	stream    atomic.Uint64
	random    atomic.Uint64 // the program's own stream
	points    atomic.Uint64
	created   atomic.Uint64
	paused    atomic.Int32 // goroutines in explorePause
	signature uint64       // of the order of operations
	sees      bool         // the program's memory accesses are counted
	stops     bool         // and they are points
	accesses  atomic.Uint64
}

// explorePauseDefault is the longest pause unless the variable names another.
const explorePauseDefault = 100_000 // us

// exploreInit reads the seed, before the runtime wants anything random. Everything that is chosen
// once for a run is chosen here.
func exploreInit() {
	var numbers [12]uint64 // see above
	text, list := exploreCut(exploreVariable("CAPOS_EXPLORE="), ';')
	if !exploreNumbers(text, numbers[:]) {
		return
	}
	exploreHide("CAPOS_EXPLORE=")
	exploreDirectory = exploreVariable("PWD=")
	exploreForce(list)
	explore.program = numbers[3] != 0
	explore.until, explore.reseed, explore.stacks = numbers[4], numbers[5], numbers[6] != 0
	raceenabled, explore.strict = numbers[7] != 0, numbers[8] != 0
	explore.wanted, explore.orders = numbers[9], numbers[10] != 0
	seed, pause, points := numbers[0], int64(numbers[1]), numbers[2]
	explore.armed, explore.lists = true, seed == 0
	explore.sees, explore.stops = numbers[11] != 0, numbers[11] != 0 && seed != 0
	explore.stream.Store(exploreMix(seed + 1))
	explore.random.Store(exploreMix(^seed))
	if seed == 0 {
		return
	}
	if pause == 0 {
		pause = explorePauseDefault
	}
	if points == 0 { // not known: the range that matters is guessed
		points = 16 << (exploreRandom64() % 10)
	}
	exploreChoose(pause, 0, points)
	exploreChooseFaults(seed)
}

// exploreChoose chooses a strategy and where it disturbs: among so many points after the first of
// them. pause is the longest one, in us.
func exploreChoose(pause int64, first, points uint64) {
	share := exploreRandom64() % exploreShares
	for explore.strategy = 0; share >= exploreShare[explore.strategy]; explore.strategy++ {
		share -= exploreShare[explore.strategy]
	}
	if explore.wanted != 0 {
		explore.strategy = uint8(explore.wanted - 1)
	}
	if cpus := int32(1) << (exploreRandom64() % 3); explore.cpus == 0 {
		explore.cpus = cpus
	}
	explore.probable = max(2, points>>(1+exploreRandom64()%6))
	explore.thinned = 1 + points/exploreKept
	explore.gated, explore.gatedSeen = points/exploreGatedMax, 1+points/exploreGatedSeenMax
	explore.pauseMax = pause * 1000
	if exploreRandom64()%4 == 0 { // a disturbed run may be longer
		points <<= 1 + exploreRandom64()%4
	}
	exactly := uint64(0)
	switch explore.strategy {
	case exploreFew, explorePCT, exploreSampling:
	case exploreFew1, exploreFew2, exploreFew3:
		exactly = 1 + uint64(explore.strategy-exploreFew1)
		explore.strategy = exploreFew
	default:
		explore.pauseMax = exploreLogUniform(10, pause) * 1000
	}
	few := 1 + max(exploreRandom64()%3, exploreRandom64()%3) // mostly all three
	if exactly != 0 {
		few = exactly
	}
	for i := range few {
		explore.few[i] = first + 1 + exploreRandom64()%points
	}
	for i := range explore.changes {
		explore.changes[i] = first + 1 + exploreRandom64()%points
	}
	if exploreRandom64()%4 == 0 {
		for i := range explore.collect {
			explore.collect[i] = first + 1 + exploreRandom64()%points
		}
	}
	exploreChooseMoves(first, points)
}

// exploreChooseMoves chooses, in a quarter of the seeds, where stacks move. What it draws is not of
// the stream, so the other seeds mean what they mean without it.
func exploreChooseMoves(first, points uint64) {
	drawn := exploreMix(^explore.stream.Load())
	if drawn%4 != 0 {
		return
	}
	for i := range explore.move {
		drawn = exploreMix(drawn + 1)
		explore.move[i] = first + 1 + drawn%points
	}
}

// exploreReseed has another seed decide what comes after this point. Seed 0 disturbs nothing.
func exploreReseed(point uint64) {
	if explore.stacks {
		exploreStacks()
	}
	explore.forced, explore.strategy = exploreForcedOnes[:0], exploreUndisturbed
	exploreFaults.oneIn = 0
	if explore.reseed != 0 {
		explore.stream.Store(exploreMix(explore.reseed + 1))
		explore.forced = nil
		exploreChoose(explorePauseDefault, point, max(16, point))
		exploreChooseFaults(explore.reseed)
	}
}

// exploreVariable is the value of a variable, from where the kernel has put it. The name ends in an
// equals sign.
func exploreVariable(name string) string {
	for i := argc + 1; argv_index(argv, i) != nil; i++ {
		entry := gostringnocopy(argv_index(argv, i))
		if len(entry) > len(name) && entry[:len(name)] == name {
			return entry[len(name):]
		}
	}
	return ""
}

// exploreHide takes a variable out of the program's environment. What the program starts is not
// explored then, and prints nothing but its own.
func exploreHide(name string) {
	hidden := false
	for i := argc + 1; argv_index(argv, i) != nil; i++ {
		entry := gostringnocopy(argv_index(argv, i))
		if hidden = hidden || len(entry) > len(name) && entry[:len(name)] == name; hidden {
			place := add(unsafe.Pointer(argv), uintptr(i)*goarch.PtrSize)
			*(*uintptr)(place) = uintptr(unsafe.Pointer(argv_index(argv, i+1)))
		}
	}
}

// exploreCut gives what is before the first mark, and what is behind it with the mark.
func exploreCut(text string, mark byte) (before, rest string) {
	for i := range len(text) {
		if text[i] == mark {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// exploreForce reads disturbances: each a mark, goroutine, point and pause in ns, or 1 for a step
// back, 2 for a collection and 3 for a move of the stack. With a further 1, goroutine and point are
// a name and its count.
func exploreForce(list string) {
	if list == "" {
		return
	}
	exploreNamed = true
	explore.forced = exploreForcedOnes[:0]
	for list != "" && len(explore.forced) < len(exploreForcedOnes) {
		var entry string
		var numbers [4]uint64
		entry, list = exploreCut(list[1:], ';')
		if exploreNumbers(entry, numbers[:]) {
			what := int64(numbers[2])
			if what <= 1-exploreMove {
				what = 1 - what
			}
			explore.forced = append(explore.forced,
				exploreForced{numbers[0], numbers[1], what, numbers[3] != 0})
		}
	}
}

// exploreNumbers reads decimal numbers with commas between them. Those that are missing stay 0.
func exploreNumbers(text string, numbers []uint64) bool {
	i := 0
	for index := range len(text) {
		switch c := text[index]; {
		case c == ',' && i+1 < len(numbers):
			i++
		case '0' <= c && c <= '9':
			numbers[i] = numbers[i]*10 + uint64(c-'0')
		default:
			return false
		}
	}
	return text != ""
}

// exploreMix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014).
//
//go:nosplit
func exploreMix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// exploreRandom64 draws from the stream of decisions. It takes no lock.
//
//go:nosplit
func exploreRandom64() uint64 { return exploreMix(explore.stream.Add(-0x61c8864680b583eb)) }

// exploreRandomBytes fills r from the stream of the program.
//
//go:nosplit
func exploreRandomBytes(r []byte) bool {
	if !explore.armed {
		return false
	}
	for i := range r {
		r[i] = byte(exploreMix(explore.random.Add(-0x61c8864680b583eb)))
	}
	return true
}

// exploreRandom orders what the scheduler may order freely: n-1, which changes nothing, in an
// undisturbed run.
//
//go:nosplit
func exploreRandom(n uint32) uint32 {
	if !explore.on || explore.strategy == exploreUndisturbed {
		return n - 1
	}
	return uint32(exploreRandom64() % uint64(n))
}

// exploreCase orders the cases of a select, which have no order in any run.
//
//go:nosplit
func exploreCase(n uint32) uint32 {
	if !explore.on {
		return cheaprandn(n)
	}
	return uint32(exploreRandom64() % uint64(n))
}

// exploreLogUniform draws from low to high so that each factor of two is as likely as another.
func exploreLogUniform(low, high int64) int64 {
	doublings := uint64(0)
	for low<<doublings < high {
		doublings++
	}
	if doublings == 0 {
		return high
	}
	base := low << (exploreRandom64() % doublings)
	return min(base+int64(exploreRandom64()%uint64(base)), high)
}

// exploreCPUs is the number of CPUs that the program is told of: the seed's, or what there are.
func exploreCPUs(count int32) int32 {
	if explore.cpus != 0 {
		return explore.cpus
	}
	return count
}

// exploreMain runs main.main. A program that is no test is disturbed from its beginning.
func exploreMain(main func()) {
	if explore.program {
		exploreTest(true)
	}
	explore.main = getg()
	main()
	exploreEnd(0)
}

// exploreTest tells that the goroutine enters or leaves the function of a test. Disturbances begin
// with the first test. Package testing itself, on the main goroutine or around a test, is left
// alone.
//
//go:linkname exploreTest
func exploreTest(enters bool) {
	if gp := getg(); explore.armed && !explore.ended {
		if !explore.on && !explore.program {
			go exploreWatch()
		}
		explore.on = true
		gp.explore.harness = !enters || gp == explore.main
	}
}

// exploreWatch ends tests that can never end. It looks when no test has come to a decision point
// for a second, and then less and less often.
func exploreWatch() {
	const second = 1_000_000_000 // ns
	seen, wait := uint64(0), int64(second)
	for !explore.ended {
		timeSleep(wait)
		if points := explore.points.Load(); points != seen {
			seen, wait = points, second
			continue
		}
		wait *= 2
		goroutineLeakGC()
		if main := explore.main; main != nil && readgstatus(main) == _Gleaked {
			print("capos explore: deadlock\n")
			leaked := exploreLeaks()
			exploreTell()
			exploreCount(leaked, 0)
			exit(2)
		}
	}
}

// exploreNew chooses what a new goroutine is like.
func exploreNew(gp, creator *g) {
	gp.explore = exploreG{harness: isSystemGoroutine(gp, false), test: creator.explore.test}
	if !explore.on {
		return
	}
	gp.explore.number = explore.created.Add(1)
	exploreBorn(gp, creator)
	if explore.strategy == exploreSlow && exploreRandom64()%2 == 0 {
		gp.explore.pause = explorePauseTime()
	}
}

// explorePoint is called by goroutines of the program where the seed may let something else happen
// first. It does nothing where a goroutine cannot wait: the collector, for one, sends on a channel
// of package unique while the world is stopped.
//
//go:linkname explorePoint
func explorePoint(operation uint8) {
	if !explore.on {
		return
	}
	gp := getg()
	mp := gp.m
	if gp != mp.curg || mp.locks != 0 || mp.preemptoff != "" || mp.mallocing != 0 ||
		gp.explore.inside || gp.explore.harness || gp.paniconfault ||
		panicking.Load() != 0 || sched.gcwaiting.Load() {
		return
	}
	gp.explore.inside = true
	gp.explore.chooses = operation == exploreSelect
	point := explore.points.Add(1)
	gp.explore.points++
	explore.signature = exploreMix(explore.signature ^ gp.explore.number<<8 ^ uint64(operation))
	if operation < exploreRead {
		exploreVisit(gp)
	}
	exploreDecide(gp, point, operation)
	gp.explore.inside = false
}

// isAt tells whether the goroutine, at the point of that name, is where the disturbance is to be.
func (f *exploreForced) isAt(gp *g, name, nth uint64) bool {
	if f.named {
		return f.goroutine == name && f.point == nth
	}
	return f.goroutine == gp.explore.number && f.point == gp.explore.points
}

// exploreAccess is a memory access of instrumented code, given by its return addresses. Those of
// the program are counted or, if the run wants it, points. The library's are not: it has far more,
// and most are of what no other goroutine knows. Of the accesses to maps, which the library does
// for the program, the caller counts.
func exploreAccess(stack []uintptr, operation uint8) {
	who := exploreCodeOf(stack[0])
	if who == exploreOfMaps {
		who = exploreCodeOf(stack[1])
	}
	if who != exploreOfProgram || !explore.on {
		return
	}
	explore.accesses.Add(1)
	if explore.stops {
		explorePoint(operation)
	}
}

// exploreEnter has the goroutine come to no decision point until exploreLeave.
func exploreEnter() (inside bool) {
	gp := getg()
	inside, gp.explore.inside = gp.explore.inside, true
	return inside
}

func exploreLeave(inside bool) { getg().explore.inside = inside }

// exploreDecide is the decision at one point.
func exploreDecide(gp *g, point uint64, operation uint8) {
	var name, nth uint64
	if exploreNamed {
		name, nth = exploreName(gp, point)
		gp.explore.place, gp.explore.nth = name, nth
	}
	if point == explore.until {
		exploreReseed(point)
	}
	if explore.forced != nil {
		for _, f := range explore.forced {
			if f.what < exploreTakes && f.isAt(gp, name, nth) {
				exploreDisturb(gp, operation, f.what, name, nth)
			}
		}
		return
	}
	if point == explore.collect[0] || point == explore.collect[1] {
		exploreDisturb(gp, operation, exploreCollect, 0, 0)
	}
	for _, chosen := range explore.move {
		if point == chosen {
			exploreDisturb(gp, operation, exploreMove, 0, 0)
		}
	}
	exploreChosen(gp, point, operation)
}

// exploreChosen does what the run's strategy wants at the point.
func exploreChosen(gp *g, point uint64, operation uint8) {
	switch explore.strategy {
	case exploreFew:
		exploreRarely(gp, point, operation)
	case exploreMany:
		if exploreRandom64()%explore.probable == 0 {
			exploreDisturb(gp, operation, exploreWhat(2), 0, 0)
		}
	case exploreSlow:
		for _, chosen := range explore.few {
			if point == chosen {
				gp.explore.pause = explorePauseTime()
			}
		}
		if gp.explore.pause != 0 && exploreRandom64()%explore.thinned == 0 {
			exploreDisturb(gp, operation, gp.explore.pause, 0, 0)
		}
	case explorePCT:
		for i, chosen := range explore.changes {
			if point == chosen {
				gp.explore.weight = 1 + uint64(i)
			}
		}
		exploreGate(gp, point, operation)
		exploreRarely(gp, point, operation)
	case exploreSampling:
		gp.explore.weight = exploreWeight()
		exploreGate(gp, point, operation)
		exploreRarely(gp, point, operation)
	}
}

// exploreRarely disturbs at up to three points of the run.
func exploreRarely(gp *g, point uint64, operation uint8) {
	for _, chosen := range explore.few {
		if point == chosen {
			exploreDisturb(gp, operation, exploreWhat(4), 0, 0)
		}
	}
}

// exploreWhat is a step back once in so many times, and a pause otherwise.
func exploreWhat(stepsBack uint64) int64 {
	if exploreRandom64()%stepsBack == 0 {
		return exploreStepBack
	}
	return explorePauseTime()
}

// explorePauseTime is once in four times the longest that there may be, because many failures take
// a time that is over, and else anything below.
func explorePauseTime() int64 {
	if exploreRandom64()%4 == 0 {
		return explore.pauseMax
	}
	return exploreLogUniform(1, explore.pauseMax/1000) * 1000
}

// exploreDisturb does what was decided, and keeps it to be told.
func exploreDisturb(gp *g, operation uint8, what int64, name, nth uint64) {
	if done := exploreKeep(gp, operation, what, name, nth); done != nil {
		defer exploreOver(done)
	}
	switch what {
	case exploreCollect:
		GC()
	case exploreMove:
		exploreMoveStack(gp)
	case exploreStepBack:
		Gosched()
	default:
		explorePause(gp, what)
	}
}

// exploreMoveStack has the goroutine's stack move, as it does when it grows. The old one is
// overwritten, so that what still points there is noticed. A request to preempt the goroutine may
// come first.
func exploreMoveStack(gp *g) {
	stackPoisonCopy = 1
	for old := gp.stack.lo; gp.stack.lo == old; {
		gp.stackguard0 = stackForceMove
		exploreLooksAtStack()
	}
	stackPoisonCopy = 0
}

// exploreLooksAtStack has a frame, so it looks whether the stack has room for that.
//
//go:noinline
func exploreLooksAtStack() uint64 {
	var room [16]uint64
	return exploreMix(uint64(uintptr(noescape(unsafe.Pointer(&room)))))
}

// exploreKeep keeps a disturbance to be told; nil when there were too many. Then the next are half
// as likely, because the run has far more points than was thought, and would take long. The first
// frames that it leaves out are the explorer's own.
func exploreKeep(gp *g, operation uint8, what int64, name, nth uint64) *exploreDone {
	i := exploreDoneCount.Add(1) - 1
	if i != 0 && i%exploreKept == 0 {
		explore.probable *= 2
		explore.thinned *= 2
	}
	if i >= exploreKept {
		return nil
	}
	done := &exploreDoneOnes[i]
	exploreNote(done, gp, operation, what, name, nth)
	callers(4, done.stack[:])
	return done
}

// exploreNote fills in what has happened at the point where the goroutine is.
func exploreNote(done *exploreDone, gp *g, operation uint8, what int64, name, nth uint64) {
	*done = exploreDone{goroutine: gp.explore.number, point: gp.explore.points, what: what,
		operation: operation, id: gp.goid, name: name, nth: nth,
		from: explore.points.Load()}
}

// exploreOver notes that a disturbance is over.
func exploreOver(done *exploreDone) { done.to = explore.points.Load() }

// exploreTell prints the disturbances, each with goroutine, point, kind or pause, operation, id of
// the goroutine, name and count, then the places in its stack, and then what ran meanwhile.
func exploreTell() {
	if !explore.armed {
		return
	}
	if exploreDoneCount.Load() > exploreKept {
		print("capos explore: disturbed too often to be told\n")
		return
	}
	done, taken := exploreDoneCount.Load(), min(exploreTakenCount.Load(), exploreKept)
	for i, j := uint32(0), uint32(0); i < done || j < taken; {
		if i == done || j < taken && exploreTaken[j].from < exploreDoneOnes[i].from {
			exploreTellOne(&exploreTaken[j])
			j++
		} else {
			exploreTellOne(&exploreDoneOnes[i])
			i++
		}
	}
	exploreBirths()
}

func exploreTellOne(done *exploreDone) {
	what := done.what
	if what <= 0 {
		what = 1 - what
	}
	print("capos explore: disturbed ", done.goroutine, " ", done.point, " ", what, " ",
		done.operation, " ", done.id, " ", done.name, " ", done.nth, "\n")
	for _, pc := range done.stack {
		explorePlaces(pc)
	}
	exploreMeanwhile(done)
}

// explorePlaces prints the functions that are at a return address, inlined ones too.
func explorePlaces(pc uintptr) {
	f := findfunc(pc)
	if pc == 0 || !f.valid() {
		return
	}
	for u, frame := newInlineUnwinder(f, pc-1); frame.valid(); frame = u.next(frame) {
		file, line := u.fileLine(frame)
		print("capos explore: at ", u.srcFunc(frame).name(), " ", file, ":", line, "\n")
	}
}

// explorePause has the goroutine wait for ns of virtual time. In a bubble of testing/synctest time
// is the bubble's, and a pause would be an event of its own; there it only steps back.
func explorePause(gp *g, ns int64) {
	if gp.bubble != nil {
		Gosched()
		return
	}
	explore.paused.Add(1)
	timeSleep(ns)
	explore.paused.Add(-1)
}

// exploreSettle is what goroutines have at the end, after the last pause, to come to rest.
const exploreSettle = 10_000_000 // ns

// exploreEnd is called when the program exits. Goroutines that were paused go on, and then those
// that can never run again are named. It ends with a line for the host.
func exploreEnd(status int) {
	if !explore.on {
		return
	}
	explore.on, explore.ended = false, true
	for explore.paused.Load() != 0 {
		timeSleep(explorePauseDefault)
	}
	timeSleep(exploreSettle)
	goroutineLeakGC()
	leaked, left := exploreLeaks(), exploreLeft()
	if status != 0 || leaked != 0 || exploreNamed {
		exploreTell()
	}
	exploreCount(leaked, left)
}

// exploreCount prints the line by which the host counts the run, with the goroutines that can never
// run again and those that could.
func exploreCount(leaked, left int) {
	if explore.orders {
		exploreOrders()
	}
	print("capos explore: points ", explore.points.Load(), ", interleaving ",
		hex(explore.signature), ", leaked ", leaked, ", left ", left, ", accesses ",
		explore.accesses.Load(), "\n")
}

// explorePanics is called when the run ends in a panic.
func explorePanics() {
	exploreTell()
	if gp := getg().m.curg; gp != nil {
		exploreTellTest(gp)
	}
	if explore.on || explore.ended {
		exploreCount(0, 0)
	}
}

// exploreLeaks prints the goroutines that the last collection has found to wait for ever for
// something that no other goroutine can reach.
func exploreLeaks() (count int) {
	systemstack(func() {
		forEachGRace(func(gp *g) {
			if readgstatus(gp) != _Gleaked || isSystemGoroutine(gp, false) {
				return
			}
			if count++; count == 1 {
				print("capos explore: these goroutines can never run again:\n")
			}
			print("\n")
			exploreTellTest(gp)
			goroutineheader(gp)
			traceback(^uintptr(0), ^uintptr(0), 0, gp)
		})
	})
	if count != 0 {
		print("\n")
	}
	return count
}

// exploreTellTest prints which test a goroutine was made for.
func exploreTellTest(gp *g) {
	if gp.explore.test != "" {
		print("capos explore: of ", gp.explore.test, "\n")
	}
}

// exploreLeftMax is how many of the goroutines that are left at the end are named.
const exploreLeftMax = 20

// exploreLeft counts the goroutines of the tests or the program that have not ended and could still
// run, and names them if that is wanted.
func exploreLeft() (count int) {
	own := getg()
	systemstack(func() {
		forEachGRace(func(gp *g) {
			status := readgstatus(gp) &^ _Gscan
			if gp == own || gp == explore.main || gp.explore.number == 0 ||
				gp.explore.harness || isSystemGoroutine(gp, false) ||
				status == _Gdead || status == _Gidle || status == _Gleaked {
				return
			}
			if count++; !explore.strict || count > exploreLeftMax {
				return
			}
			if count == 1 {
				print("capos explore: these goroutines are left:\n")
			}
			print("\n")
			goroutineheader(gp)
			if status == _Grunning {
				printcreatedby(gp)
			} else {
				traceback(^uintptr(0), ^uintptr(0), 0, gp)
			}
		})
	})
	if explore.strict && count != 0 {
		print("\n")
	}
	return count
}

// exploreTimedOut marks the goroutines that can never run again, so that the stacks that are about
// to be printed tell them from those that wait for time.
//
//go:linkname exploreTimedOut
func exploreTimedOut() {
	if explore.on {
		explore.on, explore.ended = false, true
		goroutineLeakGC()
	}
}
