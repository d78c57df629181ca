package suite

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// layersFile names the kernel's folders, lowest first.
const layersFile = "kernel/layers.def"

var (
	layerLine     = regexp.MustCompile(`^LAYER\(([a-z0-9_/]+), "[^"]+"\)$`)
	generatedLine = regexp.MustCompile(`^GENERATED\("([^"]+)", ([a-z0-9_/]+)\)$`)
	// Two folders of headers are found by include paths of their own: kernel/include, and the
	// inline half of the contract to the processor.
	includeFolder = regexp.MustCompile(`^(?:arch/[a-z0-9_]+/)?include/(.+)$`)
	includeLine   = regexp.MustCompile(`^\s*#\s*include\s+(["<])([^">]+)[">]`)
)

// layering checks the kernel's includes against the order of its folders.
type layering struct {
	complaints []string
	rank       map[string]int
	generated  []generatedHeader
	includes   []layerInclude
	upward     int // of the includes; set by result()
}

// generatedHeader is a header that is made at build time, and the folder that it counts as part of.
type generatedHeader struct{ name, folder string }

// layerInclude is one line of a file that includes another, both named as #include names them.
type layerInclude struct {
	file     string // as a complaint names it
	line     int
	includer string
	included string
	system   bool // in angle brackets: may be a header of the compiler
}

// look takes in one file of the tree.
func (l *layering) look(name string, lines []string) {
	if name == layersFile {
		l.readOrder(lines)
		return
	}
	includer, inside := strings.CutPrefix(name, "kernel/")
	if !inside || !slices.Contains([]string{".c", ".h", ".S"}, path.Ext(name)) {
		return
	}
	if match := includeFolder.FindStringSubmatch(includer); match != nil {
		includer = match[1]
	}
	l.readIncludes(name, includer, lines)
}

func (l *layering) readIncludes(file, includer string, lines []string) {
	for i, line := range lines {
		if match := includeLine.FindStringSubmatch(line); match != nil {
			l.includes = append(l.includes, layerInclude{file, i + 1, includer,
				match[2], match[1] == "<"})
		}
	}
}

// lookGenerated takes in the generated headers of a tree that is built. One that is made beside the
// objects, as the offsets for assembly are, is not in build/gen and includes nothing.
func (l *layering) lookGenerated(root string) {
	for _, header := range l.generated {
		for _, folder := range []string{"build/gen/", "build/gen/include/"} {
			file := folder + header.name
			data, err := os.ReadFile(filepath.Join(root, file))
			if err == nil {
				l.readIncludes(file, header.name, strings.Split(string(data), "\n"))
			}
		}
	}
}

func (l *layering) readOrder(lines []string) {
	l.rank = map[string]int{}
	for i, line := range lines {
		layer, generated := layerLine.FindStringSubmatch(line),
			generatedLine.FindStringSubmatch(line)
		switch {
		case layer != nil:
			l.rank[layer[1]] = len(l.rank)
		case generated != nil && l.isLayer(generated[2]):
			l.generated = append(l.generated, generatedHeader{generated[1],
				generated[2]})
		case strings.HasPrefix(line, "/*") || strings.HasPrefix(line, " *") || line == "":
		default:
			l.complaints = append(l.complaints, fmt.Sprintf("%s:%d: not understood",
				layersFile, i+1))
		}
	}
}

func (l *layering) isLayer(folder string) bool {
	_, is := l.rank[folder]
	return is
}

// layer is the rank of a header or source: of the folder that layersFile gives a generated one, or
// of the innermost of its folders that is a layer.
func (l *layering) layer(name string) (rank int, known bool) {
	for _, header := range l.generated {
		if header.name == name {
			return l.rank[header.folder], true
		}
	}
	for dir := path.Dir(name); dir != "." && !known; dir = path.Dir(dir) {
		rank, known = l.rank[dir]
	}
	return rank, known
}

// summary is what result() has counted.
func (l *layering) summary() string {
	return fmt.Sprintf("%d of %d includes run upward", l.upward, len(l.includes))
}

// result lists the includes that break the order.
func (l *layering) result() []string {
	if l.rank == nil {
		return []string{layersFile + ": missing"}
	}
	found := l.complaints
	for _, in := range l.includes {
		own, known := l.layer(in.includer)
		if !known {
			found = append(found, fmt.Sprintf("%s: its folder is not in %s", in.file,
				layersFile))
			continue
		}
		other, known := l.layer(in.included)
		switch {
		case !known && !in.system:
			found = append(found, fmt.Sprintf("%s:%d: includes %s, which %s does not "+
				"know", in.file, in.line, in.included, layersFile))
		case known && other > own:
			l.upward++
			found = append(found, fmt.Sprintf("%s:%d: includes %s, which is in a "+
				"layer above it", in.file, in.line, in.included))
		}
	}
	return found
}
