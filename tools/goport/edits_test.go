package main

import (
	"go/build/constraint"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const repository = "../.."

func readText(t *testing.T, text string) ([]edit, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "edits.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return readEdits(dir, "edits.txt")
}

// applyText applies one entry of the edit language to a file and returns what became of it.
func applyText(t *testing.T, entry, before string) (string, error) {
	t.Helper()
	edits, err := readText(t, "layer port\nfile a.go\nreason test\n"+entry)
	if err != nil {
		t.Fatal(err)
	}
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "a.go"), []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	contents, err := planEdits(tree, edits, io.Discard)
	return contents["a.go"], err
}

func TestApply(t *testing.T) {
	for _, test := range []struct{ name, entry, before, after string }{
		{"insert", "after ^b$\ninsert \\tx", "a\nb\nc", "a\nb\n\tx\nc"},
		{"insert at the end", "after ^c$\ninsert x", "a\nb\nc", "a\nb\nc\nx"},
		{"change", "change ^(b)=1$\nto ${1}=2", "a\nb=1\nc", "a\nb=2\nc"},
		{"every", "every ^b(.)$\nto ${1}b", "a\nb1\nc\nb2", "a\n1b\nc\n2b"},
		{"lines", "change ^(b)$\nto $1\\n\\t$1", "a\nb\nc", "a\nb\n\tb\nc"},
		{"within", "within ^B\nafter ^x$\ninsert y", "A {\nx\n}\nB {\nx\n}",
			"A {\nx\n}\nB {\nx\ny\n}"},
		{"constraint or", "constraint or capos", "//go:build a || b",
			"//go:build a || b || capos"},
		{"constraint or mixed", "constraint or capos", "//go:build a && b",
			"//go:build (a && b) || capos"},
		{"constraint not", "constraint not capos", "//go:build a && b",
			"//go:build a && b && !capos"},
		{"constraint not mixed", "constraint not capos", "//go:build a || b",
			"//go:build (a || b) && !capos"},
	} {
		after, err := applyText(t, test.entry, test.before)
		if err != nil || after != test.after {
			t.Errorf("%s: got %q, %v; want %q", test.name, after, err, test.after)
		}
	}
}

func TestApplyRejects(t *testing.T) {
	for _, test := range []struct{ name, entry, before string }{
		{"anchor missing", "after ^z$\ninsert x", "a\nb"},
		{"anchor twice", "after ^a$\ninsert x", "a\nb\na"},
		{"block missing", "within ^B\nafter ^a$\ninsert x", "A {\na\n}"},
		{"anchor behind the block", "within ^A\nafter ^b$\ninsert x", "A {\na\n}\nb"},
		{"no constraint", "constraint or capos", "package a"},
	} {
		if after, err := applyText(t, test.entry, test.before); err == nil {
			t.Errorf("%s: no error, and %q", test.name, after)
		}
	}
}

func TestReadRejects(t *testing.T) {
	for _, text := range []string{
		"file a.go",
		"layer none",
		"layer port\nfile ../a.go",
		"layer port\nfile a.go\nafter ^x$\ninsert y",
		"layer port\nfile a.go\nreason r\ninsert y",
		"layer port\nfile a.go\nreason r\nafter ^x$",
		"layer port\nfile a.go\nreason r\nchange (",
		"layer port\nfile a.go\nreason r\nconstraint maybe capos",
		"layer port\nfile a.go\nreason r\nremove x",
	} {
		if edits, err := readText(t, text); err == nil {
			t.Errorf("%q: no error, and %d edits", text, len(edits))
		}
	}
}

// The release's own go command compiles the host programs in a tree that already has the overlay's
// files beside its own. The constraint keeps them out.
func TestOverlayConstraints(t *testing.T) {
	dir := filepath.Join(repository, "go", "overlay")
	files, err := listFiles(dir)
	if err != nil || len(files) == 0 {
		t.Fatal("no overlay:", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !holdsOnlyFor(string(data), "capos") {
			t.Errorf("%s: no constraint that holds for capos alone", name)
		}
	}
}

func holdsOnlyFor(source, system string) bool {
	for line := range strings.Lines(source) {
		if !constraint.IsGoBuild(line) {
			continue
		}
		expression, err := constraint.Parse(strings.TrimSpace(line))
		alone := func(tag string) bool { return tag == system }
		all := func(string) bool { return true }
		return err == nil && (expression.Eval(alone) || expression.Eval(all)) &&
			!expression.Eval(func(tag string) bool { return tag != system })
	}
	return false
}

func TestEditListIsReadable(t *testing.T) {
	edits, err := readEdits(repository, editsPath)
	if err != nil || len(edits) == 0 {
		t.Fatalf("%d edits, %v", len(edits), err)
	}
}
