package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/cli"
)

// scriptTools are what the script ./capos needs of a host to answer. None is among what it
// installs.
var scriptTools = []string{"sh", "cat", "cut", "dirname", "find", "flock", "getent", "grep", "head",
	"id", "mkdir", "printf", "readlink", "sed", "uname"}

// scriptCase is a command line on a host where nothing has been installed or built.
type scriptCase struct {
	name   string
	args   []string
	status int
	stdout string   // exactly
	inErr  []string // with a line on standard error for all
}

func scriptCases() []scriptCase {
	cases := []scriptCase{
		{name: "overview", args: []string{"help"}, stdout: cli.Help("capos")},
		{name: "overview-alone", stdout: cli.Help("capos")},
		{name: "help-before-flags", args: []string{"run", "-m", "64M", "--help", "x"},
			stdout: cli.Help("run")},
		{name: "list", args: []string{"test", "--list"}, status: 125,
			inErr: []string{"./capos doctor builds them"}},
		{name: "unknown-command", args: []string{"fly"}, status: 125,
			inErr: []string{`no command "fly"`, "./capos help"}},
		{name: "unknown-flag", args: []string{"run", "-m", "64M", "--high", "x"},
			status: 125, inErr: []string{"high", "./capos run --help"}},
		{name: "unknown-test-flag", args: []string{"test", "--onyl", "x"}, status: 125,
			inErr: []string{"onyl", "./capos test --help"}},
		{name: "no-install", args: []string{"--no-install", "run", "examples/hello"},
			status: 125,
			inErr:  []string{"missing", "make", "qemu-system-x86", "clang-19"}},
		{name: "no-install-flag", args: []string{"test", "--only", "x", "--no-install"},
			status: 125, inErr: []string{"missing", "capnproto", "spin"}},
	}
	for _, command := range []string{"run", "replay", "image", "test", "status", "doctor",
		"exec", "go", "cc"} {
		cases = append(cases, scriptCase{name: command, args: []string{command, "--help"},
			stdout: cli.Help(command)})
	}
	return cases
}

// scriptChecks run a copy of ./capos that has no tool yet, with no package there and an apt-get
// that must not be called.
func (s *suite) scriptChecks(ctx context.Context, scratch string) (checks []check) {
	root := filepath.Join(scratch, "clone")
	if err := s.makeClone(root); err != nil {
		return single("clone", err, "")
	}
	for _, c := range scriptCases() {
		checks = append(checks, single("unbuilt-"+c.name, c.run(ctx, root), "")...)
	}
	return checks
}

func (s *suite) makeClone(root string) error {
	help := filepath.Join("tools", "internal", "cli", "help")
	script, err := os.ReadFile(filepath.Join(s.root, "capos"))
	bin := filepath.Join(root, "bin")
	err = errors.Join(err, os.MkdirAll(bin, 0o755),
		os.Mkdir(filepath.Join(root, "home"), 0o755),
		os.CopyFS(filepath.Join(root, help), os.DirFS(filepath.Join(s.root, help))),
		os.WriteFile(filepath.Join(root, "capos"), script, 0o755),
		os.WriteFile(filepath.Join(bin, "apt-get"),
			[]byte("#!/bin/sh\necho \"$@\" >>\"$0.called\"\nexit 1\n"), 0o755))
	for _, name := range scriptTools {
		for _, dir := range []string{"/bin", "/usr/bin"} {
			if program := filepath.Join(dir, name); err == nil && exists(program) {
				err = os.Symlink(program, filepath.Join(bin, name))
				break
			}
		}
	}
	return err
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// run returns what was wrong.
func (c *scriptCase) run(ctx context.Context, root string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	bin := filepath.Join(root, "bin")
	var stdout, stderr strings.Builder
	cmd := hostCommand(ctx, root, filepath.Join(root, "capos"), c.args...)
	cmd.Env = []string{"PATH=" + bin, "HOME=" + filepath.Join(root, "home")}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	said := fmt.Sprintf("%q on standard output, %q on standard error", stdout.String(),
		stderr.String())
	switch status := cmd.ProcessState.ExitCode(); {
	case status != c.status:
		return fmt.Errorf("status %d, expected %d; %s", status, c.status, said)
	case stdout.String() != c.stdout:
		return fmt.Errorf("not what was expected: %s", said)
	case len(c.inErr) > 0 != (strings.Count(stderr.String(), "\n") == 1):
		return fmt.Errorf("not one line for an error, or some for none: %s", said)
	case exists(filepath.Join(bin, "apt-get.called")):
		return errors.New("it calls apt-get")
	case exists(filepath.Join(root, "build", "tools", "capos")):
		return errors.New("it builds the tool")
	}
	for _, text := range c.inErr {
		if !strings.Contains(stderr.String(), text) {
			return fmt.Errorf("standard error lacks %q: %s", text, said)
		}
	}
	return nil
}
