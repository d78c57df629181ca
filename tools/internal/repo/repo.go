// Package repo knows where things are: the repository this tool was built from, what is built in
// it, the cache directory, the ported Go toolchain; and it has them built when they are not.
package repo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// UnnamedFile makes a temporary file without a name, in dir or, when that is "", where such files
// go. It goes away with the last process that has it open, however that one ends.
func UnnamedFile(dir, pattern string) (*os.File, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Command is how the command was called, for lines that can be used again in the same directory.
func Command() string { return cmp.Or(os.Getenv("CAPOS_COMMAND"), "./capos") }

// Root gives the repository's directory: CAPOS_ROOT, or where this tool lies, which is build/tools.
func Root() (string, error) {
	root := os.Getenv("CAPOS_ROOT")
	if root == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		if self, err = filepath.EvalSymlinks(self); err != nil {
			return "", err
		}
		root = filepath.Dir(filepath.Dir(filepath.Dir(self)))
	}
	if _, err := os.Stat(filepath.Join(root, "abi", "schema")); err != nil {
		return "",
			fmt.Errorf("%s is not the capOS repository; start this tool as ./capos "+
				"there", root)
	}
	return root, nil
}

// CacheDir gives the project's cache directory, which exists afterwards.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "",
			errors.New("neither HOME nor XDG_CACHE_HOME is set: set one, it is where " +
				"the Go toolchain is kept")
	}
	dir := filepath.Join(base, "capos")
	return dir, os.MkdirAll(dir, 0o755)
}

// kernels are the variants that kernel.mk builds.
var kernels = []string{"release", "debug", "explore", "race"}

// CheckKernel finds a name that no variant of the kernel has.
func CheckKernel(variant string) error {
	if !slices.Contains(kernels, variant) {
		return fmt.Errorf("no kernel %q; there are %s", variant,
			strings.Join(kernels, ", "))
	}
	return nil
}

// Kernel gives the path of a variant of the kernel.
func Kernel(root, variant string) string {
	return filepath.Join(root, "build", KernelGoal(variant), "capos.elf")
}

// KernelGoal is the make goal that builds that kernel.
func KernelGoal(variant string) string {
	if variant == "release" || variant == "" {
		return "kernel"
	}
	return "kernel-" + variant
}

// Make builds goals of the root Makefile. What make prints goes to standard error: standard output
// is the program's.
func Make(root string, goals ...string) error {
	unlock, err := lockBuild(root)
	if err != nil {
		return err
	}
	defer unlock()
	args := append([]string{"--no-print-directory", "-s", "-j", strconv.Itoa(runtime.NumCPU()),
		"-C", root}, goals...)
	// A make that started this tool must not pass its own flags and job slots on.
	return runQuietly("building "+strings.Join(goals, " and "), exec.Command("make", args...),
		"MAKEFLAGS", "MAKELEVEL", "MFLAGS")
}

// lockBuild keeps two of these tools from building in the same directory at once.
func lockBuild(root string) (unlock func(), err error) {
	name := filepath.Join(root, "build", ".make-lock")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// quietTime is how long something may take before it is said that it is going on.
const quietTime = 700 * time.Millisecond

// Progress says on standard error what is going on when it takes longer than a moment. Calling the
// returned function ends it.
func Progress(what string) (done func()) {
	start := time.Now()
	timer := time.AfterFunc(quietTime, func() {
		fmt.Fprintf(os.Stderr, "capos: %s ...\n",
			what)
	})
	return func() {
		if !timer.Stop() {
			fmt.Fprintf(os.Stderr, "capos: %s took %.1f s\n", what,
				time.Since(start).Seconds())
		}
	}
}

// runQuietly runs a command with its output on standard error, without the named variables in its
// environment.
func runQuietly(what string, cmd *exec.Cmd, unset ...string) error {
	defer Progress(what)()
	cmd.Env = Without(os.Environ(), unset...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s failed: %w", what, err)
	}
	return nil
}

// Without gives an environment less some variables.
func Without(env []string, names ...string) []string {
	var kept []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		drop := false
		for _, n := range names {
			drop = drop || n == name
		}
		if !drop {
			kept = append(kept, entry)
		}
	}
	return kept
}

// GoRoot gives the ported toolchain's GOROOT, building it first when it is missing or out of date.
// The program that builds it shows its own progress. release "" is the one that the port is made
// with.
func GoRoot(root, release string) (string, error) {
	args := []string{"path"}
	if release != "" {
		args = append(args, "-base", release)
	}
	return goRoot(root, args)
}

// ExploreRoot gives the GOROOT of explore builds in the same way.
func ExploreRoot(root string) (string, error) {
	return goRoot(root, []string{"path", "-explore"})
}

func goRoot(root string, args []string) (string, error) {
	cmd := exec.Command(filepath.Join(root, "build", "tools", "goport"), args...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "",
			fmt.Errorf("the Go toolchain for capOS could not be built (goport path: "+
				"%w)", err)
	}
	dir := string(bytes.TrimSpace(out))
	if _, err := os.Stat(filepath.Join(dir, "bin", "go")); err != nil {
		return "", fmt.Errorf("goport path names %q, which has no bin/go", dir)
	}
	return dir, nil
}

const (
	// WrapperName is the name under which the go command runs this tool for foreign binaries.
	WrapperName = "go_capos_amd64_exec"

	// RunFlagsVar holds machine flags for programs started by the go command.
	RunFlagsVar = "CAPOS_RUN_FLAGS"

	// StrictVar makes ./capos exec fail when the kernel reports a leak.
	StrictVar = "CAPOS_STRICT"
)

// WrapperDir is the directory with go_capos_amd64_exec, which the go command looks for on PATH.
func WrapperDir(root string) string { return filepath.Join(root, "build", "tools", "bin") }

// GoEnv gives the environment in which the ported go command builds for capOS and runs what it
// builds.
func GoEnv(root, goroot, cache string) []string {
	env := Without(os.Environ(), "GOROOT", "GOOS", "GOARCH", "GOTOOLCHAIN", "GOCACHE", "PATH",
		"CGO_ENABLED", "CAPOS_ROOT", "MAKEFLAGS")
	return append(env, "GOROOT="+goroot, "GOOS=capos", "GOARCH=amd64", "GOTOOLCHAIN=local",
		"CGO_ENABLED=0", "CAPOS_ROOT="+root,
		"GOCACHE="+filepath.Join(cache, "go-build-capos"),
		"PATH="+WrapperDir(root)+string(os.PathListSeparator)+filepath.Join(goroot,
			"bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
}
