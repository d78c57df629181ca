package bootimage

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"capos.dev/tools/internal/abi"
)

// Program is one process to run. Path names a file of the tree; the program and the file share
// their bytes.
type Program struct {
	Path           string
	Args           []string // argv, Args[0] included
	Env            []string
	Grants         uint64 // bit mask of abi.Grant*; 0: everything
	CommittedLimit uint64 // pages; 0: only the machine's limit
	Counts         Counts
	Together       bool // starts with the program before it, and they run at the same time
}

// Counts are the limits of a program's budgets that are counted; 0 is no limit.
// CPU is in thousandths of one.
type Counts struct{ Threads, Capabilities, Calls, CPU uint32 }

// layout is an image being laid out: every record with its final offsets, and what is written
// after them.
type layout struct {
	header   abi.BootImageHeader
	programs []abi.BootProgram
	files    []abi.BootFile
	strings  []byte // names and link targets; begins at stringsOffset
	contents []content
	private  []byte // host's input, arguments, environments; begins at header.TotalSize

	stringsOffset uint64
}

// content is a file that has bytes, and where they lie in this image.
type content struct {
	*node
	offset uint64
}

const (
	headerBytes  = 64
	programBytes = 128
	fileBytes    = 64
)

// Write writes the image with the given tree and programs and returns its size in bytes. Several
// images of one tree may be written at once.
func Write(w io.Writer, tree *Tree, programs []Program) (int64, error) {
	l, err := arrange(tree, programs)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	var meta []byte
	for _, record := range []any{&l.header, l.programs, l.files} {
		if meta, err = binary.Append(meta, binary.LittleEndian, record); err != nil {
			return 0, err
		}
	}
	meta = append(meta, l.strings...)
	if _, err = out.Write(meta); err != nil {
		return 0, err
	}
	written := uint64(len(meta))
	for _, c := range l.contents {
		if err = pad(out, c.offset-written); err != nil {
			return 0, err
		}
		if err = copyContents(out, c.node); err != nil {
			return 0, err
		}
		written = c.offset + uint64(c.bytes())
	}
	if err = pad(out, l.header.TotalSize-written); err != nil {
		return 0, err
	}
	if _, err = out.Write(l.private); err != nil {
		return 0, err
	}
	written = l.header.TotalSize + uint64(len(l.private))
	end := alignUp(written)
	if err = pad(out, end-written); err != nil {
		return 0, err
	}
	return int64(end), out.Flush()
}

// SourceAt gives the host's file of which the bytes at an offset of the image are the first ones;
// "": it is no file of the host's.
func SourceAt(tree *Tree, programs []Program, offset uint64) string {
	l, err := arrange(tree, programs)
	if err != nil {
		return ""
	}
	for _, c := range l.contents {
		if c.offset == offset {
			return c.source
		}
	}
	return ""
}

var zeroes [4096]byte

func pad(w io.Writer, count uint64) error {
	for count > 0 {
		n := min(count, uint64(len(zeroes)))
		if _, err := w.Write(zeroes[:n]); err != nil {
			return err
		}
		count -= n
	}
	return nil
}

// copyContents writes exactly the bytes that were promised: a host file that has changed its size
// since it was listed would otherwise shift everything after it.
func copyContents(w *bufio.Writer, n *node) error {
	if n.source == "" {
		_, err := w.Write(n.data)
		return err
	}
	f, err := os.Open(n.source)
	if err != nil {
		return err
	}
	defer f.Close()
	if copied, err := io.Copy(w, io.LimitReader(f, n.size)); err != nil {
		return err
	} else if copied != n.size {
		return fmt.Errorf("%s became shorter while it was being packed", n.source)
	}
	return nil
}

func alignUp(v uint64) uint64 {
	return (v +
		uint64(abi.PageSize) - 1) &^ (uint64(abi.PageSize) - 1)
}

func arrange(tree *Tree, programs []Program) (*layout, error) {
	l := &layout{}
	if err := checkGroups(programs); err != nil {
		return nil, err
	}
	tree.arranging.Lock()
	defer tree.arranging.Unlock()
	nodes, firstChild := flatten(tree)
	l.header = abi.BootImageHeader{
		Magic: abi.BootImageMagic, Version: uint32(abi.AbiVersion),
		ProgramCount: uint32(len(programs)), ProgramsOffset: headerBytes,
		FileCount: uint64(len(nodes)), FilesOffset: headerBytes +
			programBytes*uint64(len(programs)),
	}
	l.stringsOffset = l.header.FilesOffset + fileBytes*uint64(len(nodes))
	for _, n := range nodes {
		n.nameOffset = l.addString(n.name)
		if n.mode&0o170000 == ModeLink {
			n.dataOffset = l.addString(string(n.data))
		}
	}
	l.placeContents(nodes)
	l.describeFiles(nodes, firstChild, tree.Date)
	l.placeInput(tree.Input)
	for _, p := range programs {
		record, err := l.describeProgram(tree, p)
		if err != nil {
			return nil, err
		}
		l.programs = append(l.programs, record)
	}
	return l, nil
}

