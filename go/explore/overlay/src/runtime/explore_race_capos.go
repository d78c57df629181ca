// The race detector of explore builds: happens-before by vector clocks, in fixed memory.
//
// It stands where the runtime and the library expect Go's race detector: raceenabled holds in runs
// that are to have it, and all that they tell of goroutines and synchronization comes here. The
// packages of the program and of the library are compiled with -race, so each of their memory
// accesses calls raceread or racewrite; the compiler leaves out those of package sync. Two accesses
// of one word by different goroutines, one of them a write and not both atomic, race when neither
// happens before the other.
//
// Memory is bounded everywhere, and what does not fit is forgotten so that a race may be missed and
// none is invented: goroutines beyond raceSlots share a clock, a forgotten address of
// synchronization leaves its clock to raceLost, which everything acquires that finds none, and a
// word whose place is taken has no earlier accesses.

//go:build capos

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

// raceenabled is set, if at all, before the runtime uses it first.
var raceenabled bool

const (
	raceSlots    = 256  // goroutines with a clock of their own; 0 is no slot
	raceSlotsFew = 32   // slots that are used even when fewer would do
	raceSyncMax  = 4096 // addresses of synchronization
	raceSyncWays = 8    // places where an address can be
	raceWordMax  = 8192
	raceRangeMax = 64 // words that are looked at in one access
	raceFrames   = 13

	// raceOwnFrames is how many of the frames are this file's own.
	raceOwnFrames = 3

	raceToldMax = 4 // races that one run tells
)

// raceClock says, for each slot, up to which of its epochs all happened before. Slots from race.top
// on have not been used, and are 0 in all clocks.
type raceClock [raceSlots]uint32

// join takes two slots at a time, because most of them are equal.
func (c *raceClock) join(other *raceClock) {
	const pairs = raceSlots / 2
	ours, theirs := (*[pairs]uint64)(unsafe.Pointer(c)), (*[pairs]uint64)(unsafe.Pointer(other))
	for i := range (race.top + 1) / 2 {
		if ours[i] != theirs[i] {
			c[2*i] = max(c[2*i], other[2*i])
			c[2*i+1] = max(c[2*i+1], other[2*i+1])
		}
	}
}

func (c *raceClock) clear() { clear(c[:race.top]) }

func (c *raceClock) become(other *raceClock) { copy(c[:race.top], other[:race.top]) }

type raceSync struct {
	addr  uintptr
	clock raceClock
}

// raceAccess is the latest access of one kind to a word. epoch 0: none.
type raceAccess struct {
	epoch  uint32
	slot   uint8
	mask   uint8 // of the word's bytes
	atomic bool
	id     uint64
	pcs    [raceFrames]uintptr
}

type raceWord struct {
	addr  uintptr // of the word, or 0
	write raceAccess
	reads [2]raceAccess
}

// All of it is guarded by lock. It is used on system stacks only.
var race struct {
	lock   mutex
	used   [raceSlots]bool
	live   int // slots that are used
	latest int // slot that was given
	top    int // one more than the highest slot that was used
	clocks [raceSlots]raceClock
	syncs  [raceSyncMax]raceSync
	words  [raceWordMax]raceWord
	lost   raceClock // what forgotten addresses had
	before raceClock // what an address had that is acquired and released
	told   [raceToldMax][2]uintptr
	count  atomic.Uint32 // races
}

func raceinit() (uintptr, uintptr) {
	race.used[0], race.used[1] = true, true
	race.clocks[1][1], race.top, race.live = 1, 2, 1
	return 1, 1
}

func racefini()                 {}
func raceproccreate() uintptr   { return 1 }
func raceprocdestroy(_ uintptr) {}

func racemapshadow(addr unsafe.Pointer, size uintptr) {}
func racefree(p unsafe.Pointer, sz uintptr)           {}

//go:nosplit
func racefuncenter(pc uintptr) {}

//go:nosplit
func racefuncexit() {}

// racemalloc forgets the accesses to what was at these addresses before.
func racemalloc(p unsafe.Pointer, sz uintptr) {
	if !raceenabled {
		return
	}
	systemstack(func() {
		lock(&race.lock)
		first, last := uintptr(p)&^7, (uintptr(p)+sz-1)&^7
		if (last-first)/8 >= raceWordMax {
			for i := range race.words {
				if w := &race.words[i]; first <= w.addr && w.addr <= last {
					w.addr = 0
				}
			}
		} else {
			for addr := first; addr <= last; addr += 8 {
				if w := raceWordAt(addr); w.addr == addr {
					w.addr = 0
				}
			}
		}
		unlock(&race.lock)
	})
}

