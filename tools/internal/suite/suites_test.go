package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func suiteEvents(lines ...string) suiteRun {
	var text strings.Builder
	for _, line := range lines {
		action, test, _ := strings.Cut(line, " ")
		fmt.Fprintf(&text, "{\"Action\":%q,\"Test\":%q}\n", action, test)
	}
	return parseSuite(strings.NewReader(text.String()))
}

func TestJudgeSuite(t *testing.T) {
	linux := suiteEvents("pass A", "pass A/1", "pass A/2", "skip B", "fail C", "run D")
	if len(linux.tests) != 5 {
		t.Fatalf("it reads %v", linux.tests)
	}
	if other := suiteEvents("pass A/0xc1", "pass A/0xc2f"); other.tests["A/0x"] != passed ||
		len(other.tests) != 1 {
		t.Errorf("addresses are part of names: %v", other.tests)
	}
	broken := linux
	broken.output = "panic: test timed out"
	for _, c := range []struct {
		here   suiteRun
		listed string
		passes int
		want   string // test, verdict of what is not ok
	}{
		{linux, "", 3, ""},
		{linux, "", 4, "a.b/c FAIL"},
		{linux, "A", 3, "a.b/c.A FAIL"},
		{suiteEvents("pass A", "pass A/1", "pass A/2", "pass B", "fail C"), "", 3,
			"a.b/c.B FAIL"},
		{suiteEvents("fail A", "pass A/1", "fail A/2", "skip B", "fail C"), "A", 1,
			"a.b/c.A skip"},
		{suiteEvents("pass A", "pass A/1", "skip B", "fail C"), "", 2, "a.b/c.A FAIL"},
		{broken, "", 3, "a.b/c FAIL"},
		{suiteEvents(), "", 0, "a.b/c.A FAIL a.b/c.B FAIL a.b/c.C FAIL a.b/c FAIL"},
		{suiteEvents("fail A", "skip B", "fail C"), "A", 0, "a.b/c.A skip"},
	} {
		p := suitePackage{goPackage: &goPackage{
			testsEntry: testsEntry{name: "a.b/c"}, passes: c.passes}}
		if c.listed != "" {
			p.tests = []goException{{"fail", 0, c.listed, "a reason"}}
		}
		var got []string
		for _, check := range judgeSuite(p, c.here, linux) {
			if check.Verdict != passed {
				got = append(got, check.Name+" "+check.Verdict)
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("with %v, %q listed: %s", c.here.tests, c.listed, got)
		}
	}
}

// An entry for some of a package's tests is a step of its own, and learns its own number.
func TestSuiteShards(t *testing.T) {
	file := filepath.Join(t.TempDir(), "suites.txt")
	before := "a.b/c    5 run=^Test[A-M]\n\nx.y/z 1 ci\na.b/c    7 run=^Test[N-Z]/x m=1G\n" +
		"    fail TestZ: a reason\n"
	if err := os.WriteFile(file, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	packages, err := readGoPackages(file)
	if err != nil || len(packages) != 3 {
		t.Fatal(packages, err)
	}
	last := suitePackage{goPackage: packages[2]}
	if name := last.file(); name != "a.b:c@TestNZx" {
		t.Errorf("the step is called %s", name)
	}
	last.passes = 9
	if err := rewriteGoPackage(file, last.goPackage); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	want := strings.Replace(before, "a.b/c    7 ", fmt.Sprintf("%-32s %4d ", "a.b/c", 9), 1)
	if string(after) != want {
		t.Errorf("%q, %v", after, err)
	}
	for _, line := range []string{"a.b/c 1 run=(", "a.b/c 1 shard=2", "a.b/c 1 date=July"} {
		if _, err := parseGoPackage(strings.Fields(line)); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

// What an entry says is in the arguments of the go command.
func TestSuiteArgs(t *testing.T) {
	entry, err := parseGoPackage(strings.Fields(
		"a.b/c/d 1 run=^TestA goos=linux m=2G date=2026-07-01"))
	if err != nil {
		t.Fatal(err)
	}
	entry.tests = []goException{{"flaky", 0, "TestAB", "a reason"},
		{"fail", 0, "TestAC", "a reason"}, {"exclude", 0, "TestAD", "a reason"}}
	p := suitePackage{entry, published{path: "a.b/c"}}
	args := strings.Join(p.testArgs(p.goosFlags()...), " ")
	want := " -gcflags=a.b/c/...=-env=runtime.GOOS=linux" +
		" -skip ^(TestAB|TestAD)$ -run ^TestA a.b/c/d"
	if !strings.HasPrefix(args, "test ") || !strings.HasSuffix(args, want) {
		t.Errorf("they are %s", args)
	}
	if p.runFlags() != "--seed 1 -m 2G --date 2026-07-01" {
		t.Errorf("the machine has %s", p.runFlags())
	}
	if entry.goos = ""; p.goosFlags() != nil {
		t.Errorf("without goos they are %q", p.goosFlags())
	}
}

// A run that was cut off changes no number.
func TestLearnSuite(t *testing.T) {
	all := []string{"run A", "pass A", "run B", "pass B", "run C", "pass C"}
	whole := suiteEvents(all...)
	killed := suiteEvents(all[:5]...)
	panicked := suiteEvents(all[:4]...)
	panicked.output = "panic: test timed out"
	for _, c := range []struct {
		here, linux  suiteRun
		before, want int
	}{
		{whole, whole, 4, 3}, {whole, whole, 2, 3}, {killed, whole, 3, 3},
		{whole, killed, 3, 3}, {panicked, whole, 3, 3}, {killed, whole, 1, 1},
		{suiteEvents(), whole, 3, 3}, {whole, suiteEvents("fail A", "pass B"), 3, 1},
	} {
		file := filepath.Join(t.TempDir(), "suites.txt")
		entry := fmt.Sprintf("a.b/c %d\n", c.before)
		if err := os.WriteFile(file, []byte(entry), 0o644); err != nil {
			t.Fatal(err)
		}
		packages, err := readGoPackages(file)
		if err != nil {
			t.Fatal(err)
		}
		p := suitePackage{goPackage: packages[0]}
		if err := learnSuite(file, p, c.here, c.linux); err != nil {
			t.Fatal(err)
		}
		after, err := readGoPackages(file)
		if err != nil || after[0].passes != c.want {
			t.Errorf("of %v and %v, %d before: %d, %v", c.here.tests, c.linux.tests,
				c.before, after[0].passes, err)
		}
	}
}

func TestReadSuites(t *testing.T) {
	if _, err := readSuites("../../.."); err != nil {
		t.Error(err)
	}
	pins := []pin{{module: "a.b/c"}, {module: "a.b/c/d"}, {module: "a.b/cd"}}
	for pkg, want := range map[string]string{"a.b/c/e": "a.b/c", "a.b/c/d/e": "a.b/c/d",
		"a.b/cde": ""} {
		if m, ok := moduleOf(pkg, pins); m.path != want || ok != (want != "") {
			t.Errorf("%s is in %q, %v", pkg, m.path, ok)
		}
	}
}
