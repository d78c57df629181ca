// Package symbols turns addresses of a program or of the kernel into names and source lines, from
// whatever the ELF file still carries: Go's line table, DWARF, or the symbol table alone.
package symbols

import (
	"debug/dwarf"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"path/filepath"
	"sort"
)

// Table answers for one ELF file.
type Table struct {
	golines   *gosym.Table
	functions []elf.Symbol // by address
	lines     *dwarf.Data
	text      []section
}

// section is executable memory with its contents, to tell return addresses from other numbers on a
// stack.
type section struct {
	start uint64
	bytes []byte
}

// Open reads what the file at path has. A file without any symbols gives a table that knows
// nothing.
func Open(path string) (*Table, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t := &Table{}
	for _, s := range file.Sections {
		if s.Type == elf.SHT_PROGBITS && s.Flags&elf.SHF_EXECINSTR != 0 && s.Addr != 0 {
			if data, err := s.Data(); err == nil {
				t.text = append(t.text, section{s.Addr, data})
			}
		}
	}
	t.readGoLines(file)
	symbols, _ := file.Symbols() // none in a stripped file
	for _, s := range symbols {
		// Assembly labels have no type; they still name the code better than a bare address
		// does.
		if kind := elf.ST_TYPE(s.Info); (kind == elf.STT_FUNC || kind == elf.STT_NOTYPE) &&
			t.inText(s.Value) && s.Name != "" {
			t.functions = append(t.functions, s)
		}
	}
	sort.SliceStable(t.functions,
		func(i, j int) bool { return t.functions[i].Value < t.functions[j].Value })
	if t.golines == nil {
		t.lines, _ = file.DWARF()
	}
	return t, nil
}

func (t *Table) readGoLines(file *elf.File) {
	lineTable, text := file.Section(".gopclntab"), file.Section(".text")
	if lineTable == nil || text == nil {
		return
	}
	data, err := lineTable.Data()
	if err != nil {
		return
	}
	if table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr)); err == nil {
		t.golines = table
	}
}

func (t *Table) inText(address uint64) bool {
	_, ok := t.code(address)
	return ok
}

// code gives the bytes of the text section before address.
func (t *Table) code(address uint64) (before []byte, ok bool) {
	for _, s := range t.text {
		if address >= s.start && address < s.start+uint64(len(s.bytes)) {
			return s.bytes[:address-s.start], true
		}
	}
	return nil, false
}

// Describe names an address: "main.crash (main.go:12)", "memcpy+0x1f", or "" when nothing is known
// about it.
func (t *Table) Describe(address uint64) string {
	if t == nil {
		return ""
	}
	if t.golines != nil {
		if file, line, fn := t.golines.PCToLine(address); fn != nil {
			return fmt.Sprintf("%s (%s:%d)", fn.Name, shorten(file), line)
		}
	}
	i := sort.Search(len(t.functions),
		func(i int) bool { return t.functions[i].Value > address })
	if i == 0 || !t.inText(address) {
		return ""
	}
	s := t.functions[i-1]
	if file, line := t.dwarfLine(address); file != "" {
		return fmt.Sprintf("%s (%s:%d)", s.Name, shorten(file), line)
	}
	if address == s.Value {
		return s.Name
	}
	return fmt.Sprintf("%s+%#x", s.Name, address-s.Value)
}

// Place gives function, file and line of an address, "" where they are not known.
func (t *Table) Place(address uint64) (name, file string, line int) {
	if t.golines != nil {
		if file, line, fn := t.golines.PCToLine(address); fn != nil {
			return fn.Name, file, line
		}
		return "", "", 0
	}
	i := sort.Search(len(t.functions),
		func(i int) bool { return t.functions[i].Value > address })
	if i == 0 || !t.inText(address) {
		return "", "", 0
	}
	file, line = t.dwarfLine(address)
	return t.functions[i-1].Name, file, line
}

// DescribeReturn names the call before a return address rather than whatever follows it.
func (t *Table) DescribeReturn(address uint64) string { return t.Describe(address - 1) }

func (t *Table) dwarfLine(address uint64) (string, int) {
	if t.lines == nil {
		return "", 0
	}
	unit, err := t.lines.Reader().SeekPC(address)
	if err != nil {
		return "", 0
	}
	lines, err := t.lines.LineReader(unit)
	if err != nil || lines == nil {
		return "", 0
	}
	var entry dwarf.LineEntry
	if lines.SeekPC(address, &entry) != nil || entry.File == nil {
		return "", 0
	}
	return entry.File.Name, entry.Line
}

// shorten keeps the part of a source path that tells files apart.
func shorten(path string) string {
	dir, file := filepath.Split(path)
	if dir = filepath.Base(filepath.Clean(dir)); dir == "." || dir == "/" {
		return file
	}
	return dir + "/" + file
}

// IsReturnAddress tells whether the instruction before the address is a call, by its usual
// encodings: what tells return addresses from stale numbers when a stack has no frame pointers to
// follow.
func (t *Table) IsReturnAddress(address uint64) bool {
	if t == nil {
		return false
	}
	before, ok := t.code(address)
	if !ok || len(before) < 7 {
		return false
	}
	n := len(before)
	if before[n-5] == 0xe8 { // call rel32
		return true
	}
	// call r/m64: ff /2, with optional prefix, SIB and displacement
	for size := 2; size <= 7; size++ {
		if before[n-size] == 0xff && before[n-size+1]>>3&7 == 2 {
			return true
		}
	}
	return false
}
