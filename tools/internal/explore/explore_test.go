package explore

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"capos.dev/tools/internal/report"
)

var source = Source{Goroot: "/go", Dir: "/src/y"}

const statisticsLine = "capos explore: points 31, interleaving 0xcd12b00805c666fc, " +
	"leaked 0, left 0\n"

// blocked is what the runtime prints of a goroutine in a test.
func blocked(number, state, address, line string) string {
	return `goroutine ` + number + ` [` + state + `]:
internal/sync.(*Mutex).lockSlow(` + address + `)
	/go/src/internal/sync/mutex.go:149 +0x15d
x/y.transfer(` + address + `, 0x1)
	/src/y/y_test.go:` + line + ` +0x65
x/y.TestTransfers.func1()
	/src/y/y_test.go:26 +0x25
created by sync.(*WaitGroup).Go in goroutine 7
	/go/src/sync/waitgroup.go:240 +0x73

`
}

const waitingMain = `goroutine 1 [chan receive (leaked)]:
testing.(*T).Run(0x2a9a614fe008, {0x598d27, 0xd}, 0x5a49a8)
	/go/src/testing/testing.go:2110 +0x529
main.main()
	_testmain.go:46 +0x9b

`

// asserted is what the SDK of Antithesis prints.
func asserted(kind, holds string) string {
	return `{"antithesis_assert":{"location":{"function":"F","file":"/src/y.go",` +
		`"begin_line":3},"assert_type":"` + kind + `","display_type":"Always",` +
		`"message":"m","id":"m","hit":true,"must_hit":true,"condition":` + holds + "}}\n"
}

func TestUnseen(t *testing.T) {
	const want = `Always("m"), F y.go:3`
	var all Assertions
	all.add(&Run{Output: asserted("sometimes", "false") + "text\n"})
	if got := all.Unseen(); len(got) != 1 || got[0] != want {
		t.Errorf("never seen: %q", got)
	}
	all.add(&Run{Output: asserted("sometimes", "true")})
	if got := all.Unseen(); len(got) != 0 {
		t.Errorf("seen, and told as never seen: %q", got)
	}
}

