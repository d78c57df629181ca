package main

// What the comments of methods, opcodes and system calls say about parameters, results and errors:
// see abi/schema/annotations.capnp for the form.

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// fail is an error that something may answer with, and when.
type fail struct {
	error string
	// number is what a completion's result is minus of.
	number int
	when   string
}

// failing is something that can be tested for its errors: a method, an opcode, a system call.
type failing struct {
	name  string // Console.write
	fails []fail
}

// entryLine begins an entry of a comment.
var entryLine = regexp.MustCompile(`^([a-z][A-Za-z0-9]*):(?: (.*))?$`)

// entry is "NAME: text" of a comment.
type entry struct{ name, text string }

// splitEntries parts a comment into its description and its entries.
func splitEntries(doc string) (description string, entries []entry) {
	var lines []string
	for _, line := range strings.Split(doc, "\n") {
		if m := entryLine.FindStringSubmatch(line); m != nil {
			entries = append(entries, entry{m[1], strings.TrimSpace(m[2])})
		} else if len(entries) == 0 {
			lines = append(lines, line)
		} else if last := &entries[len(entries)-1]; strings.TrimSpace(line) != "" {
			last.text = strings.TrimSpace(last.text + " " + strings.TrimSpace(line))
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), entries
}

// describe gives fields and errors their texts. It rejects a field without one, and an entry that
// is about neither a field nor an error or has no text.
func (s *schema) describe(entries []entry, fields []*field) (fails []fail, err error) {
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.name] {
			return nil, fmt.Errorf("%s is described twice", e.name)
		}
		seen[e.name] = true
		if e.text == "" {
			return nil, fmt.Errorf("%s has no text", e.name)
		}
		known := false
		for _, f := range fields {
			if f.name == e.name {
				f.doc, known = e.text, true
			}
		}
		if known {
			continue
		}
		number, found := s.errorNumber(e.name)
		if !found {
			return nil, fmt.Errorf("%s is no parameter, result or error", e.name)
		}
		fails = append(fails, fail{e.name, number, e.text})
	}
	for _, f := range fields {
		if f.doc == "" {
			return nil, fmt.Errorf("%s is not described", f.name)
		}
	}
	sort.Slice(fails, func(i, j int) bool { return fails[i].number < fails[j].number })
	return fails, nil
}

// errorNumber finds a TransportError or ErrorCode by its name.
func (s *schema) errorNumber(name string) (number int, found bool) {
	for _, e := range s.enums {
		base := 0
		switch e.name {
		case "ErrorCode":
			base = errorBase(s)
		case "TransportError":
		default:
			continue
		}
		for i, it := range e.items {
			if it.name == name && i != 0 {
				return base + i, true
			}
		}
	}
	return 0, false
}

// describeAll reads the comments once all files are loaded, because they name errors of another
// file.
func (s *schema) describeAll() error {
	for _, it := range s.interfaces {
		for _, m := range it.methods {
			if err := s.describeMethod(m); err != nil {
				return fmt.Errorf("%s.%s: %w", it.name, m.name, err)
			}
			s.addFailing(it.name+"."+m.name, m.fails)
		}
	}
	for _, e := range s.enums {
		if e.name != "Opcode" {
			continue
		}
		for i := range e.items {
			it := &e.items[i]
			fails, err := s.describeOther(&it.doc)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", e.name, it.name, err)
			}
			it.fails = fails
			s.addFailing(e.name+"."+it.name, fails)
		}
	}
	for _, c := range s.consts {
		if !strings.HasPrefix(c.name, systemCallPrefix) {
			continue
		}
		fails, err := s.describeOther(&c.doc)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		c.fails = fails
		s.addFailing(c.name, fails)
	}
	return nil
}

// systemCallPrefix begins the names of the constants that are system calls.
const systemCallPrefix = "sys"

func (s *schema) describeMethod(m *method) error {
	var fields []*field
	for _, side := range []*structure{m.params, m.results} {
		for i := range side.fields {
			fields = append(fields, &side.fields[i])
		}
	}
	var entries []entry
	m.description, entries = splitEntries(m.doc)
	if m.description == "" {
		return errors.New("there is no description")
	}
	var err error
	m.fails, err = s.describe(entries, fields)
	return err
}

// describeOther takes the entries out of a comment.
func (s *schema) describeOther(doc *string) (fails []fail, err error) {
	var entries []entry
	*doc, entries = splitEntries(*doc)
	return s.describe(entries, nil)
}

func (s *schema) addFailing(name string, fails []fail) {
	if len(fails) != 0 {
		s.failing = append(s.failing, failing{name, fails})
	}
}

// failMacro is the name of a pair in C, CONSOLE_WRITE_NO_RIGHTS: what CHECK_FAILS makes of its
// first two arguments. Without an error it is the name of what fails.
func failMacro(name, error string) string {
	if error != "" {
		name += "." + error
	}
	return strings.ToUpper(snake(strings.ReplaceAll(name, ".", "_")))
}

// generateFails lists all pairs for the tests.
func generateFails(s *schema) ([]byte, error) {
	o := &out{}
	o.p("/* Every error of every method, opcode and system call, for tests that provoke it.")
	o.p(" * %s */", notice)
	o.p("#ifndef CAPOS_GEN_FAILS_H\n#define CAPOS_GEN_FAILS_H\n\n#include <stdint.h>\n")
	o.p("enum fails {")
	for _, f := range s.failing {
		for _, e := range f.fails {
			o.p("\tFAILS_%s,", failMacro(f.name, e.error))
		}
	}
	o.p("\tFAILS_COUNT\n};\n")
	o.p("/* What fails; a prefix of the names above. */\nenum failing {")
	for _, f := range s.failing {
		o.p("\tFAILING_%s,", failMacro(f.name, ""))
	}
	o.p("};\n\nstatic const struct {\n\tint16_t status; /* as results are: negative */")
	o.p("\tuint16_t failing;\n\tconst char *name;\n} fails[FAILS_COUNT] = {")
	for _, f := range s.failing {
		for _, e := range f.fails {
			o.p("\t[FAILS_%s] = {%d, FAILING_%s, \"%s %s\"},",
				failMacro(f.name, e.error), -e.number, failMacro(f.name, ""),
				f.name, e.error)
		}
	}
	o.p("};\n\n#endif")
	return o.Bytes(), nil
}

// goFails lists the same for the tools.
func goFails(o *out, s *schema) {
	o.p("// Fails are the errors of methods, opcodes and system calls, as tests report them.")
	o.p("var Fails = []string{")
	for _, f := range s.failing {
		for _, e := range f.fails {
			o.p("%q,", f.name+" "+e.error)
		}
	}
	o.p("}\n")
}

// referenceFails is the list of one method, opcode or system call.
func referenceFails(o *out, fails []fail) {
	if len(fails) == 0 {
		return
	}
	o.p("| error | when |\n| --- | --- |")
	for _, e := range fails {
		o.p("| `%s` | %s |", e.error, cell(e.when))
	}
	o.p("")
}
