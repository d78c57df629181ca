// Command compiled has WebAssembly compiled to machine code: a Go program for wasip1, and small
// functions that recurse, trap, and are ended. Code is written to memory that is made executable
// then, and is never both.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

func main() {
	log.SetFlags(0)
	ctx := context.Background()
	before := codeMappings()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().
		WithCloseOnContextDone(true))
	defer r.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	runProgram(ctx, r)
	callFunctions(ctx, r)
	fmt.Println("more code in memory:", codeMappings() > before)
}

// runProgram runs hash.wasm, which is also run by the interpreter in another task.
func runProgram(ctx context.Context, r wazero.Runtime) {
	code, err := os.ReadFile("hash.wasm")
	check(err)
	compiled, err := r.CompileModule(ctx, code)
	check(err)
	_, err = r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().
		WithArgs("hash", "a", "b c").WithStdin(strings.NewReader("words of a text")).
		WithStdout(os.Stdout).WithStderr(os.Stderr).
		WithFSConfig(wazero.NewFSConfig().WithDirMount(".", "/data")))
	fmt.Println("the program:", err)
}

// functions is a module with the functions that callFunctions calls.
var functions = []byte("\x00asm\x01\x00\x00\x00" +
	// types: (i64) i64, (i32, i32) i32, (i32) i32, ()
	"\x01\x14\x04\x60\x01\x7e\x01\x7e\x60\x02\x7f\x7f\x01\x7f\x60\x01\x7f\x01\x7f\x60\x00\x00" +
	// functions of these types, one page of memory
	"\x03\x05\x04\x00\x01\x02\x03\x05\x03\x01\x00\x01" +
	// exports
	"\x07\x1c\x04\x04fact\x00\x00\x03div\x00\x01\x04load\x00\x02\x04spin\x00\x03" +
	"\x0a\x2f\x04" +
	// fact: if n is 0 then 1 else n * fact(n-1)
	"\x15\x00\x20\x00\x50\x04\x7e\x42\x01\x05\x20\x00\x20\x00\x42\x01\x7d\x10\x00\x7e\x0b\x0b" +
	// div: a / b; load: the 32 bits at an address; spin: a loop without end
	"\x07\x00\x20\x00\x20\x01\x6d\x0b" + "\x07\x00\x20\x00\x28\x02\x00\x0b" +
	"\x07\x00\x03\x40\x0c\x00\x0b\x0b")

func callFunctions(ctx context.Context, r wazero.Runtime) {
	m, err := r.InstantiateWithConfig(ctx, functions,
		wazero.NewModuleConfig().WithName("small"))
	check(err)
	call := func(ctx context.Context, name string, args ...uint64) {
		got, err := m.ExportedFunction(name).Call(ctx, args...)
		fmt.Println(name, args, "=", got, err)
	}
	call(ctx, "fact", 20)
	call(ctx, "fact", 1<<40) // more frames than a stack may have
	call(ctx, "fact", 7)
	call(ctx, "div", api.EncodeI32(-7), 2)
	call(ctx, "div", 7, 0)
	call(ctx, "div", api.EncodeI32(-1<<31), api.EncodeI32(-1))
	call(ctx, "load", 65532)
	call(ctx, "load", 65533)
	ended, end := context.WithCancel(ctx)
	go func() {
		runtime.GC() // with machine code on a stack
		end()
	}()
	call(ended, "spin")
}

// codeMappings counts mappings that can be executed. None may be writable too.
func codeMappings() (count int) {
	maps, err := os.ReadFile("/proc/self/maps")
	check(err)
	for line := range strings.Lines(string(maps)) {
		_, mode, _ := strings.Cut(line, " ")
		if len(mode) < 3 || mode[2] != 'x' {
			continue
		}
		count++
		if mode[1] == 'w' {
			fmt.Print("writable code: ", line)
		}
	}
	return count
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
