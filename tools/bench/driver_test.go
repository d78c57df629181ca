package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRowsAreTheGuests compares the table with the sources of the guest programs. Every row that
// one of them measures is in the table, and no other row is.
func TestRowsAreTheGuests(t *testing.T) {
	inSource := map[string]bool{}
	names := regexp.MustCompile(
		`"((?:boot|raw|mem|time|go|thread|timer|gc|alloc|cue|parallel)\.[a-z0-9_]+)"|` +
			`load\("([a-z0-9_]+)"`)
	for _, pattern := range []string{"../../bench/gobench/*.go", "../../bench/cuebench/*.go",
		"../../bench/raw/raw.c"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range names.FindAllSubmatch(text, -1) {
				name := string(m[1])
				if name == "" {
					name = "compute." + string(m[2])
				}
				inSource[name] = true
				if strings.HasPrefix(name, "parallel.") {
					inSource[name+"_best"] = true
				}
			}
		}
	}
	raw := mustRead(t, "../../bench/raw/raw.c")
	if i := bytes.Index(raw, []byte("row boot.c_main ")); i < 0 {
		t.Error("raw.c does not print boot.c_main")
	}
	inTable := map[string]bool{}
	for _, row := range allRows {
		if inTable[row.Name] {
			t.Errorf("%s is in the table twice", row.Name)
		}
		inTable[row.Name] = true
	}
	if !maps.Equal(inSource, inTable) {
		t.Errorf("the sources have %v,\nthe table has %v",
			slices.Sorted(maps.Keys(inSource)), slices.Sorted(maps.Keys(inTable)))
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOutput(t *testing.T) {
	text := "noise\r\nnote ticks_per_ns 1.0000\r\nrow raw.clock 79.25 instructions\r\ncheck " +
		"a.b 00ff\r\nrow bad x y\r\n" +
		"end\r\nguest ended 0\r\n"
	var o output
	o.parse(strings.NewReader(text), false)
	if o.rows["raw.clock"] != (measured{79.25, "instructions"}) || o.checks["a.b"] != "00ff" ||
		!o.ended || len(o.failures) != 1 {
		t.Errorf("%+v", o)
	}
	linux := &run{system: linuxName}
	if err := o.judge(linux, nil); err == nil || !strings.Contains(err.Error(), "row bad") {
		t.Error(err)
	}
	o.failures = nil
	if err := o.judge(linux, nil); err != nil {
		t.Error(err)
	}
	for _, broken := range []output{{ended: false},
		{ended: true, others: []string{"guest ended 2"}}} {
		if broken.judge(linux, nil) == nil {
			t.Errorf("%+v passes", broken)
		}
	}
}

func TestSplitShellWords(t *testing.T) {
	words, err := splitShellWords(`qemu -append 'a b' '' 'it'\''s' x=1,y`)
	if err != nil || !slices.Equal(words, []string{"qemu", "-append", "a b", "", "it's",
		"x=1,y"}) {
		t.Errorf("%q, %v", words, err)
	}
	if _, err := splitShellWords("a 'b"); err == nil {
		t.Error("an open quote passes")
	}
}

// add enters a finished run.
func add(r *result, column, program string, rows map[string]measured, checks map[string]string,
	notes ...string) {
	r.add(&run{column: column, program: program, cpus: 1}, &output{rows: rows, checks: checks,
		notes: notes})
}

func TestResult(t *testing.T) {
	r := newResult()
	add(r, columnLinux, rawProgram, map[string]measured{"raw.null_call": {300, "instructions"}},
		nil)
	add(r, columnCapos, rawProgram, map[string]measured{"raw.null_call": {150, "instructions"}},
		nil)
	r.finish([]string{"raw.null_call"})
	row := r.Rows[0]
	if len(r.Rows) != 1 || len(r.Failures) != 0 || *row.Ratio != 0.5 || row.RatioTuned != nil ||
		!*row.GoalMet || r.missesGoals() {
		t.Errorf("%+v", r)
	}
	var table bytes.Buffer
	r.print(&table)
	if !strings.Contains(table.String(), "met") || !strings.Contains(table.String(), "0.500") {
		t.Error(table.String())
	}
}

func TestResultFailures(t *testing.T) {
	for name, c := range map[string]struct {
		only string
		fill func(*result)
		want string
	}{
		"missing row": {"raw.clock", func(r *result) {
			add(r, columnCapos, rawProgram, nil,
				nil)
		}, "no row raw.clock"},
		"other result": {"go.spawn", func(r *result) {
			rows := map[string]measured{"go.spawn": {1, "instructions"}}
			add(r, columnLinux, goProgram, rows, map[string]string{"go.spawn": "1"})
			add(r, columnCapos, goProgram, rows, map[string]string{"go.spawn": "2"})
		}, "computed 2"},
		"other clock": {"raw.clock", func(r *result) {
			add(r, columnCapos, goProgram, nil,
				nil, "ticks_per_ns 2.6")
		}, "not instructions"},
		"other Go": {"raw.clock", func(r *result) {
			add(r, columnLinux, goProgram, nil, nil, "go go1.26.7 linux/amd64, 1 CPU")
			add(r, columnCapos, goProgram, nil, nil,
				"go go1.26.8-capos.1 capos/amd64, 1 CPU")
		}, "one Go release"},
	} {
		r := newResult()
		c.fill(r)
		r.finish([]string{c.only})
		if text := strings.Join(r.Failures, "\n"); !strings.Contains(text, c.want) {
			t.Errorf("%s: %q", name, text)
		}
	}
}

func TestMissedGoal(t *testing.T) {
	r := newResult()
	add(r, columnCapos, rawProgram,
		map[string]measured{"raw.thread_switch": {1001, "instructions"}}, nil)
	r.finish([]string{"raw.thread_switch"})
	if !r.missesGoals() {
		t.Errorf("%+v", r.Rows)
	}
	gain := rowInfo{Goal: 1.9, AtLeast: true}
	if gain.meets(1.89) || !gain.meets(1.9) {
		t.Error("a gain below the goal meets it")
	}
}

func TestFillIn(t *testing.T) {
	dir := t.TempDir()
	whole := newResult()
	add(whole, columnLinux, rawProgram, map[string]measured{"raw.clock": {80, "instructions"}},
		nil)
	add(whole, columnCapos, rawProgram, map[string]measured{"raw.clock": {70, "instructions"}},
		nil)
	whole.finish([]string{"raw.clock"})
	if err := whole.save(dir, wholeName); err != nil {
		t.Fatal(err)
	}
	part := newResult()
	add(part, columnCapos, rawProgram, map[string]measured{"raw.clock": {40, "instructions"}},
		nil)
	part.fillIn(dir, []string{"raw.clock"})
	part.finish([]string{"raw.clock"})
	if len(part.Remarks) != 1 || *part.Rows[0].Ratio != 0.5 || len(part.Failures) != 0 {
		t.Errorf("%+v", part)
	}
}

func TestCheckRows(t *testing.T) {
	for pattern, fine := range map[string]bool{"mem*": true, "raw.clock": true,
		"raw.clok": false, "": false, "*": true, "mem* x": false} {
		if err := checkRows([]string{pattern}); (err == nil) != fine {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestFormatValue(t *testing.T) {
	texts := map[float64]string{0.5: "0.50", 12: "12.0", 145.2: "145", 9913: "9 913",
		1229161: "1 229 161"}
	for value, want := range texts {
		if got := formatValue(value); got != want {
			t.Errorf("%v: %q, not %q", value, got, want)
		}
	}
}

// A system that ran and failed gets no figures of an earlier day.
func TestFillInLeavesFailedRuns(t *testing.T) {
	dir := t.TempDir()
	whole := newResult()
	add(whole, columnCapos, rawProgram, map[string]measured{"raw.clock": {70, "instructions"}},
		nil)
	whole.finish([]string{"raw.clock"})
	if err := whole.save(dir, wholeName); err != nil {
		t.Fatal(err)
	}
	part := newResult()
	add(part, columnCapos, rawProgram, nil, nil)
	part.fillIn(dir, []string{"raw.clock"})
	part.finish([]string{"raw.clock"})
	if part.Rows[0].Capos != nil || len(part.Failures) == 0 {
		t.Errorf("%+v", part)
	}
}

// A gain in wall time is judged only when the host had a second CPU to spare.
func TestBusyHost(t *testing.T) {
	for host, judged := range map[float64]bool{1.1: false, 1.95: true} {
		r := newResult()
		add(r, columnHost, parallelProgram, map[string]measured{"parallel.compute": {host,
			"ratio"}}, nil)
		add(r, columnCapos, parallelProgram, map[string]measured{"parallel.compute": {1.2,
			"ratio"}}, nil)
		r.finish([]string{"parallel.compute"})
		if got := r.Rows[0].GoalMet != nil; got != judged || r.missesGoals() != judged ||
			len(r.Remarks) != 1 {
			t.Errorf("host %v: %+v", host, r)
		}
	}
}
