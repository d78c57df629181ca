package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testOrder = "/* Lowest first.\n * So. */\nLAYER(core, \"base\")\n" +
	"LAYER(arch, \"processor\")\nLAYER(sched, \"threads\")\n"

// An include that runs upward is an error, and so is one whose place is not known.
func TestLayering(t *testing.T) {
	const above = "which is in a layer above it"
	for _, c := range []struct {
		name, order, file, text string
		want                    []string
	}{
		{"in order", testOrder, "kernel/sched/sched.c",
			"#include \"core/log.h\"\n#include <stdint.h>", nil},
		{"upward", testOrder, "kernel/core/log.c",
			"#include \"core/log.h\"\n#include \"arch/cpu.h\"",
			[]string{"kernel/core/log.c:2: includes arch/cpu.h, " + above}},
		{"upward in angle brackets", testOrder, "kernel/core/log.c",
			"#include <arch/cpu.h>",
			[]string{"kernel/core/log.c:1: includes arch/cpu.h, " + above}},
		{"unknown folder", testOrder, "kernel/new/x.c", "#include \"core/log.h\"",
			[]string{"kernel/new/x.c: its folder is not in kernel/layers.def"}},
		{"no folder", testOrder, "kernel/x.c", "#include \"core/log.h\"",
			[]string{"kernel/x.c: its folder is not in kernel/layers.def"}},
		{"unknown header", testOrder, "kernel/sched/sched.c", "#include \"gen/x.h\"",
			[]string{"kernel/sched/sched.c:1: includes gen/x.h, which " +
				"kernel/layers.def does not know"}},
		{"folder in a folder", testOrder + "LAYER(arch/x86_64, \"inside\")\n",
			"kernel/arch/paging.h", "#include \"arch/x86_64/deep/x.h\"",
			[]string{"kernel/arch/paging.h:1: includes arch/x86_64/deep/x.h, " +
				above}},
		{"inline half of the contract", testOrder,
			"kernel/arch/x86_64/include/core/cpu.h", "#include \"arch/cpu.h\"",
			[]string{"kernel/arch/x86_64/include/core/cpu.h:1: includes arch/cpu.h, " +
				above}},
		{"generated, from below", testOrder + "GENERATED(\"gen/x.h\", sched)\n",
			"kernel/arch/cpu.h", "#include \"gen/x.h\"",
			[]string{"kernel/arch/cpu.h:1: includes gen/x.h, " + above}},
		{"generated, from above", testOrder + "GENERATED(\"gen/x.h\", arch)\n",
			"kernel/sched/sched.c", "#include \"gen/x.h\"", nil},
		{"not the kernel", testOrder, "tests/host/x.c", "#include \"sched/sched.h\"", nil},
		{"bad line", testOrder + "LAYER(mm)\n", "kernel/core/log.c", "",
			[]string{"kernel/layers.def:6: not understood"}},
		{"generated for no layer", testOrder + "GENERATED(\"gen/x.h\", mm)\n",
			"kernel/core/log.c", "", []string{"kernel/layers.def:6: not understood"}},
	} {
		var layers layering
		layers.look(c.file, strings.Split(c.text, "\n"))
		layers.look(layersFile, strings.Split(c.order, "\n"))
		if got := layers.result(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, expected %q", c.name, got, c.want)
		}
	}
}

func TestNoLayers(t *testing.T) {
	var missing layering
	if got := missing.result(); len(got) != 1 {
		t.Errorf("without an order: %q", got)
	}
}

// The includes are counted, and those that run upward.
func TestLayersAreCounted(t *testing.T) {
	var layers layering
	layers.look(layersFile, strings.Split(testOrder, "\n"))
	layers.look("kernel/core/log.c", strings.Split("#include \"core/log.h\"\n"+
		"#include \"arch/cpu.h\"\n#include \"sched/sched.h\"", "\n"))
	if got := layers.result(); len(got) != 2 {
		t.Errorf("%q", got)
	}
	if got, want := layers.summary(), "2 of 3 includes run upward"; got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}

// What a generated header includes counts too.
func TestLayersOfGenerated(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"build/gen/kernel/methods.h":  "#include <stdint.h>\n#include \"sched/sched.h\"\n",
		"build/gen/include/x/types.h": "#include \"arch/cpu.h\"\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var layers layering
	layers.look(layersFile, strings.Split(testOrder+"GENERATED(\"kernel/methods.h\", arch)\n"+
		"GENERATED(\"x/types.h\", sched)\nGENERATED(\"offsets.h\", core)\n", "\n"))
	layers.lookGenerated(root)
	want := []string{"build/gen/kernel/methods.h:2: includes sched/sched.h, which is in a " +
		"layer above it"}
	if got := layers.result(); !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
}
