// Package program finds the ELF file for what a person names, and builds it when that is source.
package program

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/guestelf"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

// Name gives what a program is called in the machine: its file's or directory's name without a
// suffix for sources. A Go command of a module has the name that go install gives it.
func Name(given string) string {
	if path, _, ok := moduleVersion(given); ok {
		return moduleName(path)
	}
	name := filepath.Base(given)
	if name == "." || name == ".." {
		if abs, err := filepath.Abs(given); err == nil {
			name = filepath.Base(abs)
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".go"), ".c")
}

// Find gives the ELF file for what was named, building it when it is source.
func Find(root, given string) (string, error) { return find(root, given, false) }

// FindFailing is Find for a service that is made to fail: a directory is built with the agent of
// services/faults. What is already built is taken as it is.
func FindFailing(root, given string) (string, error) { return find(root, given, true) }

// agentFile is the agent's source in C, or in Go.
func agentFile(root, suffix string) string {
	return filepath.Join(root, "services", "faults", "agent", "agent"+suffix)
}

func find(root, given string, agent bool) (string, error) {
	info, err := os.Stat(given)
	if path, version, ok := moduleVersion(given); ok && err != nil {
		return buildModule(root, path, version)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", cli.WithStatus(report.StatusNotFound,
			fmt.Errorf("there is no file or directory %s", given))
	}
	if err != nil {
		return "", cli.WithStatus(report.StatusNotProgram, err)
	}
	elf := given
	switch suffix := filepath.Ext(given); {
	case info.IsDir():
		elf, err = buildDirectory(root, given, agent)
	case guestelf.IsELF(given): // whatever it is called
	case suffix == ".go":
		elf, err = BuildGo(root, filepath.Dir(given), filepath.Base(given))
	case suffix == ".c":
		elf, err = buildC(root, given, false, given)
	}
	if err != nil {
		return "", err
	}
	if _, err := guestelf.Check(elf); err != nil {
		return "", cli.WithStatus(report.StatusNotProgram, err)
	}
	return elf, nil
}

// agentSuffix tells a program with the agent from the one without it.
const agentSuffix = "-agent"

// outputFor names the file that a source is built to; sources of the same name in different places
// must not collide.
func outputFor(root, source string) (string, error) {
	abs, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "build", "run")
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(dir, fmt.Sprintf("%s-%x", Name(abs), sum[:4])),
		os.MkdirAll(dir, 0o755)
}

// buildDirectory builds a directory with a Go command, or else the C program that all its .c files
// make.
func buildDirectory(root, dir string, agent bool) (string, error) {
	if sources, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(sources) > 0 {
		return buildGo(root, dir, ".", agent)
	}
	sources, _ := filepath.Glob(filepath.Join(dir, "*.c"))
	if len(sources) == 0 {
		return "", cli.WithStatus(report.StatusNotProgram,
			fmt.Errorf("%s has neither Go nor C files", dir))
	}
	return buildC(root, dir, agent, sources...)
}

// overlayAgent writes the file by which the go command takes the agent for a source of dir.
func overlayAgent(root, dir, output string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(dir, "zz_fault_agent.go"): agentFile(root, ".go")}})
	if err != nil {
		return "", err
	}
	file := output + ".overlay.json"
	return file, os.WriteFile(file, text, 0o644)
}

// BuildGo builds what is named of a directory: "." or one file.
func BuildGo(root, dir, what string) (string, error) { return buildGo(root, dir, what, false) }

