package suite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// lockClaims are the functions of the kernel that say which locks their callers hold, by a name
// that ends in _locked or in the comment above them, and those that assert it: a claim that nothing
// asserts is as good as its last reader.
type lockClaims struct {
	claims   []lockClaim
	defined  map[string]bool
	asserted map[string]bool // by the body of a function of this name
}

type lockClaim struct {
	function, file string
	line           int
}

var (
	cFunction    = regexp.MustCompile(`\b([a-z_][a-z0-9_]*)\(`)
	cAttributes  = regexp.MustCompile(`__attribute__\(\(([^()]|\([^()]*\))*\)\)`)
	lockSentence = regexp.MustCompile(`(?i)\block(s|ed)?\b`)
	heldSentence = regexp.MustCompile(`(?i)\b(held|holds?|holding|under|with)\b`)
	lockAssert   = regexp.MustCompile(`\bassert_[a-z_]+\(`)
)

// claimsLock tells whether a comment says what locks are held at a call. It does not when it speaks
// of what may be, or of what the function itself does.
func claimsLock(comment string) bool {
	for _, sentence := range strings.FieldsFunc(comment, func(r rune) bool {
		return r == '.' || r == ';' || r == ':'
	}) {
		if lockSentence.MatchString(sentence) && heldSentence.MatchString(sentence) &&
			!strings.Contains(sentence, "may be held") {
			return true
		}
	}
	return false
}

// commentEnd gives the last line of a comment that begins in line i.
func commentEnd(lines []string, i int) int {
	for i+1 < len(lines) && !strings.Contains(lines[i], "*/") {
		i++
	}
	return i
}

// look takes in one file, in the layout that the formatter gives it: what a function is begins in
// column one, and so do its braces.
func (l *lockClaims) look(name string, lines []string) {
	if !strings.HasPrefix(name, "kernel/") || !strings.HasSuffix(name, ".c") &&
		!strings.HasSuffix(name, ".h") {
		return
	}
	comment := ""
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.HasPrefix(line, "/*"):
			first := i
			i = commentEnd(lines, i)
			comment = strings.Join(lines[first:i+1], " ")
			continue
		case line == "" || strings.ContainsAny(line[:1], " \t#}"):
			comment = ""
			continue
		}
		head := i
		for i+1 < len(lines) && lines[i] != "{" && !strings.HasSuffix(lines[i], ";") &&
			!strings.HasSuffix(lines[i], "{") && lines[i] != "" {
			i++
		}
		l.take(name, comment, lines[head:i+1], head+1)
		if lines[i] == "{" {
			body := i
			for i+1 < len(lines) && lines[i] != "}" {
				i++
			}
			l.body(lines[head:body], lines[body:i])
		}
		comment = ""
	}
}

// functionName is "" for what is no function.
func functionName(head []string) string {
	text := cAttributes.ReplaceAllString(strings.Join(head, " "), "")
	if m := cFunction.FindStringSubmatch(text); m != nil && !strings.Contains(text, " = ") {
		return m[1]
	}
	return ""
}

func (l *lockClaims) take(file, comment string, head []string, line int) {
	name := functionName(head)
	if name != "" && (strings.HasSuffix(name, "_locked") || claimsLock(comment)) {
		l.claims = append(l.claims, lockClaim{name, file, line})
	}
}

func (l *lockClaims) body(head, body []string) {
	name := functionName(head)
	if l.defined == nil {
		l.defined, l.asserted = map[string]bool{}, map[string]bool{}
	}
	l.defined[name] = true
	if slices.ContainsFunc(body, lockAssert.MatchString) {
		l.asserted[name] = true
	}
}

// complaints lists the claims of functions that assert nothing.
func (l *lockClaims) complaints() (found []string) {
	for _, c := range l.claims {
		if l.defined[c.function] && !l.asserted[c.function] {
			found = append(found, fmt.Sprintf(
				"%s:%d: %s says what locks are held and does not assert it",
				c.file, c.line, c.function))
		}
	}
	return found
}
