// Names of decision points that still hold when the program has changed, and the story of a run.
//
// A point is named by its goroutine, by the operation (the function of the library that the program
// has called) and by the function of the program that calls it; of points with one name it is the
// nth. A goroutine is named after its creator's name, the function and the operation that created
// it, and the function it starts in; it too is the nth of this name. A test's goroutine has the
// name of the test. So a line that is added, or a call of Println, renames nothing else.
//
// Names are made only when disturbances are forced, because it takes time: when a failure is
// shrunk, replayed and told.

//go:build capos

package runtime

import (
	"internal/abi"
	"internal/runtime/atomic"
	"internal/runtime/sys"
	"internal/stringslite"
	"unsafe"
)

// exploreNamed says that points have names in this run.
var exploreNamed bool

const (
	exploreStackMax  = 24   // frames that are looked at
	exploreKnownMax  = 4096 // different stacks at points
	exploreCountMax  = 8192 // different names
	exploreLogMax    = 4096 // points that the story can reach back
	exploreBirthMax  = 1024 // goroutines whose creation is kept
	exploreProbes    = 16
	exploreToldMax   = 12 // steps of others that are told for one disturbance
	exploreBirthsMax = 64 // creations that are told
)

// exploreKnown is a stack at a decision point that has been looked up. Writers take an entry by its
// stack; name is 0 until it is complete.
type exploreKnown struct {
	stack, name atomic.Uint64
	pcs         [2]uintptr // return addresses in the operation and in the program
}

type exploreCounter struct {
	name  atomic.Uint64
	count atomic.Uint64
}

// exploreStep is a point that a goroutine came to; place is an index of exploreStacksKnown, or
// beyond it.
type exploreStep struct {
	id    uint64
	place uint16
}

type exploreBirth struct {
	id, creator uint64
	pcs         [2]uintptr // as in exploreKnown
}

var (
	exploreStacksKnown [exploreKnownMax]exploreKnown
	exploreCounts      [exploreCountMax]exploreCounter
	exploreSteps       [exploreLogMax]exploreStep
	exploreBorns       [exploreBirthMax]exploreBirth
	exploreDirectory   string // of the program's package: what PWD holds
)

// exploreCallers fills stack with return addresses, from the caller's own on.
//
//go:noinline
func exploreCallers(stack []uintptr) []uintptr {
	return stack[:fpTracebackPCs(unsafe.Pointer(getfp()), stack)]
}

// exploreHash continues a hash with a text (Fowler, Noll, Vo: FNV-1a).
func exploreHash(hash uint64, text string) uint64 {
	for i := range len(text) {
		hash = (hash ^ uint64(text[i])) * 0x100000001b3
	}
	return exploreMix(hash)
}

// exploreNameTest names the goroutine after its test.
//
//go:linkname exploreNameTest
func exploreNameTest(name string) {
	gp := getg()
	gp.explore.name, gp.explore.test = exploreHash(1, name), name
}

// exploreName gives the name of the point and how many points of this name there were, and logs it.
func exploreName(gp *g, point uint64) (name, nth uint64) {
	var buffer [exploreStackMax]uintptr
	place, index := exploreLookUp(exploreCallers(buffer[:]))
	exploreSteps[point%exploreLogMax] = exploreStep{gp.goid, index}
	name = exploreMix(gp.explore.name ^ place)
	return name, exploreCountUp(name)
}

// exploreCountUp counts a name; 0 when there are too many.
func exploreCountUp(name uint64) uint64 {
	for i := range uint64(exploreProbes) {
		entry := &exploreCounts[(name+i)%exploreCountMax]
		if entry.name.Load() == name || entry.name.CompareAndSwap(0, name) {
			return entry.count.Add(1)
		}
	}
	return 0
}

// exploreLookUp gives the name of the place in the program that a stack leads to.
func exploreLookUp(stack []uintptr) (name uint64, index uint16) {
	hash := uint64(1)
	for _, pc := range stack {
		hash = exploreMix(hash ^ uint64(pc))
	}
	for i := range uint64(exploreProbes) {
		index := (hash + i) % exploreKnownMax
		entry := &exploreStacksKnown[index]
		if entry.stack.Load() == hash {
			if name = entry.name.Load(); name != 0 {
				return name, uint16(index)
			}
			break
		}
		if entry.stack.CompareAndSwap(0, hash) {
			name, entry.pcs = explorePlace(stack)
			entry.name.Store(name)
			return name, uint16(index)
		}
	}
	name, _ = explorePlace(stack)
	return name, exploreKnownMax
}

// explorePlace finds the innermost function of the program in a stack, and the function of the
// library that it has called. The host does the same with the places that are printed.
func explorePlace(stack []uintptr) (name uint64, pcs [2]uintptr) {
	operation, own := "", ""
	for _, pc := range stack {
		f := findfunc(pc)
		if !f.valid() {
			continue
		}
		pcs[0], pcs[1] = pcs[1], pc
		for u, frame := newInlineUnwinder(f, pc-1); frame.valid(); frame = u.next(frame) {
			file, _ := u.fileLine(frame)
			called := u.srcFunc(frame).name()
			if exploreIsLibrary(file) || exploreIsCapos(called) {
				operation = called
				continue
			}
			own = called
			return exploreHash(exploreHash(2, operation), own), pcs
		}
	}
	return exploreHash(3, operation), pcs
}