var judged = []struct {
	name         string
	run          Run
	kind, test   string
	text, frames string // of the first stack
}{
	{name: "quiet", run: Run{Output: "PASS\n" + statisticsLine}},
	{name: "a test that talks of panics",
		run: Run{Output: "panic: at the disco\n--- FAIL: no\nPASS\n" + statisticsLine}},
	{"deadlock", Run{Status: 2, Output: "capos explore: deadlock\n" + waitingMain +
		blocked("8", "sync.Mutex.Lock (leaked)", "0x12", "17")},
		KindDeadlock, "TestTransfers", deadlockText,
		"x/y.transfer y_test.go:17, x/y.TestTransfers.func1 y_test.go:26"},
	{"virtual time out", Run{Status: 2, Output: "panic: test timed out after 10m0s\n" +
		"\trunning tests:\n\t\tTestA (10m0s)\n\n" + blocked("8", "sleep", "0x12", "17")},
		KindTimeout, "TestA", "not at its end after 10m0s of virtual time",
		"x/y.transfer y_test.go:17, x/y.TestTransfers.func1 y_test.go:26"},
	{"deadlock of a program", Run{Status: 2, Output: "fatal error: all goroutines are asleep " +
		"- deadlock!\n\n" + blocked("1", "sync.Mutex.Lock, 10 minutes", "0x12", "17")},
		KindDeadlock, "TestTransfers", "all goroutines are asleep - deadlock!",
		"x/y.transfer y_test.go:17, x/y.TestTransfers.func1 y_test.go:26"},
	{"fatal error", Run{Status: 2, Output: "fatal error: concurrent map writes\n\n" +
		blocked("8", "running", "0x12", "17")}, KindFatal, "TestTransfers",
		"concurrent map writes",
		"x/y.transfer y_test.go:17, x/y.TestTransfers.func1 y_test.go:26"},
	{"panic", Run{Status: 2, Output: "--- FAIL: TestB (0.00s)\n" +
		"panic: close of closed channel [recovered, repanicked]\n\n" +
		blocked("8", "running", "0x12", "17") + blocked("9", "sleep", "0x12", "18")},
		KindPanic, "TestB", "close of closed channel",
		"x/y.transfer y_test.go:17, x/y.TestTransfers.func1 y_test.go:26"},
	{"test failure", Run{Status: 1, Output: "--- FAIL: TestC (0.00s)\n" +
		"    --- FAIL: TestC/sub (0.00s)\n        y_test.go:25: sum is 9, want 8\nFAIL\n" +
		statisticsLine}, KindTest, "TestC/sub", "y_test.go:25: sum is 9, want 8", ""},
	{"leak", Run{Output: "PASS\ncapos explore: these goroutines can never run again:\n\n" +
		blocked("8", "chan send (leaked)", "0x12", "17") +
		strings.Replace(statisticsLine, "leaked 0", "leaked 1", 1)}, KindLeak,
		"TestTransfers", "it ended, and goroutines can never run again",
		"x/y.transfer y_test.go:17, x/y.TestTransfers.func1 y_test.go:26"},
	{"two tests fail", Run{Status: 1, Output: "--- FAIL: TestA (0.00s)\n    y_test.go:5: a\n" +
		"--- FAIL: TestB (0.00s)\n    y_test.go:9: b\nFAIL\n" + statisticsLine}, KindTest,
		"TestB", "y_test.go:9: b", ""},
	{"verbose", Run{Status: 1, Output: "=== RUN   TestA\n    y_test.go:5: a\n" +
		"--- FAIL: TestA (0.00s)\nFAIL\n" + statisticsLine}, KindTest, "TestA",
		"y_test.go:5: a", ""},
	{"leak of a helper", Run{Output: "PASS\ncapos explore: these goroutines can never run " +
		"again:\n\ncapos explore: of TestC/sub\ngoroutine 9 [chan send (leaked)]:\n" +
		"x/y.First.func1()\n\t/src/y/y.go:13 +0x4d\n\n" +
		strings.Replace(statisticsLine, "leaked 0", "leaked 1", 1)}, KindLeak,
		"TestC/sub", "it ended, and goroutines can never run again",
		"x/y.First.func1 y.go:13"},
	{"left", Run{Output: "PASS\n" + leftHeader + "\n" +
		blocked("8", "chan receive", "0x12", "17") +
		strings.Replace(statisticsLine, "left 0", "left 1", 1)}, KindLeft,
		"TestTransfers", "it ended, and goroutines had not",
		"x/y.transfer y_test.go:17, x/y.TestTransfers.func1 y_test.go:26"},
	{name: "left, and not asked for", run: Run{Output: "PASS\n" +
		strings.Replace(statisticsLine, "left 0", "left 1", 1)}},
	{"assertion", Run{Output: asserted("always", "true") + asserted("always", "false")},
		KindAssert, "", `Always("m") does not hold`, "F y.go:3"},
	{name: "sometimes not", run: Run{Output: asserted("sometimes", "false")}},
	{"crash", Run{Status: 139, Report: "capos: y.test: page fault\nmore\n"}, KindCrash, "",
		"y.test: page fault", ""},
	{"exit status", Run{Status: 7}, KindStatus, "", "status 7", ""},
	{"hang", Run{Status: report.StatusTimeout, Report: "capos: 9 did not end within 1m0s\n"},
		KindHang, "", "9 did not end within 1m0s", ""},
	{"kernel panic", Run{Status: report.StatusPanic, Report: "capos: the kernel panicked\n" +
		"  capos: kernel panic: no\n" +
		"    [<ffffffff80134aeb>] steal (core/lock.h:124) steal+0x36b\n" +
		"  capos: CPU 1\n    [<ffffffff80134aec>] idle (core/lock.h:125) idle+0x36b\n"},
		KindKernel, "", "no", "steal lock.h:124"},
	{"ledger", Run{Ledger: "capos: 9: frame leak: 3 free frames before, 2 after\n",
		Output: statisticsLine}, KindLedger, "",
		"9: frame leak: 3 free frames before, 2 after", ""},
}

