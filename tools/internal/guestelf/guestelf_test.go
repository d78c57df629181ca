package guestelf

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capos.dev/tools/internal/abi"
)

// markAt is where the entry point of an image is, in the file.
const markAt = 512

// image makes a minimal static ELF: one loadable segment with a mark and, with an owner, one note.
func image(owner string) []byte {
	b := make([]byte, 4096)
	copy(b, "\x7fELF\x02\x01\x01")
	put16 := func(offset int, v uint16) { binary.LittleEndian.PutUint16(b[offset:], v) }
	put32 := func(offset int, v uint32) { binary.LittleEndian.PutUint32(b[offset:], v) }
	put64 := func(offset int, v uint64) { binary.LittleEndian.PutUint64(b[offset:], v) }
	put16(16, 2)  // ET_EXEC
	put16(18, 62) // x86-64
	put32(20, 1)  // version
	put64(24, 0x400000+markAt)
	put64(32, 64) // program headers
	put16(52, 64) // header size
	put16(54, 56) // program header size
	put16(56, 2)  // two of them
	segment := func(header int, kind uint32, offset, size uint64) {
		put32(header, kind)
		put32(header+4, 5)
		put64(header+8, offset)
		put64(header+16, 0x400000+offset)
		put64(header+32, size)
		put64(header+40, size)
	}
	segment(64, 1, 0, 4096)
	segment(64+56, 4, 256, 32)
	put16(markAt, abi.ProgramMarkJump)
	copy(b[markAt+2:], "capOS")
	put32(markAt+8, abi.AbiVersion)
	if owner != "" {
		put32(256, uint32(len(owner)+1))
		put32(260, 4)
		put32(264, 1)
		copy(b[268:], owner)
	}
	return b
}

func check(t *testing.T, data []byte) (*Program, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return Check(name)
}

func TestAcceptsItsOwn(t *testing.T) {
	if p, err := check(t, image("capOS")); err != nil || p.Language != C {
		t.Errorf("%+v, %v", p, err)
	}
}

// Programs of the past and of the future: those for version 1 had code where there is a mark now.
func TestRejectsOtherVersions(t *testing.T) {
	for version := uint32(1); version < abi.AbiVersion+3; version++ {
		data := image("capOS")
		binary.LittleEndian.PutUint32(data[markAt+8:], version)
		if version == 1 {
			copy(data[markAt:], "\x31\xed\x48\x89\xe1\x48\x83\xe4\xf0\xe8")
		}
		_, err := check(t, data)
		if version == abi.AbiVersion {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		for _, says := range []string{fmt.Sprintf("built for version %d ", version),
			fmt.Sprintf("has version %d;", abi.AbiVersion), "./capos cc"} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("version %d: %v does not say %q", version, err, says)
			}
		}
	}
}

// An entry point at the very end has no room for a mark.
func TestMarkIsCut(t *testing.T) {
	data := image("capOS")
	binary.LittleEndian.PutUint64(data[24:], 0x400000+4096-8)
	if _, err := check(t, data); err == nil || !strings.Contains(err.Error(), "version 1") {
		t.Error(err)
	}
}

func TestRejections(t *testing.T) {
	with := func(offset int, bytes ...byte) []byte {
		data := image("capOS")
		copy(data[offset:], bytes)
		return data
	}
	for _, c := range []struct {
		name, says string
		data       []byte
	}{
		{"empty", "is empty", nil},
		{"text", "not an ELF",
			[]byte("hello, this is text and longer than a header would be, to be " +
				"sure of it")},
		{"script", "is a script", []byte("#!/bin/sh\necho\n")},
		{"header cut", "ends within its header", image("capOS")[:40]},
		{"body cut", "is truncated", image("capOS")[:1000]},
		{"headers cut", "damaged ELF", image("capOS")[:70]},
		{"32 bits", "not of 64 bits", with(4, 1)},
		{"big endian", "not of 64 bits", with(5, 2)},
		{"aarch64", "another machine (EM_AARCH64)", with(18, 183)},
		{"object file", "object file", with(16, 1)},
		{"pie", "ET_DYN", with(16, 3)},
		{"dynamic", "PT_INTERP", with(64+56, 3)},
		{"nothing to load", "nothing to load", with(64, 6)},
		{"another's note", "not built for capOS", image("Linux")},
		{"no note", "not built for capOS", image("")},
		{"other OSABI", "another system", append(image("")[:7],
			append([]byte{9}, image("")[8:]...)...)},
		{"huge note name", "not built for capOS", with(256, 0xff, 0xff, 0xff, 0xff)},
	} {
		_, err := check(t, c.data)
		if err == nil || !strings.Contains(err.Error(), c.says) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one sentence with %q", c.name, err, c.says)
		}
	}
}

// The test binary is a Go program for this host.
func TestRejectsHostProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Check(self); err == nil || !strings.Contains(err.Error(),
		"Go program for linux") {
		t.Errorf("%v", err)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Check("/nonexistent/program"); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(image("capOS"))
	f.Add(image("")[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		inspect(strings.NewReader(string(data)),
			int64(len(data)))
	})
}
