// Package guestelf tells capOS programs from everything else before a machine is started for them,
// so that a wrong file is rejected in one sentence on the host rather than by a fault in the guest.
package guestelf

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"capos.dev/tools/internal/abi"
)

// Language is what a program was written in, as far as running it cares.
type Language int

const (
	C Language = iota
	Go
)

// Program is a file that has passed Check.
type Program struct {
	Path     string
	Language Language
}

// noteOwner and noteSection mark programs that start through libcapos: a note without which any
// static ELF would pass.
const (
	noteOwner   = "capOS"
	noteSection = ".note.capos"
)

// Error is a rejection; its text is a whole sentence about the file.
type Error struct{ Path, Reason string }

func (e *Error) Error() string { return e.Path + " " + e.Reason }

// Check opens the file at path and decides whether capOS can run it. A file that cannot be opened
// gives the system's error, one that is not a capOS program an *Error.
func Check(path string) (*Program, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{path, "is not a regular file"}
	}
	language, reason := inspect(f, info.Size())
	if reason != "" {
		return nil, &Error{path, reason}
	}
	return &Program{path, language}, nil
}

// IsELF tells whether a file is an ELF file of any kind, by its first bytes.
func IsELF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, len(elf.ELFMAG))
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == elf.ELFMAG
}

func inspect(r io.ReaderAt, size int64) (language Language, reason string) {
	if reason = checkIdent(r, size); reason != "" {
		return 0, reason
	}
	file, err := elf.NewFile(r)
	if err != nil {
		return 0, "is a damaged ELF file: " + err.Error()
	}
	if reason = checkSegments(file, size); reason != "" {
		return 0, reason
	}
	if language, reason = identify(file, r); reason != "" {
		return 0, reason
	}
	return language, checkVersion(file, language)
}

// checkVersion rejects a program that was built for another version of the interface: its numbers
// and structures have other meanings here.
func checkVersion(file *elf.File, language Language) string {
	version := abiVersion(file)
	if version == abi.AbiVersion {
		return ""
	}
	rebuild := "./capos cc"
	if language == Go {
		rebuild = "./capos go build"
	}
	return fmt.Sprintf("was built for version %d of capOS' interface, and this capOS has "+
		"version %d; build it again with %s", version, abi.AbiVersion, rebuild)
}

// unmarkedVersion is that of programs without a mark: there has been one since version 2.
const unmarkedVersion = 1

// abiVersion reads the mark at the entry point.
func abiVersion(file *elf.File) uint32 {
	var mark abi.ProgramMark
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_LOAD || file.Entry < segment.Vaddr ||
			file.Entry-segment.Vaddr > segment.Filesz {
			continue
		}
		entry := io.NewSectionReader(segment, int64(file.Entry-segment.Vaddr),
			abi.ProgramMarkSize)
		if binary.Read(entry, binary.LittleEndian, &mark) == nil &&
			mark.Jump == abi.ProgramMarkJump &&
			string(mark.Name[:]) == noteOwner+"\x00" {
			return mark.Version
		}
	}
	return unmarkedVersion
}

