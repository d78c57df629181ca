//go:build linux

package linux

import (
	"os"
	. "syscall"
	"testing"
	"unsafe"
)

// A mapping and its file show the same bytes, whichever of them was written.
func TestMmapShared(t *testing.T) {
	scripted(t, func(s *script) {
		f, err := os.Create(s.path("file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.WriteString("0123456789")
		fd := int(f.Fd())
		shown, err := Mmap(fd, 0, 8192, PROT_READ, MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		private, err := Mmap(fd, 0, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		private[0] = 'p'
		s.say("%q", shown[:10])
		f.WriteAt([]byte("abc"), 2)
		s.say("%q", shown[:10])
		f.WriteAt([]byte("behind"), 5000)
		s.say("%q", shown[5000:5006])
		f.Truncate(4)
		f.Truncate(6000)
		s.say("%q, %q", shown[:10], shown[5000:5006])
		s.say("private: %q", private[:1])
		Munmap(shown)
		Munmap(private)
		b := make([]byte, 10)
		f.ReadAt(b, 0)
		s.say("%q", b)
	})
}

func TestMmapWritten(t *testing.T) {
	scripted(t, func(s *script) {
		f, err := os.Create(s.path("file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.WriteString("01ab")
		f.Truncate(6000)
		b := make([]byte, 10)
		written, err := Mmap(int(f.Fd()), 0, 8192, PROT_READ|PROT_WRITE, MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		copy(written[3:], "written")
		f.ReadAt(b, 0)
		s.say("%q", b)
		f.WriteAt([]byte("XY"), 4)
		s.say("%q", written[:10])
		address := uintptr(unsafe.Pointer(&written[0]))
		s.call("protect", SYS_MPROTECT, address, 4096, PROT_NONE)
		f.WriteAt([]byte("Z"), 0)
		f.ReadAt(b, 0)
		s.say("%q", b)
		s.call("protect", SYS_MPROTECT, address, 4096, PROT_READ)
		s.say("%q", written[:10])
		s.call("msync", SYS_MSYNC, address, 8192, 4)
		s.call("msync both ways", SYS_MSYNC, address, 8192, 5)
		s.call("msync of no page", SYS_MSYNC, address+1, 10, 4)
		Munmap(written)
		text, _ := os.ReadFile(s.path("file"))
		s.say("%q and %d bytes", text[:10], len(text))
	})
}

// Memory without the right to write takes addresses only, more than the machine has memory.
func TestMmapReserved(t *testing.T) {
	scripted(t, func(s *script) {
		const size = 64 << 30
		for _, flags := range []int{0, MAP_NORESERVE} {
			prot := PROT_READ
			if flags != 0 {
				prot |= PROT_WRITE
			}
			reserved, err := Mmap(-1, 0, size, prot, MAP_PRIVATE|MAP_ANON|flags)
			if err != nil {
				t.Fatal(err)
			}
			s.say("%d at the end", reserved[size-1])
			part := reserved[size/2:][:4096]
			s.say("to write: %v", Mprotect(part, PROT_READ|PROT_WRITE))
			part[0] = 'w'
			s.say("%d, %d, %d", part[0], part[1], reserved[size/2+4096])
			s.say("away: %v", Munmap(reserved))
		}
	})
}

// A mapping has the bytes that its file gets in holes, and becomes longer with them.
func TestMmapSparse(t *testing.T) {
	scripted(t, func(s *script) { s.sparse(t, PROT_READ) })
}

// What is written to such a mapping goes with it, and is in the file.
func TestMmapSparseWritten(t *testing.T) {
	scripted(t, func(s *script) { s.sparse(t, PROT_READ|PROT_WRITE) })
}

func (s *script) sparse(t *testing.T, prot uintptr) {
	const size = 8 << 30
	f, err := os.Create(s.path("file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteAt([]byte("begin"), 4090)
	f.Truncate(size)
	address, _, e := Syscall6(SYS_MMAP, 0, size/2, prot, MAP_SHARED, f.Fd(), 0)
	if e != 0 {
		t.Fatal(e)
	}
	at := func(address uintptr, n int) []byte {
		return unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), n)
	}
	s.say("%q, %q", at(address+4089, 7), at(address+size/4, 2))
	f.WriteAt([]byte("in a hole"), size/4-5)
	s.say("%q", at(address+size/4-6, 11))
	s.call("protect", SYS_MPROTECT, address+size/8, 4096, PROT_NONE)
	f.WriteAt([]byte("hidden"), size/8)
	s.call("protect", SYS_MPROTECT, address+size/8, 4096, prot)
	s.say("%q", at(address+size/8, 7))
	if prot&PROT_WRITE != 0 {
		copy(at(address+size/8+2, 2), "--")
		copy(at(address+size/16, 7), "written")
		text := make([]byte, 9)
		f.ReadAt(text, size/16-1)
		s.say("%q", text)
	}
	f.WriteAt([]byte("behind"), size/2+5)
	address, _, e = Syscall6(SYS_MREMAP, address, size/2, size, 1, 0, 0)
	if e != 0 {
		t.Fatal(e)
	}
	s.say("%q, %q", at(address+4089, 7), at(address+size/4-6, 11))
	s.say("%q, %q", at(address+size/8, 7), at(address+size/2+4, 8))
	if prot&PROT_WRITE != 0 {
		s.say("%q", at(address+size/16, 7))
	}
	f.WriteAt([]byte("end"), size-3)
	s.say("%q", at(address+size-4, 4))
	f.Truncate(size/8 + 3)
	f.Truncate(size)
	s.say("%q, %q", at(address+size/8, 7), at(address+size-4, 4))
	s.call("away", SYS_MUNMAP, address, size)
	text := make([]byte, 7)
	f.ReadAt(text, size/8)
	s.say("%q", text)
}
