// Package cli is what the commands of ./capos have in common: flags with their help, and errors
// that decide the exit status.
package cli

import (
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
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

// Wrong reports a flag's value that makes no sense, and where help is.
func Wrong(command string, err error) int {
	return Failf("%v; ./capos %s --help tells the flags", err, command)
}

// The help texts are files, so that ./capos can show them before there is anything that it could
// build this tool with. A line "@FILE" stands for another file.
//
//go:embed help
var helpFiles embed.FS

var includedHelp = regexp.MustCompile(`(?m)^@(.*)\n`)

// Help gives the text about a command, or about all of them: "capos".
func Help(command string) string {
	text, err := helpFiles.ReadFile("help/" + command + ".txt")
	if err != nil {
		return ""
	}
	return includedHelp.ReplaceAllStringFunc(string(text), func(line string) string {
		included, _ := helpFiles.ReadFile("help/" + strings.TrimSpace(line[1:]))
		return string(included)
	})
}

// NewFlags makes the flag set of a command. What each flag does stands in the help text.
// --no-install has had its effect in the script ./capos.
func NewFlags(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.Bool("no-install", false, "")
	return fs
}

// Parse gives ok when the command is to go on, and otherwise the exit status.
func Parse(fs *flag.FlagSet, args []string) (status int, ok bool) {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(Help(fs.Name()))
		return 0, false
	case err != nil:
		return Wrong(fs.Name(), err), false
	}
	return 0, true
}

// AsksForHelp tells whether the arguments of a command that has no flags of its own are a question
// for help.
func AsksForHelp(args []string) bool {
	return len(args) == 0 || slices.Contains([]string{"--help", "-help", "-h"}, args[0])
}

// List is a flag that may be given several times.
type List []string

func (l *List) String() string { return fmt.Sprint([]string(*l)) }

func (l *List) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// Checked is a List whose every value is looked at when it is given.
type Checked struct {
	*List
	Check func(value string) error
}

func (c Checked) Set(value string) error {
	if err := c.Check(value); err != nil {
		return err
	}
	return c.List.Set(value)
}

// Count is a flag whose value is a number of things, of which there is at least one.
type Count int

func (c *Count) String() string { return strconv.Itoa(int(*c)) }

func (c *Count) Set(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return errors.New("it is not a number of at least 1")
	}
	*c = Count(n)
	return nil
}

// Pair checks a value of the form NAME[:NAME].
func Pair(value string) error {
	first, second, both := strings.Cut(value, ":")
	if first == "" || both && second == "" {
		return errors.New("it is not of the form NAME or NAME:NAME")
	}
	return nil
}
