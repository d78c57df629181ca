package suite

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Limits of the house style.
const (
	lineColumnsMax   = 100
	tabColumns       = 8
	functionLinesMax = 50
	fileBytesMax     = 512 << 10
)

// tidyRule looks at one tracked file and returns complaints, each beginning with a line number.
type tidyRule struct {
	name    string
	applies func(name string) bool
	find    func(name string, lines []string) []string
}

func isSource(name string) bool {
	switch filepath.Ext(name) {
	case ".c", ".cc", ".h", ".S", ".s", ".go", ".sh", ".capnp", ".mk", ".pml", ".py", ".def",
		".ld", ".awk":
		return true
	}
	return slices.Contains([]string{"capos", ".ci/run", "Makefile", "bench/run",
		"lib/capos/capos-cc"}, name)
}

// isText are the files whose lines are held to a length. Data files (.txt, .in) are not: an entry
// of theirs is one line, however long.
func isText(name string) bool { return isSource(name) || path.Ext(name) == ".md" }

func isCode(name string) bool {
	return isC(name) || strings.HasSuffix(name, ".go")
}

func isC(name string) bool { return slices.Contains([]string{".c", ".cc", ".h"}, path.Ext(name)) }

// Words that must not be found are put together from halves, or this file would find itself.
var (
	machinePaths = regexp.MustCompile(`(^|\W)(/wo` + `rk/|/ro` + `ot/|/ho` + `me/[a-z])`)
	registries   = regexp.MustCompile(`proxy\.golang\` + `.org|sum\.golang\` +
		`.org|deb\.debian\` + `.org|registry\.npmjs\` + `.org|pypi\` + `.org`)
	workMarks = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
)

// hardwareWords are those that only the architecture and the machine may use in the kernel, in code
// and in comments: headers of theirs that are no contract, assembly, and registers, instructions
// and tables of x86. Words that mean something else too ("cli", "esp") are not in the list, nor are
// names of the ABI.
var hardwareWords = regexp.MustCompile(`#\s*include\s+["<](?:arch|machine)/[^">]*/` +
	`|\b(?:__asm__|__asm|asm(?:\s+(?:volatile|goto|inline))*\s*\(|__builtin_ia32_` +
	`|\w+mmintrin|x86(?:[-_]64)?|i386|amd64)` +
	`|(?i)\b(?:` + strings.Join([]string{
	"cr[02348]", "[er]flags", "efer", "mxcsr", "[re][abcd]x", "[re][sd]i", "[re]bp", "[re]ip",
	"rsp", "r(?:[89]|1[0-5])", "[lsig]dt", "[ls][ig]dt", "tss", "ltr", "msrs?", "rdmsr",
	"wrmsr", "rdtscp?", "rdseed", "rdrand", "cpuid", "invlpg", "invpcid", "swapgs", "iretq?",
	"sysretq?", "sysexit", "sti", "hlt", "int3", "ud2", "stac", "clac", "[lms]fence",
	"f?xsave(?:64|opt)?", "f?xrstor(?:64)?", "rd[fg]sbase", "wr[fg]sbase", "pml4", "pdpt",
	"smap", "smep", "umip", "pcid", "l?apic", "ioapic", "[xyz]mm[0-9]+"}, "|") + `)\b`)

// isPortable are the kernel's files that another architecture and machine would share.
func isPortable(name string) bool {
	return strings.HasPrefix(name, "kernel/") && !strings.HasPrefix(name, "kernel/arch/") &&
		!strings.HasPrefix(name, "kernel/machine/") &&
		slices.Contains([]string{".c", ".h", ".S"}, path.Ext(name))
}

func tidyRules() []tidyRule {
	everything := func(string) bool { return true }
	return []tidyRule{
		{"line-length", isText, longLines},
		{"file-opening", isSource, missingOpening},
		{"function-length", isCode, longFunctions},
		{"machine-paths", everything, matching(machinePaths, "a path of one machine")},
		{"registries", everything, matching(registries, "a package registry's host")},
		{"work-marks", isSource, matching(workMarks, "a mark of unfinished work")},
		{"whitespace", isSource, looseWhitespace},
		{"hardware-words", isPortable, matching(hardwareWords, "a word of one processor")},
		{"context", isKernelHeader, missingContext},
	}
}

func (s *suite) tidySteps() []step {
	return []step{{name: "tidy/tree", cpus: 1, run: s.tidy},
		{name: "tidy/format", cpus: 1, run: s.formatSources}}
}

// tidy checks every tracked file against every rule, models against code, the kernel's includes
// against the order of its folders, and what its functions say of locks against what they assert;
// each rule is one check.
func (s *suite) tidy(ctx context.Context) []check {
	names, err := s.sourceFiles(ctx)
	if err != nil {
		return single("list of files", err, "")
	}
	tree := treeComplaints{found: map[string][]string{},
		links: modelLinks{code: map[string]bool{}}}
	for _, name := range names {
		if err := tree.look(s.root, name); err != nil {
			return single(name, err, "")
		}
	}
	tree.found["models"] = tree.links.complaints()
	tree.layers.lookGenerated(s.root)
	tree.found["layers"] = tree.layers.result()
	tree.found["locks"] = tree.locks.complaints()
	tree.found["layout"] = layoutComplaints(tree.readme, names)
	var checks []check
	for _, name := range append([]string{"file-size", "binaries", "models", "layers",
		"locks", "layout"},
		ruleNames()...) {
		c := check{name, passed, ""}
		list := tree.found[name]
		if len(list) > 0 {
			c.Verdict = failed
		}
		if name == "layers" {
			list = append(list, tree.layers.summary())
		}
		c.Why = strings.Join(list, "\n")
		checks = append(checks, c)
	}
	return checks
}

// treeComplaints gathers what is wrong with the files of a tree, by rule.
type treeComplaints struct {
	found  map[string][]string
	links  modelLinks
	layers layering
	locks  lockClaims
	readme []string // the lines of README.md
}

// look takes in one file.
func (t *treeComplaints) look(root, name string) error {
	info, err := os.Lstat(filepath.Join(root, name))
	if err != nil || !info.Mode().IsRegular() {
		return nil // removed in the work tree, or a link
	}
	if info.Size() > fileBytesMax {
		t.found["file-size"] = append(t.found["file-size"],
			fmt.Sprintf("%s: %d KiB", name, info.Size()>>10))
	}
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return err
	}
	if bytes.IndexByte(data, 0) >= 0 {
		t.found["binaries"] = append(t.found["binaries"], name+": a binary file")
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if name == "README.md" {
		t.readme = lines
	}
	t.links.look(name, lines)
	t.layers.look(name, lines)
	t.locks.look(name, lines)
	for _, rule := range tidyRules() {
		if rule.applies(name) {
			for _, complaint := range rule.find(name, lines) {
				t.found[rule.name] = append(t.found[rule.name], name+":"+complaint)
			}
		}
	}
	return nil
}

// sourceFiles lists the tracked files, or everything that is not built when this is not a git work
// tree.
func (s *suite) sourceFiles(ctx context.Context) (names []string, err error) {
	out, err := hostCommand(ctx, s.root, "git", "-c", "safe.directory=*", "ls-files",
		"-z").Output()
	if err == nil {
		return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00"), nil
	}
	built := map[string]bool{"build": true, ".git": true, "tools/internal/abi": true,
		"tests/system/internal/abi": true}
	err = filepath.WalkDir(s.root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.root, file)
		if err == nil && built[name] {
			return fs.SkipDir
		}
		if err == nil && d.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

func ruleNames() (names []string) {
	for _, rule := range tidyRules() {
		names = append(names, rule.name)
	}
	return names
}

// pictured is a directory in README's picture of the repository.
var pictured = regexp.MustCompile(`^    ([a-z0-9_/-]+)/ `)

// layoutComplaints holds the picture to the tracked files: each directory in it has one, and each
// of the first level that has some is in it.
func layoutComplaints(readme, names []string) (found []string) {
	missing := map[string]bool{}
	for _, name := range names {
		if top, _, below := strings.Cut(name, "/"); below && top[0] != '.' {
			missing[top] = true
		}
	}
	for i, line := range readme {
		m := pictured.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		top, _, _ := strings.Cut(m[1], "/")
		delete(missing, top)
		if !slices.ContainsFunc(names, func(name string) bool {
			return strings.HasPrefix(name, m[1]+"/")
		}) {
			found = append(found, fmt.Sprintf("README.md:%d: there is no %s", i+1,
				m[1]))
		}
	}
	for _, top := range slices.Sorted(maps.Keys(missing)) {
		found = append(found, "README.md: the picture of the repository lacks "+top)
	}
	return found
}

// modelLinks is what models and code say of each other: a model names the code it models, and that
// code the model, so that a change of one leads to the other.
type modelLinks struct {
	code  map[string]bool // files that may be named, and models
	links []modelLink
}

// modelLink says that the model in models/ is one of the code in the file. The line is the model's
// or, with byCode, the code's.
type modelLink struct {
	model, file string
	byCode      bool
	line        int
}

var (
	namedCode  = regexp.MustCompile(`\b(?:kernel|lib)/[a-z0-9_/]+\.[chS]\b`)
	namedModel = regexp.MustCompile(`\bmodels/[a-z0-9_]+\.pml\b`)
)

// look takes in one file. A model names code in the paragraph of its opening comment that begins
// with the word Models.
func (l *modelLinks) look(name string, lines []string) {
	if path.Dir(name) == "models" && path.Ext(name) == ".pml" {
		l.code[name] = true
		inside := false
		for i, line := range lines {
			text := strings.TrimPrefix(line, " *")
			inside = strings.TrimSpace(text) != "" && (inside || strings.HasPrefix(text,
				" Models "))
			if inside {
				for _, file := range namedCode.FindAllString(text, -1) {
					l.links = append(l.links, modelLink{name, file, false,
						i + 1})
				}
			}
		}
		return
	}
	if namedCode.FindString(name) != name {
		return
	}
	l.code[name] = true
	for i, line := range lines {
		for _, model := range namedModel.FindAllString(line, -1) {
			l.links = append(l.links, modelLink{model, name, true, i + 1})
		}
	}
}

// complaints lists names of what does not exist, and links that go one way only. A header may send
// its readers to the model of what another file does.
func (l *modelLinks) complaints() (found []string) {
	type pair struct {
		model, file string
		byCode      bool
	}
	has := map[pair]bool{}
	for _, link := range l.links {
		has[pair{link.model, link.file, link.byCode}] = true
	}
	for _, link := range l.links {
		naming, named := link.model, link.file
		if link.byCode {
			naming, named = named, naming
		}
		switch {
		case !l.code[named]:
			found = append(found, fmt.Sprintf("%s:%d: names %s, which does not exist",
				naming, link.line, named))
		case !has[pair{link.model, link.file, !link.byCode}] &&
			!(link.byCode && path.Ext(naming) == ".h"):
			found = append(found, fmt.Sprintf("%s:%d: names %s, which does not name it",
				naming, link.line, named))
		}
	}
	return found
}

// longLines leaves tables and code of a page out, which cannot be broken.
func longLines(name string, lines []string) (found []string) {
	page, fenced := path.Ext(name) == ".md", false
	for i, line := range lines {
		if page && strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if page && (fenced || strings.HasPrefix(line, "|") ||
			strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")) {
			continue
		}
		if n := columns(line); n > lineColumnsMax {
			found = append(found, fmt.Sprintf("%d: %d columns", i+1, n))
		}
	}
	return found
}

// columns is the width of a line whose tabs go to the next multiple of eight.
func columns(line string) (n int) {
	for _, r := range line {
		n++
		if r == '\t' {
			n = (n + tabColumns - 1) / tabColumns * tabColumns
		}
	}
	return n
}

// missingOpening wants a comment, for its reasons and ideas, before anything else than a shebang, a
// build constraint, a package clause's own documentation or a schema's id. A Go package is opened
// by one of its files.
func missingOpening(name string, lines []string) []string {
	for _, line := range lines {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#!") || strings.HasPrefix(line,
			"//go:build") || strings.HasPrefix(line, "@0x"):
			continue
		case strings.HasPrefix(line, "//") || strings.HasPrefix(line, "/*") ||
			strings.HasPrefix(line, "# ") || line == "#",
			strings.HasPrefix(line, `"""`):
			return nil
		case strings.HasPrefix(line, "package ") && filepath.Ext(name) == ".go":
			return nil
		}
		return []string{"1: does not open with a comment"}
	}
	return []string{"1: is empty"}
}

