package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"capos.dev/tools/capos/internal/repo"
)

const goText = `Runs the ported Go command for capOS, building the toolchain first when that is needed. All of its subcommands and flags
are the go command's own: go build makes programs that ./capos run boots, go run and go test boot capOS by themselves.
The machines that go run and go test start are configured with CAPOS_RUN_FLAGS, for example
  CAPOS_RUN_FLAGS='-m 2G --cpus 4' ./capos go test ./...`

func goCommand(args []string) int {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
		fmt.Printf("Usage: ./capos go ARGUMENTS\n\n%s\n", goText)
		return 0
	}
	root, err := repo.Root()
	if err != nil {
		return fail(err)
	}
	goroot, env, err := goEnvironment(root)
	if err != nil {
		return fail(err)
	}
	if args[0] == "run" || args[0] == "test" {
		if err := repo.Make(root, "kernel"); err != nil {
			return fail(err)
		}
	}
	return replace(filepath.Join(goroot, "bin", "go"), args, env)
}

// goEnvironment gives the ported GOROOT and the environment to run its go command in.
func goEnvironment(root string) (goroot string, env []string, err error) {
	cache, err := repo.CacheDir()
	if err != nil {
		return "", nil, err
	}
	if goroot, err = repo.GoRoot(root, ""); err != nil {
		return "", nil, err
	}
	return goroot, repo.GoEnv(root, goroot, cache), nil
}

const ccText = `Compiles and links C for x86_64-unknown-capos; arguments are the compiler's. CAPOS_CC=gcc uses gcc instead of clang.
  ./capos cc hello.c -o hello && ./capos run hello`

func cCompiler(root string) string { return filepath.Join(root, "libcapos", "capos-cc") }

func ccCommand(args []string) int {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
		fmt.Printf("Usage: ./capos cc ARGUMENTS\n\n%s\n", ccText)
		return 0
	}
	root, err := repo.Root()
	if err != nil {
		return fail(err)
	}
	if err := repo.Make(root, "libcapos"); err != nil {
		return fail(err)
	}
	return replace(cCompiler(root), args, os.Environ())
}

// replace makes this process another program, so that signals, streams and status need no passing
// on.
func replace(program string, args, env []string) int {
	err := syscall.Exec(program, append([]string{program}, args...), env)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return failf("%s is missing", program)
	}
	return failf("cannot start %s: %v", program, err)
}
