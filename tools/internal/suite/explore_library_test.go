package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLibrary(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := readLibrary(root)
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]bool{}
	for _, p := range packages {
		if steps[p.file()] {
			t.Errorf("%s is there twice", p.file())
		}
		steps[p.file()] = true
	}
}

func TestLibraryEntries(t *testing.T) {
	p, err := parseLibraryPackage(strings.Fields("net/http 20 m=2G run=^TestServe"))
	if err != nil {
		t.Fatal(err)
	}
	if p.file() != "net:http@TestServe" || p.runs != 20 || p.memory != "2G" {
		t.Errorf("%s: %+v", p.file(), p)
	}
	for _, line := range []string{"late TestA: it expects an answer within 1 ms",
		"known virtual time out: the machine has no such device", "skip TestB: no"} {
		if err := p.parseTest(strings.Fields(line)); err != nil {
			t.Error(err)
		}
	}
	for test, want := range map[string]string{"TestA/sub": passed, "": passed,
		"TestC": failed} {
		f := libraryFailure{explored: explored{Test: test, Kind: "virtual time out"}}
		if got := p.judge(&f); got.Verdict != want {
			t.Errorf("%q: %+v", test, got)
		}
	}
	if !p.causes["TestA"].late || len(p.leftOut) != 1 || p.leftOut[0] != "TestB" {
		t.Errorf("%+v", p)
	}
}

func TestLibraryMistakes(t *testing.T) {
	for _, text := range []string{"time", "time 0", "time 10 m=x", "time 10 run=(",
		"time 10 twice", "known TestA: no", "time 10\nknown TestA"} {
		root := t.TempDir()
		err := writeTexts(root, map[string]string{libraryFile: text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readLibrary(root); err == nil || os.IsNotExist(err) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
