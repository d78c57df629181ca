package suite

import (
	"slices"
	"strings"
	"testing"
)

// An include that runs upward is an error unless layers.def names it, and a name without its
// include is one too.
func TestLayering(t *testing.T) {
	const order = "LAYER(core, \"base\")\nLAYER(arch, \"processor\")\nLAYER(sched, " +
		"\"threads\")\n"
	const known = "UPWARD(\"core/log.c\", \"arch/x86_64/cpu.h\")\n"
	log := "#include \"core/log.h\"\n#include \"arch/x86_64/cpu.h\"\n#include " +
		"\"kernel/methods.h\""
	for _, c := range []struct {
		name, order, file, text string
		want                    []string
	}{
		{"in order", order, "kernel/sched/sched.c",
			"#include \"core/log.h\"\n#include <stdint.h>", nil},
		{"listed", order + known, "kernel/core/log.c", log, nil},
		{"not listed", order, "kernel/core/log.c", log,
			[]string{"kernel/core/log.c:2: includes arch/x86_64/cpu.h, which is in a " +
				"layer above it"}},
		{"listed for nothing", order + known, "kernel/core/log.c",
			"#include \"core/log.h\"",
			[]string{"kernel/layers.def: core/log.c no longer includes " +
				"arch/x86_64/cpu.h upward: remove the line"}},
		{"unknown folder", order, "kernel/new/x.c", "#include \"core/log.h\"",
			[]string{"kernel/new/x.c: its folder is not in kernel/layers.def"}},
		{"folder in a folder", order + "LAYER(arch/x86_64, \"inside\")\n",
			"kernel/arch/paging.h", "#include \"arch/x86_64/deep/cr3.h\"",
			[]string{"kernel/arch/paging.h:1: includes arch/x86_64/deep/cr3.h, which " +
				"is in a layer above it"}},
		{"inline half of the contract", order,
			"kernel/arch/x86_64/include/core/cpu.h", "#include \"arch/cpu.h\"",
			[]string{"kernel/core/cpu.h:1: includes arch/cpu.h, which is in a layer " +
				"above it"}},
		{"not the kernel", order, "tests/host/x.c", "#include \"sched/sched.h\"", nil},
		{"bad line", order + "LAYER(mm)\n", "kernel/core/log.c", "",
			[]string{"kernel/layers.def:4: not understood"}},
	} {
		var layers layering
		layers.look(c.file, strings.Split(c.text, "\n"))
		layers.look(layersFile, strings.Split(c.order, "\n"))
		if got := layers.result(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, expected %q", c.name, got, c.want)
		}
	}
	var missing layering
	if got := missing.result(); len(got) != 1 {
		t.Errorf("without an order: %q", got)
	}
}