func buildGo(root, dir, what string, agent bool) (string, error) {
	output, err := outputFor(root, filepath.Join(dir, what))
	if err != nil {
		return "", err
	}
	args := []string{"build", "-o", output, what}
	if agent {
		output += agentSuffix
		overlay, err := overlayAgent(root, dir, output)
		if err != nil {
			return "", err
		}
		args = []string{"build", "-overlay", overlay, "-o", output, what}
	}
	goroot, env, err := GoEnvironment(root)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(goroot, "bin", "go"), args...)
	cmd.Dir, cmd.Env = dir, env
	if abs, err := filepath.Abs(dir); err == nil && strings.HasPrefix(abs, root+"/") {
		// a module of this repository need not be in its go.work
		cmd.Env = append(cmd.Env, "GOWORK=off")
	}
	if err := runBuild("building "+filepath.Join(dir, what)+" for capOS", cmd); err != nil {
		return "", err
	}
	return output, checkMain(cmd, filepath.Join(dir, what), output)
}

// checkMain tells a program from a library, which the go command builds without a word. Only what
// is no program is asked for its name.
func checkMain(build *exec.Cmd, what, output string) error {
	if guestelf.IsELF(output) {
		return nil
	}
	list := exec.Command(build.Path, "list", "-f", "{{.Name}}", build.Args[len(build.Args)-1])
	list.Dir, list.Env = build.Dir, build.Env
	name, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list %s: %w", what, err)
	}
	os.Remove(output)
	return cli.WithStatus(report.StatusNotProgram, fmt.Errorf(
		"%s is not package main but package %s: a library, which cannot be run", what,
		strings.TrimSpace(string(name))))
}

func buildC(root, what string, agent bool, sources ...string) (string, error) {
	output, err := outputFor(root, what)
	if err != nil {
		return "", err
	}
	if agent {
		output += agentSuffix
		return output, exploredC(root, what, output, append(sources, agentFile(root, ".c")))
	}
	if err := repo.Make(root, "lib"); err != nil {
		return "", err
	}
	return output, compileC(root, what, output, "lib", sources)
}

// exploredC compiles with the libraries whose calls let the kernel's choices in, and with atomic
// operations that do.
func exploredC(root, what, output string, sources []string, flags ...string) error {
	if err := repo.Make(root, "lib-explore"); err != nil {
		return err
	}
	return compileC(root, what, output, "lib-explore", sources,
		append(flags, "-include", "capos/explore.h")...)
}

// compileC compiles with headers of the schemas beside the first source, and links with the
// libraries in build/LIB.
func compileC(root, what, output, lib string, sources []string, flags ...string) error {
	include, err := headersOf(root, filepath.Dir(sources[0]), output)
	if err != nil {
		return err
	}
	if include != "" {
		flags = append(flags, "-I", include)
	}
	cmd := exec.Command(CCompiler(root),
		slices.Concat(flags, sources, []string{"-o", output})...)
	cmd.Env = append(os.Environ(), "CAPOS_LIB="+lib)
	return runBuild("compiling "+what, cmd)
}

// BuildExploredC builds a C program, a file or a directory, to be explored.
func BuildExploredC(root, what string) (string, error) {
	output, err := outputFor(root, what)
	if err != nil {
		return "", err
	}
	// A program is known by its digest, and its debug information has the names of the sources
	// as they are given here and the directory where the compiler runs.
	path, err := filepath.Abs(what)
	if err != nil {
		return "", err
	}
	sources := []string{path}
	if filepath.Ext(path) != ".c" {
		sources, _ = filepath.Glob(filepath.Join(path, "*.c"))
	}
	output += ".explore"
	return output, exploredC(root, what+" for exploring", output, sources,
		"-ffile-compilation-dir="+filepath.Dir(sources[0]),
		"-I", filepath.Join(root, "build", "gen", "tests"))
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

// GoEnvironment gives the ported GOROOT and the environment to run its go command in.
func GoEnvironment(root string) (goroot string, env []string, err error) {
	cache, err := repo.CacheDir()
	if err != nil {
		return "", nil, err
	}
	if goroot, err = repo.GoRoot(root, ""); err != nil {
		return "", nil, err
	}
	return goroot, repo.GoEnv(root, goroot, cache), nil
}

// CCompiler names the compiler driver for C programs.
func CCompiler(root string) string { return filepath.Join(root, "lib", "capos", "capos-cc") }
