package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/iso"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
)

// imageFlags are those of run that make sense without a host, and some about being without one.
type imageFlags struct {
	runFlags
	output     string
	linger     time.Duration
	kernelArgs cli.List
}

func (i *imageFlags) register(fs *flag.FlagSet) {
	fs.Var(&i.env, "e", "")
	fs.Var(cli.Checked{List: &i.files, Check: cli.Pair}, "files", "")
	fs.Var(&i.limits, "limit", "")
	fs.StringVar(&i.dir, "w", "/", "")
	fs.StringVar(&i.kernel, "kernel", "release", "")
	fs.StringVar(&i.output, "o", "capos-image", "")
	fs.DurationVar(&i.linger, "linger", 15*time.Second, "")
	fs.Var(&i.kernelArgs, "kernel-arg", "")
}

func imageCommand(args []string) int {
	var i imageFlags
	flags := cli.NewFlags("image")
	i.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	if flags.NArg() == 0 {
		return cli.Failf("an image of what? ./capos image -o capos.iso PROGRAM [ARGUMENTS]")
	}
	if i.kernel != "release" && i.kernel != "debug" {
		return cli.Wrong("image", fmt.Errorf("no kernel %q; there are release and debug",
			i.kernel))
	}
	if err := i.write(flags.Args()); err != nil {
		return cli.Fail(err)
	}
	return 0
}

func (i *imageFlags) write(args []string) error {
	bootable := strings.HasSuffix(i.output, ".iso")
	if bootable {
		if err := iso.CheckTools(); err != nil {
			return err
		}
	}
	root, err := repo.Root()
	if err != nil {
		return err
	}
	if err := repo.Make(root, repo.KernelGoal(i.kernel)); err != nil {
		return err
	}
	l := &launch{root: root}
	if err := l.prepareRun(&i.runFlags, args); err != nil {
		return err
	}
	if bootable {
		return i.writeISO(l)
	}
	if err := writeBootFiles(l, repo.Kernel(root, i.kernel), i.output); err != nil {
		return err
	}
	boot := filepath.Join(i.output, iso.BootImageName)
	kernel := filepath.Join(i.output, iso.KernelName)
	c := machine.Config{Machine: "microvm", CPU: "max", Accel: "tcg", MemoryMiB: 512, CPUs: 1,
		Kernel: kernel, KernelParameters: l.parameters}
	fmt.Printf("%s and %s are written. To start them:\n  %s\n", kernel, boot,
		machine.ShellCommand(machine.DefaultQEMU, c.Args(boot)))
	fmt.Println("Standard input and output of that command are the framed host channel " +
		"(docs/run.md), standard error is the log.")
	return nil
}

// writeBootFiles writes the two files that every loader wants, to a directory.
func writeBootFiles(l *launch, kernel, dir string) error {
	if err := bootimage.Save(filepath.Join(dir, iso.BootImageName), l.tree,
		[]bootimage.Program{l.program}); err != nil {
		return err
	}
	return copyFile(kernel, filepath.Join(dir, iso.KernelName))
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

func (i *imageFlags) writeISO(l *launch) error {
	parameters := append([]string{"channel=plain",
		fmt.Sprintf("linger=%.0f", i.linger.Seconds())},
		append(l.parameters, i.kernelArgs...)...)
	err := iso.Write(i.output, strings.Join(parameters, " "), func(dir string) error {
		return writeBootFiles(l, repo.Kernel(l.root, i.kernel), dir)
	})
	if err != nil {
		return err
	}
	return printISO(i.output)
}

func printISO(output string) error {
	info, err := os.Stat(output)
	if err != nil {
		return err
	}
	qemu := iso.Machine{Type: "q35", Image: output, MemoryMiB: 512, CPUs: 2}
	bios := machine.ShellCommand(machine.DefaultQEMU, append(qemu.Args(), "-serial",
		"mon:stdio"))
	fmt.Printf(`%s is written, %.1f MiB.
To start it in QEMU, with the serial port here (Ctrl-A X ends QEMU):
  %s
by UEFI (package ovmf):
  %s -bios %s
Without -display none QEMU shows the screen. To start it on a PC, write it to a USB stick, which
loses what it holds:
  dd if=%s of=/dev/sdX bs=4M conv=fsync
and boot from that; with UEFI, Secure Boot must be off.
`, output, float64(info.Size())/(1<<20), bios, bios, iso.UEFIFirmware, output)
	return nil
}
