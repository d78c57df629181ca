//go:build capos

package system

import (
	"bytes"
	"errors"
	"fmt"
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

func mapShared(t *testing.T, f *os.File, size, prot int) []byte {
	t.Helper()
	mapped := must[[]byte](t)(syscall.Mmap(int(f.Fd()), 0, size, prot, syscall.MAP_SHARED))
	t.Cleanup(func() {
		if err := syscall.Munmap(mapped); err != nil {
			t.Error(err)
		}
	})
	return mapped
}

// A mapping of a file takes memory for the bytes that the file has, not for holes and not for what
// is behind its end. It may be larger than the machine's memory.
func TestMappedHolesTakeNoMemory(t *testing.T) {
	const size, page = 64 << 30, 4096
	const slack = 16 << 20 // 2 MiB of tables for each GiB in which a page was touched
	charged := func() int64 {
		debug.FreeOSMemory()
		return int64(ledger().CommittedPages) * abi.PageSize
	}
	f := create(t, "sparse")
	must[int](t)(f.WriteString("begin"))
	must[int](t)(f.WriteAt([]byte("middle"), size/4+5*page-3))
	before := charged()
	mapped := mapShared(t, f, size, syscall.PROT_READ)
	private := must[[]byte](t)(syscall.Mmap(int(f.Fd()), 0, size,
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE))
	defer syscall.Munmap(private)
	shows := func(at int64, want string) {
		t.Helper()
		if got := string(mapped[at:][:len(want)]); got != want {
			t.Errorf("at %d: %q, not %q", at, got, want)
		}
	}
	shows(0, "begin\x00")
	shows(size/4+5*page-4, "\x00middle\x00")
	shows(size/8, "\x00")
	shows(size-1, "\x00")
	must[int](t)(f.WriteAt([]byte("new"), size/8-1))
	must[int](t)(f.WriteAt([]byte("end"), size-3))
	shows(size/8-1, "new\x00")
	shows(size-3, "end")
	private[size/2] = 1
	if string(private[:5]) != "begin" || private[size/8] != 0 {
		t.Errorf("private: %q, %q", private[:5], private[size/8])
	}
	if err := f.Truncate(size/4 + 5*page); err != nil {
		t.Fatal(err)
	}
	shows(size-3, "\x00\x00\x00")
	shows(size/4+5*page-4, "\x00mid\x00\x00")
	if more := charged() - before; more > slack {
		t.Errorf("%d bytes are charged for a few pages", more)
	}
}

// A mapping for writing takes memory for the pages that the file has bytes for or the program has
// touched, and the file gets memory for these only.
func TestWrittenHolesTakeNoMemory(t *testing.T) {
	const size, slack = 64 << 30, 16 << 20
	f := create(t, "sparse")
	must[int](t)(f.WriteString("begin"))
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	before := ledger().CommittedPages
	mapped := must[[]byte](t)(syscall.Mmap(int(f.Fd()), 0, size,
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED))
	copy(mapped[size/4-2:], "memory")
	text := make([]byte, 8)
	must[int](t)(f.ReadAt(text, size/4-3))
	if string(text) != "\x00memory\x00" || string(mapped[:6]) != "begin\x00" {
		t.Errorf("the file has %q, the mapping %q", text, mapped[:6])
	}
	must[int](t)(f.WriteAt([]byte("file"), size/2-2))
	copy(mapped[size/2:], "FT")
	if err := syscall.Munmap(mapped); err != nil {
		t.Fatal(err)
	}
	must[int](t)(f.ReadAt(text, size/2-3))
	if string(text) != "\x00fiFT\x00\x00\x00" {
		t.Errorf("the file has %q", text)
	}
	debug.FreeOSMemory()
	if more := int64(ledger().CommittedPages-before) * abi.PageSize; more > slack {
		t.Errorf("%d bytes are charged for a few pages", more)
	}
}

// A write for which there is no memory in a mapping of the file is refused. What was written before
// is the same in both.
func TestMappedFileWithoutMemory(t *testing.T) {
	const size, page, left = 1 << 20, 4096, 64 << 10
	f := create(t, "mapped")
	mapped := mapShared(t, f, size, syscall.PROT_READ)
	const noMode = 0
	if err := syscall.Fallocate(int(f.Fd()), noMode, 0, size); err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("text"), size/4)
	var taken [][]byte
	for part := 1 << 40; part > left; {
		memory, err := syscall.Mmap(-1, 0, part, syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			part /= 2
			continue
		}
		taken = append(taken, memory)
	}
	n, err := 0, error(nil)
	for err == nil {
		more := 0
		more, err = syscall.Pwrite(int(f.Fd()), text[n:], int64(n))
		n += max(0, more)
	}
	for _, memory := range taken {
		syscall.Munmap(memory)
	}
	if n >= size || n%page != 0 || err != syscall.ENOSPC {
		t.Errorf("%d bytes, %v", n, err)
	}
	if !bytes.Equal(mapped[:n], text[:n]) || !bytes.Equal(mapped[n:], make([]byte, size-n)) {
		t.Errorf("after %d bytes: the mapping has others", n)
	}
	must[int](t)(f.WriteAt(text, 0))
	if !bytes.Equal(mapped, text) {
		t.Error("the mapping has not all that was written")
	}
}

