package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// formatter is a program that writes source files in one style. Every file that it knows is as it
// would write it.
type formatter struct {
	name, program, debian string // debian: the package that has it
	suffixes              []string
	arguments             []string
	lists                 bool // it prints the files that differ and exits with status 0
}

// formatters: the style of C is .clang-format's.
func formatters() []formatter {
	return []formatter{
		{name: "clang-format", program: "clang-format-19", debian: "clang-format-19",
			suffixes:  []string{".c", ".cc", ".h"},
			arguments: []string{"--dry-run", "-Werror"}},
		{name: "gofmt", program: "gofmt", debian: "golang-go", suffixes: []string{".go"},
			arguments: []string{"-l"}, lists: true},
	}
}

// formatSources asks each formatter about all of its files.
func (s *suite) formatSources(ctx context.Context) (checks []check) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	names, err := s.sourceFiles(ctx)
	if err != nil {
		return single("list of files", err, "")
	}
	for _, f := range formatters() {
		checks = append(checks, f.check(ctx, s.root, names))
	}
	return checks
}

// check asks about those of the named files below root that are of its kind.
func (f *formatter) check(ctx context.Context, root string, names []string) check {
	if _, err := exec.LookPath(f.program); err != nil {
		return check{f.name, skipped, fmt.Sprintf("%s is not installed (Debian: apt-get "+
			"install %s)", f.program, f.debian)}
	}
	arguments := slices.Clone(f.arguments)
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			continue // removed in the work tree
		}
		if slices.Contains(f.suffixes, path.Ext(name)) {
			arguments = append(arguments, name)
		}
	}
	out, err := hostCommand(ctx, root, f.program, arguments...).CombinedOutput()
	if out = bytes.TrimSpace(out); err == nil && f.lists && len(out) > 0 {
		err = errors.New("these files are not formatted")
	}
	return single(f.name, err, strings.TrimSpace(string(out)))[0]
}
