package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

func goCommand(args []string) int {
	if cli.AsksForHelp(args) {
		fmt.Print(cli.Help("go"))
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
	if c := subcommand(args); c == "run" || c == "test" {
		if err := repo.Make(root, "kernel"); err != nil {
			return cli.Fail(err)
		}
	}
	return replace(filepath.Join(goroot, "bin", "go"), args, env)
}

// subcommand is what the go command is to do. -C DIR may come before it.
func subcommand(args []string) string {
	switch {
	case strings.HasPrefix(args[0], "-C=") || strings.HasPrefix(args[0], "--C="):
		args = args[1:]
	case args[0] == "-C" || args[0] == "--C":
		args = args[min(2, len(args)):]
	}
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func ccCommand(args []string) int {
	if cli.AsksForHelp(args) {
		fmt.Print(cli.Help("cc"))
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