// A mapping of a file that is written, cut and punched at random shows what the file has, and zeros
// behind its end. Rights that are taken away and given back in between change nothing. What is
// written to the memory of a mapping is what the file has.
func TestMappedFileAtRandom(t *testing.T) {
	for _, prot := range []int{syscall.PROT_READ, syscall.PROT_READ | syscall.PROT_WRITE} {
		m := newMappedModel(t, prot)
		for step := range 3000 {
			m.change(step)
			if step%50 == 49 {
				m.compare(step)
			}
		}
	}
}

// A mappedModel is a file with a mapping, and the bytes that both should have.
type mappedModel struct {
	t      *testing.T
	f      *os.File
	mapped []byte
	model  []byte
	end    int // of the file
	prot   int
	random *rand.Rand
}

func newMappedModel(t *testing.T, prot int) *mappedModel {
	const size, page = 96 * 4096, 4096
	m := &mappedModel{t: t, f: create(t, fmt.Sprint("mapped", prot)), prot: prot,
		model: make([]byte, size), random: rand.New(rand.NewPCG(3, 4))}
	must[int](t)(m.f.WriteAt([]byte("first"), 7*page))
	m.mapped = mapShared(t, m.f, size, prot)
	copy(m.model[7*page:], "first")
	m.end = 7*page + len("first")
	return m
}

func (m *mappedModel) protect(at, n, prot int) {
	const page = 4096
	from, to := at&^(page-1), (at+n+page-1)&^(page-1)
	if err := syscall.Mprotect(m.mapped[from:to], prot); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mappedModel) change(step int) {
	const page, punch = 4096, 3 // hole, keep the size
	size := len(m.model)
	at := m.random.IntN(size)
	n := m.random.IntN(min(3*page, size-at)) + 1
	b := bytes.Repeat([]byte{byte(step)}, n)
	inside := min(at+n, m.end)
	switch m.random.IntN(6) {
	case 0, 1:
		must[int](m.t)(m.f.WriteAt(b, int64(at)))
		copy(m.model[at:], b)
		m.end = max(m.end, at+n)
	case 2:
		if err := m.f.Truncate(int64(at)); err != nil {
			m.t.Fatal(err)
		}
		clear(m.model[min(at, m.end):m.end])
		m.end = at
	case 3:
		if err := syscall.Fallocate(int(m.f.Fd()), punch, int64(at), int64(n)); err != nil {
			m.t.Fatal(err)
		}
		clear(m.model[min(at, m.end):inside])
	case 4:
		m.protect(at, n, m.random.IntN(2)*m.prot)
	case 5:
		if m.prot&syscall.PROT_WRITE != 0 && at < inside {
			m.protect(at, n, m.prot)
			copy(m.mapped[at:inside], b)
			copy(m.model[at:inside], b)
		}
	}
}

func (m *mappedModel) compare(step int) {
	m.t.Helper()
	m.protect(0, len(m.mapped), m.prot)
	if !bytes.Equal(m.mapped, m.model) {
		m.t.Fatalf("step %d: the mapping has other bytes", step)
	}
	text := make([]byte, m.end)
	must[int](m.t)(m.f.ReadAt(text, 0))
	if !bytes.Equal(text, m.model[:m.end]) {
		m.t.Fatalf("step %d: the file has other bytes", step)
	}
}
