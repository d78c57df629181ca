package bootimage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"capos.dev/tools/internal/abi"
)

// view reads an image back the way the kernel does, from the bytes alone.
type view struct {
	t      *testing.T
	bytes  []byte
	header abi.BootImageHeader
	files  []abi.BootFile
	progs  []abi.BootProgram
}

func pack(t *testing.T, tree *Tree, programs ...Program) *view {
	t.Helper()
	var buf bytes.Buffer
	size, err := Write(&buf, tree, programs)
	if err != nil {
		t.Fatal(err)
	}
	v := &view{t: t, bytes: buf.Bytes()}
	if size != int64(buf.Len()) {
		t.Fatalf("Write says %d bytes and wrote %d", size, buf.Len())
	}
	v.decode(0, &v.header)
	if v.header.Magic != abi.BootImageMagic || v.header.TotalSize > uint64(size) ||
		v.header.TotalSize%4096 != 0 || size%4096 != 0 {
		t.Fatalf("header %+v of an image of %d bytes", v.header, size)
	}
	v.files = make([]abi.BootFile, v.header.FileCount)
	v.progs = make([]abi.BootProgram, v.header.ProgramCount)
	v.decode(v.header.FilesOffset, v.files)
	v.decode(v.header.ProgramsOffset, v.progs)
	return v
}

func (v *view) decode(offset uint64, into any) {
	v.t.Helper()
	if _, err := binary.Decode(v.bytes[offset:], binary.LittleEndian, into); err != nil {
		v.t.Fatal(err)
	}
}

func (v *view) at(offset, size uint64) string { return string(v.bytes[offset : offset+size]) }

// list walks from the root and describes each entry by its path, checking order and alignment on
// the way.
func (v *view) list(index uint64, path string, into map[string]string) {
	f := v.files[index]
	switch f.Mode &^ 0o777 {
	case ModeDir:
		into[path+"/"] = fmt.Sprintf("%o", f.Mode)
		previous := ""
		for i := range f.Size {
			child := v.files[f.DataOffset+i]
			name := v.at(child.NameOffset, uint64(child.NameSize))
			if name <= previous {
				v.t.Errorf("%s: %q does not sort after %q", path, name, previous)
			}
			previous = name
			v.list(f.DataOffset+i, path+"/"+name, into)
		}
	case ModeRegular:
		if f.DataOffset%4096 != 0 {
			v.t.Errorf("%s lies at %#x, not on a page", path, f.DataOffset)
		}
		into[path] = v.at(f.DataOffset, f.Size)
	case ModeLink:
		into[path] = "-> " + v.at(f.DataOffset, f.Size)
	default:
		v.t.Errorf("%s has mode %o", path, f.Mode)
	}
}

// hostTree makes a directory with files, a link and what is to be left out.
func hostTree(t *testing.T, big string, when time.Time) string {
	host := t.TempDir()
	for name, text := range map[string]string{"a.txt": "alpha", "sub/b": big, "sub/empty": "",
		".git/config": "no", "zz": "last"} {
		os.MkdirAll(filepath.Join(host, filepath.Dir(name)), 0o755)
		os.WriteFile(filepath.Join(host, name), []byte(text), 0o640)
	}
	os.Symlink("sub/b", filepath.Join(host, "link"))
	os.Chtimes(filepath.Join(host, "a.txt"), when, when)
	return host
}

