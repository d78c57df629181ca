package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

const goText = `Runs the ported Go command for capOS, building the toolchain first when that is
needed. All of its subcommands and flags are the go command's own: go build makes programs that
./capos run boots, go run and go test boot capOS by themselves. The machines that go run and go
test start are configured with CAPOS_RUN_FLAGS, for example
  CAPOS_RUN_FLAGS='-m 2G --cpus 4' ./capos go test ./...`

func goCommand(args []string) int {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
		fmt.Printf("Usage: ./capos go ARGUMENTS\n\n%s\n", goText)
		return 0
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Fail(err)
	}
	goroot, env, err := program.GoEnvironment(root)
	if err != nil {
		return cli.Fail(err)
	}
	if args[0] == "run" || args[0] == "test" {
		if err := repo.Make(root, "kernel"); err != nil {
			return cli.Fail(err)
		}
	}
	return replace(filepath.Join(goroot, "bin", "go"), args, env)
}

const ccText = `Compiles and links C for x86_64-unknown-capos; arguments are the compiler's.
CAPOS_CC=gcc uses gcc instead of clang.
  ./capos cc hello.c -o hello && ./capos run hello`

func ccCommand(args []string) int {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
		fmt.Printf("Usage: ./capos cc ARGUMENTS\n\n%s\n", ccText)
		return 0
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Fail(err)
	}
	if err := repo.Make(root, "lib"); err != nil {
		return cli.Fail(err)
	}
	return replace(program.CCompiler(root), args, os.Environ())
}

// replace makes this process another program, so that signals, streams and status need no passing
// on.
func replace(program string, args, env []string) int {
	err := syscall.Exec(program, append([]string{program}, args...), env)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return cli.Failf("%s is missing", program)
	}
	return cli.Failf("cannot start %s: %v", program, err)
}
