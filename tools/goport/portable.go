package main

// The names of package syscall that programs use.
//
// Packages outside the Go root see the build tags linux and unix, so they take every name for
// granted that linux/amd64 has. Code with the constraint "unix" is written for systems whose
// package syscall is generated from their headers, so it also takes names for granted that
// linux/amd64 and most of four other systems have in golang.org/x/sys/unix, its successor. The
// release holds a copy of the latter for its tools. Constants and types that the port does not
// declare come from linux/amd64, whose numbers the port uses. Functions, methods, variables and
// fields of structures have to be written by hand, and "goport names" says which are missing.

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	portableFile = "src/syscall/zportable_capos.go"
	// portableMin is how many of otherSystems must have a name that is called portable.
	portableMin = 3
)

// The packages by which names are found portable, below src.
var (
	packageSyscall = "syscall"
	packageUnix    = filepath.Join("cmd", "vendor", "golang.org", "x", "sys", "unix")
)

var otherSystems = []string{"darwin", "freebsd", "netbsd", "openbsd"}

// A syscallAPI is what a package declares on one system, exported or not. Methods and fields
// are named with their type: "Stat_t.Size".
type syscallAPI struct {
	kinds   map[string]string // "const", "type", "var", "func", "method", "field"
	shapes  map[string]string // of functions and methods: their types
	sources map[string]ast.Node
}

// readSyscallAPI reads a package as it is built for amd64.
func readSyscallAPI(goroot, system, path string) (*syscallAPI, error) {
	context := build.Default
	context.GOROOT, context.GOOS, context.GOARCH = goroot, system, "amd64"
	context.CgoEnabled, context.BuildTags = false, []string{"unix"}
	dir := filepath.Join(goroot, "src", path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	api := &syscallAPI{map[string]string{}, map[string]string{}, map[string]ast.Node{}}
	files := token.NewFileSet()
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if matches, err := context.MatchFile(dir, name); err != nil || !matches {
			continue
		}
		file, err := parser.ParseFile(files, filepath.Join(dir, name), nil, 0)
		if err != nil {
			return nil, err
		}
		if file.Name.Name == filepath.Base(path) {
			api.addFile(file)
		}
	}
	return api, nil
}

func (api *syscallAPI) addFile(file *ast.File) {
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			api.addFunction(d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				api.addSpec(d.Tok.String(), spec)
			}
		}
	}
}

func (api *syscallAPI) add(name, kind string, source ast.Node) {
	api.kinds[name], api.sources[name] = kind, source
}

func (api *syscallAPI) addFunction(d *ast.FuncDecl) {
	name, kind := d.Name.Name, "func"
	if d.Recv != nil {
		receiver := d.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		name, kind = types.ExprString(receiver)+"."+name, "method"
	}
	api.add(name, kind, d)
	api.shapes[name] = shapeOf(d.Type)
}

// shapeOf returns the types of parameters and results without their names.
func shapeOf(f *ast.FuncType) string {
	list := func(fields *ast.FieldList) string {
		var parts []string
		if fields != nil {
			for _, field := range fields.List {
				for range max(1, len(field.Names)) {
					parts = append(parts, types.ExprString(field.Type))
				}
			}
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	return list(f.Params) + " " + list(f.Results)
}

func (api *syscallAPI) addSpec(kind string, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			api.add(name.Name, kind, s)
		}
	case *ast.TypeSpec:
		api.add(s.Name.Name, kind, s)
		structure, ok := s.Type.(*ast.StructType)
		if !ok {
			return
		}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				api.add(s.Name.Name+"."+name.Name, "field", field)
			}
		}
	}
}

// isExported reports whether all parts of a name are.
func isExported(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if !ast.IsExported(part) {
			return false
		}
	}
	return true
}

// A portableSet is the portable names, with what linux/amd64 and the port declare.
type portableSet struct {
	names        []string
	linux, capos *syscallAPI
}

func readPortable(goroot string) (*portableSet, error) {
	linux, err := readSyscallAPI(goroot, "linux", packageSyscall)
	if err != nil {
		return nil, err
	}
	capos, err := readSyscallAPI(goroot, "capos", packageSyscall)
	if err != nil {
		return nil, err
	}
	set := &portableSet{linux: linux, capos: capos}
	for name := range linux.kinds {
		if isExported(name) {
			set.names = append(set.names, name)
		}
	}
	for _, path := range []string{packageSyscall, packageUnix} {
		names, err := portableNames(goroot, path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if linux.kinds[name] != "" {
				set.names = append(set.names, name)
			}
		}
	}
	slices.Sort(set.names)
	set.names = slices.Compact(set.names)
	return set, nil
}