func TestTree(t *testing.T) {
	big, when := strings.Repeat("x", 5000), time.Unix(1700000000, 123456789)
	host := hostTree(t, big, when)
	tree := NewTree()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(tree.AddHostTree(host, "/data", nil))
	check(tree.AddDir("/some/where"))
	check(tree.AddData("/bin/prog", []byte("\x7fELF"), 0o755, when))
	v := pack(t, tree, Program{Path: "/bin/prog", Args: []string{"/bin/prog", "", "a b"},
		Env: []string{"A=1"}})

	got := map[string]string{}
	v.list(0, "", got)
	want := map[string]string{"/": "40755", "/bin/": "40755", "/bin/prog": "\x7fELF",
		"/some/": "40755", "/some/where/": "40755",
		"/data/": "40755", "/data/a.txt": "alpha", "/data/link": "-> " +
			"sub/b", "/data/sub/": "40755", "/data/sub/b": big,
		"/data/sub/empty": "", "/data/zz": "last"}
	for path, text := range want {
		if got[path] != text {
			t.Errorf("%s: %.40q, want %.40q", path, got[path], text)
		}
		delete(got, path)
	}
	for path := range got {
		t.Errorf("%s should not be there", path)
	}
	p := v.progs[0]
	if v.at(p.ElfOffset, p.ElfSize) != "\x7fELF" || v.at(p.ArgsOffset,
		p.ArgsSize) != "/bin/prog\x00\x00a b\x00" ||
		v.at(p.EnvOffset, p.EnvSize) != "A=1\x00" || p.ArgsCount != 3 || p.EnvCount != 1 {
		t.Errorf("program record %+v", p)
	}
	for _, f := range v.files {
		if v.at(f.NameOffset, uint64(f.NameSize)) == "a.txt" &&
			(f.MtimeNs != when.UnixNano() || f.Mode != ModeRegular|0o640) {
			t.Errorf("a.txt: %+v", f)
		}
	}
}

func TestProgramSharesItsFile(t *testing.T) {
	tree := NewTree()
	tree.AddData("/p", bytes.Repeat([]byte{7}, 10000), 0o755, time.Time{})
	v := pack(t, tree, Program{Path: "/p"}, Program{Path: "/p", Args: []string{"again"}})
	if v.progs[0].ElfOffset != v.progs[1].ElfOffset ||
		v.progs[0].ElfOffset != v.files[1].DataOffset {
		t.Errorf("bytes stored more than once: %+v %+v", v.progs, v.files[1])
	}
	if len(v.bytes) != 5*4096 { // tables, three of the file, arguments
		t.Errorf("image of %d bytes, want 5 pages", len(v.bytes))
	}
}

func TestRejections(t *testing.T) {
	tree := NewTree()
	tree.AddData("/file", nil, 0o644, time.Time{})
	tree.AddDir("/dir")
	for what, err := range map[string]error{
		"below a file":    tree.AddDir("/file/x"),
		"over a dir":      tree.AddData("/dir", nil, 0o644, time.Time{}),
		"zero in name":    tree.AddData("/a\x00b", nil, 0o644, time.Time{}),
		"root as a file":  tree.AddData("/", nil, 0o644, time.Time{}),
		"no such program": write(tree, Program{Path: "/none"}),
		"dir as program":  write(tree, Program{Path: "/dir"}),
		"zero in args":    write(tree, Program{Path: "/file", Args: []string{"a\x00"}}),
		"no host file":    tree.AddHostTree("/nonexistent/file", "/x", nil),
	} {
		if err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

// So many programs start together as the kernel has room for, and not one more.
func TestGroupsAreBounded(t *testing.T) {
	tree := NewTree()
	tree.AddData("/file", nil, 0o644, time.Time{})
	programs := []Program{{Path: "/file"}}
	for range int(abi.BootTogetherMax) {
		if err := write(tree, programs...); err != nil {
			t.Errorf("%d programs: %v", len(programs), err)
		}
		programs = append(programs, Program{Path: "/file", Together: true})
	}
	if write(tree, programs...) == nil {
		t.Errorf("%d programs together were accepted", len(programs))
	}
	programs[3].Together = false
	if err := write(tree, programs...); err != nil {
		t.Errorf("two groups: %v", err)
	}
}

func write(tree *Tree, programs ...Program) error {
	_, err := Write(&bytes.Buffer{}, tree, programs)
	return err
}

// A file that shrinks between listing and packing must be an error, never a shifted image.
func TestShrinkingFile(t *testing.T) {
	host := filepath.Join(t.TempDir(), "f")
	os.WriteFile(host, []byte("12345678"), 0o644)
	tree := NewTree()
	tree.AddHostFile(host, "/f")
	os.WriteFile(host, []byte("123"), 0o644)
	if err := write(tree); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("err = %v", err)
	}
}

func BenchmarkPack(b *testing.B) {
	tree := NewTree()
	for i := range 1000 {
		tree.AddData(fmt.Sprintf("/d%d/f%d", i%10, i), make([]byte, 3000), 0o644,
			time.Time{})
	}
	tree.AddData("/prog", make([]byte, 8<<20), 0o755, time.Time{})
	for b.Loop() {
		var buf bytes.Buffer
		Write(&buf, tree, []Program{{Path: "/prog"}})
	}
}

// Input comes behind everything else; with a date an image says nothing of when its files changed.
func TestInputAndDate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("contents"), 0o644); err != nil {
		t.Fatal(err)
	}
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	make := func() []byte {
		tree := NewTree()
		tree.Input, tree.Date = []byte("input"), date
		if err := tree.AddHostFile(file, "/f"); err != nil {
			t.Fatal(err)
		}
		v := pack(t, tree, Program{Path: "/f", Args: []string{"f"}})
		if got := v.at(v.header.InputOffset, v.header.InputSize); got != "input" {
			t.Fatalf("input %q", got)
		}
		for i, f := range v.files {
			if f.MtimeNs != date.UnixNano() {
				t.Errorf("file %d is of %d", i, f.MtimeNs)
			}
		}
		return v.bytes
	}
	first := make()
	if err := os.Chtimes(file, date, date.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, make()) {
		t.Error("the image depends on the time of a file")
	}
	if v := pack(t, NewTree()); v.header.InputOffset != 0 || v.header.InputSize != 0 {
		t.Errorf("an image without input: %+v", v.header)
	}
}

