package suite

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"capos.dev/tools/internal/iso"
	"capos.dev/tools/internal/repo"
)

// commandChecks are about the commands beside run: that each tells what it does, and cc, image and
// doctor.
func (s *suite) commandChecks(ctx context.Context, build func(context.Context) (string,
	error)) []check {
	ctx, cancel := context.WithTimeout(ctx, 3*toolLimit)
	defer cancel()
	probe, err := build(ctx)
	if err != nil {
		return single("probe", err, "")
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	checks := append(s.helpChecks(ctx), s.scriptChecks(ctx, dir)...)
	checks = append(checks, single("doctor", s.doctorCheck(ctx), "")...)
	for _, c := range []struct{ name, variable, mark string }{{"cc", "", "clang"},
		{"cc-gcc", "CAPOS_CC=gcc", "GCC"}} {
		checks = append(checks, single(c.name, s.compilerCheck(ctx, filepath.Join(dir,
			c.name), c.variable, c.mark), "")...)
	}
	checks = append(checks, single("cc-rejects", s.compilerRejection(ctx, dir), "")...)
	checks = append(checks, single("schema", s.schemaCheck(ctx, dir), "")...)
	checks = append(checks, single("cc-missing", s.missingCompiler(ctx, dir), "")...)
	checks = append(checks, single("image-directory", s.bootFilesCheck(ctx, filepath.Join(dir,
		"image"), probe), "")...)
	return append(checks, single("default-working-directory", s.workingDirCheck(ctx, dir,
		probe), "")...)
}

func (s *suite) helpChecks(ctx context.Context) (checks []check) {
	overview, err := s.tool(ctx, "help").Output()
	for _, c := range s.commands {
		if err == nil && !bytes.Contains(overview, []byte("\n  "+c.Name+" ")) {
			err = fmt.Errorf("it does not list %s", c.Name)
		}
	}
	checks = single("help", err, string(overview))
	for _, c := range s.commands {
		text, err := s.helpOf(ctx, c.Name, c.Flags)
		checks = append(checks, single("help-"+c.Name, err, text)...)
	}
	return checks
}

var helpFlag = regexp.MustCompile(`(?m)^  --?([a-z-]+)( |$)`)

// helpOf asks a command for its help in both ways.
func (s *suite) helpOf(ctx context.Context, name string, flags []string) (text string, err error) {
	var stderr strings.Builder
	cmd := s.tool(ctx, name, "--help")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	text = string(out)
	if err != nil {
		return text, err
	}
	if !strings.HasPrefix(text, "Usage: ./capos "+name) || strings.Count(text, "\n") < 3 ||
		stderr.Len() > 0 {
		return text, fmt.Errorf("this is no help: %q", stderr.String())
	}
	for _, m := range helpFlag.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(flags, m[1]) && len(flags) > 0 {
			return text, fmt.Errorf("it explains %s, which is no flag", m[1])
		}
	}
	for _, f := range flags {
		dashes := "--"
		if len(f) == 1 {
			dashes = "-"
		}
		if !regexp.MustCompile(`(?m)^  ` + dashes + f + ` .*[a-z]`).MatchString(text) {
			return text, fmt.Errorf("it does not explain %s%s", dashes, f)
		}
	}
	if other, err := s.tool(ctx, "help", name).Output(); err != nil || string(other) != text {
		return text, fmt.Errorf("./capos help %s prints something else: %w", name, err)
	}
	return text, nil
}

func (s *suite) doctorCheck(ctx context.Context) error {
	out, err := s.tool(ctx, "doctor").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for _, want := range []string{`capOS +\S+`, `host +Linux .*, \d+ CPUs`,
		`QEMU +QEMU emulator version \d.*`, `make +GNU Make .*`, `gcc +gcc .*`,
		`clang +.*clang version 19.*`, `lld +.*LLD 19.*`,
		`capnp +Cap'n Proto version .*`, `gdb +.+`, `host Go +go version go1.*`,
		`capOS Go +go1\S+-capos\S*.*`, `kernel +\d+ KiB, built .*`, `debug kernel +.+`,
		`KVM +.+`} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).Match(out) {
			return fmt.Errorf("there is no line %s in\n%s", want, out)
		}
	}
	return nil
}

// ccProgram has what a C program for capOS stands on: the C library's start, a thread, a
// thread-local variable with an alignment of its own.
const ccProgram = `#include <stdint.h>
#include <stdio.h>
#include <capos/thread.h>

static __thread _Alignas(64) int mine = 7;

static int64_t other(void *argument)
{
	(void)argument;
	mine++;
	return mine * 2 + (uintptr_t)&mine % 64;
}

int main(int argc, char **argv)
{
	struct capos_thread *thread;
	int64_t theirs = 0;
	if (capos_thread_start(&thread, other, NULL, NULL) < 0 ||
		capos_thread_join(thread, &theirs) < 0)
		return 1;
	printf("%d arguments, the last is %s, ", argc - 1, argv[argc - 1]);
	printf("%d %d\n", mine, (int)theirs);
	return 3;
}
`

