package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadModules(t *testing.T) {
	for text, entries := range map[string]int{
		"# head\n\nprogram a.b/c v1.0.0\nmodule a.b v2 ci\n": 2,
		"library a.b v1\n":      -1,
		"module a.b\n":          -1,
		"module a.b v1 often\n": -1,
	} {
		file := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		all, err := readModules(file)
		if (err != nil) != (entries < 0) || err == nil && len(all) != entries {
			t.Errorf("%q: %d entries, %v", text, len(all), err)
		}
	}
}

// Each entry is pinned, and what the proxy serves has to have the hash of the pin.
func TestPins(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	pins, err := readPins(root)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := readModules(filepath.Join(root, modulesFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range entries {
		if _, err := pinOf(pins, m); err != nil {
			t.Error(err)
		}
	}
}

func TestPinRefusesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	s := &suite{root: dir}
	texts := map[string]string{"go.mod": "module a.example/b\n\ngo 1.26\n",
		"b.go": "package b\n"}
	if err := writeProxy(filepath.Join(dir, "proxy"), "a.example/b", texts); err != nil {
		t.Fatal(err)
	}
	run := func(dir string, args ...string) (string, error) {
		cmd := s.hostGo(t.Context(), dir, args...)
		cmd.Env = append(cmd.Env, "GOSUMDB=off", "GOFLAGS=-mod=mod -modcacherw",
			"GOPROXY=file://"+s.root+"/proxy", "GOMODCACHE="+s.root+"/cache")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	fetch := func(sum string) []check {
		writeTexts(dir, map[string]string{"to/go.mod": "module x\n",
			pinsFile: "a.example/b v1.0.0 h1:" + sum +
				"=\na.example/b v1.0.0/go.mod h1:" + modSum + "=\n"})
		_, why := s.fetchPinned(published{path: "a.example/b", version: "v1.0.0"},
			filepath.Join(dir, "to"), run)
		return why
	}
	if why := fetch(zipSum); why != nil {
		t.Error(why)
	}
	why := fetch(strings.Repeat("A", 43))
	if why == nil || !strings.Contains(why[0].Why, "checksum mismatch") {
		t.Errorf("another hash is taken: %v", why)
	}
}

// The hashes of the module of TestPinRefusesOtherFiles.
const (
	zipSum = "VRjn0VPzWf1e8S5Me8PLNNDOz63KZtVCH9GlNqJk5TI"
	modSum = "dANWh2yhPbkgSekZgbdN7ekcVVv+02DLcj7zolRw0AA"
)
