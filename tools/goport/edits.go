package main

// The edits to files of the Go release are data in go/edits.txt. An entry names a file, how to find
// one line in it, and what to do there. An entry whose line is missing or not unique is an error,
// so that a release that moved the line is noticed.
//
// The language, one keyword a line, "#" for comments:
//
//	layer NAME            tools, port or explore: what the following files belong to
//	file PATH             relative to the Go root; starts the entries of a file
//	reason TEXT           why; required once per file, before its first entry
//	within REGEXP         confine the next entry to the lines from this one to the next that
//	                      starts with "}" or ")"
//	after REGEXP          find the line ...
//	insert TEXT           ... and put TEXT on a line of its own behind it; in all TEXTs "\t" is
//	                      a tab and "\n" begins a new line
//	change REGEXP         find the line ...
//	to TEXT               ... and replace what matched; $1 refers to a group
//	every REGEXP          find all lines, at least one ...
//	to TEXT               ... and replace what matched in each
//	constraint or TAG     the //go:build line also holds for TAG
//	constraint not TAG    the //go:build line no longer holds for TAG

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The edits of an ordinary toolchain, and those that an explore build has besides.
const (
	editsPath        = "go/edits.txt"
	exploreEditsPath = "go/explore/edits.txt"
)

type edit struct {
	layer, file, reason string
	within              *regexp.Regexp // nil: the whole file
	anchor              *regexp.Regexp
	action              string // insert, change, every, constraint or, constraint not
	text                string
	position            string // of the entry, for messages
}

var constraintLine = regexp.MustCompile(`^//go:build (.+)$`)

// readEdits reads the edits of a file whose name is relative to the repository's root.
func readEdits(root, name string) ([]edit, error) {
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return nil, err
	}
	var edits []edit
	var next edit
	for number, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		keyword, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		next.position = fmt.Sprintf("%s:%d", name, number+1)
		complete, err := next.accept(keyword, rest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", next.position, err)
		}
		if complete {
			edits = append(edits, next)
			next = edit{layer: next.layer, file: next.file, reason: next.reason}
		}
	}
	if next.anchor != nil {
		return nil, fmt.Errorf("%s: the last entry is not complete", name)
	}
	return edits, nil
}

// accept takes one keyword into the entry and reports whether the entry is complete.
func (e *edit) accept(keyword, rest string) (complete bool, err error) {
	switch keyword {
	case "layer":
		if rest != "tools" && rest != "port" && rest != "explore" {
			return false, fmt.Errorf("unknown layer %q", rest)
		}
		*e = edit{layer: rest, position: e.position}
		return false, nil
	case "file":
		if !filepath.IsLocal(rest) || e.layer == "" {
			return false,
				fmt.Errorf("file %q: not a relative path, or no layer named "+
					"before it", rest)
		}
		*e = edit{layer: e.layer, file: rest, position: e.position}
		return false, nil
	case "reason":
		e.reason = rest
		return false, nil
	}
	if e.file == "" || e.reason == "" {
		return false, fmt.Errorf("%q before a file and its reason", keyword)
	}
	switch keyword {
	case "within":
		e.within, err = regexp.Compile(rest)
		return false, err
	case "after", "change", "every":
		return false, e.findLines(keyword, rest)
	case "insert", "to":
		if e.anchor == nil || e.action == "insert" != (keyword == "insert") {
			return false, fmt.Errorf("%q does not follow its anchor", keyword)
		}
		e.text = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(rest)
		return true, nil
	case "constraint":
		how, tag, _ := strings.Cut(rest, " ")
		if how != "or" && how != "not" || tag == "" {
			return false, fmt.Errorf("constraint wants: or TAG, not TAG")
		}
		e.action, e.text, e.anchor = "constraint "+how, tag, constraintLine
		return true, nil
	}
	return false, fmt.Errorf("unknown keyword %q", keyword)
}

