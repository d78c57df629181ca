package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// tree makes a Go tree whose package syscall is a file for linux.
func tree(t *testing.T, source string) string {
	dir := t.TempDir()
	file := filepath.Join(dir, "src", "syscall", "names_linux.go")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("package syscall\n"+source), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNewNames(t *testing.T) {
	now := tree(t, `
const A, hidden = 1, 2
type S struct { Field int }
func Same(a int) (err error) { return nil }
func Other(a int) {}
func Gone() {}
`)
	then := tree(t, `
const A, hidden, also = 1, 2, 3
const B = 4
type S struct { Field, More int; less int }
func Same(b int) error { return nil }
func Other(a string) {}
func (s *S) Method() {}
`)
	var got bytes.Buffer
	if err := showNewNames(&got, now, then); err != nil {
		t.Fatal(err)
	}
	const want = `new const B
changed func Other (string) () was func (int) ()
new method S.Method () ()
new field S.More
8 exported names of package syscall, 4 new or changed
`
	if got.String() != want {
		t.Errorf("printed\n%s", got.String())
	}
	if err := showNewNames(&got, now, t.TempDir()); err == nil {
		t.Error("a tree without the package has names")
	}
}
