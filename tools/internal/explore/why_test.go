package explore

import (
	"strings"
	"testing"
)

func TestTurning(t *testing.T) {
	for _, c := range []struct{ last, first, want uint64 }{
		{1, 1, 1}, {1, 2, 2}, {13, 1, 1}, {13, 13, 13}, {13, 14, 14}, {1000, 731, 731},
	} {
		asked := 0
		got := Turning(c.last, func(point uint64) bool {
			asked++
			if point < 1 || point > c.last {
				t.Fatalf("point %d of %d", point, c.last)
			}
			return point >= c.first
		})
		if got != c.want || asked > 11 {
			t.Errorf("of %d, fails from %d on: %d after %d questions", c.last,
				c.first, got, asked)
		}
	}
}

func TestLastPoint(t *testing.T) {
	for _, want := range []uint64{0, 1, 2, 3, 13, 1024} {
		got := LastPoint(func(point uint64) bool { return point <= want })
		if got != want {
			t.Errorf("%d, not %d", got, want)
		}
	}
}

func TestStacksAt(t *testing.T) {
	others := blocked("9", "sync.Mutex.Lock", "0x12", "17")
	at := "capos explore: stacks\n" + strings.Replace(
		blocked("8", "running", "0x12", "15"), "[running]", "[running]", 1) + others +
		"capos explore: end of stacks\n"
	r := Run{Output: "before\n" + waitingMain + at + blocked("7", "sleep", "0x1", "3")}
	m, found := r.StacksAt(source)
	if !found || len(m) != 2 || m[1].Goroutine != 9 {
		t.Fatalf("found %v: %v", found, m)
	}
	if m.Running() != 8 || !strings.Contains(m.String(), "x/y.transfer y_test.go:15") {
		t.Errorf("goroutine %d runs:\n%s", m.Running(), m)
	}
	c := Run{Output: "capos explore: stacks\ncapos explore: running 2\n" +
		"capos explore: thread 1\ncapos explore: place 10\n" +
		"capos explore: thread 2\ncapos explore: place 20\ncapos explore: place 11\n" +
		"capos explore: end of stacks\n"}
	m, found = c.StacksAt(Source{C: true, Goroot: "/lib", Dir: "/src",
		Places: func(at uint64) (string,
			string, int) {
			if at == 0x20 {
				return "capos_park", "/lib/park.c", 1
			}
			return "main", "/src/a.c", int(at)
		}})
	if !found || m.Running() != 2 || m.String() != "  thread 2, running, calls capos_park\n"+
		"      main a.c:16\n  thread 1\n      main a.c:16\n" {
		t.Errorf("found %v, thread %d runs:\n%s", found, m.Running(), m)
	}
	r.Output = strings.Replace(r.Output, "capos explore: stacks", "", 1)
	if _, found := r.StacksAt(source); found {
		t.Error("a run that did not come to the point has stacks there")
	}
}
