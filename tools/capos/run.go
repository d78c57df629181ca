package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"capos.dev/tools/capos/internal/bootpack"
	"capos.dev/tools/capos/internal/guestelf"
	"capos.dev/tools/capos/internal/repo"
	"capos.dev/tools/capos/internal/report"
)

const runText = `Boots capOS with one program and nothing else, connects it to standard input, output and error, and exits with its
status. PROGRAM is a program for capOS, a directory with a Go command or a C program, or a .go or .c file; sources are built first.
Everything after PROGRAM is its arguments. What the program sees: /bin/NAME (itself), a writable /tmp, a working directory
of the same name as here, the variables PATH, HOME, TMPDIR, PWD and those given with -e, and the files given with --files.

Exit status: the program's own (0 to 255), or
  122 the machine did not boot or has too little memory   126 PROGRAM is not a program for capOS
  123 the kernel panicked                                 127 PROGRAM was not found
  124 --timeout was reached                               125 capos itself failed
  128+n for a program ended by a fault or key: 139 bad address or protection, 136 division or floating point, 132 illegal
  instruction, 133 breakpoint, 135 misaligned access or out of memory, 130 interrupt, 131 quit, 143 terminate.`

type runFlags struct {
	machineFlags
	env, files, out list
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
	flags := newFlags("run", "[FLAGS] PROGRAM [ARGUMENTS]", runText)
	r.register(flags)
	if status, ok := parse(flags, args); !ok {
		return status
	}
	if flags.NArg() == 0 && r.batch == "" {
		return failf("run what? ./capos run [FLAGS] PROGRAM [ARGUMENTS]; the first thing " +
			"to try is ./capos run examples/hello")
	}
	root, err := repo.Root()
	if err != nil {
		return fail(err)
	}
	if !r.dryRun {
		if err := repo.Make(root, repo.KernelGoal(r.kernel)); err != nil {
			return fail(err)
		}
	}
	config, err := r.config(root)
	if err != nil {
		return fail(err)
	}
	if r.batch != "" {
		return runBatchFile(root, config, &r.machineFlags, r.batch)
	}
	l := &launch{root: root, config: config, flags: &r.machineFlags}
	if err := l.prepareRun(&r, flags.Args()); err != nil {
		return fail(err)
	}
	return l.run()
}

// prepareRun fills in the program and what it sees.
func (l *launch) prepareRun(r *runFlags, args []string) error {
	elf, err := findProgram(l.root, args[0])
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
	l.tree = bootpack.NewTree()
	for _, d := range []string{dir, "/tmp", guestHome} {
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
	name := "/bin/" + programName(args[0])
	if err := l.tree.AddHostFile(elf, name); err != nil {
		return err
	}
	if err := addZones(l.tree, elf); err != nil {
		return err
	}
	env := []string{"PATH=/bin", "HOME=" + guestHome, "TMPDIR=/tmp", "PWD=" + dir}
	env = append(env, l.exports.env()...)
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
	l.program = bootpack.Program{Path: name, Args: append([]string{name}, args[1:]...),
		Env: lastWins(env)}
	return nil
}

const guestHome = "/tmp/home"

// lastWins keeps the last value of each variable: not every program looks at a list the same way
// round.
func lastWins(env []string) []string {
	last := map[string]int{}
	for i, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		last[name] = i
	}
	var kept []string
	for i, entry := range env {
		if name, _, _ := strings.Cut(entry, "="); last[name] == i {
			kept = append(kept, entry)
		}
	}
	return kept
}

func addFiles(tree *bootpack.Tree, text, guestDir string) error {
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

func programName(given string) string {
	name := filepath.Base(given)
	if name == "." || name == ".." {
		if abs, err := filepath.Abs(given); err == nil {
			name = filepath.Base(abs)
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".go"), ".c")
}

// findProgram gives the ELF file for what was named, building it when it is source.
func findProgram(root, given string) (string, error) {
	info, err := os.Stat(given)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &statusError{report.StatusNotFound,
			fmt.Errorf("there is no file or directory %s", given)}
	}
	if err != nil {
		return "", &statusError{report.StatusNotProgram, err}
	}
	elf := given
	switch {
	case info.IsDir():
		elf, err = buildDirectory(root, given)
	case strings.HasSuffix(given, ".go"):
		elf, err = buildGo(root, filepath.Dir(given), filepath.Base(given))
	case strings.HasSuffix(given, ".c"):
		elf, err = buildC(root, given, given)
	}
	if err != nil {
		return "", err
	}
	if _, err := guestelf.Check(elf); err != nil {
		return "", &statusError{report.StatusNotProgram, err}
	}
	return elf, nil
}

// outputFor names the file that a source is built to; sources of the same name in different places
// must not collide.
func outputFor(root, source string) (string, error) {
	abs, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "build", "run")
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(dir, fmt.Sprintf("%s-%x", programName(abs), sum[:4])),
		os.MkdirAll(dir, 0o755)
}

// buildDirectory builds a directory with a Go command, or else the C program that all its .c files
// make.
func buildDirectory(root, dir string) (string, error) {
	if sources, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(sources) > 0 {
		return buildGo(root, dir, ".")
	}
	sources, _ := filepath.Glob(filepath.Join(dir, "*.c"))
	if len(sources) == 0 {
		return "", &statusError{report.StatusNotProgram,
			fmt.Errorf("%s has neither Go nor C files", dir)}
	}
	return buildC(root, dir, sources...)
}

func buildGo(root, dir, what string) (string, error) {
	output, err := outputFor(root, filepath.Join(dir, what))
	if err != nil {
		return "", err
	}
	goroot, env, err := goEnvironment(root)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(goroot, "bin", "go"), "build", "-o", output, what)
	cmd.Dir, cmd.Env = dir, env
	if abs, err := filepath.Abs(dir); err == nil && strings.HasPrefix(abs, root+"/") {
		// a module of this repository need not be in its go.work
		cmd.Env = append(cmd.Env, "GOWORK=off")
	}
	return output, runBuild("building "+filepath.Join(dir, what)+" for capOS", cmd)
}

func buildC(root, what string, sources ...string) (string, error) {
	output, err := outputFor(root, what)
	if err != nil {
		return "", err
	}
	if err := repo.Make(root, "libcapos"); err != nil {
		return "", err
	}
	cmd := exec.Command(cCompiler(root), append(sources, "-o", output)...)
	return output, runBuild("compiling "+what, cmd)
}

// runBuild runs a compiler; its messages are the explanation when it fails.
func runBuild(what string, cmd *exec.Cmd) error {
	defer repo.Progress(what)()
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s failed: %w", what, err)
	}
	return nil
}
