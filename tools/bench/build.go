package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"capos.dev/tools/internal/linuxguest"
)

// tools lists the programs and files that a comparison needs and ./capos does not install, with the
// packages of Debian that have them.
var tools = []struct{ name, debian string }{
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"gcc", "gcc"},
	{"/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"},
	{"apt-get", "apt"},
	{"apt-cache", "apt"},
	{"dpkg-deb", "dpkg"},
}

// checkTools names everything that is missing at once.
func checkTools() error {
	var missing []string
	for _, tool := range tools {
		_, err := exec.LookPath(tool.name)
		if filepath.IsAbs(tool.name) {
			_, err = os.Stat(tool.name)
		}
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s (Debian package %s)", tool.name,
				tool.debian))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("missing: %s; install with apt-get install, then try again",
		strings.Join(missing, ", "))
}

// program is the path of a built guest program.
func (s *session) program(r *run) string {
	return filepath.Join(s.out, r.system, r.file())
}

// The same for both systems. Output files follow goFlags.
var (
	cFlags  = []string{"-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror"}
	goFlags = []string{"build", "-buildvcs=false", "-trimpath", "-o"}
)

// buildCapos builds one program for capOS.
func (s *session) buildCapos(file string) error {
	capos := filepath.Join(s.root, "capos")
	target := s.program(&run{system: caposName, program: file})
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if file == rawProgram {
		arguments := append([]string{"cc"}, cFlags...)
		return s.command(nil, capos, append(arguments, filepath.Join("raw", "raw.c"), "-o",
			target)...)
	}
	arguments := append([]string{"go", "-C", file}, goFlags...)
	return s.command([]string{"GOWORK=off", "GOFLAGS="}, capos, append(arguments, target,
		".")...)
}

// buildLinux builds one program for Linux and packs it with init for the guest.
func (s *session) buildLinux(file string) error {
	r := &run{system: linuxName, program: file}
	target := s.program(r)
	init := filepath.Join(filepath.Dir(target), "init")
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	gcc := append(slices.Clone(cFlags), "-static", "-pthread", "-o")
	err := s.command(nil, "gcc", append(gcc, init, filepath.Join("linux", "init.c"))...)
	if file == rawProgram {
		err = errors.Join(err, s.command(nil, "gcc", append(gcc, target,
			filepath.Join("raw", "raw.c"))...))
	} else {
		environment := []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=",
			"GOWORK=off", "GOTOOLCHAIN=local"}
		arguments := append([]string{"-C", file}, goFlags...)
		err = errors.Join(err, s.command(environment, "go", append(arguments, target,
			".")...))
	}
	return errors.Join(err, s.writeInitialFiles(r))
}

// initialFiles is the first file system of a Linux machine that runs the program.
func (s *session) initialFiles(r *run) string {
	return s.program(&run{system: linuxName, program: r.program}) + ".cpio"
}

func (s *session) writeInitialFiles(r *run) error {
	var files bytes.Buffer
	a := linuxguest.NewArchive(&files)
	for _, name := range []string{"init", r.file()} {
		data, err := os.ReadFile(filepath.Join(s.out, linuxName, name))
		if err != nil {
			return err
		}
		a.Add(name, data)
	}
	if err := a.Close(); err != nil {
		return err
	}
	return os.WriteFile(s.initialFiles(r), files.Bytes(), 0o644)
}

// command runs a program in bench/. When the program fails, its output is the error.
func (s *session) command(environment []string, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = filepath.Join(s.root, "bench")
	c.Env = append(os.Environ(), environment...)
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", c, err, said)
	}
	return nil
}
