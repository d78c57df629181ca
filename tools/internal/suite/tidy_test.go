package suite

import (
	"slices"
	"strings"
	"testing"
)

// Models and code that name each other are in order; everything else is said with file and line.
func TestModelLinks(t *testing.T) {
	const model = "/* A protocol.\n *\n * Models  kernel/a.c: f, g; kernel/b.h: h\n *         " +
		"lib/capos/src/c.c: k\n *\n * Not kernel/other.c. */"
	good := map[string]string{
		"models/m.pml":     model,
		"kernel/a.c":       "/* models/m.pml is the model. */",
		"kernel/b.h":       "/* See models/m.pml. */",
		"lib/capos/src/c.c": "/* Ring.\n * models/m.pml models this. */",
		"kernel/d.h":       "/* For how f does it see models/m.pml. */",
		"docs/x.md":        "models/none.pml, kernel/none.c",
	}
	for _, c := range []struct {
		name, change, text, want string // a file left out when the text is empty
	}{
		{"in order", "", "", ""},
		{"code is silent", "kernel/a.c", "/* Nothing. */",
			"models/m.pml:3: names kernel/a.c, which does not name it"},
		{"code is gone", "lib/capos/src/c.c", "",
			"models/m.pml:4: names lib/capos/src/c.c, which does not exist"},
		{"model is silent", "kernel/e.c", "/* One.\n * models/m.pml models it. */",
			"kernel/e.c:2: names models/m.pml, which does not name it"},
		{"model is gone", "kernel/e.h", "/* models/gone.pml */",
			"kernel/e.h:1: names models/gone.pml, which does not exist"},
	} {
		links := modelLinks{code: map[string]bool{}}
		for name, text := range good {
			if name != c.change {
				links.look(name, strings.Split(text, "\n"))
			}
		}
		if c.text != "" {
			links.look(c.change, strings.Split(c.text, "\n"))
		}
		want := []string{c.want}
		if c.want == "" {
			want = nil
		}
		if got := links.complaints(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, expected %q", c.name, got, want)
		}
	}
}