// longFunctions relies on the layout of both languages: a function's first line begins in column
// one and its closing brace stands alone there. A C function is counted from its opening brace, a
// Go function from the word func.
func longFunctions(name string, lines []string) (found []string) {
	start := -1
	for i, line := range lines {
		goFunction := strings.HasSuffix(name, ".go") && strings.HasPrefix(line, "func ") &&
			!strings.HasSuffix(line, "}")
		cFunction := isC(name) && line == "{"
		cOneLine := isC(name) && strings.HasSuffix(line, ") {") &&
			line[0] != ' ' && line[0] != '\t' && line[0] != '#'
		switch {
		case goFunction || cFunction || cOneLine:
			start = i
		case line == "}" && start >= 0:
			if length := i - start + 1; length > functionLinesMax {
				found = append(found, fmt.Sprintf("%d: a function of %d lines",
					start+1, length))
			}
			start = -1
		}
	}
	return found
}

func matching(pattern *regexp.Regexp, what string) func(string, []string) []string {
	return func(_ string, lines []string) (found []string) {
		for i, line := range lines {
			if match := pattern.FindString(line); match != "" {
				found = append(found, fmt.Sprintf("%d: %s: %s", i+1, what, match))
			}
		}
		return found
	}
}

func looseWhitespace(_ string, lines []string) (found []string) {
	for i, line := range lines {
		if strings.TrimRight(line, " \t\r") != line {
			found = append(found, fmt.Sprintf("%d: white space at the end of the line",
				i+1))
		}
	}
	return found
}