// raced is what the runtime prints of one access of a race.
func raced(number, kind, function, line string) string {
	return "capos explore: raced " + number + " " + kind + "\n" +
		"capos explore: at runtime.raceAccesses /go/src/runtime/race.go:290\n" +
		"capos explore: at x/y." + function + " /src/y/y_test.go:" + line + "\n"
}

func TestSignatureOfMany(t *testing.T) {
	one := Stack{State: "chan send", Frames: []string{"x/y.TestA.func1 y_test.go:5"}}
	few := Failure{Kind: KindLeak, Stacks: []Stack{one}}
	many := Failure{Kind: KindLeak, Stacks: []Stack{one, one, one}}
	if few.Signature() != many.Signature() {
		t.Errorf("%q and %q", few.Signature(), many.Signature())
	}
}

func TestRace(t *testing.T) {
	read, write := raced("20", "read", "TestR", "20"), raced("5", "write", "TestR.func1", "18")
	const failed = "--- FAIL: TestR (0.00s)\n    testing.go:1712: " + raceText + "\nFAIL\n"
	judge := func(output string, status int) *Failure {
		r := Run{Status: status, Output: "capos explore: race\n" + output}
		f := r.Judge(source)
		if f == nil {
			t.Fatalf("nothing failed in %q", output)
		}
		return f
	}
	f, other := judge(read+write+failed, 1), judge(write+read, 0)
	if f.Kind != KindRace || f.Test != "TestR" || len(f.Stacks) != 2 ||
		f.Stacks[1].Frames[0] != "x/y.TestR.func1 y_test.go:18" ||
		f.Stacks[1].State != "write" {
		t.Errorf("%+v", f)
	}
	if f.Signature() != other.Signature() {
		t.Errorf("the order counts: %q, %q", f.Signature(), other.Signature())
	}
	own := strings.Replace(failed, "testing.go:1712: "+raceText, "y_test.go:3: text is a", 1)
	if f := judge(read+write+own, 1); f.Kind != KindTest {
		t.Errorf("the test fails of itself: %+v", f)
	}
}

func TestHides(t *testing.T) {
	const a, ax, ay, b = "--- FAIL: TestA (0.00s)\n", "    --- FAIL: TestA/x (0.00s)\n",
		"    --- FAIL: TestA/y (0.00s)\n", "--- FAIL: TestB (0.00s)\n"
	for _, test := range []struct {
		output string
		of     Failure
		hides  bool
	}{
		{a, Failure{Kind: KindTest, Test: "TestA"}, false},
		{a + ax, Failure{Kind: KindTest, Test: "TestA/x"}, false},
		{a + ax + ay, Failure{Kind: KindTest, Test: "TestA/y"}, true},
		{a + b, Failure{Kind: KindTest, Test: "TestB"}, true},
		{"", Failure{Kind: KindDeadlock, Test: "TestA"}, true},
		{"", Failure{Kind: KindDeadlock}, false},
		{"", Failure{Kind: KindLeak, Test: "TestA"}, false},
	} {
		r := Run{Output: test.output}
		if r.Hides(&test.of) != test.hides {
			t.Errorf("%q, %+v: expected %v", test.output, test.of, test.hides)
		}
	}
}

// TestLibrary explores a package of the standard library, whose frames are then the program's.
func TestLibrary(t *testing.T) {
	r := Run{Status: 2, Output: "capos explore: deadlock\n" +
		blocked("8", "sync.Mutex.Lock (leaked)", "0x12", "17")}
	f := r.Judge(Source{Goroot: "/go", Dir: "/go/src/internal/sync"})
	const frame = "internal/sync.(*Mutex).lockSlow mutex.go:149"
	if len(f.Stacks) != 1 || f.Stacks[0].Frames[0] != frame {
		t.Errorf("%+v", f)
	}
}

