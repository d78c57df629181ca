// Command capnpc-capos is capOS's schema compiler: a plugin of the Cap'n Proto compiler that turns
// abi/schema into everything that would otherwise repeat a number or a signature. It reads a
// CodeGeneratorRequest on standard input and writes below the current directory (which capnp sets):
//
//	include/capos/abi.h           constants, enums and shared structures, for C and assembly
//	kernel/methods.h, dispatch.c  what the kernel implements, and the table that leads there
//	kernel/grants.h               the objects that a program may start with
//	libcapos/capos/stubs.h, .c    typed calls for C programs
//	libcapos/capos/grants.h       the capabilities that a C program may start with
//	go/runtime, go/syscall        constants and structures for the Go packages that enter the
//	                              kernel
//	go/host/abi.go                the same, exported, for the tools that run on the host
//	go/capos/zabi.go              what the Go package for capabilities has of the schema
//	docs/reference.md             the interface reference
//	tests/fails.h                 every error that the tests have to provoke
//
// With flags it makes of a user's schema what ./capos schema was asked for (user_main.go).
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) > 1 {
		if err := generateUser(os.Args[1:], os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		fatal(err)
	}
	s, err := loadSchema(request)
	if err != nil {
		fatal(err)
	}
	if err := checkNames(s); err != nil {
		fatal(err)
	}
	outputs := map[string]func(*schema) ([]byte, error){
		"include/capos/abi.h":      generateHeader,
		"kernel/methods.h":         generateMethods,
		"kernel/grants.h":          generateGrantsHeader,
		"kernel/dispatch.c":        generateDispatch,
		"libcapos/capos/stubs.h":   generateStubsHeader,
		"libcapos/capos/grants.h":  generateCaps,
		"libcapos/stubs.c":         generateStubs,
		"go/runtime/zabi_capos.go": generateGoRuntime,
		"go/syscall/zabi_capos.go": generateGoSyscall,
		"go/host/abi.go":           generateGoHost,
		"go/capos/zabi.go":         generateGoPackage,
		"docs/reference.md":        generateReference,
		"tests/fails.h":            generateFails,
	}
	for path, generate := range outputs {
		text, err := generate(s)
		if err != nil {
			fatal(fmt.Errorf("%s: %w", path, err))
		}
		if err := writeIfChanged(path, text); err != nil {
			fatal(err)
		}
	}
}

// writeIfChanged leaves an unchanged file alone, so that make rebuilds only what a schema change
// really touched.
func writeIfChanged(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
