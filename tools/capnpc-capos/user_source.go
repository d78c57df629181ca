package main

// Where in the source of a user's schema something is declared. The compiler does not tell, so the
// text is read for it: names in braces, and names with an ordinal.

import (
	"fmt"
	"regexp"
	"strings"
)

// source is a schema's text.
type source struct {
	file  string
	lines map[string]int // of declarations, by path: Outer.Inner.field
}

var sourceToken = regexp.MustCompile(`#.*|"(?:[^"\\\n]|\\.)*"|\w+|\n|\S`)

// methodStruct is what the compiler adds to a method's name for its parameters and results.
var methodStruct = regexp.MustCompile(`\$(Params|Results)`)

func readSource(file, text string) *source {
	s := &source{file: file, lines: map[string]int{}}
	var scopes []string
	var last, before, opening string
	line := 1
	for _, token := range sourceToken.FindAllString(text, -1) {
		switch {
		case token == "\n":
			line++
			continue
		case token[0] == '#' || token[0] == '"':
			continue
		case token == "{":
			scopes = append(scopes, opening)
			opening = ""
		case token == "}" && len(scopes) > 0:
			scopes = scopes[:len(scopes)-1]
		case token == "@" && isName(last):
			s.add(scopes, last, line)
		case isName(token):
			if declares(last) {
				s.add(scopes, token, line)
				opening = token
			} else if last == ":" && (token == "union" || token == "group") {
				s.add(scopes, before, line)
				opening = before
			}
		}
		if last != ":" {
			before = last
		}
		if token == ":" {
			before = last
		}
		last = token
	}
	return s
}

func declares(word string) bool {
	switch word {
	case "struct", "interface", "enum", "const", "annotation":
		return true
	}
	return false
}

func isName(token string) bool {
	return token != "" && (token[0]|0x20 >= 'a' && token[0]|0x20 <= 'z')
}

// add keeps the first of a name.
func (s *source) add(scopes []string, name string, line int) {
	var path []string
	for _, scope := range append(scopes, name) {
		if scope != "" {
			path = append(path, scope)
		}
	}
	if key := strings.Join(path, "."); s.lines[key] == 0 {
		s.lines[key] = line
	}
}

// at says where something is: a path, or the nearest that is known around it.
func (s *source) at(path string) string {
	for path != "" {
		if line := s.lines[path]; line != 0 {
			return fmt.Sprintf("%s:%d", s.file, line)
		}
		cut := strings.LastIndexByte(path, '.')
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return s.file
}

// errorAt is an error about a declaration.
func (s *source) errorAt(path, format string, args ...any) error {
	path = methodStruct.ReplaceAllString(path, "")
	return fmt.Errorf("%s: %s: %s", s.at(path), path, fmt.Sprintf(format, args...))
}