func TestJudgeDataRace(t *testing.T) {
	r := Run{Status: report.StatusPanic,
		Report: "  capos: kernel panic: data race: read of 4 bytes at 0x10\n" +
			"    [<ffffffff80134aeb>] park (mm/park.c:84) park+0x36b\n" +
			"  capos: meets the write of 4 bytes at 0x10 by CPU 1\n" +
			"    [<ffffffff80134aec>] drain (mm/park.c:90) drain+0x3\n" +
			"  capos: CPU 0, thread 4\n"}
	f := r.Judge(source)
	wanted := []Stack{{Frames: []string{"park park.c:84"}},
		{State: "meets the write of 4 bytes at 0x10 by CPU 1",
			Frames: []string{"drain park.c:90"}}}
	if f == nil || f.Kind != KindKernel || f.Text != "data race: read of 4 bytes at 0x10" ||
		!reflect.DeepEqual(f.Stacks, wanted) {
		t.Errorf("%+v", f)
	}
}

func TestJudge(t *testing.T) {
	for _, test := range judged {
		f := test.run.Judge(source)
		if f == nil {
			if test.kind != "" {
				t.Errorf("%s: no failure", test.name)
			}
			continue
		}
		frames := ""
		if len(f.Stacks) > 0 {
			frames = strings.Join(f.Stacks[0].Frames, ", ")
		}
		if f.Kind != test.kind || f.Test != test.test || f.Text != test.text ||
			frames != test.frames {
			t.Errorf("%s: %+v", test.name, f)
		}
	}
}

// disturbed is what the runtime prints of a disturbance.
func disturbed(goroutine, point, what, line string) string {
	return "capos explore: disturbed " + goroutine + " " + point + " " + what + ` 0 8
capos explore: at sync.(*Mutex).Lock /go/src/sync/mutex.go:46
capos explore: at x/y.transfer /src/y/y_test.go:` + line + `
capos explore: at x/y.TestTransfers /src/y/y_test.go:26
capos explore: at testing.tRunner /go/src/testing/testing.go:2037
`
}

func TestDisturbances(t *testing.T) {
	r := Run{Output: disturbed("1", "4", "1000000", "17") + disturbed("2", "3", "1", "18") +
		"capos explore: disturbed 2 5 2 20 9\ncapos explore: at runtime.newproc " +
		"/go/src/runtime/proc.go:5309\ncapos explore: at x/y.f /src/y/y.go:3\n" +
		"capos explore: disturbed 2 6 3 21 9\ncapos explore: at runtime.raceread " +
		"/go/src/runtime/explore.go:1\ncapos explore: at x/y.f /src/y/y.go:4\n" +
		"capos explore: disturbed 2 7 1 22 9\ncapos explore: at " +
		"runtime.mapassign_faststr /go/src/internal/runtime/maps/runtime.go:1\n" +
		"capos explore: at x/y.f /src/y/y.go:5\n"}
	list, told := r.Disturbances(source)
	var got []string
	for _, d := range list {
		got = append(got, d.Text)
	}
	want := []string{
		"goroutine 8 paused for 1ms at sync.(*Mutex).Lock, x/y.transfer y_test.go:17",
		"goroutine 8 stepped back at sync.(*Mutex).Lock, x/y.transfer y_test.go:18",
		"goroutine 9 ran the collector at go, x/y.f y.go:3",
		"goroutine 9 had its stack moved at a read, x/y.f y.go:4",
		"goroutine 9 stepped back at a write to a map, x/y.f y.go:5"}
	if !told || !slices.Equal(got, want) {
		t.Errorf("told %v: %q", told, got)
	}
	forced := Forced(list)
	variable, err := ForcedVariable(forced)
	if forced != "1.4.1000000,2.3.1,2.5.2,2.6.3,2.7.1" || err != nil ||
		variable != (Forcing{";1,4,1000000;2,3,1;2,5,2;2,6,3;2,7,1", ";"}) {
		t.Errorf("forced %q, variable %q, %v", forced, variable, err)
	}
	mixed, err := ForcedVariable("c1.4.1000,2.3.1,s2.9.5000")
	if mixed != (Forcing{";2,3,1", ";c1,4,1000;s2,9,5000"}) || err != nil {
		t.Errorf("mixed %q, %v", mixed, err)
	}
	if none, err := ForcedVariable(""); none != (Forcing{";", ";"}) || err != nil {
		t.Errorf("an empty list is %q, %v", none, err)
	}
	for _, wrong := range []string{"1", "1.2", "1.2.x", "1.2.3.4", "1.2.3,", "-1.2.3",
		"x1.2.3", "cs1.2.3"} {
		if _, err := ForcedVariable(wrong); err == nil {
			t.Errorf("%q is taken for a list", wrong)
		}
	}
	r.Output = "capos explore: disturbed too often to be told\n"
	if list, told := r.Disturbances(source); told || len(list) != 0 {
		t.Errorf("told %v: %+v", told, list)
	}
}