// checkIdent looks at the fixed-size header only: what the file is at all, and for which machine.
func checkIdent(r io.ReaderAt, size int64) string {
	var header [64]byte
	n, err := r.ReadAt(header[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "cannot be read: " + err.Error()
	}
	switch {
	case size == 0:
		return "is empty"
	case bytes.HasPrefix(header[:n], []byte("#!")):
		return "is a script; capOS runs ELF programs"
	case !bytes.HasPrefix(header[:n], []byte(elf.ELFMAG)):
		return "is not an ELF program"
	case n < len(header):
		return fmt.Sprintf("is a truncated ELF file: it ends within its header, after %d "+
			"bytes", n)
	case elf.Class(header[elf.EI_CLASS]) != elf.ELFCLASS64 ||
		elf.Data(header[elf.EI_DATA]) != elf.ELFDATA2LSB:
		return "is an ELF file, but not of 64 bits, little endian"
	}
	machine := elf.Machine(binary.LittleEndian.Uint16(header[18:]))
	if machine != elf.EM_X86_64 {
		return fmt.Sprintf("is a program for another machine (%s); capOS runs on x86-64",
			machine)
	}
	switch kind := elf.Type(binary.LittleEndian.Uint16(header[16:])); kind {
	case elf.ET_EXEC:
		return ""
	case elf.ET_REL:
		return "is an object file; link it first (./capos cc does)"
	case elf.ET_DYN:
		return "is a shared object or position-independent program (ET_DYN), as other " +
			"systems have; capOS runs static executables"
	default:
		return fmt.Sprintf("is an ELF file of type %s; capOS runs static executables "+
			"(ET_EXEC)", kind)
	}
}

func checkSegments(file *elf.File, size int64) string {
	loadable := 0
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return "is dynamically linked (PT_INTERP); capOS runs static executables"
		}
		if segment.Filesz > 0 && (segment.Off > uint64(size) ||
			segment.Filesz > uint64(size)-segment.Off) {
			return fmt.Sprintf("is truncated: a segment reaches to byte %d, the file "+
				"ends at %d", segment.Off+segment.Filesz, size)
		}
		if segment.Type == elf.PT_LOAD {
			loadable++
		}
	}
	if loadable == 0 {
		return "has nothing to load: no PT_LOAD segment"
	}
	return ""
}

// goEntry is the function that a Go program for capOS begins with.
const goEntry = "_rt0_amd64_capos\x00"

// startsOnCapOS looks for it among the names that every Go program carries, stripped or not. One
// that was linked without the go command, as the programs of $GOROOT/test are in part, has no build
// settings.
func startsOnCapOS(file *elf.File) bool {
	section := file.Section(".gopclntab")
	if section == nil {
		return false
	}
	names, err := section.Data()
	return err == nil && bytes.Contains(names, []byte(goEntry))
}

// identify asks for positive evidence that the program was built for capOS: Go's build information,
// or libcapos' note.
func identify(file *elf.File, r io.ReaderAt) (Language, string) {
	if info, err := buildinfo.Read(r); err == nil {
		system := ""
		for _, setting := range info.Settings {
			if setting.Key == "GOOS" {
				system = setting.Value
			}
		}
		if system == "capos" || system == "" && startsOnCapOS(file) {
			return Go, ""
		}
		return 0, fmt.Sprintf("is a Go program for %s; build it with ./capos go build",
			orUnknown(system))
	}
	if hasNote(file) {
		return C, ""
	}
	if file.OSABI != elf.ELFOSABI_NONE {
		return 0, fmt.Sprintf("is a program for another system (%s), not for capOS",
			file.OSABI)
	}
	return 0, "is an x86-64 program, but was not built for capOS (it has neither capOS' note " +
		"nor Go build information)"
}

func orUnknown(s string) string {
	if s == "" {
		return "another system"
	}
	return s
}

// hasNote looks for a note by its owner, in note segments (which survive stripping) and in
// sections.
func hasNote(file *elf.File) bool {
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_NOTE && ownsNote(segment.Open(), file.ByteOrder) {
			return true
		}
	}
	for _, section := range file.Sections {
		if section.Name == noteSection && section.Type == elf.SHT_NOTE &&
			ownsNote(section.Open(), file.ByteOrder) {
			return true
		}
	}
	return false
}

func ownsNote(r io.Reader, order binary.ByteOrder) bool {
	data, err := io.ReadAll(io.LimitReader(r, 1<<16))
	if err != nil {
		return false
	}
	for len(data) >= 12 {
		nameSize, descSize := uint64(order.Uint32(data)), uint64(order.Uint32(data[4:]))
		name := data[12:]
		if nameSize > uint64(len(name)) {
			return false
		}
		if string(bytes.TrimRight(name[:nameSize], "\x00")) == noteOwner {
			return true
		}
		next := 12 + (nameSize+3)&^3 + (descSize+3)&^3
		if next > uint64(len(data)) {
			return false
		}
		data = data[next:]
	}
	return false
}
