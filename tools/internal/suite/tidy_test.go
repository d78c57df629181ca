package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Models and code that name each other are in order; everything else is said with file and line.
func TestModelLinks(t *testing.T) {
	const model = "/* A protocol.\n *\n * Models  kernel/a.c: f, g; kernel/b.h: h\n *   " +
		"      lib/capos/src/c.c: k\n *\n * Not kernel/other.c. */"
	good := map[string]string{
		"models/m.pml":      model,
		"kernel/a.c":        "/* models/m.pml is the model. */",
		"kernel/b.h":        "/* See models/m.pml. */",
		"lib/capos/src/c.c": "/* Ring.\n * models/m.pml models this. */",
		"kernel/d.h":        "/* For how f does it see models/m.pml. */",
		"docs/x.md":         "models/none.pml, kernel/none.c",
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

// Every rule finds what breaks it, in every kind of file that it is for, and nothing in what does
// not.
func TestTidyRules(t *testing.T) {
	for _, k := range slices.Concat(tidyCases(), contextCases()) {
		for _, rule := range tidyRules() {
			if rule.name != k.rule {
				continue
			}
			found := -1
			if rule.applies(k.file) {
				found = len(rule.find(k.file, k.lines))
			}
			if found != k.found {
				t.Errorf("%s: %d complaints about %q, expected %d", k.rule, found,
					k.lines, k.found)
			}
		}
	}
}

// tidyCase is a file and how many complaints a rule has about it; -1: it is not for such files.
type tidyCase struct {
	rule, file string
	lines      []string
	found      int
}

func tidyCases() []tidyCase {
	x := func(columns int) string { return strings.Repeat("x", columns) }
	cCode := func(lines int) []string {
		return slices.Concat([]string{"int f(void)", "{"},
			slices.Repeat([]string{"\tx();"}, lines), []string{"}"})
	}
	goCode := func(lines int) []string {
		return slices.Concat([]string{"func f(a,", "\tb int) {"},
			slices.Repeat([]string{"\tx()"}, lines), []string{"}"})
	}
	return []tidyCase{
		{"line-length", "a.c", []string{x(100), x(101)}, 1},
		{"line-length", "a.go", []string{"\t" + x(93), "\t\tä" + x(83),
			"\t\tä" + x(84)}, 2},
		{"line-length", "a.S", []string{"x\ty" + x(91), "x\ty" + x(92)}, 1},
		{"line-length", "Makefile", []string{x(101)}, 1},
		{"line-length", "bench/run", []string{x(101)}, 1},
		{"line-length", "a.md", []string{x(101), "| " + x(100), "    " + x(100), "```",
			x(101), "```", x(101)}, 2},
		{"line-length", "tests/list.txt", []string{x(101)}, -1},
		{"function-length", "a.c", cCode(48), 0},
		{"function-length", "a.c", cCode(49), 1},
		{"function-length", "a.h", cCode(49), 1},
		{"function-length", "a.cc", cCode(49), 1},
		{"function-length", "a.c", cCode(49)[2:], 0},
		{"function-length", "a.go", goCode(47), 0},
		{"function-length", "a.go", goCode(48), 1},
		{"file-opening", "a.c", []string{"#include <x.h>"}, 1},
		{"file-opening", "a.c", []string{"", "/* why */"}, 0},
		{"machine-paths", "a.txt", []string{"/wo" + "rk/main", "/workshop",
			"file src/internal/wo" + "rk/gc.go", "in=/wo" + "rk/x"}, 2},
		{"registries", "a.md", []string{"from deb.debian" + ".org"}, 1},
		{"work-marks", "a.h", []string{"/* TO" + "DO */", "/* TODOS */"}, 1},
		{"whitespace", "a.mk", []string{"a: b ", "\tc"}, 1},
		{"hardware-words", "kernel/mm/a.c", hardwareLines, len(hardwareLines)},
		{"hardware-words", "kernel/mm/a.h", hardwareLines[:1], 1},
		{"hardware-words", "kernel/call/a.S", []string{"\tmovq %rax, %rdi"}, 1},
		{"hardware-words", "kernel/mm/a.c", []string{"#include \"arch/paging.h\"",
			"#include \"machine/clock.h\"", "state.fs_base = in->fs_base;",
			"state.xsave_address", "/* stripes of a descriptor, tripled */",
			"index = addr8;", "int exit(void);"}, 0},
		{"hardware-words", "kernel/arch/x86_64/cpu.c", hardwareLines, -1},
		{"hardware-words", "kernel/machine/pc/apic.c", hardwareLines, -1},
		{"hardware-words", "kernel/arch/cpu.h", hardwareLines, -1},
		{"hardware-words", "tests/machine/a.c", hardwareLines, -1},
		{"hardware-words", "kernel/README.md", hardwareLines, -1},
	}
}

// hardwareLines each have a word that the kernel's portable files must not have.
var hardwareLines = []string{"#include \"arch/x86_64/arch.h\"", "#include <arch/impl/x86.h>",
	"# include \"machine/pc/apic.h\"", "\t__asm__(\"nop\");", "\tasm volatile(\"nop\");",
	"\tasm(\"nop\");", "\tasm goto(\"nop\" : : : : out);",
	"\tasm inline volatile(\"nop\");", "\t__builtin_ia32_pause();",
	"#include <immintrin.h>", "#include <x86intrin.h>", "/* loads CR3 */",
	"frame->rflags = 0;", "#define EFLAGS 2",
	"lidt(&table);", "lgdt(&table);", "rdmsr(0x10);", "wrmsr(0x10, 0);", "cpuid(1);",
	"/* INVLPG, */", "frame->rip", "/* RSP lies there. */", "frame->r8", "uint64_t rax;",
	"/* leave by IRET */", "/* by SYSRET */", "\tsti();", "/* HLT */", "area = XSAVE;",
	"cpu->gdt", "cpu->tss", "pml4[511]", "/* for x86-64 */", "x86_64", "apic_id(); /* APIC */"}

// README's picture has every directory of the first level, and none that is not there.
func TestLayout(t *testing.T) {
	readme := []string{"# capOS", "    lib/capos/  the library", "    kernel/   the kernel",
		"    ./capos run   is no directory"}
	names := []string{"README.md", ".ci/run", "kernel/core/log.c", "lib/capos/start.c"}
	if got := layoutComplaints(readme, names); len(got) > 0 {
		t.Errorf("%q", got)
	}
	want := []string{"README.md:2: there is no lib/capos",
		"README.md: the picture of the repository lacks services"}
	got := layoutComplaints(readme, []string{"kernel/core/log.c", "lib/x.c", "services/a.c"})
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Each formatter complains of a file in another style, by name.
func TestFormatters(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		".clang-format": "BasedOnStyle: LLVM\n",
		"good.c":        "int x;\n", "bad.c": "int  x ;\n", "bad.h": "int  y ;\n",
		"good.go": "package p\n", "bad.go": "package p\nvar  x int\n",
		"bad.txt": "int  x ;\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range formatters() {
		for _, k := range []struct {
			names   []string
			verdict string
			says    []string
		}{
			{[]string{"good.c", "good.go", "bad.txt", "gone.c"}, passed, nil},
			{[]string{"good.c", "bad.c", "bad.h", "good.go", "bad.go"}, failed,
				map[string][]string{"clang-format": {"bad.c:1", "bad.h:1"},
					"gofmt": {"bad.go"}}[f.name]},
		} {
			got := f.check(t.Context(), root, k.names)
			if got.Verdict == skipped {
				t.Skip(got.Why)
			}
			if got.Verdict != k.verdict {
				t.Errorf("%s of %q: %+v", f.name, k.names, got)
			}
			for _, text := range k.says {
				if !strings.Contains(got.Why, text) {
					t.Errorf("%s does not name %s: %s", f.name, text, got.Why)
				}
			}
		}
	}
	missing := formatter{name: "x", program: "no-such-formatter", debian: "x"}
	if got := missing.check(t.Context(), root, nil); got.Verdict != skipped ||
		!strings.Contains(got.Why, "not installed") {
		t.Errorf("%+v", got)
	}
}

// A function that says what locks are held asserts it, wherever it says so.
func TestLockClaims(t *testing.T) {
	const body = "{\n\tx();\n}"
	for _, c := range []struct {
		name, header, code, want string
	}{
		{"asserted", "", "static int f_locked(void)\n{\n\tassert_held(&l);\n}", ""},
		{"by its name", "", "static int f_locked(\n\tint x)\n" + body,
			"kernel/a.c:1: f_locked"},
		{"by its comment", "", "/* Queue lock held. */\nint f(void)\n" + body,
			"kernel/a.c:2: f"},
		{"with an attribute", "", "/* The lock is held. */\n__attribute__((f(1, 2))) int " +
			"g(void)\n" + body, "kernel/a.c:2: g"},
		{"in a header", "/* Wakes.\n * The lock is held. */\nvoid f(int x,\n\tint y);",
			"void f(int x,\n\tint y)\n" + body, "kernel/a.h:3: f"},
		{"no lock", "", "/* With no lock held. */\nvoid f(void)\n" + body,
			"kernel/a.c:2: f"},
		{"any lock", "", "/* Any lock may be held. */\nvoid f(void)\n" + body, ""},
		{"no claim", "", "/* Takes the lock. It is held\n * long. */\nvoid f(void)\n" +
			body, ""},
		{"another's", "", "/* The lock is held. */\nstatic int x;\n\nvoid f(void)\n" +
			body, ""},
		{"only declared", "/* The lock is held. */\nvoid f(void);", "", ""},
	} {
		var locks lockClaims
		locks.look("kernel/a.h", strings.Split(c.header, "\n"))
		locks.look("kernel/a.c", strings.Split(c.code, "\n"))
		locks.look("lib/a.c", []string{"int f_locked(void)", "{", "}"})
		got := strings.Join(locks.complaints(), "\n")
		if c.want != "" {
			c.want += " says what locks are held and does not assert it"
		}
		if got != c.want {
			t.Errorf("%s: %q, expected %q", c.name, got, c.want)
		}
	}
}
