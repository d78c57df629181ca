//go:build capos

package system

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"capos.dev/tests/system/internal/abi"
)

func create(t *testing.T, name string) *os.File {
	t.Helper()
	f := must[*os.File](t)(os.Create(filepath.Join(t.TempDir(), name)))
	t.Cleanup(func() { f.Close() })
	return f
}

// What files hold is neither on the heap nor anywhere else once they are gone.
func TestFilesAreNotHeap(t *testing.T) {
	const size = 64 << 20
	const slack = size / 8 // what the test itself takes and gives back meanwhile
	var before, with runtime.MemStats
	charged := func() int64 {
		debug.FreeOSMemory() // what is charged for the heap changes otherwise
		return int64(ledger().CommittedPages) * abi.PageSize
	}
	committed := charged()
	runtime.ReadMemStats(&before)
	f := create(t, "big")
	for range size >> 20 {
		must[int](t)(f.Write(make([]byte, 1<<20)))
	}
	grown := charged() - committed
	runtime.ReadMemStats(&with)
	if with.HeapAlloc > before.HeapAlloc+slack {
		t.Errorf("the heap grew from %d to %d", before.HeapAlloc, with.HeapAlloc)
	}
	if grown < size-slack {
		t.Errorf("%d bytes are charged for %d", grown, size)
	}
	os.Remove(f.Name())
	if left := charged() - committed; left < size-slack {
		t.Errorf("an open file lost its memory: %d left", left)
	}
	f.Close()
	if left := charged() - committed; left > slack {
		t.Errorf("%d bytes are charged still", left)
	}
}

// Writing, cutting and growing at random leaves the bytes that a plain slice has.
func TestRandomFileContents(t *testing.T) {
	const sizeMax = 300 << 10 // some chunks
	f := create(t, "random")
	random := rand.New(rand.NewPCG(1, 2))
	var model []byte
	grow := func(size int) {
		if size > len(model) {
			model = append(model, make([]byte, size-len(model))...)
		}
	}
	for step := range 2000 {
		at := random.IntN(sizeMax)
		switch random.IntN(4) {
		case 0:
			if err := f.Truncate(int64(at)); err != nil {
				t.Fatal(err)
			}
			grow(at)
			model = model[:at]
		case 1, 2:
			b := bytes.Repeat([]byte{byte(step)}, random.IntN(9000))
			must[int](t)(f.WriteAt(b, int64(at)))
			if len(b) > 0 {
				grow(at + len(b))
				copy(model[at:], b)
			}
		case 3:
			b := make([]byte, 70000)
			n, _ := f.ReadAt(b, int64(at))
			if want := model[min(at, len(model)):]; !bytes.Equal(b[:n],
				want[:min(len(want), len(b))]) {
				t.Fatalf("step %d: other bytes at %d", step, at)
			}
		}
	}
}