func raceWordAt(addr uintptr) *raceWord {
	return &race.words[exploreMix(uint64(addr))%raceWordMax]
}

// racegostart gives a new goroutine a clock: what happened before its creator's now happened before
// it.
func racegostart(pc uintptr) uintptr {
	creator := getg()
	if creator.m.curg != nil {
		creator = creator.m.curg
	}
	return racectxstart(pc, creator.racectx)
}

// racefingo orders what all goroutines have done before what the calling one does next. It runs
// finalizers or cleanups, whose objects nobody else can reach any more.
func racefingo() {
	slot := getg().racectx
	if !raceenabled || slot == 0 {
		return
	}
	systemstack(func() {
		lock(&race.lock)
		for i := 1; i < race.top; i++ {
			race.clocks[slot].join(&race.clocks[i])
			race.clocks[i][i]++
		}
		unlock(&race.lock)
	})
}

func racectxstart(pc, spawner uintptr) (slot uintptr) {
	if !raceenabled {
		return 0
	}
	systemstack(func() {
		lock(&race.lock)
		slot = raceSlotFree()
		race.top = max(race.top, int(slot)+1)
		clock, own := &race.clocks[slot], race.clocks[slot][slot]
		if slot != raceSlots-1 {
			clock.clear()
		}
		clock.join(&race.clocks[spawner])
		clock[slot] = own + 1
		race.clocks[spawner][spawner]++
		unlock(&race.lock)
	})
	return slot
}

// raceSlotFree takes a slot: one that has been free for long, because goroutines that have the same
// slot, one after the other, are one to the detector. Of many slots only as many are used as it
// takes, because each makes a clock longer. The last one is shared by those that find none.
func raceSlotFree() uintptr {
	few := min(max(raceSlotsFew, 2*race.live), raceSlots-2)
	for i := range few {
		slot := 1 + (race.latest+i)%few
		if !race.used[slot] {
			race.used[slot], race.latest = true, slot
			race.live++
			return uintptr(slot)
		}
	}
	return raceSlots - 1
}

func racegoend() { racectxend(getg().racectx) }

func racectxend(slot uintptr) {
	if !raceenabled || slot == 0 || slot == raceSlots-1 {
		return
	}
	systemstack(func() {
		lock(&race.lock)
		race.used[slot] = false
		race.live--
		unlock(&race.lock)
	})
}

// What a synchronization does with the clock of its address.
const (
	raceAcquires = 1 << iota
	raceReleases
	raceMerges // the release keeps what the address had
)

//go:nosplit
func raceSynchronize(slot uintptr, addr unsafe.Pointer, how int) {
	if !raceenabled || slot == 0 || getg().raceignore != 0 {
		return
	}
	systemstack(func() {
		lock(&race.lock)
		clock, s := &race.clocks[slot], raceFind(uintptr(addr), how&raceReleases != 0)
		old := &race.lost
		if s != nil {
			old = &s.clock
		}
		if how&raceAcquires != 0 && how&raceReleases != 0 {
			race.before.become(old)
			old = &race.before
		}
		if s != nil && how&raceReleases != 0 {
			if how&raceMerges != 0 {
				s.clock.join(clock)
			} else {
				s.clock.become(clock)
			}
			clock[slot]++
		}
		if how&raceAcquires != 0 {
			clock.join(old)
		}
		unlock(&race.lock)
	})
}

// raceFind finds the clock of an address, and makes it when it is wanted.
func raceFind(addr uintptr, make bool) *raceSync {
	first := exploreMix(uint64(addr)) % (raceSyncMax / raceSyncWays) * raceSyncWays
	set := race.syncs[first : first+raceSyncWays]
	for i := range set {
		if set[i].addr == addr {
			return &set[i]
		}
	}
	if !make {
		return nil
	}
	victim := &set[addr>>4%raceSyncWays]
	for i := range set {
		if set[i].addr == 0 {
			victim = &set[i]
		}
	}
	if victim.addr != 0 {
		race.lost.join(&victim.clock)
	}
	victim.addr, victim.clock = addr, race.lost
	return victim
}

//go:nosplit
func raceacquire(addr unsafe.Pointer) { raceacquireg(getg(), addr) }

//go:nosplit
func raceacquireg(gp *g, addr unsafe.Pointer) { raceacquirectx(gp.racectx, addr) }

//go:nosplit
func raceacquirectx(ctx uintptr, addr unsafe.Pointer) { raceSynchronize(ctx, addr, raceAcquires) }

//go:nosplit
func racerelease(addr unsafe.Pointer) { racereleaseg(getg(), addr) }