// inOrder runs one list after the other.
func inOrder(fails func([]Disturbance) bool) func([][]Disturbance) int {
	return func(lists [][]Disturbance) int { return slices.IndexFunc(lists, fails) }
}

func TestShrink(t *testing.T) {
	var list []Disturbance
	for i := range uint64(20) {
		list = append(list, Disturbance{Goroutine: i, What: 50e6})
	}
	calls := 0
	fails := func(list []Disturbance) bool {
		calls++
		found := map[uint64]int64{}
		for _, d := range list {
			found[d.Goroutine] = d.What
		}
		return found[3] >= 2e6 && found[17] >= 1
	}
	const pauseMax = 100e6
	got := Shrink(list, pauseMax, 100, Trials{First: inOrder(fails)})
	if len(got) != 2 || got[0].Goroutine != 3 || got[1].Goroutine != 17 || calls > 100 ||
		got[0].What < 2e6 || got[0].What > 3e6 || got[1].What != stepBack {
		t.Errorf("%d calls: %s", calls, Forced(got))
	}
	if got := Shrink(list, pauseMax, 0, Trials{First: inOrder(fails)}); len(got) != 20 {
		t.Errorf("without calls: %d", len(got))
	}
	always := func([]Disturbance) bool { return true }
	if got := Shrink(list, pauseMax, 100, Trials{First: inOrder(always)}); len(got) != 0 {
		t.Errorf("needs none: %d", len(got))
	}
	for i := range list {
		list[i].What = 1e6
	}
	late := func(list []Disturbance) bool { // any pauses that add up
		sum := int64(0)
		for _, d := range list {
			sum += d.What
		}
		return sum >= 15e6
	}
	got = Shrink(list, pauseMax, 100, Trials{First: inOrder(late)})
	if len(got) != 1 || got[0].What < 15e6 || got[0].What > 20e6 {
		t.Errorf("a sum: %s", Forced(got))
	}
}

// Guesses spare runs and change nothing else.
func TestShrinkGuesses(t *testing.T) {
	var list []Disturbance
	for i := range uint64(20) {
		list = append(list, Disturbance{Goroutine: i, What: stepBack})
	}
	has := func(list []Disturbance) bool {
		third := func(d Disturbance) bool { return d.Goroutine == 3 }
		return slices.ContainsFunc(list, third)
	}
	calls := 0
	trials := Trials{
		First: inOrder(func(list []Disturbance) bool { calls++; return has(list) }),
		Likely: func(candidates [][]Disturbance) (likely []bool) {
			for _, c := range candidates {
				likely = append(likely, has(c))
			}
			return likely
		}}
	if got := Forced(Shrink(list, 100e6, 100, trials)); got != "3.0.1" || calls > 12 {
		t.Errorf("%d calls: %s", calls, got)
	}
}

func TestShrinkTurns(t *testing.T) {
	var list []Disturbance
	for i := range uint64(12) {
		list = append(list, Disturbance{Goroutine: i, What: stepBack})
	}
	turns := func(list []Disturbance) bool { // four steps back by turns, or two pauses
		found := map[uint64]int64{}
		for _, d := range list {
			found[d.Goroutine] = d.What
		}
		return found[2] == 1 && found[5] == 1 && found[6] == 1 && found[7] == 1 ||
			found[2] >= 1e4 && found[7] >= 1e4
	}
	got := Forced(Shrink(list, 100e6, 100, Trials{First: inOrder(turns)}))
	if got != "2.0.10000,7.0.10000" {
		t.Errorf("by turns: %s", got)
	}
}

