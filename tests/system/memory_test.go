//go:build capos

package system

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"capos.dev/tests/system/internal/abi"
)

const mib = 1 << 20

// fill allocates and touches memory in pieces of one MiB.
func fill(pieces int) [][]byte {
	kept := make([][]byte, pieces)
	for i := range kept {
		kept[i] = make([]byte, mib)
		for offset := 0; offset < mib; offset += abi.PageSize {
			kept[i][offset] = byte(offset>>12) | 1
		}
	}
	return kept
}

// Memory that the heap gives back is uncharged, and its frames are free again, each time. The slack
// of 4 MiB is one step of the heap's growth.
func TestFreeOSMemory(t *testing.T) {
	const pieces, slack = 48, 4 * mib / abi.PageSize
	fill(pieces)
	debug.FreeOSMemory()
	base := ledger()
	for range 3 {
		kept := fill(pieces)
		full := ledger()
		runtime.KeepAlive(kept)
		kept = nil
		debug.FreeOSMemory()
		empty := ledger()
		t.Logf("pages charged: %d, %d full, %d after; free in the machine: %d, %d, %d",
			base.CommittedPages, full.CommittedPages,
			empty.CommittedPages, base.MachineFreePages,
			full.MachineFreePages, empty.MachineFreePages)
		if full.CommittedPages < base.CommittedPages+pieces*mib/abi.PageSize-slack {
			t.Errorf("%d MiB in use charge only %d pages", pieces,
				full.CommittedPages-base.CommittedPages)
		}
		if empty.CommittedPages > base.CommittedPages+slack {
			t.Errorf("%d pages charged after FreeOSMemory, %d before",
				empty.CommittedPages, base.CommittedPages)
		}
		if empty.MachineFreePages+slack < base.MachineFreePages {
			t.Errorf("the machine has %d free pages after FreeOSMemory, %d before",
				empty.MachineFreePages, base.MachineFreePages)
		}
		if empty.ResidentPages > base.ResidentPages+slack {
			t.Errorf("%d frames are in use after FreeOSMemory, %d before",
				empty.ResidentPages, base.ResidentPages)
		}
	}
}

// Every other page or two of a heap die, as in any long run. Giving the holes back takes no kernel
// memory and has no limit, and the heap stays one region of the address space.
func TestFragmentedHeap(t *testing.T) {
	const objects, size = 34000, 2 * abi.PageSize
	keep, drop := make([][]byte, objects), make([][]byte, objects)
	for i := range keep {
		keep[i], drop[i] = make([]byte, size), make([]byte, size)
		keep[i][size/2] = byte(i)
	}
	full := ledger()
	clear(drop)
	debug.FreeOSMemory()
	holes := ledger()
	t.Logf("pages charged: %d full, %d with holes", full.CommittedPages, holes.CommittedPages)
	if got := full.CommittedPages - holes.CommittedPages; got < objects*size/abi.PageSize*9/10 {
		t.Errorf("of %d objects only %d pages were given back", objects, got)
	}
	for i := range keep {
		if keep[i][size/2] != byte(i) {
			t.Fatalf("object %d does not hold what it should", i)
		}
	}
}

// region is memory of the kernel's, outside the heap, and what its pages should hold.
type region struct {
	address uintptr
	mark    []uint64 // 0: not written since it was committed
}

func (r *region) page(i int) *[abi.PageSize / 8]uint64 {
	return (*[abi.PageSize / 8]uint64)(unsafe.Pointer(r.address + uintptr(i)*abi.PageSize))
}

func (r *region) write(i int, mark uint64) {
	r.mark[i] = mark
	for word := 0; word < abi.PageSize/8; word += 73 {
		r.page(i)[word] = mark + uint64(word)
	}
}

// wrong counts pages that hold neither their mark nor, if they came back, only zeroes.
func (r *region) wrong() (pages int) {
	for i, mark := range r.mark {
		bad := false
		for word := 0; word < abi.PageSize/8; word++ {
			switch {
			case mark == 0:
				bad = bad || r.page(i)[word] != 0
			case word%73 == 0:
				bad = bad || r.page(i)[word] != mark+uint64(word)
			}
		}
		if bad {
			pages++
		}
	}
	return pages
}

