package explore

import (
	"strings"
	"testing"

	"capos.dev/tools/internal/report"
)

const goroot = "/go"

const statisticsLine = "capos explore: points 31, interleaving 0xcd12b00805c666fc, leaked 0\n"

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
	{"crash", Run{Status: 139, Report: "capos: y.test: page fault\nmore\n"}, KindCrash, "",
		"y.test: page fault", ""},
	{"exit status", Run{Status: 7}, KindStatus, "", "status 7", ""},
	{"hang", Run{Status: report.StatusTimeout, Report: "capos: 9 did not end within 1m0s\n"},
		KindHang, "", "9 did not end within 1m0s", ""},
	{"kernel panic", Run{Status: report.StatusPanic, Report: "capos: kernel panic: no\n"},
		KindKernel, "", "kernel panic: no", ""},
	{"ledger", Run{Ledger: "capos: 9: frame leak: 3 free frames before, 2 after\n",
		Output: statisticsLine}, KindLedger, "",
		"9: frame leak: 3 free frames before, 2 after", ""},
}

func TestJudge(t *testing.T) {
	for _, test := range judged {
		f := test.run.Judge(goroot)
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

func TestSummary(t *testing.T) {
	deadlock := func(seed, cpu uint64, goroutine, address, line string) *Run {
		return &Run{Seed: seed, Status: 2, CPU: cpu, Output: "capos explore: deadlock\n" +
			blocked(goroutine, "sync.Mutex.Lock (leaked)", address, line)}
	}
	var s Summary
	s.Add(&Run{Seed: 0, Output: statisticsLine}, goroot)
	s.Add(&Run{Seed: 1, Output: statisticsLine}, goroot)
	_, first := s.Add(deadlock(9, 50, "8", "0x12", "17"), goroot)
	same, second := s.Add(deadlock(5, 70, "33", "0x34", "17"), goroot)
	s.Add(deadlock(7, 40, "8", "0x12", "17"), goroot)
	_, third := s.Add(deadlock(8, 40, "8", "0x12", "18"), goroot)
	if !first || second || !third || len(s.Found) != 2 {
		t.Errorf("%d different failures", len(s.Found))
	}
	if same.Count != 3 || same.Lowest != 5 || same.Quickest != 7 || same.Seed != 9 {
		t.Errorf("%+v", same)
	}
	if s.Runs != 6 || s.Failed != 4 || len(s.Varied) != 1 || s.Late != 1 {
		t.Errorf("%d runs, %d failed, %d interleavings, %d late", s.Runs, s.Failed,
			len(s.Varied), s.Late)
	}
}
