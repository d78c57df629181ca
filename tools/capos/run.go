package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"strings"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

type runFlags struct {
	machineFlags
	env, files, out cli.List
	dir             string
	manifest, learn bool
	initLog, steps  bool
}

func (r *runFlags) register(fs *flag.FlagSet) {
	r.machineFlags.register(fs, defaultMemory)
	fs.Var(&r.env, "e", "")
	fs.Var(cli.Checked{List: &r.files, Check: cli.Pair}, "files", "")
	fs.Var(cli.Checked{List: &r.out, Check: cli.Pair}, "o", "")
	fs.Var(cli.Checked{List: &r.out, Check: cli.Pair}, "export", "")
	fs.StringVar(&r.dir, "w", "", "")
}

// registerRun adds what only ./capos run has.
func (r *runFlags) registerRun(fs *flag.FlagSet) {
	r.register(fs)
	fs.BoolVar(&r.manifest, "manifest", false, "")
	fs.BoolVar(&r.learn, "learn", false, "")
	fs.BoolVar(&r.initLog, "init-log", false, "")
	fs.BoolVar(&r.steps, "steps", false, "")
}

func runCommand(args []string) int {
	var r runFlags
	flags := cli.NewFlags("run")
	r.registerRun(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	if flags.NArg() == 0 && r.batch == "" {
		return cli.Failf("run what? ./capos run [FLAGS] PROGRAM [ARGUMENTS]; the first " +
			"thing to try is ./capos run examples/hello")
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Fail(err)
	}
	if r.manifest && flags.NArg() > 0 {
		return r.printManifest(flags.Args())
	}
	config, err := r.config(root)
	if err == nil && r.learn {
		err = r.checkLearn(flags.Args())
	}
	if err == nil && r.steps && (r.seed == "" || r.learn || r.dryRun) {
		err = errors.New("--steps goes with --seed, and not with --learn or --dry-run")
	}
	if err != nil {
		return cli.Wrong("run", err)
	}
	l, err := r.prepare(root, config, flags.Args())
	if err != nil {
		return cli.Fail(err)
	}
	if r.learn {
		return l.learn(&r, flags.Args())
	}
	if r.steps {
		return l.runSteps()
	}
	if r.batch != "" {
		return runBatchFile(l.root, l.config, &r.machineFlags, r.batch)
	}
	return l.run()
}

// prepare builds the kernel and, unless there is a batch, the program.
func (r *runFlags) prepare(root string, config *machine.Config, args []string) (*launch, error) {
	if !r.dryRun {
		if err := repo.Make(root, repo.KernelGoal(r.kernel)); err != nil {
			return nil, err
		}
	}
	r.accelerate(config)
	l := &launch{root: root, flags: &r.machineFlags, config: config}
	if r.batch != "" {
		return l, nil
	}
	err := l.prepareRun(r, args)
	config.KernelParameters = append(config.KernelParameters, l.parameters...)
	return l, err
}

// prepareRun fills in the program, or the system, and what it sees.
func (l *launch) prepareRun(r *runFlags, args []string) error {
	dir, err := r.workingDir()
	if err != nil {
		return err
	}
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
	l.exports = &exports{tree: l.tree}
	if isManifest(args[0]) {
		return l.prepareSystem(r, dir, args)
	}
	if r.initLog {
		return errors.New("--init-log is for the manifest of a system; one program runs " +
			"without init")
	}
	return l.prepareProgram(r, dir, args)
}

// prepareProgram fills in one program.
func (l *launch) prepareProgram(r *runFlags, dir string, args []string) error {
	elf, err := program.Find(l.root, args[0])
	if err != nil {
		return err
	}
	l.host = elf
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
	env := append(append(plainEnv(dir), l.exports.env()...), r.environment()...)
	l.program = bootimage.Program{Path: name, Args: append([]string{name}, args[1:]...),
		Env: bootimage.LastWins(env), CommittedLimit: r.limits.memory,
		Counts: r.limits.counts}
	return nil
}

// plainEnv is what the environment of every program begins with.
func plainEnv(dir string) []string {
	return []string{"PATH=/bin", "HOME=" + bootimage.Home, "TMPDIR=/tmp", "PWD=" + dir}
}

// workingDir is the program's: the name of the current directory, or what -w says from there.
func (r *runFlags) workingDir() (string, error) {
	if path.IsAbs(r.dir) {
		return path.Clean(r.dir), nil
	}
	here, err := os.Getwd()
	return path.Join(here, r.dir), err
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

// addFiles adds what --files names, and says what of it cannot be in a tree.
func addFiles(tree *bootimage.Tree, text, guestDir string) error {
	host, guest, both := strings.Cut(text, ":")
	if !both {
		guest = host
	}
	if !path.IsAbs(guest) {
		guest = path.Join(guestDir, guest)
	}
	left := tree.LeftOut
	tree.LeftOut = func(name, kind string) {
		fmt.Fprintf(os.Stderr, "capos: --files %s leaves out %s: it is %s\n", text, name,
			kind)
	}
	defer func() { tree.LeftOut = left }()
	return tree.AddHostTree(host, guest, nil)
}
