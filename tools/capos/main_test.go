package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/report"
)

func TestTestOutputs(t *testing.T) {
	args := []string{"-test.v", "-test.cpuprofile=cpu.out", "-test.outputdir=/out",
		"-test.testlogfile=/log/t.txt", "-test.trace=",
		"--test.memprofile=m.out", "x", "-cpuprofile=no"}
	want := []testOutput{{"/out/cpu.out", false}, {"/out/m.out", false}, {"/log/t.txt", false}}
	if got := testOutputs(args, "/pkg"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	got := testOutputs([]string{"-test.coverprofile=c", "-test.artifacts=true"}, "/pkg")
	if !slices.Equal(got, []testOutput{{"/pkg/c", false}, {"/pkg/_artifacts", true}}) {
		t.Errorf("%v", got)
	}
}

func TestExecEnv(t *testing.T) {
	got := execEnv([]string{"GOROOT=/g", "LD_PRELOAD=x", "TZ=UTC", "TEST_X=1", "GOTMPDIR=/t",
		"SSH_AUTH_SOCK=s", "CAPOS_ROOT=r"})
	if !slices.Equal(got, []string{"GOROOT=/g", "TZ=UTC", "TEST_X=1"}) {
		t.Errorf("%q", got)
	}
	if got := bootimage.LastWins([]string{"A=1", "B=2", "A=3"}); !slices.Equal(got,
		[]string{"B=2", "A=3"}) {
		t.Errorf("%q", got)
	}
}

// entries reads the names out of a boot image's string area: enough to see what is in a tree.
func entries(t *testing.T, tree *bootimage.Tree) []string {
	t.Helper()
	var b bytes.Buffer
	if _, err := bootimage.Write(&b, tree, nil); err != nil {
		t.Fatal(err)
	}
	var header abi.BootImageHeader
	binary.Decode(b.Bytes(), binary.LittleEndian, &header)
	files := make([]abi.BootFile, header.FileCount)
	binary.Decode(b.Bytes()[header.FilesOffset:], binary.LittleEndian, files)
	var names []string
	for _, f := range files {
		names = append(names,
			string(b.Bytes()[f.NameOffset:f.NameOffset+uint64(f.NameSize)]))
	}
	return names
}

// aModule makes one of several packages and returns what a test of a/b gets of it.
func aModule(t *testing.T, more func(module string)) []string {
	module := t.TempDir()
	for _, name := range []string{"go.mod", "other/other.go", "other/testdata/explore/kept",
		"testdata/shared", "a/testdata/mine", "a/b/b.go", "a/b/testdata/x", "a/b/c/c.go",
		"a/b/testdata/explore/kept", "a/testdata/explore/kept"} {
		os.MkdirAll(filepath.Join(module, filepath.Dir(name)), 0o755)
		os.WriteFile(filepath.Join(module, name), []byte(name), 0o644)
	}
	more(module)
	l := &launch{root: module, exports: &exports{}}
	dir := filepath.Join(module, "a", "b")
	if err := errors.Join(l.makeTree(dir, "", true), l.addModule(dir, "")); err != nil {
		t.Fatal(err)
	}
	if env := l.exports.env(); !slices.Equal(env, []string{"CAPOS_WRITABLE=" + module}) {
		t.Errorf("the environment has %q", env)
	}
	got := entries(t, l.tree)
	for _, name := range []string{"go.mod", "shared", "mine", "b.go", "x", "c.go", "tmp"} {
		if !slices.Contains(got, name) {
			t.Errorf("%s is missing", name)
		}
	}
	if slices.Contains(got, "kept") {
		t.Error("what explore keeps is there too")
	}
	return got
}

func TestGoTreeOfATest(t *testing.T) {
	got := aModule(t, func(string) {})
	if !slices.Contains(got, "other.go") {
		t.Error("a package beside is missing")
	}
}

func TestGoTreeOfATestInABigModule(t *testing.T) {
	for size, whole := range map[int64]bool{fewInDirectory.bytes: true,
		fewInModule.bytes: false} {
		got := aModule(t, func(module string) {
			big, err := os.Create(filepath.Join(module, "other", "big"))
			if err == nil {
				err = errors.Join(big.Truncate(size), big.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		if slices.Contains(got, "other.go") != whole {
			t.Errorf("beside %d bytes: a package beside is there: %t", size, !whole)
		}
	}
}

func TestGoTreeOfABigDirectory(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "small"), []byte("x"), 0o644)
	os.MkdirAll(filepath.Join(dir, "many"), 0o755)
	for i := range fewInDirectory.entries + 1 {
		os.WriteFile(filepath.Join(dir, "many", fmt.Sprint("f", i)), nil, 0o644)
	}
	tree, err := goTree(dir, dir, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if got := entries(t, tree); !slices.Contains(got, "small") || slices.Contains(got, "many") {
		t.Errorf("%d entries", len(got))
	}
}

func TestExportsAreConfined(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	os.WriteFile(outside, []byte("safe"), 0o644)
	os.MkdirAll(filepath.Join(dir, "out"), 0o755)
	os.Symlink(outside, filepath.Join(dir, "out", "link"))
	e := &exports{}
	e.add("/out", filepath.Join(dir, "out"), true)
	e.add("/one.txt", filepath.Join(dir, "one.txt"), false)
	for _, w := range []hostchannel.FileWrite{
		{Name: "out/a/b", Data: []byte("first")}, {Name: "out/a/b",
			Data: []byte("sec")}, {Name: "out/a/b", Offset: 3, Data: []byte("ond")},
		{Name: "one.txt", Data: []byte("1")},
	} {
		if err := e.store(w); err != nil {
			t.Errorf("%s: %v", w.Name, err)
		}
	}
	for _, name := range []string{"out/../outside", "out/link", "outside", "../outside", "out",
		"", "/", "outer/x", "one.txt/x"} {
		if err := e.store(hostchannel.FileWrite{Name: name,
			Data: []byte("evil")}); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	if err := e.store(hostchannel.FileWrite{Name: "one.txt", Offset: 1 << 60,
		Data: []byte("x")}); err == nil {
		t.Error("an absurd offset was accepted")
	}
	for name, want := range map[string]string{"outside": "safe", "out/a/b": "second",
		"one.txt": "1"} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

// someExports are those of a directory with files, of which only out/in was copied in from its
// place there, and with links out of it and inside.
func someExports(t *testing.T, dir string) *exports {
	t.Chdir(dir)
	for name, target := range map[string]string{"outside": "", "other": "", "out/old": "",
		"out/in/copied": "", "out/kept/x": "", "out/link": dir, "out/in/within": "../old"} {
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if target != "" {
			err = errors.Join(err, os.Symlink(target, name))
		} else {
			err = errors.Join(err, os.WriteFile(name, []byte("safe"), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e := &exports{tree: bootimage.NewTree()}
	e.add("/out", filepath.Join(dir, "out"), true)
	e.add("/one.txt", filepath.Join(dir, "one.txt"), false)
	if err := errors.Join(e.tree.AddHostTree("out/in", "/out/in", nil),
		e.tree.AddHostFile("outside", "/out/of"),
		e.tree.AddHostFile("other", "/out/link/other")); err != nil {
		t.Fatal(err)
	}
	return e
}

// Removals reach what the run has made or copied in, and nothing else.
func TestRemovalsAreConfined(t *testing.T) {
	e := someExports(t, t.TempDir())
	for _, name := range []string{"out/new/deep/b", "out/new/a", "out/kept/y", "one.txt"} {
		if err := e.store(hostchannel.FileWrite{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(stay bool, names ...string) {
		for _, name := range names {
			if err := e.remove(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := os.Lstat(name); (err == nil) != stay {
				t.Errorf("%s: %v, should be there: %t", name, err, stay)
			}
		}
	}
	remove(true, "out/new", "out/old", "out/kept/x", "out/link/outside", "out/link/other",
		"out/in", "out/kept")
	remove(false, "out/of", "out/missing")
	for _, name := range []string{"out/../outside", "outside", "../outside", "out", "", "/",
		"outer/x", "one.txt/x"} {
		if e.remove(name) == nil {
			t.Errorf("%q was not refused", name)
		}
	}
	remove(false, "out/new/deep/b", "out/new/deep", "out/new/a", "out/new", "out/kept/y",
		"out/in/within", "out/in/copied", "out/in", "one.txt")
	for _, name := range []string{"outside", "other", "out/old", "out/kept/x", "out/link"} {
		if _, err := os.Lstat(name); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
}

func TestStatuses(t *testing.T) {
	end := func(kind, code int) *machine.ProgramEnd {
		return &machine.ProgramEnd{ExitRecord: abi.ExitRecord{Kind: uint32(kind),
			Code: int32(code)}}
	}
	for _, c := range []struct{ kind, code, status int }{
		{abi.ExitKindExited, 0, 0}, {abi.ExitKindExited, 255, 255}, {abi.ExitKindExited,
			256, 0}, {abi.ExitKindExited, -1, 255},
		{abi.ExitKindFaulted, abi.NotificationKindPageFault, 139}, {abi.ExitKindFaulted,
			abi.NotificationKindDivide, 136},
		{abi.ExitKindFaulted, abi.NotificationKindIllegalInstruction,
			132}, {abi.ExitKindFaulted, abi.NotificationKindOutOfMemory, 135},
		// which emulators do not have
		{abi.ExitKindFaulted, abi.NotificationKindAlignment, 135},
		{abi.ExitKindKilled, abi.NotificationKindInterrupt, 130}, {abi.ExitKindKilled,
			abi.NotificationKindTerminate, 143},
		{abi.ExitKindNotStarted, abi.ErrorNoMemory, report.StatusNoBoot},
		{abi.ExitKindNotStarted, 1, report.StatusNotProgram},
	} {
		status, text := report.Program(end(c.kind, c.code), "p", nil, report.Memory{})
		if status != c.status || (text == "") != (c.kind == abi.ExitKindExited) {
			t.Errorf("%+v: %d, %q", c, status, text)
		}
	}
	faulted := end(abi.ExitKindFaulted, abi.NotificationKindPageFault)
	faulted.Fault = &hostchannel.Fault{FaultRecord: abi.FaultRecord{
		Kind: abi.NotificationKindPageFault, Address: 8, ErrorCode: 6, Rip: 0x401000}}
	for _, says := range []string{"writing to address 0x8 (a nil pointer)", "0x401000"} {
		_, text := report.Program(faulted, "p", nil, report.Memory{})
		if !strings.Contains(text, says) {
			t.Error(text)
		}
	}
	full := end(abi.ExitKindFaulted, abi.NotificationKindOutOfMemory)
	full.PeakCommitted = 1000
	_, text := report.Program(full, "p", nil,
		report.Memory{MachineMiB: 256, LimitPages: 1024})
	if !strings.Contains(text, "4000 KiB, its limit is 4096 KiB (--limit), the machine") {
		t.Error(text)
	}
	faulted.FramesBefore, faulted.FramesAfter = 10, 9
	if text := report.LeakText(faulted, "p"); !strings.Contains(text, "frame leak") {
		t.Error(text)
	}
}

func TestMachineReports(t *testing.T) {
	c := &machine.Config{MemoryMiB: 64}
	for _, k := range []struct {
		name   string
		o      machine.Outcome
		status int
		says   string
	}{
		{"panic", machine.Outcome{Panicked: true, Log: []string{"x",
			"capos: kernel panic: bad", " [<ffffffff80001000>]"}}, 123, "bad"},
		{"qemu", machine.Outcome{QEMUStatus: 1,
			Log: []string{"qemu-system-x86_64: no such device"}}, 125,
			"no such device"},
		{"package", machine.Outcome{QEMUStatus: 1,
			Log: []string{"qemu: initrd is too large, cannot support."}}, 122,
			"do not fit"},
		{"silent", machine.Outcome{}, 122, "did not start"},
		{"stopped", machine.Outcome{Stopped: os.ErrClosed}, 125, "stopped"},
	} {
		if status, text := report.Machine(&k.o, c, nil); status != k.status ||
			!strings.Contains(text, k.says) {
			t.Errorf("%s: %d, %s", k.name, status, text)
		}
	}
}

// TestLimits reads what --limit takes, and how it says no.
func TestLimits(t *testing.T) {
	var l limits
	for _, value := range []string{"64M", "threads=8", "caps=100", "calls=3", "cpu=25%"} {
		if err := l.Set(value); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
	if want := (limits{64 << 20 / 4096, bootimage.Counts{Threads: 8, Capabilities: 100,
		Calls: 3, CPU: 250}}); l != want {
		t.Errorf("%+v, wanted %+v", l, want)
	}
	for value, want := range map[string]string{
		"disks=1":   `"disks" cannot be limited; memory, threads, caps, calls and cpu can`,
		"threads=0": `"0" is no number of threads from 1 to 1000000000`,
		"caps=many": `"many" is no number of caps from 1 to 1000000000`,
		"calls=-1":  `"-1" is no number of calls from 1 to 1000000000`,
		"cpu=25":    `"25" is no part of a CPU from 1% to 6400%`,
		"cpu=0%":    `"0%" is no part of a CPU from 1% to 6400%`,
		"memory=1K": `"1K" is less than a page`,
	} {
		if err := l.Set(value); err == nil || err.Error() != want {
			t.Errorf("%s: %v", value, err)
		}
	}
}