// checkGroups bounds how many programs start together: what the kernel has no room for would run
// after the others.
func checkGroups(programs []Program) error {
	group := 0
	for _, p := range programs {
		if !p.Together {
			group = 0
		}
		if group++; group > int(abi.BootTogetherMax) {
			return fmt.Errorf("%s is one too many: at most %d programs run together",
				p.Path, int(abi.BootTogetherMax))
		}
	}
	return nil
}

// flatten lists the tree breadth first, so that each directory's children are contiguous;
// firstChild gives, for each directory, the index of the first of them.
func flatten(tree *Tree) (nodes []*node, firstChild map[*node]int) {
	nodes = []*node{tree.root}
	firstChild = map[*node]int{}
	for i := 0; i < len(nodes); i++ {
		if nodes[i].isDir() {
			firstChild[nodes[i]] = len(nodes)
			nodes = append(nodes, nodes[i].sorted()...)
		}
	}
	return nodes, firstChild
}

func (l *layout) addString(s string) uint64 {
	offset := l.stringsOffset + uint64(len(l.strings))
	l.strings = append(l.strings, s...)
	return offset
}

// addPrivate adds strings that only the kernel reads. All contents have their places before.
func (l *layout) addPrivate(list []string) (offset, size uint64, err error) {
	offset = l.header.TotalSize + uint64(len(l.private))
	for _, s := range list {
		if strings.IndexByte(s, 0) >= 0 {
			return 0, 0, fmt.Errorf("argument or variable with a zero byte: %q", s)
		}
		l.private = append(append(l.private, s...), 0)
		size += uint64(len(s)) + 1
	}
	return offset, size, nil
}

func (l *layout) describeProgram(tree *Tree, p Program) (record abi.BootProgram, err error) {
	n := tree.lookup(p.Path)
	if n == nil || n.mode&0o170000 != ModeRegular {
		return record, fmt.Errorf("program %s is not a file of the boot image", p.Path)
	}
	record = abi.BootProgram{
		ElfOffset: n.dataOffset, ElfSize: uint64(n.bytes()),
		ArgsCount: uint32(len(p.Args)), EnvCount: uint32(len(p.Env)),
		Grants: p.Grants, CommittedLimit: p.CommittedLimit,
		ThreadLimit: p.Counts.Threads, CapabilityLimit: p.Counts.Capabilities,
		CallLimit: p.Counts.Calls, CpuLimit: p.Counts.CPU,
	}
	if p.Together {
		record.Flags = uint32(abi.BootProgramTogether)
	}
	if record.ArgsOffset, record.ArgsSize, err = l.addPrivate(p.Args); err != nil {
		return record, err
	}
	record.EnvOffset, record.EnvSize, err = l.addPrivate(p.Env)
	return record, err
}

// placeContents gives every file its pages, after all records and names. Empty files need none.
// Programs see no more than these.
func (l *layout) placeContents(nodes []*node) {
	end := alignUp(l.stringsOffset + uint64(len(l.strings)))
	for _, n := range nodes {
		if n.mode&0o170000 != ModeRegular {
			continue
		}
		n.dataOffset = end
		if n.bytes() > 0 {
			l.contents = append(l.contents, content{n, end})
			end = alignUp(end + uint64(n.bytes()))
		}
	}
	l.header.TotalSize = end
}

// placeInput puts the host's frames behind all that programs see.
func (l *layout) placeInput(input []byte) {
	if input == nil {
		return
	}
	l.header.InputOffset, l.header.InputSize = l.header.TotalSize, uint64(len(input))
	l.private = append(l.private, input...)
}

func (l *layout) describeFiles(nodes []*node, firstChild map[*node]int,
	date time.Time) {
	l.files = make([]abi.BootFile, len(nodes))
	for i, n := range nodes {
		f := abi.BootFile{NameOffset: n.nameOffset, NameSize: uint32(len(n.name)),
			Mode:       n.mode,
			DataOffset: n.dataOffset, Size: uint64(n.bytes())}
		mtime := n.mtime
		if !date.IsZero() {
			mtime = date
		}
		if !mtime.IsZero() {
			f.MtimeNs = mtime.UnixNano()
		}
		if n.isDir() {
			f.DataOffset, f.Size = uint64(firstChild[n]), uint64(len(n.children))
		}
		l.files[i] = f
	}
}
