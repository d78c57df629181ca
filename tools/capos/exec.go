package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/guestelf"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

type execFlags struct{ machineFlags }

func (e *execFlags) register(fs *flag.FlagSet) {
	e.machineFlags.register(fs, machine.GoMemory)
}

func execCommand(args []string) int {
	var e execFlags
	flags := cli.NewFlags("exec")
	e.register(flags)
	if status, ok := cli.Parse(flags, append(strings.Fields(os.Getenv(repo.RunFlagsVar)),
		args...)); !ok {
		return status
	}
	if flags.NArg() == 0 && e.batch == "" {
		return cli.Failf("exec what? ./capos exec PROGRAM [ARGUMENTS]")
	}
	e.quiet = true
	root, err := repo.Root()
	if err != nil {
		return cli.Fail(err)
	}
	config, err := e.config(root)
	if err != nil {
		return cli.Wrong("exec", err)
	}
	e.accelerate(config)
	if e.batch != "" {
		return runBatchFile(root, config, &e.machineFlags, e.batch)
	}
	l := &launch{root: root, config: config, flags: &e.machineFlags}
	if err := l.prepareExec(flags.Args()); err != nil {
		return cli.Fail(err)
	}
	return l.run()
}

func (l *launch) prepareExec(args []string) error {
	elf, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	if _, err := guestelf.Check(elf); errors.Is(err, fs.ErrNotExist) {
		return cli.WithStatus(report.StatusNotFound, err)
	} else if err != nil {
		return cli.WithStatus(report.StatusNotProgram, err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	goroot, test := os.Getenv("GOROOT"), isTest(elf, args[1:])
	l.host, l.exports = elf, &exports{}
	err = l.makeTree(dir, goroot, test)
	if err == nil && test {
		err = l.addModule(dir, goroot)
	}
	if err != nil {
		return err
	}
	inside := func(name string) string { return name }
	if l.config.Seed != nil {
		inside = withoutNumber
		l.counted = test
	}
	if err := l.tree.AddHostFile(elf, inside(elf)); err != nil {
		return err
	}
	for _, output := range testOutputs(args[1:], dir) {
		l.exports.add(inside(output.path), output.path, output.dir)
	}
	if cover := os.Getenv("GOCOVERDIR"); cover != "" {
		if cover, err = filepath.Abs(cover); err != nil {
			return err
		}
		l.exports.add(cover, cover, true)
	}
	env := append(execEnv(os.Environ()), "HOME="+bootimage.Home, "TMPDIR=/tmp", "PWD="+dir)
	words := append([]string{elf}, args[1:]...)
	for i, word := range words {
		words[i] = inside(word)
	}
	l.program = bootimage.Program{Path: words[0], Args: words,
		Env:            bootimage.LastWins(append(env, l.exports.env()...)),
		CommittedLimit: l.flags.limits.memory, Counts: l.flags.limits.counts}
	return nil
}

// makeTree collects what a program built by the go command sees. A test has the time zones from its
// GOROOT.
func (l *launch) makeTree(dir, goroot string, test bool) (err error) {
	if l.tree, err = goTree(l.root, dir, goroot, test); err != nil || test {
		return err
	}
	return addZones(l.tree, l.host)
}

// goBuildNumber is what the go command puts behind the name of each of its temporary directories.
var goBuildNumber = regexp.MustCompile(`/go-build[0-9]+/`)

// withoutNumber gives a path below such a directory that is the same for every run of the command.
func withoutNumber(name string) string {
	return goBuildNumber.ReplaceAllString(name, "/go-build/")
}

// isTest tells a test binary from a program: go test names its binaries so and always passes flags
// for package testing.
func isTest(elf string, args []string) bool {
	if strings.HasSuffix(elf, ".test") {
		return true
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "-test.") {
			return true
		}
	}
	return false
}

// hostOnly are variables that mean something only to this host's loader, desktop, build or file
// system.
var hostOnly = []string{"LD_", "DISPLAY=", "WAYLAND_", "XDG_", "DBUS_", "SSH_", "MAKE", "MFLAGS=",
	"CAPOS_", "GOTMPDIR=", "OLDPWD=", "_="}

func execEnv(host []string) []string {
	var env []string
	for _, entry := range host {
		drop := false
		for _, prefix := range hostOnly {
			drop = drop || strings.HasPrefix(entry, prefix)
		}
		if !drop {
			env = append(env, entry)
		}
	}
	return env
}

// outputFlags are the flags of package testing that name a file to be written.
var outputFlags = []string{"cpuprofile", "memprofile", "blockprofile", "mutexprofile", "trace",
	"coverprofile", "testlogfile"}

type testOutput struct {
	path string
	dir  bool
}

// testOutputs lists what the test binary will be writing outside of its temporary directory.
func testOutputs(args []string, dir string) (outputs []testOutput) {
	values := map[string]string{}
	for _, arg := range args {
		name, value, found := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if name, is := strings.CutPrefix(name, "test."); is && found {
			values[name] = value
		}
	}
	base := dir
	if values["outputdir"] != "" {
		base = absolute(values["outputdir"], dir)
	}
	for _, name := range outputFlags {
		if values[name] != "" {
			outputs = append(outputs, testOutput{absolute(values[name], base), false})
		}
	}
	if values["gocoverdir"] != "" {
		outputs = append(outputs, testOutput{absolute(values["gocoverdir"], dir), true})
	}
	if values["artifacts"] == "true" {
		outputs = append(outputs, testOutput{filepath.Join(base, "_artifacts"), true})
	}
	return outputs
}

func absolute(name, dir string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

// A program started by go run sees its working directory's files, and a test those of its module,
// only when they are few. The directory may be anything, a home directory too. That of a module is
// a module's, so it may have more, up to an eighth of the memory that the machine has by default.
var (
	fewInDirectory = fileLimits{entries: 4000, bytes: 32 << 20}
	fewInModule    = fileLimits{entries: 16000, bytes: 128 << 20}
)

type fileLimits struct {
	entries int
	bytes   int64
}

// goTree collects the files that a program started by the go command may expect: for a test its
// package directory with everything below, the go.mod files and testdata directories above it, and
// what go/tests/trees.txt names for packages of the standard library.
func goTree(root, dir, goroot string, test bool) (*bootimage.Tree, error) {
	tree := bootimage.NewTree()
	for _, d := range []string{dir, "/tmp", bootimage.Home} {
		if err := tree.AddDir(d); err != nil {
			return nil, err
		}
	}
	if !test {
		return tree, addWorkingDir(tree, dir)
	}
	if err := tree.AddHostTree(dir, dir, keptByExplore); err != nil {
		return nil, err
	}
	standard, pkg := standardPackage(dir, goroot)
	if err := addParents(tree, dir, standard); err != nil || goroot == "" {
		return tree, err
	}
	return tree, addGoroot(tree, root, goroot, pkg)
}

// standardPackage gives the directory of the standard library, and the package of it that is in
// dir; "" for another.
func standardPackage(dir, goroot string) (standard, pkg string) {
	if goroot == "" {
		return "", ""
	}
	standard = filepath.Join(goroot, "src")
	if rel, inside := strings.CutPrefix(dir, standard+"/"); inside {
		pkg = rel
	}
	return standard, pkg
}

// addModule gives a test the rest of its module too when that is little, and lets it write there,
// as on the host. What it writes ends with it. The standard library's own tests write nothing
// beside themselves. ./capos explore gives its tests none of this, because their seeds mean the
// same for as long as nothing that they are given changes.
func (l *launch) addModule(dir, goroot string) error {
	if _, pkg := standardPackage(dir, goroot); pkg != "" {
		return nil
	}
	module := moduleRoot(dir)
	if module == "" {
		l.exports.writable = []string{dir}
		return nil
	}
	l.exports.writable = []string{module}
	if !fewInModule.hold(module) {
		return nil
	}
	return l.tree.AddHostTree(module, module, keptByExplore)
}

// keptByExplore is for what ./capos explore keeps, which is no input of the tests, or a seed would
// change with it.
func keptByExplore(rel string, _ fs.DirEntry) bool {
	return rel == explore.FileDir || strings.HasSuffix(rel, "/"+explore.FileDir)
}

// moduleRoot gives the nearest directory with a go.mod, dir itself or above; "" without one.
func moduleRoot(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// hold is whether the files of a directory are few, and all can be read.
func (few fileLimits) hold(dir string) bool {
	entries, size := 0, int64(0)
	tooMuch := errors.New("too much")
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
			if !readable(file) {
				return tooMuch
			}
		}
		if entries++; entries > few.entries || size > few.bytes {
			return tooMuch
		}
		return nil
	})
	return err == nil
}

