package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"capos.dev/tools/internal/batch"
)

func TestVerdicts(t *testing.T) {
	got := verdicts("talk\nok a b\nFAIL c: because: x\nskip d no hardware\nok\nokay no\nok " +
		"e\r\n")
	want := []check{{"a b", passed, ""}, {"c", failed, "because: x"},
		{"d", skipped, "no hardware"}, {"e", passed, ""}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestJudgeProgram(t *testing.T) {
	fails := func(r batch.Result, expected int) bool {
		return slices.ContainsFunc(judgeProgram(&r, expected),
			func(c check) bool { return c.Verdict == failed })
	}
	for name, c := range map[string]struct {
		r        batch.Result
		expected int
		fails    bool
	}{
		"good":              {batch.Result{Stdout: "ok a\n"}, 0, false},
		"silent":            {batch.Result{}, 0, true},
		"failure":           {batch.Result{Stdout: "FAIL a: b\n", Status: 1}, 0, true},
		"failure, status 0": {batch.Result{Stdout: "FAIL a: b\n"}, 0, true},
		"status":            {batch.Result{Stdout: "ok a\n", Status: 3}, 0, true},
		"leak":              {batch.Result{Stdout: "ok a\n", Leak: "frames"}, 0, true},
		"meant to fault":    {batch.Result{Status: 139}, 139, false},
		"did not fault":     {batch.Result{Stdout: "ok a\n"}, 139, true},
	} {
		if fails(c.r, c.expected) != c.fails {
			t.Errorf("%s: %+v", name, judgeProgram(&c.r, c.expected))
		}
	}
}

const events = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:12: no exec\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
not json
{"Action":"pass","Package":"p","Test":"TestC"}
{"Action":"pass","Package":"p"}
`

// What a test has printed in whose middle the program ended tells why.
func TestUnfinishedTests(t *testing.T) {
	results := parseGoTests(strings.NewReader(strings.TrimSuffix(events,
		`{"Action":"pass","Package":"p"}`+"\n") +
		`{"Action":"run","Package":"p","Test":"TestD"}
{"Action":"output","Package":"p","Test":"TestD/sub","Output":"fatal error: fault\n"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p"}
`))
	last := results[len(results)-1]
	if len(results) != 4 || last != (goTest{"p", "", failed, "fatal error: fault\nFAIL\n"}) {
		t.Errorf("%+v", results)
	}
}

func TestJudgeGoTests(t *testing.T) {
	results := parseGoTests(strings.NewReader(events))
	if len(results) != 3 || results[1].verdict != skipped ||
		skipReason(results[1].output) != "no exec" {
		t.Fatalf("%+v", results)
	}
	read := func(text string) *goPackage {
		file := filepath.Join(t.TempDir(), "packages.txt")
		os.WriteFile(file, []byte(text), 0o644)
		packages, err := readGoPackages(file)
		if err != nil {
			t.Fatal(err)
		}
		return packages[0]
	}
	for _, c := range []struct{ text, complaint string }{
		{"p 2\n  skip TestB: reason\n", ""},
		{"p 1 ci\n  skip TestB: reason\n", ""},
		{"p 3\n  skip TestB: reason\n", "2 tests passed, 3 are expected"},
		{"p 2\n", "not listed: no exec"},
		{"p 1\n  skip TestB: r\n  skip TestC: r\n", "TestC"},
		{"p 1\n  skip TestB: r\n  fail TestC: r\n", "TestC"},
		{"p 2\n  skip TestB: r\n  skip TestGone: r\n", "TestGone"},
		{"p 2\n  skip@1 TestB: reason\n", "not listed"},
		{"p 3\n  skip@2 TestB: reason\n", ""},
	} {
		complaint := ""
		for _, found := range judgeGoTests("list", read(c.text), 2, results, "") {
			if found.Verdict == failed {
				complaint += found.Name + " " + found.Why
			}
		}
		if (complaint == "") != (c.complaint == "") || !strings.Contains(complaint,
			c.complaint) {
			t.Errorf("%q: %q, want %q", c.text, complaint, c.complaint)
		}
	}
}

func TestUpdateKeepsReasons(t *testing.T) {
	file := filepath.Join(t.TempDir(), "packages.txt")
	os.WriteFile(file,
		[]byte("# head\np 1 ci cpus=1,2\n    skip TestOld: gone\n    exclude TestX: "+
			"hangs\n\nq 5\n"), 0o644)
	packages, err := readGoPackages(file)
	if err != nil {
		t.Fatal(err)
	}
	u := &goUpdates{file: file}
	all := parseGoTests(strings.NewReader(events))
	onePasses := slices.Clone(all)
	onePasses[1].verdict = passed
	for cpus, results := range map[int][]goTest{1: all, 2: onePasses} {
		if why := u.record(packages[0], cpus, results); why != "" {
			t.Fatal(why)
		}
	}
	got, _ := os.ReadFile(file)
	want := fmt.Sprintf("# head\n%-32s    3 ci cpus=1,2\n    skip@1 TestB: no exec\n    "+
		"exclude TestX: hangs\n\nq 5\n", "p")
	if string(got) != want {
		t.Errorf("%s\nwant:\n%s", got, want)
	}
}

func TestDataFilesParse(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	if _, err := readGoPackages(filepath.Join(root, goListFile)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"matrix.txt", "boot-matrix.txt"} {
		rows, err := readRows(filepath.Join(root, "tests", "run", name))
		if err != nil {
			t.Error(err)
		}
		for _, row := range rows {
			if _, err := (&suite{}).config(&row); err != nil {
				t.Errorf("%s: %v", row.name(), err)
			}
		}
	}
}

func TestWithoutProgress(t *testing.T) {
	const leak = "capos: p: frame leak: 3 free frames before, 2 after\n"
	if got := withoutProgress("capos: building kernel ...\n" + leak +
		"capos: building kernel took 0.8 s\n"); got != leak {
		t.Errorf("%q", got)
	}
}

// heldSteps are steps that go on until they are released.
type heldSteps struct {
	t       *testing.T
	cpus    int
	mu      sync.Mutex
	begun   []string
	busy    int
	release map[string]chan struct{}
}

func (h *heldSteps) hold(st step) step {
	released := make(chan struct{})
	h.release[st.name] = released
	st.run = func(context.Context) []check {
		h.mu.Lock()
		h.begun = append(h.begun, st.name)
		if h.busy += st.need(h.cpus); h.busy > h.cpus {
			h.t.Errorf("%d CPUs are busy with %s", h.busy, st.name)
		}
		h.mu.Unlock()
		<-released
		h.mu.Lock()
		h.busy -= st.need(h.cpus)
		h.mu.Unlock()
		return single(st.name, nil, "")
	}
	return st
}

// await waits until exactly these have begun, and ends one of them.
func (h *heldSteps) await(end string, want ...string) {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		got := slices.Sorted(slices.Values(h.begun))
		h.mu.Unlock()
		if slices.Equal(got, slices.Sorted(slices.Values(want))) {
			close(h.release[end])
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("begun are %q, expected %q", got, want)
		}
	}
}

// Builds come first and alone; no CPU idles while a step fits it, and none has two steps.
func TestStepsFillTheCPUs(t *testing.T) {
	h := &heldSteps{t: t, cpus: 2, release: map[string]chan struct{}{}}
	var steps []step
	for _, st := range []step{{name: "build/kernel", cpus: 9}, {name: "a/one", cpus: 1},
		{name: "a/two", cpus: 2}, {name: "a/three", cpus: 1},
		{name: "b/long", cpus: 1, long: true}} {
		steps = append(steps, h.hold(st))
	}
	done := make(chan []StepResult)
	go func() { done <- (&suite{}).runAll(t.Context(), steps, h.cpus) }()
	h.await("build/kernel", "build/kernel")
	h.await("a/one", "build/kernel", "b/long", "a/one")
	// a/two does not fit, a/three does
	h.await("a/three", "build/kernel", "b/long", "a/one", "a/three")
	close(h.release["b/long"])
	h.await("a/two", "build/kernel", "b/long", "a/one", "a/three", "a/two")
	if results := <-done; len(results) != len(steps) {
		t.Errorf("%d results", len(results))
	}
}
