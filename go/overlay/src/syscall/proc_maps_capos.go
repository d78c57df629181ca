// /proc/self/maps: the ranges of the address space that are in use, as VirtualMemory tells of them.
// What was loaded of the program's file has the file's name.

//go:build capos

package syscall

import (
	"internal/abi"
	"internal/strconv"
	"unsafe"
)

// mapsText is the whole text. Other threads may change the address space meanwhile, so the lines
// are not of one moment, as on Linux. None begins before the end of the last.
func mapsText() string {
	var text []byte
	program := loadedProgram()
	pending := mapsLine{}
	for address := uintptr(0); address < abiUserTop; {
		info, err := regionAt(address)
		if err != 0 {
			break
		}
		start := address // the range may begin before it by now
		address = uintptr(info.start + info.size)
		if info.state == abiRegionStateFree {
			continue
		}
		for _, line := range program.cut(start, address) {
			line.prot = uintptr(info.prot)
			line.shared = info.state == abiRegionStateObject && line.name == ""
			if !pending.join(&line) {
				text = pending.appendTo(text)
				pending = line
			}
		}
	}
	return string(pending.appendTo(text))
}

// A mapsLine is a range with the same properties.
type mapsLine struct {
	start, end uintptr
	prot       uintptr
	shared     bool
	offset     uintptr // in the file that has the name
	name       string
	ino        uint64
}

// join makes a line longer by one that follows and is like it.
func (l *mapsLine) join(next *mapsLine) bool {
	if l.end != next.start || l.prot != next.prot || l.shared != next.shared ||
		l.name != next.name || l.name != "" && l.offset+l.end-l.start != next.offset {
		return false
	}
	l.end = next.end
	return true
}

// mapsNameAt is the column in which names begin.
const mapsNameAt = 73

func (l *mapsLine) appendTo(text []byte) []byte {
	if l.end == 0 {
		return text
	}
	begin := len(text)
	text = appendHex(text, l.start, 8)
	text = append(text, '-')
	text = append(appendHex(text, l.end, 8), ' ')
	for i, c := range [...]byte{'r', 'w', 'x'} {
		if l.prot>>i&1 == 0 {
			c = '-'
		}
		text = append(text, c)
	}
	if l.shared {
		text = append(text, "s "...)
	} else {
		text = append(text, "p "...)
	}
	text = appendHex(text, l.offset, 8)
	if l.name == "" {
		return append(text, " 00:00 0\n"...)
	}
	text = append(text, " 00:01 "...)
	text = append(text, strconv.FormatUint(l.ino, 10)...)
	for text = append(text, ' '); len(text)-begin < mapsNameAt; {
		text = append(text, ' ')
	}
	return append(append(text, l.name...), '\n')
}

// appendHex appends a number with at least so many digits.
func appendHex(text []byte, n uintptr, digits int) []byte {
	for ; digits < 16 && n>>(4*digits) != 0; digits++ {
	}
	for digits--; digits >= 0; digits-- {
		text = append(text, "0123456789abcdef"[n>>(4*digits)&15])
	}
	return text
}

// ---- the program's file
// ------------------------------------------------------------------------------------------

// A loaded is the file that was loaded, as far as ranges of the address space come from it.
type loaded struct {
	name     string
	ino      uint64 // of the file
	segments []elfSegment
}

// An elfHead begins an ELF file. Only the fields that are needed have names.
type elfHead struct {
	magic      [4]byte
	_          [28]byte
	headsAt    uint64
	_          [14]byte
	headSize   uint16
	headsCount uint16
}

// An elfSegment is a program header.
type elfSegment struct {
	kind       uint32
	flags      uint32
	offset     uint64
	address    uint64
	_          uint64
	fileSize   uint64
	memorySize uint64
	_          uint64
}

const elfLoad = 1 // the kind of a segment that is loaded

// loadedProgram reads the head of the file, which is loaded before the program's first code.
func loadedProgram() (p loaded) {
	info, err := regionAt(abi.FuncPCABIInternal(loadedProgram))
	if err != 0 {
		return p
	}
	head := (*elfHead)(pointerTo(uintptr(info.start)))
	if head.magic != [4]byte{0x7f, 'E', 'L', 'F'} ||
		uintptr(head.headSize) != unsafe.Sizeof(elfSegment{}) ||
		head.headsAt+uint64(head.headsCount)*uint64(head.headSize) > info.size {
		return p
	}
	heads := unsafe.Slice((*elfSegment)(pointerTo(uintptr(info.start+head.headsAt))),
		head.headsCount)
	for _, s := range heads {
		if s.kind == elfLoad {
			p.segments = append(p.segments, s)
		}
	}
	p.name = ownExecutable()
	if at, err := walk(tree.root, p.name, true); err == 0 && at.node != nil {
		p.ino = at.node.ino
	}
	return p
}

// cut makes lines of a range: of each part that comes from the file, and of the rest.
func (p *loaded) cut(start, end uintptr) (lines []mapsLine) {
	for start < end {
		line := mapsLine{start: start, end: end}
		for i := range p.segments {
			s := &p.segments[i]
			from := uintptr(s.address) &^ (abiPageSize - 1)
			to := from + alignedLength(int(s.address-uint64(from)+s.fileSize))
			switch {
			case start >= from && start < to:
				line.end = min(end, to)
				line.name, line.ino = p.name, p.ino
				line.offset = uintptr(s.offset)&^(abiPageSize-1) + start - from
			case start < from:
				line.end = min(line.end, from)
			}
		}
		lines = append(lines, line)
		start = line.end
	}
	return lines
}