// Of three moves of a stack the second brings it back to where it was.
func TestShrinkMoves(t *testing.T) {
	list := []Disturbance{{Goroutine: 1, What: move}, {Goroutine: 2, What: move},
		{Goroutine: 3, What: move}}
	odd := func(list []Disturbance) bool {
		moves := 0
		for _, d := range list {
			if d.What == move {
				moves++
			}
		}
		return moves%2 == 1
	}
	got := Forced(Shrink(list, 100e6, 100, Trials{First: inOrder(odd)}))
	if got != "1.0.3" {
		t.Errorf("moved: %s", got)
	}
}

func TestLooks(t *testing.T) {
	var own, few, all Strategy
	if err := errors.Join(few.Set("few"), all.Set("accesses")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		strategy *Strategy
		seed     uint64
		want     Looks
	}{
		{&own, 0, Looks{true, true}}, {&own, 1, Looks{}}, {&own, 4, Looks{true, true}},
		{&own, 8, Looks{true, false}}, {&own, 12, Looks{true, true}},
		{&few, 4, Looks{true, false}}, {&all, 1, Looks{true, true}},
	} {
		if got := test.strategy.Looks(test.seed); got != test.want {
			t.Errorf("%q, seed %d: %+v", test.strategy, test.seed, got)
		}
		alike := test.strategy.Looks(test.seed + AlikeSeeds)
		if test.seed != 0 && alike != test.want {
			t.Errorf("%q, seed %d is not alike", test.strategy, test.seed)
		}
	}
	if few.Runtime() != 2 || all.Runtime() != 0 {
		t.Errorf("the runtime is told %d and %d", few.Runtime(), all.Runtime())
	}
}

func TestShrinkOther(t *testing.T) {
	list := []Disturbance{{Goroutine: 1, What: 12e6}, {Goroutine: 2, What: 9e6}}
	long := func(list []Disturbance) bool {
		return len(list) == 1 && list[0].Goroutine == 2 && list[0].What >= 20e6
	}
	got := ShrinkOther(list, 100e6, 50, Trials{First: inOrder(long)})
	if len(got) != 1 || got[0].What > 30e6 {
		t.Errorf("one pause would do: %s", Forced(got))
	}
	never := func([]Disturbance) bool { return false }
	if got := ShrinkOther(list, 100e6, 50, Trials{First: inOrder(never)}); got != nil {
		t.Errorf("nothing fails: %s", Forced(got))
	}
}

func TestDry(t *testing.T) {
	var s Summary
	for i := range LateRuns + 1 {
		if s.Dry() {
			t.Fatalf("dry after %d runs", i)
		}
		s.Add(&Run{Output: statisticsLine}, source)
	}
	if !s.Dry() {
		t.Errorf("not dry with %d new ones of the last %d", s.Late, LateRuns)
	}
}

func TestSummary(t *testing.T) {
	deadlock := func(seed uint64, count int, goroutine, address, line string) *Run {
		return &Run{Seed: seed, Status: 2, Output: "capos explore: deadlock\n" +
			blocked(goroutine, "sync.Mutex.Lock (leaked)", address, line) +
			strings.Repeat(disturbed("1", "4", "1000", "17"), count)}
	}
	var s Summary
	s.Add(&Run{Seed: 0, Output: statisticsLine}, source)
	s.Add(&Run{Seed: 1, Output: statisticsLine}, source)
	_, first := s.Add(deadlock(9, 5, "8", "0x12", "17"), source)
	same, second := s.Add(deadlock(5, 7, "33", "0x34", "17"), source)
	s.Add(deadlock(7, 4, "8", "0x12", "17"), source)
	_, third := s.Add(deadlock(8, 4, "8", "0x12", "18"), source)
	if !first || second || !third || len(s.Found) != 2 {
		t.Errorf("%d different failures", len(s.Found))
	}
	if same.Count != 3 || same.Lowest != 5 || same.Simplest[0].Seed != 7 || same.Seed != 9 {
		t.Errorf("%+v", same)
	}
	if s.Runs != 6 || s.Failed != 4 || len(s.Varied) != 1 || s.Late != 1 {
		t.Errorf("%d runs, %d failed, %d interleavings, %d late", s.Runs, s.Failed,
			len(s.Varied), s.Late)
	}
}