//go:nosplit
func racereleaseg(gp *g, addr unsafe.Pointer) { raceSynchronize(gp.racectx, addr, raceReleases) }

//go:nosplit
func racereleaseacquire(addr unsafe.Pointer) { racereleaseacquireg(getg(), addr) }

//go:nosplit
func racereleaseacquireg(gp *g, addr unsafe.Pointer) {
	raceSynchronize(gp.racectx, addr, raceReleases|raceAcquires)
}

//go:nosplit
func racereleasemerge(addr unsafe.Pointer) { racereleasemergeg(getg(), addr) }

//go:nosplit
func racereleasemergeg(gp *g, addr unsafe.Pointer) {
	raceSynchronize(gp.racectx, addr, raceReleases|raceMerges)
}

// What instrumented code calls. None of these may have the stack move, for an address on it is then
// another one.

//go:nosplit
func raceread(addr uintptr) { raceAccesses(addr, 1, raceReads) }

//go:nosplit
func racewrite(addr uintptr) { raceAccesses(addr, 1, raceWrites) }

//go:nosplit
func racereadrange(addr, size uintptr) { raceAccesses(addr, size, raceReads) }

//go:nosplit
func racewriterange(addr, size uintptr) { raceAccesses(addr, size, raceWrites) }

//go:nosplit
func racereadpc(addr unsafe.Pointer, _, _ uintptr) { raceAccesses(uintptr(addr), 1, raceReads) }

//go:nosplit
func racewritepc(addr unsafe.Pointer, _, _ uintptr) { raceAccesses(uintptr(addr), 1, raceWrites) }

//go:nosplit
func racereadrangepc(addr unsafe.Pointer, size, _, _ uintptr) {
	raceAccesses(uintptr(addr), size, raceReads)
}

//go:nosplit
func racewriterangepc(addr unsafe.Pointer, size, _, _ uintptr) {
	raceAccesses(uintptr(addr), size, raceWrites)
}

//go:nosplit
func raceReadObjectPC(t *_type, addr unsafe.Pointer, _, _ uintptr) {
	raceAccesses(uintptr(addr), t.Size_, raceReads)
}

//go:nosplit
func raceWriteObjectPC(t *_type, addr unsafe.Pointer, _, _ uintptr) {
	raceAccesses(uintptr(addr), t.Size_, raceWrites)
}

// What an access is. Two that are both atomic do not race.
const (
	raceReads   = 0
	raceWrites  = 1
	raceAtomics = 2
)

// raceAccesses is an access by the running goroutine. What is on its own stack no other one knows.
//
//go:nosplit
//go:noinline
func raceAccesses(addr, size uintptr, how int) {
	gp := getg()
	if raceenabled && (addr < gp.stack.lo || gp.stack.hi <= addr) {
		raceAccessesShared(addr, size, how)
	}
}

// raceAccessesShared is one of what others may know. The end of a run counts, when goroutines come
// to rest. Where locks have told what they order, their own atomic operations do not count.
//
//go:noinline
func raceAccessesShared(addr, size uintptr, how int) {
	gp := getg()
	if !explore.on && !explore.ended || gp != gp.m.curg || gp.racectx == 0 || size == 0 ||
		how&raceAtomics != 0 && gp.raceignore != 0 || !raceIsOfProgram(addr) {
		return
	}
	write := how&raceWrites != 0
	now := raceAccess{slot: uint8(gp.racectx), id: gp.goid, atomic: how&raceAtomics != 0}
	exploreCallers(now.pcs[:])
	if explore.sees && how&raceAtomics == 0 {
		exploreAccess(now.pcs[raceOwnFrames:], exploreRead+uint8(how))
	}
	systemstack(func() {
		lock(&race.lock)
		clock := &race.clocks[now.slot]
		now.epoch = clock[now.slot]
		end := addr + size
		for word := addr &^ 7; word < end && word < addr+8*raceRangeMax; word += 8 {
			now.mask = 0xff
			if word < addr {
				now.mask <<= addr - word
			}
			if word+8 > end {
				now.mask &= 0xff >> (word + 8 - end)
			}
			if other := raceAccessWord(word, clock, &now, write); other != nil {
				raceTell(other, &now, write)
				break
			}
		}
		unlock(&race.lock)
	})
}

// raceIsOfProgram tells whether an address is of the heap or of a variable of a package. Other
// memory is the runtime's, which uses it on whatever goroutine has the collector run, or was mapped
// by the program, which Go's own detector does not look at either.
func raceIsOfProgram(addr uintptr) bool {
	if spanOfHeap(addr) != nil {
		return true
	}
	for _, m := range activeModules() {
		if m.noptrdata <= addr && addr < m.enoptrdata || m.data <= addr && addr < m.edata ||
			m.bss <= addr && addr < m.ebss || m.noptrbss <= addr && addr < m.enoptrbss {
			return true
		}
	}
	return false
}

