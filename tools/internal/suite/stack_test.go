package suite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const graphOfTwo = `graph: { title: "kernel/a.c"
node: { title: "enter" label: "enter\nkernel/a.c:1:6\n100 bytes (static)" }
node: { title: "kernel/a.c:walk" label: "walk\nkernel/a.c:9:6\n50 bytes (static)" }
node: { title: "kernel/a.c:leaf.isra.0" label: "leaf\nkernel/a.c:9:6\n8 bytes (dynamic,bounded)" }
edge: { sourcename: "enter" targetname: "kernel/a.c:walk" label: "kernel/a.c:3:2" }
edge: { sourcename: "kernel/a.c:walk" targetname: "kernel/a.c:walk" label: "kernel/a.c:5:2" }
edge: { sourcename: "kernel/a.c:walk" targetname: "__indirect_call" label: "kernel/a.c:6:2" }
edge: { sourcename: "enter" targetname: "kernel/a.c:leaf.isra.0" label: "kernel/a.c:4:2" }
}
`

// Return addresses count 8 bytes each.
func TestStackDepths(t *testing.T) {
	const rules = "stack s SIZE enter\npointer kernel/a.c leaf\nlimit walk 3 # levels\n"
	for _, c := range []struct{ name, graph, rules, want string }{
		{"deep", graphOfTwo, rules, "k-s ok at most 298 of 298 bytes"},
		{"too deep", graphOfTwo, strings.Replace(rules, "3", "4", 1),
			"k-s FAIL at most 356 of 298 bytes"},
		{"a circle", graphOfTwo, strings.Replace(rules, "limit", "#", 1),
			"k-graph FAIL without a limit: kernel/a.c:walk > kernel/a.c:walk"},
		{"a pointer", graphOfTwo, strings.Replace(rules, "pointer", "#", 1),
			"k-graph FAIL kernel/a.c:walk calls through a pointer"},
		{"a pointer of a function", graphOfTwo,
			strings.Replace(rules, "kernel/a.c", "walk", 1), "k-s ok"},
		{"a wrong name", graphOfTwo, strings.Replace(rules, "leaf", "lead", 1),
			"k-graph FAIL no function is named lead"},
		{"assembly", graphOfTwo, "frame enter 90 walk more\nframe more 500\n" + rules,
			"k-s FAIL at most 606 of 298 bytes"},
		{"more calls", graphOfTwo, "calls enter more\nframe more 500\n" + rules,
			"k-s FAIL at most 616 of 298 bytes"},
		{"no frame", graphOfTwo, "calls enter leaf\nframe enter 1 gone\n" + rules,
			"k-graph FAIL no function is named gone"},
		{"interrupts", graphOfTwo, "calls enter leaf\n" + rules,
			"k-graph FAIL no line says that enter is interrupted"},
		{"no bound", strings.Replace(graphOfTwo, "50 bytes (static)",
			"50 bytes (dynamic)", 1), rules, "kernel/a.c:walk: its frame has no bound"},
		{"a kind", graphOfTwo, rules + "heap enter 3\n", "heap is no kind of line"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "rules")
		if err := errors.Join(os.WriteFile(file, []byte(c.rules), 0o644),
			os.WriteFile(filepath.Join(dir, "a.ci"), []byte(c.graph), 0o644),
		); err != nil {
			t.Fatal(err)
		}
		got := stackText(dir, file, c.name == "interrupts")
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got\n%swant %s", c.name, got, c.want)
		}
	}
}

func stackText(dir, file string, interrupts bool) string {
	graph, err := readCallGraph(dir)
	if err != nil {
		return err.Error()
	}
	rules, err := readStackRules(file, map[string]int{"SIZE": 298})
	if err != nil {
		return err.Error()
	}
	w := newStackWalk(graph, rules)
	if interrupts {
		w.interruptsAre([]string{"enter"})
	}
	var text strings.Builder
	for _, c := range w.judge("k") {
		text.WriteString(c.Name + " " + c.Verdict + " " + c.Why + "\n")
	}
	return text.String()
}
