package program

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Schema says what to make of a user's schema, a .capnp file.
type Schema struct {
	File    string
	Imports []string // directories in which absolute imports are looked for
	C       string   // the header to write; "": none
	Go      string   // the Go file to write; "": none
	Package string   // of the Go file
}

// ErrSchema: the schema has a mistake, which has been reported with file and line.
var ErrSchema = errors.New("the schema has a mistake")

// Generate runs the Cap'n Proto compiler, and the generator on what it has found. Imports are also
// looked for in abi/schema, so that capabilities of the kernel's interfaces have their types.
func (s *Schema) Generate(root string) error {
	if _, err := os.Stat(s.File); err != nil {
		return err
	}
	args := []string{"compile", "-o-"}
	for _, dir := range append(s.Imports, filepath.Join(root, "abi", "schema")) {
		args = append(args, "-I", dir)
	}
	compiler := exec.Command("capnp", append(args, s.File)...)
	compiler.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "PWD=") // it warns of one that it finds wrong
	})
	compiler.Stderr = os.Stderr
	request, err := compiler.Output()
	if err != nil {
		return reported("capnp", err)
	}
	generator := exec.Command(filepath.Join(root, "build", "tools", "capnpc-capos"),
		"--source", s.File, "--c", s.C, "--go", s.Go, "--package", s.Package)
	generator.Stdin, generator.Stderr = bytes.NewReader(request), os.Stderr
	return reported("capnpc-capos", generator.Run())
}

// reported tells a mistake that a program has reported from a program that does not run.
func reported(name string, err error) error {
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Exited() {
		return ErrSchema
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// headersOf makes the headers of the schemas that lie beside a C program, and gives the directory
// that they are in, or "".
func headersOf(root, dir, output string) (include string, err error) {
	schemas, err := filepath.Glob(filepath.Join(dir, "*.capnp"))
	if err != nil || len(schemas) == 0 {
		return "", err
	}
	include = output + ".include"
	for _, file := range schemas {
		s := &Schema{File: file, C: filepath.Join(include, filepath.Base(file)+".h")}
		if err := s.Generate(root); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
	}
	return include, nil
}
