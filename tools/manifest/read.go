package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/token"

	"capos.dev/tools/internal/manifest"
)

//go:embed schema.cue
var schemaText string

// schemaName is the schema's place in messages of the CUE library.
const schemaName = "schema.cue of the tool"

// source is a manifest that is being read.
type source struct {
	file  string    // as it was named
	value cue.Value // the manifest alone, for places
	needs []string  // what init cannot do without, as the schema says
	found []mistake
}

// mistake is one thing that is wrong, and where.
type mistake struct {
	pos  token.Pos
	text string
}

// read evaluates a manifest. The mistakes are lines for a person; with any there is no manifest.
func read(file string) (*manifest.Manifest, []string) {
	s := &source{file: file}
	checked := s.evaluate()
	var m *manifest.Manifest
	if len(s.found) == 0 {
		m = s.check(checked)
	}
	return m, s.lines()
}

// evaluate gives the manifest unified with the schema.
func (s *source) evaluate() cue.Value {
	dir, name := filepath.Split(s.file)
	if dir == "" {
		dir = "."
	}
	if _, err := os.Stat(s.file); err != nil {
		s.found = append(s.found, mistake{text: "there is no such file"})
		return cue.Value{}
	}
	context := cuecontext.New()
	schema := context.CompileString(schemaText, cue.Filename(schemaName))
	if err := schema.Err(); err != nil {
		s.addErrors(err)
		return cue.Value{}
	}
	if err := schema.LookupPath(cue.ParsePath("#Init")).Decode(&s.needs); err != nil {
		s.addErrors(err)
	}
	instance := load.Instances([]string{name}, &load.Config{Dir: dir})[0]
	if instance.Err != nil {
		s.addErrors(instance.Err)
		return cue.Value{}
	}
	s.value = context.BuildInstance(instance, cue.Scope(schema))
	if err := s.value.Err(); err != nil {
		s.addErrors(err)
		return cue.Value{}
	}
	if !s.checkRoots() {
		return cue.Value{}
	}
	checked := schema.LookupPath(cue.ParsePath("#Manifest")).Unify(s.value)
	if err := checked.Validate(cue.Concrete(true), cue.Final()); err != nil {
		s.addErrors(err)
	}
	return checked
}

// roots are the four parts of a manifest.
var roots = []string{"schemaVersion", "binaries", "initConfig", "kernelParams"}

func (s *source) checkRoots() bool {
	fields, err := s.value.Fields()
	if err != nil {
		s.addErrors(err)
		return false
	}
	good := true
	for fields.Next() {
		name := fields.Selector().String()
		if !slices.Contains(roots, name) {
			s.add(fields.Value().Pos(), "%s is no part of a manifest; its parts are %s",
				name, strings.Join(roots, ", "))
			good = false
		}
	}
	return good
}

func (s *source) add(pos token.Pos, format string, args ...any) {
	s.found = append(s.found, mistake{pos, fmt.Sprintf(format, args...)})
}

// addErrors takes over errors of the CUE library. Of alternatives of which none fits it says so,
// and then for each arm why, at places of their own; that is one mistake.
func (s *source) addErrors(err error) {
	arms := ""
	var arm *mistake
	for _, e := range errors.Errors(err) {
		format, args := e.Msg()
		text, path := fmt.Sprintf(format, args...), pathText(e.Path())
		switch {
		case arm != nil && path == arms:
			arm.text += "; " + text
			continue
		case strings.HasSuffix(text, "errors in empty disjunction:"):
			arm, arms = s.addArms(e, path), path
			continue
		}
		if path != "" {
			text = path + ": " + text
		}
		s.add(s.place(e), "%s", text)
		arm = nil
	}
}

// addArms begins the mistake of a value that no alternative fits.
func (s *source) addArms(e errors.Error, path string) *mistake {
	pos := s.at(e.Path()...)
	if !pos.IsValid() {
		pos = s.place(e)
	}
	s.add(pos, "%s: no alternative fits", path)
	return &s.found[len(s.found)-1]
}

// pathText is a path as a person writes it.
func pathText(path []string) (text string) {
	for _, name := range path {
		switch _, index := number(name); {
		case name == "#Manifest":
		case index:
			text += "[" + name + "]"
		case text == "":
			text = name
		default:
			text += "." + name
		}
	}
	return text
}

// place finds where in the manifest an error is. One of something that is missing is where the
// nearest thing around it is.
func (s *source) place(e errors.Error) token.Pos {
	for _, pos := range errors.Positions(e) {
		if pos.IsValid() && pos.Filename() != schemaName {
			return pos
		}
	}
	for path := e.Path(); len(path) > 0; path = path[:len(path)-1] {
		if pos := s.at(path...); pos.IsValid() {
			return pos
		}
	}
	return s.value.Pos()
}

// at is the place of what a path names; an index of a list is a number.
func (s *source) at(path ...string) token.Pos {
	v := s.value
	for _, name := range path {
		if name == "#Manifest" {
			continue
		}
		selector := cue.Str(name)
		if index, ok := number(name); ok {
			selector = cue.Index(index)
		}
		if v = v.LookupPath(cue.MakePath(selector)); !v.Exists() {
			return token.NoPos
		}
	}
	return v.Pos()
}

func number(text string) (n int, ok bool) {
	_, err := fmt.Sscanf(text, "%d", &n)
	return n, err == nil && fmt.Sprint(n) == text
}

// lines are the mistakes in the order of their places, each once.
func (s *source) lines() (lines []string) {
	slices.SortStableFunc(s.found, func(a, b mistake) int { return a.pos.Compare(b.pos) })
	for _, m := range s.found {
		line := s.file + ": " + m.text
		if m.pos.IsValid() {
			line = fmt.Sprintf("%s:%d:%d: %s", s.name(m.pos), m.pos.Line(),
				m.pos.Column(), m.text)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// name is the file of a place: as it was named, or of an import where CUE found it.
func (s *source) name(pos token.Pos) string {
	if abs, err := filepath.Abs(s.file); err == nil && abs == pos.Filename() {
		return s.file
	}
	return pos.Filename()
}
