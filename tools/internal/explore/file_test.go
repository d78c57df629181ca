package explore

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// named is what the runtime prints of a forced disturbance.
func named(file, line string) string {
	return "capos explore: disturbed 2 5 1000 0 8 255 3\n" +
		"capos explore: at sync.(*Mutex).Lock /go/src/sync/mutex.go:46\n" +
		"capos explore: at x/y.transfer " + file + ":" + line + "\n" +
		"capos explore: meanwhile 9\ncapos explore: at x/y.f " + file + ":1\n" +
		"capos explore: meanwhile 9\ncapos explore: at x/y.f " + file + ":1\n" +
		"capos explore: more 7\n" +
		"capos explore: created 8 7\ncapos explore: at x/y.TestTransfers " + file + ":3\n"
}

func failing(t *testing.T) (path string, f *File) {
	dir := t.TempDir()
	path = filepath.Join(dir, "y_test.go")
	if err := os.WriteFile(path, []byte("one\n\ttwo\nthree\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &Run{Status: 2, Output: "capos explore: deadlock\n" +
		blocked("8", "sync.Mutex.Lock (leaked)", "0x12", "2") + named(path, "2")}
	story, _ := r.Disturbances(source)
	f = &File{Failure: *r.Judge(source), Decisions: story, Seed: 4}
	return path, f
}

func TestFile(t *testing.T) {
	path, f := failing(t)
	d := f.Decisions[0]
	if d.Name != "ff" || d.Nth != 3 || d.Source != "two" || len(d.Meanwhile) != 2 ||
		d.Meanwhile[0].String() != "goroutine 9 came to y_test.go:1 | one" ||
		d.Created != "x/y.TestTransfers y_test.go:3" {
		t.Errorf("%+v", d)
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	written, err := f.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	paths, files, err := Files(dir)
	if err != nil || len(paths) != 1 || paths[0] != written {
		t.Fatal(paths, err)
	}
	read := files[0]
	forced, err := read.Forced(10)
	if err != nil || forced.Runtime != ";255,3,10000,1" {
		t.Errorf("forced %q, %v", forced, err)
	}
	read.Counted = true
	if forced, err := read.Forced(10); err != nil || forced.Runtime != ";2,5,1000" {
		t.Errorf("by number %q, %v", forced, err)
	}
	if _, err := ReadFile(path); !errors.Is(err, errNoFile) || IsFile(path) {
		t.Errorf("a source file: %v", err)
	}
}

func TestVerdict(t *testing.T) {
	path, f := failing(t)
	moved := "capos explore: deadlock\n" + blocked("33", "sync.Mutex.Lock (leaked)", "0x9", "7")
	for _, test := range []struct {
		name, want string
		run        Run
	}{
		{"same", "reproduced: deadlock", Run{Status: 2, Output: moved + named(path, "2")}},
		{"passes", "not reproduced, 1 of 1 decisions", Run{Output: named(path, "2")}},
		{"never there", "not reproduced, 0 of 1 decisions", Run{Output: "PASS\n"}},
		{"another line", "not reproduced, 0 of 1 decisions", Run{Output: named(path, "3")}},
		{"fails otherwise", "not reproduced, 1 of 1 decisions applied; it fails otherwise",
			Run{Status: 7, Output: named(path, "2")}},
	} {
		got := f.Verdict(&test.run, source)
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

func TestFileSize(t *testing.T) {
	_, f := failing(t)
	for range 300 {
		f.Decisions[0].Meanwhile = append(f.Decisions[0].Meanwhile,
			Step{Text: strings.Repeat("x", 100)})
		f.Failure.Stacks = append(f.Failure.Stacks, f.Failure.Stacks[0])
	}
	data, err := f.encode()
	if err != nil || len(data) > fileMax || len(f.Decisions[0].Meanwhile) < 300 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	for range 300 {
		f.Decisions = append(f.Decisions, f.Decisions[0])
	}
	if data, err := f.encode(); err == nil {
		t.Errorf("%d decisions in %d bytes", len(f.Decisions), len(data))
	}
}

func TestStateGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state.json")
	if state, err := ReadState(path); state != nil || err != nil {
		t.Fatalf("no file: %v, %v", state, err)
	}
	first := uint64(3)
	want := State{Package: "p", Digest: "d", Points: 7, Next: 26, Begun: []uint64{9, 1 << 63},
		Took: time.Second, Summary: Summary{Runs: 24, Failed: 2, Late: 1, Left: 4,
			Varied: map[uint64]bool{1<<64 - 1: true}, Recently: []bool{true, false},
			Asserted: Assertions{"a": {Text: "t", Seen: true}},
			Found: []*Found{{Failure: Failure{Kind: KindTest, Text: "x"}, Count: 2,
				Seed: 5, Shrunk: true, Shared: &first,
				Simplest: []Candidate{{5, "^TestA$", 1}}}}}}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadState(path)
	if err != nil {
		t.Fatal(err)
	}
	want.Kept, got.Kept = nil, nil
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}
