//go:build capos

package system

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"

	"capos.dev/tests/system/internal/abi"
)

func create(t *testing.T, name string) *os.File {
	t.Helper()
	f := must[*os.File](t)(os.Create(filepath.Join(t.TempDir(), name)))
	t.Cleanup(func() { f.Close() })
	return f
}

// The bytes of files are not on the heap, and their memory is free once the files are gone.
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

// A file that is written, cut and grown at random has the same bytes as a slice treated likewise.
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
		offset := random.IntN(sizeMax)
		switch random.IntN(4) {
		case 0:
			if err := f.Truncate(int64(offset)); err != nil {
				t.Fatal(err)
			}
			grow(offset)
			model = model[:offset]
		case 1, 2:
			b := bytes.Repeat([]byte{byte(step)}, random.IntN(9000))
			must[int](t)(f.WriteAt(b, int64(offset)))
			if len(b) > 0 {
				grow(offset + len(b))
				copy(model[offset:], b)
			}
		case 3:
			b := make([]byte, 70000)
			n, _ := f.ReadAt(b, int64(offset))
			if want := model[min(offset, len(model)):]; !bytes.Equal(b[:n],
				want[:min(len(want), len(b))]) {
				t.Fatalf("step %d: other bytes at %d", step, offset)
			}
		}
	}
}

const seekData, seekHole = 3, 4

// The blocks of a file are those that it stores, and seeking finds them.
func TestHoles(t *testing.T) {
	f := create(t, "holes")
	blocks := func() int64 {
		return must[os.FileInfo](t)(f.Stat()).Sys().(*syscall.Stat_t).Blocks
	}
	const size, page = 1 << 40, 4096
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if n := blocks(); n != 0 {
		t.Errorf("%d blocks of nothing", n)
	}
	// Two bytes in one chunk, and a run of pages across the border of two others.
	must[int](t)(f.WriteAt([]byte("x"), 5*page+7))
	must[int](t)(f.WriteAt([]byte("x"), 9*page))
	must[int](t)(f.WriteAt(make([]byte, 8*page), size/2-4*page))
	if n := blocks(); n != 10*page/512 {
		t.Errorf("%d blocks of 10 pages", n)
	}
	for _, c := range []struct {
		whence     int
		from, want int64
	}{
		{seekHole, 0, 0}, {seekData, 0, 5 * page}, {seekData, 5*page + 100, 5*page + 100},
		{seekHole, 5*page + 100, 6 * page}, {seekData, 6 * page, 9 * page},
		{seekData, 10 * page, size/2 - 4*page},
		{seekHole, size/2 - 3*page, size/2 + 4*page}, {seekData, size/2 + 4*page, -1},
		{seekHole, size - 1, size - 1}, {seekHole, size, -1}, {seekData, size, -1},
		{seekData, -1, -1},
	} {
		got, err := f.Seek(c.from, c.whence)
		if c.want < 0 {
			if !errors.Is(err, syscall.ENXIO) {
				t.Errorf("%+v: %d %v", c, got, err)
			}
		} else if now, _ := f.Seek(0, 1); got != c.want || now != c.want || err != nil {
			t.Errorf("%+v: %d %v, now at %d", c, got, err, now)
		}
	}
	if err := f.Truncate(6 * page); err != nil || blocks() != page/512 {
		t.Error(err, blocks())
	}
}

// A file of the boot image is stored up to its end.
func TestNoHolesInTheBootImage(t *testing.T) {
	f := must[*os.File](t)(os.Open("file_memory_test.go"))
	defer f.Close()
	info := must[os.FileInfo](t)(f.Stat())
	if n := info.Sys().(*syscall.Stat_t).Blocks; n != (info.Size()+511)/512 {
		t.Errorf("%d blocks of %d bytes", n, info.Size())
	}
	if offset, err := f.Seek(10, seekData); offset != 10 || err != nil {
		t.Error(offset, err)
	}
	if offset, err := f.Seek(10, seekHole); offset != info.Size() || err != nil {
		t.Error(offset, info.Size(), err)
	}
}
