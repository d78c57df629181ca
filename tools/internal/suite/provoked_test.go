package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each way in which list, tests and excuses can disagree is one failed check.
func TestJudgeProvoked(t *testing.T) {
	all := []string{"A.a bad", "A.b bad", "A.c bad"}
	reported := map[string]bool{"A.a bad": true}
	reasons := map[string]string{"A.b bad": "it takes a year", "A.c bad": "so does this"}
	for _, c := range []struct {
		name, says string
		change     func()
	}{
		{"nothing", "", func() {}},
		{"a new error", "A.d bad: the schema lists it, and no test",
			func() { all = append(all, "A.d bad") }},
		{"a provoked excuse", "A.b bad: a test provokes it",
			func() { reported["A.b bad"] = true }},
		{"an excuse for nothing", "A.e bad: is in tests/run/unprovoked.txt",
			func() { reasons["A.e bad"] = "no such method" }},
		{"a report of nothing", "A.f bad: a test reports it",
			func() { reported["A.f bad"] = true }},
	} {
		c.change()
		said := ""
		for _, found := range judgeProvoked(all, reported, reasons) {
			if found.Verdict == failed {
				said += found.Name + ": " + found.Why + "\n"
			}
		}
		if !strings.Contains(said, c.says) || c.says == "" && said != "" {
			t.Errorf("%s: %q does not say %q", c.name, said, c.says)
		}
	}
}

// What a test reports goes from its output to the step's result and is no check there.
func TestProvocations(t *testing.T) {
	out := "ok works\nprovoked A.a bad\nprovoked A.a bad\r\nprovoking\nprovoked A.b bad\n"
	checks, pairs := splitProvoked(append(verdicts(out), provocations(out)...))
	if len(checks) != 1 || !slices.Equal(pairs, []string{"A.a bad", "A.b bad"}) {
		t.Errorf("%v, %q", checks, pairs)
	}
}

func TestUnprovokedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "unprovoked.txt")
	for text, says := range map[string]string{
		"# nothing\n":                     "",
		"A.a bad takes a year # really\n": "",
		"A.a bad\n":                       "NAME ERROR REASON",
		"A.a bad x\nA.a bad y\n":          "twice",
	} {
		os.WriteFile(file, []byte(text), 0o644)
		_, err := unprovoked(file)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%q: %q", text, got)
		}
	}
}