// withoutRemarks gives output less this tool's own remarks.
func withoutRemarks(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "capos: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// compilerCheck compiles in two steps, as a makefile does, and runs the program.
func (s *suite) compilerCheck(ctx context.Context, base, variable, mark string) error {
	source, object := base+".c", base+".o"
	if err := os.WriteFile(source, []byte(ccProgram), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{"-c", source, "-o", object}, {object, "-o", base}} {
		cmd := s.tool(ctx, append([]string{"cc"}, args...)...)
		cmd.Env = repo.Without(cmd.Env, "CAPOS_CC")
		if variable != "" {
			cmd.Env = append(cmd.Env, variable)
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		// On a busy host it may say that it looks after the library; the compiler has
		// nothing to say.
		if said := withoutRemarks(string(out)); said != "" {
			return fmt.Errorf("./capos cc says %q", said)
		}
	}
	file, err := elf.Open(object)
	if err != nil {
		return err
	}
	defer file.Close()
	section := file.Section(".comment")
	if section == nil {
		return errors.New("the object file does not name its compiler")
	}
	if text, err := section.Data(); err != nil || !bytes.Contains(text, []byte(mark)) {
		return fmt.Errorf("the object file is by %q, expected %s: %w", text, mark, err)
	}
	cmd := s.tool(ctx, "run", "--accel", "tcg", base, "a", "b c")
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 3 ||
		withoutRemarks(string(out)) != "2 arguments, the last is b c, 7 16\n" {
		return fmt.Errorf("status %d, output %q", status, out)
	}
	return nil
}

// missingCompiler asks for a compiler that is not installed: one sentence names it.
func (s *suite) missingCompiler(ctx context.Context, dir string) error {
	cmd := s.tool(ctx, "cc", filepath.Join(dir, "any.c"), "-o", filepath.Join(dir, "any"))
	cmd.Env = append(repo.Without(cmd.Env, "CAPOS_CC"), "CAPOS_CC=no-such-cc")
	out, err := cmd.CombinedOutput()
	if said := withoutRemarks(string(out)); err == nil || strings.Count(said, "\n") != 1 ||
		!strings.Contains(said, "there is no program no-such-cc") {
		return fmt.Errorf("a compiler that is missing: %v, %q", err, out)
	}
	return nil
}

func (s *suite) compilerRejection(ctx context.Context, dir string) error {
	source, program := filepath.Join(dir, "wrong.c"), filepath.Join(dir, "wrong")
	if err := os.WriteFile(source, []byte("int main(void) { return no_such_name; }\n"),
		0o644); err != nil {
		return err
	}
	out, err := s.tool(ctx, "cc", source, "-o", program).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("no_such_name")) {
		return fmt.Errorf("a wrong program compiles, or the message does not say why: %q",
			out)
	}
	if _, err := os.Stat(program); err == nil {
		return errors.New("there is a program all the same")
	}
	return nil
}

// schemaCheck makes a header, and has a mistake rejected by each of the two that may find one, with
// its line and without a file.
func (s *suite) schemaCheck(ctx context.Context, dir string) error {
	for _, c := range []struct{ name, method, says string }{
		{"right.capnp", "m @0 (a :Text)", ""},
		{"parse.capnp", "m @0 (a :NoSuchType)", "parse.capnp:3:"},
		{"generate.capnp", "m @0 (a :AnyPointer)", "generate.capnp:3: I.m.a: "},
	} {
		file := filepath.Join(dir, c.name)
		text := "@0xb5a9f8d1c2e3f408;\ninterface I {\n  " + c.method + ";\n}\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		out, err := s.tool(ctx, "schema", file).CombinedOutput()
		var ended *exec.ExitError
		rejected := errors.As(err, &ended) && ended.ExitCode() == 1
		if rejected != (c.says != "") || !strings.Contains(string(out), c.says) {
			return fmt.Errorf("%s: %v: %s", c.name, err, out)
		}
		if _, err := os.Stat(file + ".h"); (err == nil) == rejected {
			return fmt.Errorf("%s: its header: %v", c.name, err)
		}
	}
	return nil
}

// bootFilesCheck starts what ./capos image writes to a directory by the command that it prints.
func (s *suite) bootFilesCheck(ctx context.Context, dir, probe string) error {
	out, err := s.tool(ctx, "image", "-o", dir, "-e", "COLOUR=deep blue", probe,
		"env").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	names := []string{}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{iso.BootImageName, iso.KernelName}) {
		return fmt.Errorf("the directory holds %q: %w", names, err)
	}
	m := regexp.MustCompile(`(?m)^  (qemu-system-x86_64 .*)$`).FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("no command is printed: %s", out)
	}
	framed, err := hostCommand(ctx, "/", "sh", "-c", string(m[1])).Output()
	if !bytes.Contains(framed, []byte("COLOUR=deep blue\n")) || !bytes.Contains(framed,
		[]byte("PWD=/\n")) {
		return fmt.Errorf("the machine writes %q: %w", framed, err)
	}
	return nil
}

// workingDirCheck: without -w the program's working directory has the name of the one here.
func (s *suite) workingDirCheck(ctx context.Context, dir, probe string) error {
	cmd := s.tool(ctx, "run", "--accel", "tcg", probe, "env")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte("\nPWD="+dir+"\n")) {
		return fmt.Errorf("in %s the program has %q: %w", dir, out, err)
	}
	return nil
}
