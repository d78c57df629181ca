// Package cli is what the commands of ./capos have in common: flags with their help, and errors
// that decide the exit status.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"capos.dev/tools/internal/report"
)

// Failf reports that capos itself could not do what was asked.
func Failf(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "capos: "+format+"\n", args...)
	return report.StatusFailed
}

// statusError is an error that decides the exit status.
type statusError struct {
	Status int
	Err    error
}

// WithStatus makes an error decide the exit status.
func WithStatus(status int, err error) error { return &statusError{status, err} }

func (e *statusError) Error() string { return e.Err.Error() }
func (e *statusError) Unwrap() error { return e.Err }

// Fail prints an error and gives the status it asks for.
func Fail(err error) int {
	var s *statusError
	if errors.As(err, &s) {
		Failf("%v", s.Err)
		return s.Status
	}
	return Failf("%v", err)
}

// NewFlags makes a flag set whose help is a usage line, a text and the flags.
func NewFlags(name, usageLine, text string) *flag.FlagSet {
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

// Parse gives ok when the command is to go on, and otherwise the exit status.
func Parse(fs *flag.FlagSet, args []string) (status int, ok bool) {
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

// List is a flag that may be given several times.
type List []string

func (l *List) String() string { return fmt.Sprint([]string(*l)) }

func (l *List) Set(value string) error {
	*l = append(*l, value)
	return nil
}