// Several goroutines take pages out of the middle of their regions and put them back, beside a heap
// that takes the frames. Pages that come back read zero, and all others keep their contents.
func TestDecommitKeepsTheRest(t *testing.T) {
	const pages = 192
	rounds := 150
	if testing.Short() {
		rounds = 40
	}
	var stop atomic.Bool
	var load, all sync.WaitGroup
	load.Go(func() {
		for !stop.Load() {
			for _, piece := range fill(4) {
				for i := range piece {
					piece[i] = 0xa5
				}
			}
			debug.FreeOSMemory()
		}
	})
	for worker := range 2 * runtime.NumCPU() {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			const whole, readWrite = pages * abi.PageSize, abi.ProtRead | abi.ProtWrite
			r := &region{vmCall("reserve", abi.VirtualMemoryReserve, 0, whole, 0),
				make([]uint64, pages)}
			defer vmCall("unmap", abi.VirtualMemoryUnmap, r.address, whole, 0)
			vmCall("commit", abi.VirtualMemoryCommit, r.address, whole, readWrite)
			for round := range rounds {
				for range pages / 4 {
					r.write(random.IntN(pages), random.Uint64()|1)
				}
				first := random.IntN(pages)
				count := 1 + random.IntN(pages-first)
				start, size := r.address+uintptr(first)*abi.PageSize, uintptr(
					count)*abi.PageSize
				vmCall("decommit", abi.VirtualMemoryDecommit, start, size, 0)
				runtime.Gosched()
				vmCall("commit", abi.VirtualMemoryCommit, start, size, readWrite)
				clear(r.mark[first : first+count])
				if n := r.wrong(); n > 0 {
					t.Errorf("worker %d, round %d: %d pages do not hold what "+
						"they should", worker, round, n)
					return
				}
			}
		})
	}
	all.Wait()
	stop.Store(true)
	load.Wait()
}

// heldBytes returns the bytes that the runtime counts against its limit.
func heldBytes() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// limiterCycle is the last collection in which the runtime's CPU limiter gave programs leave to go
// over the memory limit.
func limiterCycle() uint64 {
	sample := []metrics.Sample{{Name: "/gc/limiter/last-enabled:gc-cycle"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// The memory limit alone drives the collector. It is a soft one: over it may be what is allocated
// while a collection is under way, at most a whole round of the garbage there is room for (without
// the limit it would be 512 MiB). Where time is not instructions, the host takes a virtual CPU away
// in the middle of a collection, which then lasts for more; two rounds are the bound there. The
// kernel's charge includes program text and the threads' pages too (16 MiB is far more than they
// are). After much collecting - other tests do that - the runtime favours the program over the
// limit; such a round says nothing, and computing for a while makes up for it.
func TestMemoryLimit(t *testing.T) {
	const live, room, garbage = 24, 24, 512
	over := uint64(room * mib)
	if !exact() {
		over *= 2
	}
	debug.FreeOSMemory()
	limit := heldBytes() + (live+room)*mib
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(limit)))
	for attempt := range 8 {
		excused := limiterCycle()
		worst, worstPages := churn(live, garbage)
		t.Logf("limit %d MiB, at most %d MiB held, %d MiB charged", limit/mib, worst/mib,
			worstPages*abi.PageSize/mib)
		if limiterCycle() != excused && attempt < 7 {
			stop := startHogs(runtime.GOMAXPROCS(0))
			time.Sleep(500 * time.Millisecond)
			stop()
			continue
		}
		if worst > limit+over {
			t.Errorf("%d bytes are held, the limit is %d", worst, limit)
		}
		if worstPages*abi.PageSize > limit+over+16*mib {
			t.Errorf("%d bytes are charged, the limit is %d", worstPages*abi.PageSize,
				limit)
		}
		return
	}
}

// churn keeps live MiB and replaces them until garbage MiB are allocated; it returns the most bytes
// the runtime held and the most pages the kernel charged.
func churn(live, garbage int) (worst, worstPages uint64) {
	kept := fill(live)
	for i := range garbage {
		kept[i%live] = fill(1)[0]
		worst = max(worst, heldBytes())
		worstPages = max(worstPages, ledger().CommittedPages)
	}
	runtime.KeepAlive(kept)
	return worst, worstPages
}