// addWorkingDir adds all of the directory if it is small, and otherwise its plain files of moderate
// size.
func addWorkingDir(tree *bootimage.Tree, dir string) error {
	if fewInDirectory.hold(dir) {
		return tree.AddHostTree(dir, dir, nil)
	}
	left := fewInDirectory.bytes
	return tree.AddHostTree(dir, dir, func(rel string, d fs.DirEntry) bool {
		info, err := d.Info()
		if err != nil || d.IsDir() || info.Size() > left ||
			!readable(filepath.Join(dir, rel)) {
			return true
		}
		left -= info.Size()
		return false
	})
}

func readable(name string) bool {
	f, err := os.Open(name)
	if err == nil {
		f.Close()
	}
	return err == nil
}

// addParents adds go.mod, go.sum, go.work and testdata of the directories above, up to the module's
// root or, in the standard library, to GOROOT/src.
func addParents(tree *bootimage.Tree, dir, standard string) error {
	for parent := dir; ; parent = filepath.Dir(parent) {
		module := false
		for _, name := range []string{"go.mod", "go.sum", "go.work", "testdata"} {
			file := filepath.Join(parent, name)
			if _, err := os.Stat(file); err != nil || parent == dir {
				module = module || err == nil && name == "go.mod"
				continue
			}
			module = module || name == "go.mod"
			kept := func(rel string, d fs.DirEntry) bool {
				return keptByExplore(filepath.Join(name, rel), d)
			}
			if err := tree.AddHostTree(file, file, kept); err != nil {
				return err
			}
		}
		if module || parent == standard || parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// addGoroot adds the time zones, which any program may ask for, and what is listed for this
// package.
func addGoroot(tree *bootimage.Tree, root, goroot, pkg string) error {
	paths, err := extraPaths(filepath.Join(root, "go", "tests", "trees.txt"), pkg)
	if err != nil {
		return err
	}
	for _, name := range append(paths, "lib/time/zoneinfo.zip", "VERSION") {
		if filepath.IsAbs(name) {
			if err := tree.AddDir(name); err != nil {
				return err
			}
			continue
		}
		file := filepath.Join(goroot, filepath.FromSlash(name))
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			// another Go release may lack it; the test that wants it will say so
			continue
		}
		if err := tree.AddHostTree(file, file, nil); err != nil {
			return err
		}
	}
	return nil
}

// extraPaths reads lines "PACKAGE PATH..." from a data file: names below GOROOT, and absolute names
// of empty directories.
func extraPaths(file, pkg string) ([]string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || pkg == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 1 && words[0] == pkg {
			paths = append(paths, words[1:]...)
		}
	}
	for _, p := range paths {
		if !filepath.IsLocal(p) && !filepath.IsAbs(p) {
			return nil, fmt.Errorf("%s: %s is neither below GOROOT nor absolute", file,
				p)
		}
	}
	return paths, nil
}
