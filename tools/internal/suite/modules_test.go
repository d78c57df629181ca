package suite

import (
	"os"
	"path/filepath"
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

func TestUnreachable(t *testing.T) {
	if _, ok := unreachable("dial tcp: lookup x: no such host"); !ok {
		t.Error("no network is not noticed")
	}
	if why, ok := unreachable("undefined: unix.Open"); ok {
		t.Errorf("an error of the compiler is taken for no network: %s", why)
	}
}
