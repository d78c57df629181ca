package suite

import (
	"slices"
	"strings"
	"testing"
)

func TestParseTasks(t *testing.T) {
	versions := map[string]string{"a.b/cmd/c/v2": "v2.1.0"}
	tasks, without, err := parseTasks(`# head
task one a.b/cmd/c/v2 ci
shows what it does
source
run say 'two words' ''
input in.txt
fails 3 stop
mask [0-9]+ms => TIME
ignore cache *.log
without a.b/cmd/c/v2 serving: \
	there is no network
`, versions)
	if err != nil || len(tasks) != 1 || len(without) != 1 {
		t.Fatal(tasks, without, err)
	}
	if why := without[0].Why; why != "serving: there is no network" {
		t.Errorf("a line that goes on is read as %q", why)
	}
	one := tasks[0]
	if one.Version != "v2.1.0" || !one.ci || !one.source || one.What != "what it does" ||
		ProgramName(one) != "c" || len(one.runs) != 2 || one.runs[1].status != 3 ||
		!slices.Equal(one.runs[0].args, []string{"say", "two words", ""}) ||
		one.runs[0].stdin != "in.txt" || one.masks[0].with != "TIME" {
		t.Errorf("it is read as %+v", one)
	}
	runner := taskRunner{task: one}
	for name, want := range map[string]bool{"cache/a/b": true, "x.log": true, "a/cache": false,
		"log": false} {
		if runner.ignored(name) != want {
			t.Errorf("ignored %s: %v", name, !want)
		}
	}
	for _, wrong := range []string{"run first", "task one a.b/none", "task one",
		"task one a.b/cmd/c/v2\nshows x", "task one a.b/cmd/c/v2\nrun x",
		"task one a.b/cmd/c/v2\nshows x\nfails x", "without a.b/cmd/c/v2",
		"task one a.b/cmd/c/v2\nshows x\nrun x\nmask ["} {
		if _, _, err := parseTasks(wrong, versions); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestStatisticsAreTakenOff(t *testing.T) {
	var r taskRunner
	for _, said := range []string{"", "no end of line", "process 1 x: 1 us CPU\n"} {
		got, err := r.count(said + "process 1 prog: 1602 us CPU, peak 455 pages " +
			"committed\nprocess 1 prog: budget of calls: 0 used, peak 0, limit 0 " +
			"(none), 0 refused\nmachine: 1 of 2 frames free, 3 objects\n")
		if err != nil || got != said {
			t.Errorf("%q becomes %q, %v", said, got, err)
		}
	}
	if r.Instructions != 3*1602 || r.Peak != 455*4096 {
		t.Errorf("it counts %d thousand instructions, %d bytes", r.Instructions, r.Peak)
	}
	if _, err := r.count("nothing\n"); err == nil {
		t.Error("a run without statistics is taken")
	}
}

func TestFirstDifference(t *testing.T) {
	if err := firstDifference("a\nb\n", "a\nb\n"); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{{"a\nb", "a\nc"}, {"a\nb", "a"}, {"a", "a\nb"},
		{"a\n", "a"}} {
		err := firstDifference(c[0], c[1])
		if err == nil || !strings.HasPrefix(err.Error(), "line 2 differs") {
			t.Errorf("%q: %v", c, err)
		}
	}
}