// exploreIsCapos tells functions of package capos. As places they stand for the library, too.
func exploreIsCapos(name string) bool {
	const prefix = "capos.dev/capos."
	return len(name) > len(prefix) && name[:len(prefix)] == prefix
}

// exploreIsLibrary tells files of the standard library from the program's: those of the module, or
// of the package of the library that is explored.
func exploreIsLibrary(file string) bool {
	const here = "src/runtime/explore_names_capos.go"
	root := exploreThisFile()
	root = root[:len(root)-len(here)]
	own := exploreDirectory
	inside := len(file) > len(own) && file[:len(own)] == own && file[len(own)] == '/'
	return len(file) > len(root) && file[:len(root)] == root && !inside
}

// Whose code it is that accesses memory.
const (
	exploreOfLibrary = 1 + iota
	exploreOfMaps
	exploreOfProgram
)

// exploreCodes keeps whose code is at an address, as four times the address and what it is.
const exploreCodesMax = 4096

var exploreCodes [exploreCodesMax]atomic.Uintptr

// exploreCodeOf tells whose code is at a return address.
func exploreCodeOf(pc uintptr) uintptr {
	entry := &exploreCodes[exploreMix(uint64(pc))%exploreCodesMax]
	if known := entry.Load(); known/4 == pc {
		return known % 4
	}
	who := uintptr(exploreOfLibrary)
	if f := findfunc(pc); f.valid() {
		switch file, _ := funcline(f, f.entry()); {
		case !exploreIsLibrary(file):
			who = exploreOfProgram
		case exploreIsOfMaps(file):
			who = exploreOfMaps
		}
	}
	entry.Store(4*pc + who)
	return who
}

// exploreIsOfMaps tells files that do for the program what it does with maps.
func exploreIsOfMaps(file string) bool {
	return stringslite.Index(file, "/src/internal/runtime/maps/") >= 0 ||
		stringslite.HasSuffix(file, "/src/runtime/map.go")
}

// exploreThisFile is the name of this file where it was compiled.
func exploreThisFile() string {
	f := findfunc(abi.FuncPCABIInternal(exploreThisFile))
	file, _ := funcline(f, f.entry())
	return file
}

// exploreCreates is called before a goroutine is made, and chooses what it is named after.
func exploreCreates(fn *funcval) {
	gp := getg()
	if !exploreNamed || !explore.on || fn == nil || gp != gp.m.curg {
		return
	}
	var buffer [exploreStackMax]uintptr
	place, known := exploreLookUp(exploreCallers(buffer[:]))
	gp.explore.childAt = known
	gp.explore.child = exploreHash(exploreMix(gp.explore.name^place), funcname(findfunc(fn.fn)))
}

// exploreBorn names a new goroutine and keeps where it was made.
func exploreBorn(gp, creator *g) {
	if !exploreNamed {
		return
	}
	name := creator.explore.child
	gp.explore.name = exploreMix(name ^ exploreCountUp(name))
	if gp.explore.number < exploreBirthMax {
		birth := &exploreBorns[gp.explore.number]
		birth.id, birth.creator = gp.goid, creator.goid
		if known := creator.explore.childAt; known < exploreKnownMax {
			birth.pcs = exploreStacksKnown[known].pcs
		}
	}
}

// exploreMeanwhile prints the points that other goroutines came to during a disturbance.
func exploreMeanwhile(done *exploreDone) {
	if !exploreNamed {
		return
	}
	to := done.to
	if to == 0 {
		to = explore.points.Load()
	}
	var last exploreStep
	told := 0
	for point := done.from + 1; point <= to; point++ {
		step := exploreSteps[point%exploreLogMax]
		if step == last || step.id == done.id || to-point >= exploreLogMax {
			continue
		}
		last = step
		if told++; told > exploreToldMax {
			continue
		}
		print("capos explore: meanwhile ", step.id, "\n")
		if step.place < exploreKnownMax {
			for _, pc := range exploreStacksKnown[step.place].pcs {
				explorePlaces(pc)
			}
		}
	}
	if told > exploreToldMax {
		print("capos explore: more ", told-exploreToldMax, "\n")
	}
}

// exploreBirths prints where goroutines were created.
func exploreBirths() {
	for i := range min(explore.created.Load()+1, exploreBirthsMax) {
		birth := &exploreBorns[i]
		if birth.id == 0 {
			continue
		}
		print("capos explore: created ", birth.id, " ", birth.creator, "\n")
		for _, pc := range birth.pcs {
			explorePlaces(pc)
		}
	}
}

// exploreStacks prints the stacks of all goroutines, the running one first.
func exploreStacks() {
	me, pc, sp := getg(), sys.GetCallerPC(), sys.GetCallerSP()
	systemstack(func() {
		print("capos explore: stacks\n")
		goroutineheader(me)
		traceback(pc, sp, 0, me)
		tracebackothers(me)
		print("capos explore: end of stacks\n")
	})
}