// portableNames returns what a package exports on linux and on enough of the other systems.
func portableNames(goroot, path string) (names []string, err error) {
	have := map[string]int{}
	for _, system := range append([]string{"linux"}, otherSystems...) {
		api, err := readSyscallAPI(goroot, system, path)
		if err != nil {
			return nil, err
		}
		for name := range api.kinds {
			if system == "linux" || have[name] > 0 {
				have[name]++
			}
		}
	}
	for name, systems := range have {
		if systems > portableMin && isExported(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// generatePortable makes the file of constants and types that the port lacks, in the tree of a
// layer.
func generatePortable(dir string) error {
	set, err := readPortable(dir)
	if err != nil {
		return err
	}
	g := &portableGenerator{set: set, done: map[string]bool{}}
	for _, name := range set.names {
		if kind := set.linux.kinds[name]; kind == "const" || kind == "type" {
			if err := g.declare(name); err != nil {
				return err
			}
		}
	}
	text := fmt.Sprintf("// Code generated by goport from linux/amd64's. DO NOT EDIT.\n\n"+
		"//go:build capos\n\npackage syscall\n\n%s\n%s", &g.constants, &g.types)
	source, err := format.Source([]byte(text))
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, portableFile), source)
}

type portableGenerator struct {
	set              *portableSet
	done             map[string]bool
	constants, types bytes.Buffer
}

// declare writes the declaration of linux/amd64 and of what it refers to, unless the port has it.
func (g *portableGenerator) declare(name string) error {
	if _, ok := g.set.capos.kinds[name]; ok || g.done[name] {
		return nil
	}
	g.done[name] = true
	var expression ast.Expr
	switch source := g.set.linux.sources[name].(type) {
	case *ast.ValueSpec:
		named := func(n *ast.Ident) bool { return n.Name == name }
		i := slices.IndexFunc(source.Names, named)
		if i >= len(source.Values) {
			return fmt.Errorf("syscall.%s has no value of its own on linux", name)
		}
		expression = source.Values[i]
		fmt.Fprintf(&g.constants, "const %s = %s\n", name, types.ExprString(expression))
	case *ast.TypeSpec:
		expression = source.Type
		fmt.Fprintf(&g.types, "type %s ", name)
		printer.Fprint(&g.types, token.NewFileSet(), expression)
		g.types.WriteString("\n\n")
	default:
		return fmt.Errorf("syscall.%s is no constant or type on linux", name)
	}
	return g.declareUsed(expression)
}

// declareUsed declares the names of the package in an expression, without names of fields.
func (g *portableGenerator) declareUsed(expression ast.Expr) (err error) {
	ast.Inspect(expression, func(n ast.Node) bool {
		if err != nil {
			return false
		}
		switch n := n.(type) {
		case *ast.Field:
			err = g.declareUsed(n.Type)
			return false
		case *ast.Ident:
			if kind := g.set.linux.kinds[n.Name]; kind == "const" || kind == "type" {
				err = g.declare(n.Name)
			}
		}
		return true
	})
	return err
}

// showNames prints the portable names that the port lacks or declares otherwise, and fails if
// there are any.
func showNames(w io.Writer, goroot string) error {
	set, err := readPortable(goroot)
	if err != nil {
		return err
	}
	wrong := 0
	for _, name := range set.names {
		kind, shape := set.linux.kinds[name], set.linux.shapes[name]
		switch {
		case set.capos.kinds[name] == "":
			fmt.Fprintln(w, "missing", kind, name, shape)
		case set.capos.kinds[name] != kind || set.capos.shapes[name] != shape:
			fmt.Fprintln(w, "different", kind, name, shape, "is", set.capos.kinds[name],
				set.capos.shapes[name])
		default:
			continue
		}
		wrong++
	}
	fmt.Fprintf(w, "%d portable names of package syscall, %d missing or different\n",
		len(set.names), wrong)
	if wrong > 0 {
		return fmt.Errorf("package syscall lacks portable names")
	}
	return nil
}
