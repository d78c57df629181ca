package suite

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// layersFile names the kernel's folders, lowest first, and the includes that still run upward.
const layersFile = "kernel/layers.def"

var (
	layerLine     = regexp.MustCompile(`^LAYER\(([a-z0-9_/]+), "[^"]+"\)$`)
	upwardLine    = regexp.MustCompile(`^UPWARD\("([^"]+)", "([^"]+)"\)$`)
	includeFolder = regexp.MustCompile(`^arch/[a-z0-9_]+/include/(.+)$`)
	includeLine   = regexp.MustCompile(`^\s*#\s*include\s+"([a-z0-9_/]+\.h)"`)
)

// include is one file of the kernel that includes another, both named relative to kernel/.
type include struct{ from, to string }

// layering checks the kernel's includes against the order of its folders.
type layering struct {
	complaints []string
	rank       map[string]int
	listed     map[include]bool // upward includes that layersFile names; true once seen
	includes   []layerInclude
}

type layerInclude struct {
	include
	line int
}

// look takes in one file of the tree.
func (l *layering) look(name string, lines []string) {
	if name == layersFile {
		l.readOrder(lines)
		return
	}
	from, inside := strings.CutPrefix(name, "kernel/")
	if !inside || !strings.Contains(from, "/") {
		return
	}
	// The inline half of the contract to the processor is found by an include path of its own.
	if match := includeFolder.FindStringSubmatch(from); match != nil {
		from = match[1]
	}
	for i, line := range lines {
		if match := includeLine.FindStringSubmatch(line); match != nil {
			l.includes = append(l.includes, layerInclude{include{from, match[1]},
				i + 1})
		}
	}
}

func (l *layering) readOrder(lines []string) {
	l.rank, l.listed = map[string]int{}, map[include]bool{}
	for i, line := range lines {
		layer, upward := layerLine.FindStringSubmatch(line), upwardLine.FindStringSubmatch(
			line)
		switch {
		case layer != nil:
			l.rank[layer[1]] = len(l.rank)
		case upward != nil:
			l.listed[include{upward[1], upward[2]}] = false
		case strings.HasPrefix(line, "LAYER") || strings.HasPrefix(line, "UPWARD"):
			l.complaints = append(l.complaints, fmt.Sprintf("%s:%d: not understood",
				layersFile, i+1))
		}
	}
}

// folder is the layer of a file: the innermost of its folders that is one. Generated headers and
// kernel/include have none.
func (l *layering) folder(name string) (rank int, known bool) {
	for dir := path.Dir(name); dir != "." && !known; dir = path.Dir(dir) {
		rank, known = l.rank[dir]
	}
	return rank, known
}

// result lists the includes that break the order, and lines of layersFile that no longer hold.
func (l *layering) result() []string {
	if l.rank == nil {
		return []string{layersFile + ": missing"}
	}
	found := l.complaints
	var gone []string
	for _, in := range l.includes {
		from, known := l.folder(in.from)
		if !known && !strings.HasPrefix(in.from, "include/") {
			found = append(found, fmt.Sprintf("kernel/%s: its folder is not in %s",
				in.from, layersFile))
			continue
		}
		to, known := l.folder(in.to)
		if !known || to <= from {
			continue
		}
		if _, listed := l.listed[in.include]; !listed {
			found = append(found,
				fmt.Sprintf("kernel/%s:%d: includes %s, which is in a layer above "+
					"it",
					in.from, in.line, in.to))
			continue
		}
		l.listed[in.include] = true
	}
	for in, seen := range l.listed {
		if !seen {
			gone = append(gone,
				fmt.Sprintf("%s: %s no longer includes %s upward: remove the line",
					layersFile, in.from, in.to))
		}
	}
	slices.Sort(gone) // a map has no order of its own
	return append(found, gone...)
}
