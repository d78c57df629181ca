// Command capos is everything that a person does with capOS on the host: run programs, build them,
// test the system. It is started by ./capos in the repository's root, which sees to packages and to
// this tool being up to date.
//
// Started under the name go_capos_amd64_exec it is the program that the go command runs foreign
// binaries with.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"capos.dev/tools/capos/internal/report"
)

// command is one subcommand. run gets the arguments after its name and returns the exit status.
type command struct {
	name, summary string
	run           func(args []string) int
}

func commands() []command {
	return []command{
		{"run", "boot capOS with one program and exit with its status", runCommand},
		{"go", "the Go toolchain for capOS: go build, go run, go test ...", goCommand},
		{"cc", "compile and link C programs for capOS", ccCommand},
		{"image", "write an ISO image to boot PCs and virtual machines from", imageCommand},
		{"test", "run everything that must hold", testCommand},
		{"status", "write docs/status.md from the claims and the last test run",
			statusCommand},
		{"doctor", "print versions and what is missing, for bug reports", doctorCommand},
		{"exec", "run a program as go run and go test do (used by go_capos_amd64_exec)",
			execCommand},
	}
}

const wrapperName = "go_capos_amd64_exec"

func main() {
	if filepath.Base(os.Args[0]) == wrapperName {
		os.Exit(execCommand(os.Args[1:]))
	}
	os.Exit(dispatch(os.Args[1:]))
}

func dispatch(args []string) int {
	if len(args) == 0 || args[0] == "help" && len(args) == 1 || args[0] == "-h" ||
		args[0] == "--help" {
		usage()
		return 0
	}
	name, rest := args[0], args[1:]
	if name == "help" {
		name, rest = args[1], []string{"--help"}
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(rest)
		}
	}
	return failf("there is no command %q; ./capos help lists them", name)
}

func usage() {
	fmt.Print("capOS: an operating system in which every resource is a typed " +
		"capability.\n\nUsage: ./capos COMMAND [ARGUMENTS]\n\n")
	for _, c := range commands() {
		fmt.Printf("  %-8s %s\n", c.name, c.summary)
	}
	fmt.Print("\n./capos COMMAND --help tells more. The first thing to try: ./capos run " +
		"examples/hello\n")
}

// failf reports that capos itself could not do what was asked.
func failf(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "capos: "+format+"\n", args...)
	return report.StatusFailed
}

// statusError is an error that decides the exit status.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// fail prints an error and gives the status it asks for.
func fail(err error) int {
	var s *statusError
	if errors.As(err, &s) {
		failf("%v", s.err)
		return s.status
	}
	return failf("%v", err)
}

// newFlags makes a flag set whose help is a usage line, a text and the flags.
func newFlags(name, usageLine, text string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "Usage: ./capos %s %s\n\n%s\n", name, usageLine, text)
		printFlags(fs)
	}
	return fs
}

// printFlags lists flags one a line, long names with two dashes; package flag reads either way.
func printFlags(fs *flag.FlagSet) {
	heading := "\nFlags:\n"
	fs.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if len(f.Name) == 1 {
			name = "-" + f.Name
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" &&
			f.DefValue != "0s" && f.DefValue != "[]" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(fs.Output(), "%s  %-24s %s\n", heading,
			strings.TrimSpace(name+" "+value), text)
		heading = ""
	})
}

// parse gives ok when the command is to go on, and otherwise the exit status.
func parse(fs *flag.FlagSet, args []string) (status int, ok bool) {
	for _, arg := range args {
		if arg == "--help" || arg == "-help" || arg == "-h" {
			fs.SetOutput(os.Stdout)
		}
		if len(arg) == 0 || arg[0] != '-' || arg == "--" {
			break
		}
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0, false
	case err != nil:
		return report.StatusFailed, false
	}
	return 0, true
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return fmt.Sprint([]string(*l)) }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