// What programs see holds neither input nor arguments nor environments.
func TestPrivatePart(t *testing.T) {
	tree := NewTree()
	tree.Input = []byte("the host's input")
	tree.AddData("/p", []byte("\x7fELF"), 0o755, time.Time{})
	v := pack(t, tree, Program{Path: "/p", Args: []string{"p", "an argument"}},
		Program{Path: "/p", Env: []string{"SECRET=a variable"}})
	shared, private := v.bytes[:v.header.TotalSize], v.bytes[v.header.TotalSize:]
	for _, text := range []string{"the host's input", "an argument", "a variable"} {
		if bytes.Contains(shared, []byte(text)) || !bytes.Contains(private, []byte(text)) {
			t.Errorf("%q: programs see it, or it is nowhere", text)
		}
	}
}

// Each of several images that are written at once has its own programs, and places of the files
// that depend on how many these are.
func TestImagesOfOneTree(t *testing.T) {
	tree := NewTree()
	want := map[string]string{"/": "40755", "/bin/": "40755"}
	for i := range 50 {
		name := fmt.Sprintf("/bin/%c%d", 'a'+i%26, i)
		want[name] = strings.Repeat(string(rune('0'+i)), 5000)
		if err := tree.AddData(name, []byte(want[name]), 0o755, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			arguments := []string{strings.Repeat("x", 100*i)}
			programs := slices.Repeat([]Program{{Path: "/bin/a0", Args: arguments}},
				1+32*i)
			for range 50 {
				if err := checkImage(t, tree, programs, want); err != nil {
					t.Errorf("%d programs: %v", len(programs), err)
					return
				}
			}
		})
	}
	all.Wait()
}

// checkImage writes an image and looks at its size, its programs and all its files.
func checkImage(t *testing.T, tree *Tree, programs []Program, want map[string]string) error {
	var image bytes.Buffer
	if _, err := Write(&limited{&image, 1 << 20}, tree, programs); err != nil {
		return err
	}
	v := &view{t: t, bytes: image.Bytes()}
	v.decode(0, &v.header)
	v.files = make([]abi.BootFile, v.header.FileCount)
	v.progs = make([]abi.BootProgram, v.header.ProgramCount)
	v.decode(v.header.FilesOffset, v.files)
	v.decode(v.header.ProgramsOffset, v.progs)
	last := v.progs[len(programs)-1]
	if end := alignUp(last.EnvOffset + last.EnvSize); end != uint64(image.Len()) ||
		v.progs[0].ArgsOffset != v.header.TotalSize {
		return fmt.Errorf("%d bytes, says %d", image.Len(), end)
	}
	for _, p := range v.progs {
		if v.at(p.ElfOffset, p.ElfSize) != want["/bin/a0"] {
			return fmt.Errorf("a program lies elsewhere than %#x", p.ElfOffset)
		}
	}
	got := map[string]string{}
	if v.list(0, "", got); !maps.Equal(got, want) {
		return fmt.Errorf("files lie elsewhere than their records say")
	}
	return nil
}

// limited fails at a size, because a wrong image may be endless.
type limited struct {
	image *bytes.Buffer
	left  int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("the image is too long")
	}
	return l.image.Write(p)
}
