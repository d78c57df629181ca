package main

import (
	"flag"
	"fmt"
	"os"
	"path"
	"strings"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

const runText = `Boots capOS with one program and nothing else, connects it to standard input,
output and error, and exits with its status. PROGRAM is a program for capOS, a directory with a
Go command or a C program, or a .go or .c file; sources are built first. Everything after PROGRAM
is its arguments. What the program sees: /bin/NAME (itself), a writable /tmp, a working directory
of the same name as here, the variables PATH, HOME, TMPDIR, PWD and those given with -e, and the
files given with --files.

Exit status: the program's own (0 to 255), or
  122 the machine did not boot or has too little memory   126 PROGRAM is not a program for capOS
  123 the kernel panicked                                 127 PROGRAM was not found
  124 --timeout was reached                               125 capos itself failed
  128+n for a program ended by a fault or key: 139 bad address or protection, 136 division or
  floating point, 132 illegal instruction, 133 breakpoint, 135 misaligned access or out of memory,
  130 interrupt, 131 quit, 143 terminate.`

type runFlags struct {
	machineFlags
	env, files, out cli.List
	dir             string
	batch           string
}

func (r *runFlags) register(fs *flag.FlagSet) {
	r.machineFlags.register(fs, defaultMemory)
	fs.Var(&r.env, "e",
		"set a variable of the program, `NAME=VALUE`; NAME alone passes the host's value "+
			"on (repeatable)")
	fs.Var(&r.files, "files",
		"give the program a file or directory, read-only, `HOST[:GUEST]`; the same name "+
			"without GUEST (repeatable)")
	fs.Var(&r.out, "o",
		"let the program write a file, or a directory with a slash at its end, and bring "+
			"it back, `GUEST[:HOST]` (repeatable)")
	fs.Var(&r.out, "export", "the same as -o, `GUEST[:HOST]`")
	fs.StringVar(&r.dir, "w", "",
		"working directory of the program, `DIR` (default: the name of the current one)")
	fs.StringVar(&r.batch, "batch", "",
		"run the programs listed in `FILE` one after the other, see docs/run.md")
}

func runCommand(args []string) int {
	var r runFlags
	flags := cli.NewFlags("run", "[FLAGS] PROGRAM [ARGUMENTS]", runText)
	r.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	if flags.NArg() == 0 && r.batch == "" {
		return cli.Failf("run what? ./capos run [FLAGS] PROGRAM [ARGUMENTS]; the first " +
			"thing to try is ./capos run examples/hello")
	}
	l, err := r.prepare(flags.Args())
	if err != nil {
		return cli.Fail(err)
	}
	if r.batch != "" {
		return runBatchFile(l.root, l.config, &r.machineFlags, r.batch)
	}
	return l.run()
}

// prepare builds the kernel and gives the machine and, unless there is a batch, the program.
func (r *runFlags) prepare(args []string) (*launch, error) {
	root, err := repo.Root()
	if err != nil {
		return nil, err
	}
	if !r.dryRun {
		if err := repo.Make(root, repo.KernelGoal(r.kernel)); err != nil {
			return nil, err
		}
	}
	l := &launch{root: root, flags: &r.machineFlags}
	if l.config, err = r.config(root); err != nil {
		return nil, err
	}
	switch {
	case r.batch == "":
		err = l.prepareRun(r, args)
	case l.config.Seed != nil:
		err = fmt.Errorf("--seed does not go with --batch")
	}
	return l, err
}

// prepareRun fills in the program and what it sees.
func (l *launch) prepareRun(r *runFlags, args []string) error {
	elf, err := program.Find(l.root, args[0])
	if err != nil {
		return err
	}
	l.host = elf
	dir := r.dir
	if dir == "" {
		if dir, err = os.Getwd(); err != nil {
			return err
		}
	}
	dir = path.Clean("/" + dir)
	l.tree = bootimage.NewTree()
	for _, d := range []string{dir, "/tmp", bootimage.Home} {
		if err := l.tree.AddDir(d); err != nil {
			return err
		}
	}
	for _, text := range r.files {
		if err := addFiles(l.tree, text, dir); err != nil {
			return err
		}
	}
	l.exports = &exports{}
	for _, text := range r.out {
		if err := l.exports.addFlag(text, dir); err != nil {
			return err
		}
	}
	name := "/bin/" + program.Name(args[0])
	if err := l.tree.AddHostFile(elf, name); err != nil {
		return err
	}
	if err := addZones(l.tree, elf); err != nil {
		return err
	}
	env := []string{"PATH=/bin", "HOME=" + bootimage.Home, "TMPDIR=/tmp", "PWD=" + dir}
	env = append(append(env, l.exports.env()...), r.environment()...)
	l.program = bootimage.Program{Path: name, Args: append([]string{name}, args[1:]...),
		Env: bootimage.LastWins(env)}
	return nil
}

// environment is what -e asks for. A name alone passes the host's value on, where there is one.
func (r *runFlags) environment() (env []string) {
	for _, entry := range r.env {
		if !strings.Contains(entry, "=") {
			value, there := os.LookupEnv(entry)
			if !there {
				continue
			}
			entry += "=" + value
		}
		env = append(env, entry)
	}
	return env
}

func addFiles(tree *bootimage.Tree, text, guestDir string) error {
	host, guest, both := strings.Cut(text, ":")
	if host == "" || both && guest == "" {
		return fmt.Errorf("%q is not of the form HOST[:GUEST]", text)
	}
	if !both {
		guest = host
	}
	if !path.IsAbs(guest) {
		guest = path.Join(guestDir, guest)
	}
	return tree.AddHostTree(host, guest, nil)
}