// raceAccessWord gives the earlier access that an access of a word races with, and keeps it.
func raceAccessWord(addr uintptr, clock *raceClock, now *raceAccess,
	write bool) (other *raceAccess) {
	w := raceWordAt(addr)
	if w.addr != addr {
		*w = raceWord{addr: addr}
	}
	if w.write.races(clock, now) {
		return &w.write
	}
	if !write {
		r := &w.reads[0]
		if r.epoch != 0 && r.slot != now.slot && r.epoch > clock[r.slot] {
			r = &w.reads[1]
		}
		*r = *now
		return nil
	}
	for i := range w.reads {
		if w.reads[i].races(clock, now) {
			return &w.reads[i]
		}
	}
	w.write = *now
	return nil
}

// races tells whether an access that was kept is of the same bytes and did not happen before.
func (a *raceAccess) races(clock *raceClock, now *raceAccess) bool {
	return a.epoch != 0 && a.slot != now.slot && a.mask&now.mask != 0 &&
		!(a.atomic && now.atomic) && a.epoch > clock[a.slot]
}

// raceTell prints a race, once for each pair of places.
func raceTell(other, now *raceAccess, write bool) {
	pair := [2]uintptr{other.pcs[raceOwnFrames], now.pcs[raceOwnFrames]}
	for i := range race.told {
		if race.told[i] == pair {
			return
		}
	}
	count := race.count.Add(1)
	if count > raceToldMax {
		return
	}
	race.told[count-1] = pair
	print("capos explore: race\n")
	raceTellOne(now, write)
	raceTellOne(other, !write || raceIsWrite(other))
}

// raceIsWrite tells a kept write from a read by where it is kept.
func raceIsWrite(a *raceAccess) bool {
	at := (uintptr(unsafe.Pointer(a)) - uintptr(unsafe.Pointer(&race.words))) %
		unsafe.Sizeof(raceWord{})
	return at == unsafe.Offsetof(raceWord{}.write)
}

func raceTellOne(a *raceAccess, write bool) {
	kind := "read"
	if write {
		kind = "write"
	}
	print("capos explore: raced ", a.id, " ", kind, "\n")
	for _, pc := range a.pcs {
		explorePlaces(pc)
	}
}

// What packages race and sync/atomic call.

//go:linkname RaceAcquire
func RaceAcquire(addr unsafe.Pointer) { raceacquire(addr) }

//go:linkname RaceRelease
func RaceRelease(addr unsafe.Pointer) { racerelease(addr) }

//go:linkname RaceReleaseMerge
func RaceReleaseMerge(addr unsafe.Pointer) { racereleasemerge(addr) }

//go:linkname RaceDisable
func RaceDisable() { getg().raceignore++ }

//go:linkname RaceEnable
func RaceEnable() { getg().raceignore-- }

//go:linkname RaceRead
//go:nosplit
func RaceRead(addr unsafe.Pointer) { raceAccesses(uintptr(addr), 1, raceReads) }

//go:linkname RaceWrite
//go:nosplit
func RaceWrite(addr unsafe.Pointer) { raceAccesses(uintptr(addr), 1, raceWrites) }

//go:linkname RaceReadRange
//go:nosplit
func RaceReadRange(addr unsafe.Pointer, n int) {
	raceAccesses(uintptr(addr), uintptr(n), raceReads)
}

//go:linkname RaceWriteRange
//go:nosplit
func RaceWriteRange(addr unsafe.Pointer, n int) {
	raceAccesses(uintptr(addr), uintptr(n), raceWrites)
}

// exploreReads is what comes before a function of sync/atomic that reads.
//
//go:linkname exploreReads
func exploreReads(addr unsafe.Pointer, size uintptr) {
	explorePoint(exploreAtomic)
	raceAccesses(uintptr(addr), size, raceReads|raceAtomics)
}

// exploreWrites is what comes before one that writes.
//
//go:linkname exploreWrites
func exploreWrites(addr unsafe.Pointer, size uintptr) {
	explorePoint(exploreAtomic)
	raceAccesses(uintptr(addr), size, raceWrites|raceAtomics)
	racereleasemerge(addr)
}

//go:linkname RaceEnabled
func RaceEnabled() bool { return raceenabled }

//go:linkname RaceErrors
func RaceErrors() int { return int(race.count.Load()) }