// findLines takes a keyword that says which lines an entry concerns.
func (e *edit) findLines(keyword, rest string) (err error) {
	e.action = keyword
	if keyword == "after" {
		e.action = "insert"
	}
	if keyword == "every" && e.within != nil {
		return fmt.Errorf("every is about the whole file")
	}
	e.anchor, err = regexp.Compile(rest)
	return err
}

// planEdits applies the edits to the files of a tree in memory and returns the new contents by file
// name. It reports each line it would touch. Nothing is written.
func planEdits(tree string, edits []edit, report io.Writer) (map[string]string, error) {
	contents := map[string]string{}
	for _, e := range edits {
		old, ok := contents[e.file]
		if !ok {
			data, err := os.ReadFile(filepath.Join(tree, e.file))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.position, err)
			}
			old = string(data)
		}
		lines := strings.Split(old, "\n")
		index, err := e.find(lines)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", e.position, e.file, err)
		}
		was := lines[index]
		lines = e.apply(lines, index)
		contents[e.file] = strings.Join(lines, "\n")
		if e.action == "insert" {
			fmt.Fprintf(report, "%s:%d: + %s\n", e.file, index+2,
				strings.TrimSpace(lines[index+1]))
		} else {
			fmt.Fprintf(report, "%s:%d: %s -> %s\n", e.file, index+1, was, lines[index])
		}
	}
	return contents, nil
}

// find returns the index of the one line that the entry concerns.
func (e *edit) find(lines []string) (int, error) {
	first, last := 0, len(lines)
	if e.within != nil {
		start, err := matchOne(lines, 0, len(lines), e.within)
		if err != nil {
			return 0, err
		}
		first = start
		for last = start + 1; last < len(lines); last++ {
			if strings.HasPrefix(lines[last], "}") || strings.HasPrefix(lines[last],
				")") {
				break
			}
		}
	}
	if e.action == "every" {
		return matchFirst(lines, first, last, e.anchor)
	}
	return matchOne(lines, first, last, e.anchor)
}

// matchFirst returns the index of the first line that matches.
func matchFirst(lines []string, first, last int, pattern *regexp.Regexp) (int, error) {
	for i := first; i < last; i++ {
		if pattern.MatchString(lines[i]) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no line matches %q", pattern)
}

// matchOne returns the index of the only line that matches.
func matchOne(lines []string, first, last int, pattern *regexp.Regexp) (int, error) {
	found, err := matchFirst(lines, first, last, pattern)
	if err != nil {
		return 0, err
	}
	if second, err := matchFirst(lines, found+1, last, pattern); err == nil {
		return 0, fmt.Errorf("lines %d and %d both match %q", found+1, second+1, pattern)
	}
	return found, nil
}

func (e *edit) apply(lines []string, index int) []string {
	switch e.action {
	case "insert":
		rest := append([]string{e.text}, lines[index+1:]...)
		return append(lines[:index+1:index+1], rest...)
	case "change":
		lines[index] = e.anchor.ReplaceAllString(lines[index], e.text)
	case "every":
		for i := index; i < len(lines); i++ {
			lines[i] = e.anchor.ReplaceAllString(lines[i], e.text)
		}
	default:
		expression := constraintLine.FindStringSubmatch(lines[index])[1]
		operator, operand := " || ", e.text
		if e.action == "constraint not" {
			operator, operand = " && ", "!"+e.text
		}
		if mixes(expression, operator) {
			expression = "(" + expression + ")"
		}
		lines[index] = "//go:build " + expression + operator + operand
	}
	return lines
}

// mixes reports whether the expression needs parentheses before the operator is appended.
func mixes(expression, operator string) bool {
	if strings.TrimSpace(operator) == "&&" {
		return strings.Contains(expression, "||")
	}
	return strings.Contains(expression, "&&")
}

// writeEdits writes the planned contents. It replaces files, because one that it wrote in place
// could be a hard link into another layer.
func writeEdits(tree string, contents map[string]string) error {
	for file, text := range contents {
		if err := replaceFile(filepath.Join(tree, file), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}