// What is kept of a long run has its faults, too.
func TestFaultsKept(t *testing.T) {
	r := &Run{Output: "capos fault 0: kill kv at 100 us, recovered in 70 us\n" +
		"capos fault 1: suspend rng at 200 us, then another\n" +
		"capos fault 2: kill rng at 210 us, recovered in 90 us\n"}
	state, path := &State{}, filepath.Join(t.TempDir(), "state")
	state.Summary.Add(r, source)
	if err := state.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := ReadState(path)
	if err != nil {
		t.Fatal(err)
	}
	read.Summary.Add(r, source)
	const want = "6 faults (kill 4, suspend 2), 2 before the service had recovered from the " +
		"last, time to recover 90µs in the median, 90µs at most"
	if got := read.Summary.Faults.String(); got != want {
		t.Errorf("%s\nexpected %s", got, want)
	}
}

// A decision point has varied when its order has, or when a run did not come to it.
func TestOrders(t *testing.T) {
	const places = "capos explore: visited 000000aa\n" +
		"capos explore: at sync.(*Mutex).Lock /go/src/sync/mutex.go:45\n" +
		"capos explore: at example.get /src/y/x_test.go:9\n" +
		"capos explore: visited 000000bb\n" +
		"capos explore: at example.put /src/y/x_test.go:12\n" +
		"capos explore: visited 000000cc\n" +
		"capos explore: at example.drop /src/y/x_test.go:15\n"
	orders := func(text string) *Run {
		return &Run{Output: "capos explore: orders" + text + "\n" + statisticsLine}
	}
	var s Summary
	first := orders(" 000000aa:1 000000bb:1 000000cc:1")
	first.Output = places + first.Output
	s.Orders.Learn(first, source)
	s.Add(first, source)
	s.Add(orders(" 000000aa:1 000000bb:2 000000cc:1"), source)
	s.Add(&Run{Output: "panic"}, source) // says nothing of its orders
	s.Add(orders(" 000000aa:1 000000bb:1"), source)
	const want = "sync.(*Mutex).Lock, example.get x_test.go:9"
	got := s.Orders.NeverVaried()
	if len(got) != 1 || got[0] != want || s.Orders.Points() != 3 {
		t.Errorf("%d points, %q never varied", s.Orders.Points(), got)
	}
}

// A place that only the library has been in is its innermost function.
func TestPlaceOfLibrary(t *testing.T) {
	p := source.place([]string{"runtime.exploreVisit /go/src/runtime/explore.go:3",
		"runtime.explorePoint /go/src/runtime/explore.go:2",
		"sync.(*Mutex).Lock /go/src/sync/mutex.go:46",
		"net/http.(*Transport).dial /go/src/net/http/transport.go:9"})
	if p.String() != "sync.(*Mutex).Lock" {
		t.Errorf("%q", p)
	}
}

// Names of generic functions have spaces, and quoted values do not tell failures apart.
func TestNames(t *testing.T) {
	for text, want := range map[string][2]string{
		"sync.(*Pool[go.shape.struct { m map[string]int }]).Get /go/src/x.go:58": {
			"sync.(*Pool[...]).Get", "/go/src/x.go:58"},
		"y.TestIt /src/y/x_test.go:3":   {"y.TestIt", "/src/y/x_test.go:3"},
		"y.(*T).f-fm <autogenerated>:1": {"y.(*T).f-fm", "<autogenerated>:1"},
	} {
		if function, file := cutPlace(text); function != want[0] || file != want[1] {
			t.Errorf("%q is cut into %q and %q", text, function, file)
		}
	}
	one := Failure{Text: `x_test.go:3: got "a\"b", want "c"`}
	two := Failure{Text: `x_test.go:3: got "", want "d"`}
	if one.Signature() != two.Signature() {
		t.Errorf("%q and %q", one.Signature(), two.Signature())
	}
}
