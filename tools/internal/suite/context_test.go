package suite

import "slices"

// contextCases are headers with functions of which a context is said, and others.
func contextCases() []tidyCase {
	return []tidyCase{
		{"context", "kernel/a/b.h", contextLines, 6},
		{"context", "kernel/a/b.h", slices.Concat([]string{"/* A list. Pure. */"},
			contextLines), 0},
		{"context", "kernel/a/b.c", contextLines, -1},
		{"context", "lib/capos/a.h", contextLines, -1},
	}
}

// contextLines lack a context for: none, later, words, in, each, all.
var contextLines = []string{"/* Of a thread, any lock, and what boots; the boot image. */",
	"#ifndef A_B_H", "struct a;", "typedef int callback(int);", "#define M(x) f(x)",
	"int none(void);", "/* Any context. */", "int first(struct a *a,", "\tint second);",
	"int same_comment(void);", "", "int later(void);", "/* Says words only. */",
	"int words(void);", "/* The lock is held. */", "int locked(void);", "/* A thread, once. */",
	"static inline int blocks(void)", "{", "\treturn in();", "}", "int in(void);",
	"/* Gives a", " * thread. Boot only. */", "int boots(void);", "/* Interrupt: ticks. */",
	"void ticks(void);", "/* Is it boot? No. */",
	"void each(void) __attribute__((noinline));", "/* All are",
	" * for a thread that holds on. */", "void all(void);", "/* Pure. */", "int pure(void);",
	"#else", "int pure(void);", "#endif"}
