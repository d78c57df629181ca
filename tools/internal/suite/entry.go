package suite

import (
	"fmt"
	"regexp"
	"strings"

	"capos.dev/tools/internal/machine"
)

// testsEntry is what entries of the lists of packages whose tests are run have in common.
type testsEntry struct {
	name   string // of the package
	memory string // of the machine
	run    string // a pattern of the tests that the entry is for, "": all
}

// option takes m=SIZE or run=PATTERN.
func (e *testsEntry) option(word string) (err error) {
	switch name, value, _ := strings.Cut(word, "="); name {
	case "m":
		e.memory = value
		_, err = machine.ParseMemory(value)
	case "run":
		e.run = value
		_, err = regexp.Compile(value)
	default:
		err = fmt.Errorf("no such word: %s", word)
	}
	return err
}

// file is what the entry is called in names of steps, files and directories. One for a part of a
// package's tests has the letters and digits of its pattern behind the package.
func (e *testsEntry) file() string {
	name := strings.ReplaceAll(e.name, "/", ":")
	if e.run != "" {
		name += "@" + notNames.ReplaceAllString(e.run, "")
	}
	return name
}

var notNames = regexp.MustCompile(`[^A-Za-z0-9]`)
