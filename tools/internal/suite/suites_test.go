package suite

import (
	"fmt"
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
	} {
		p := suitePackage{goPackage: &goPackage{name: "a.b/c", passes: c.passes}}
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

func TestReadSuites(t *testing.T) {
	if _, err := readSuites("../../.."); err != nil {
		t.Error(err)
	}
	entries := []published{{path: "a.b/c"}, {path: "a.b/c/d"}, {path: "a.b/cd"}}
	for pkg, want := range map[string]string{"a.b/c/e": "a.b/c", "a.b/c/d/e": "a.b/c/d",
		"a.b/cde": ""} {
		if m, ok := moduleOf(pkg, entries); m.path != want || ok != (want != "") {
			t.Errorf("%s is in %q, %v", pkg, m.path, ok)
		}
	}
}
