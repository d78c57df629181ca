package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"capos.dev/tools/capos/internal/bootpack"
	"capos.dev/tools/capos/internal/machine"
	"capos.dev/tools/capos/internal/repo"
)

const imageText = `Writes what a virtual machine monitor that boots by PVH needs, to a directory: capos.elf, the kernel, and boot.pkg, the
boot package with PROGRAM, its arguments, variables and files, to be given as initial ramdisk. How to start the pair with
QEMU is printed. Bootable media (ISO images) are not there yet.`

func imageCommand(args []string) int {
	var r runFlags
	flags := newFlags("image", "[FLAGS] PROGRAM [ARGUMENTS]", imageText)
	flags.Var(&r.env, "e", "set a variable of the program, `NAME=VALUE` (repeatable)")
	flags.Var(&r.files, "files", "give the program a file or directory, read-only, `HOST[:GUEST]` (repeatable)")
	flags.StringVar(&r.dir, "w", "/", "working directory of the program, `DIR`")
	flags.StringVar(&r.kernel, "kernel", "release", "release or debug")
	output := flags.String("o", "capos-image", "the `DIRECTORY` to write")
	if status, ok := parse(flags, args); !ok {
		return status
	}
	if flags.NArg() == 0 {
		return failf("an image of what? ./capos image -o DIRECTORY PROGRAM [ARGUMENTS]")
	}
	if strings.HasSuffix(*output, ".iso") {
		return failf("bootable ISO images cannot be made yet; name a directory, and get a kernel and a boot package")
	}
	if err := writeImage(&r, *output, flags.Args()); err != nil {
		return fail(err)
	}
	return 0
}

func writeImage(r *runFlags, output string, args []string) error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	if err := repo.Make(root, repo.KernelGoal(r.kernel)); err != nil {
		return err
	}
	l := &launch{root: root}
	if err := l.prepareRun(r, args); err != nil {
		return err
	}
	pkg, kernel := filepath.Join(output, "boot.pkg"), filepath.Join(output, "capos.elf")
	if err := savePackage(pkg, l.tree, []bootpack.Program{l.program}); err != nil {
		return err
	}
	if err := copyFile(repo.Kernel(root, r.kernel), kernel); err != nil {
		return err
	}
	c := machine.Config{Machine: "microvm", CPU: "max", Accel: "tcg", MemoryMiB: 512, CPUs: 1, Kernel: kernel}
	fmt.Printf("%s and %s are written. To start them:\n  %s\n", kernel, pkg, machine.ShellCommand(machine.DefaultQEMU, c.Args(pkg)))
	fmt.Println("Standard input and output of that command are the framed host channel (docs/run.md), standard error is the log.")
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
