package suite

import (
	"fmt"
	"regexp"
	"strings"
)

// contextTerms are the words by which a header says where its functions may be called
// (docs/glossary.md, Context), contextLocks those by which a function's comment names the locks
// that its caller holds. A header that repeats another one's functions may send its readers there.
var (
	contextTerms = regexp.MustCompile(`(?i)\bany context\b|` +
		`(^|[.:;,] )((for|in) )?a( kernel)? thread([,.:;]| with\b)|\bowner thread\b|` +
		`(^|[.:;(] )boot( only)?[,.:;]|\bpure\b|(^|[.:] )interrupts off\.|` +
		`(^|[.:] )interrupt[,:]|\bcallers hold\b|^See \w+/\w+\.h\.`)
	contextLocks = regexp.MustCompile(`(?i)\block\b[^.]*\bheld\b|\bholds?\b[^.]*\block\b|` +
		`\binterrupts (are )?off\b`)
)

// isKernelHeader are the headers that functions of the kernel are declared in.
func isKernelHeader(name string) bool {
	return strings.HasPrefix(name, "kernel/") && strings.HasSuffix(name, ".h")
}

// missingContext lists the functions of a header for which neither the comment above them nor the
// one that opens the file says where they may be called. A comment is for all that follows it up to
// the next one, an empty line or the end of a body. Of a function that is declared more than once,
// under several conditions, the first declaration counts.
func missingContext(_ string, lines []string) (found []string) {
	opening, comment := "", ""
	said := map[string]bool{}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.HasPrefix(line, "/*"):
			first := i
			i = commentEnd(lines, i)
			comment = commentText(lines[first : i+1])
			if opening == "" {
				opening = comment
			}
			continue
		case line == "" || line[0] == '}':
			comment = ""
			continue
		case strings.ContainsAny(line[:1], " \t#"):
			continue
		}
		head := i
		for i+1 < len(lines) && lines[i] != "{" && lines[i] != "" &&
			!strings.HasSuffix(lines[i], ";") && !strings.HasSuffix(lines[i], "{") &&
			!strings.HasSuffix(lines[i], "*/") {
			i++
		}
		name := functionName(lines[head : i+1])
		if name == "" || strings.HasPrefix(line, "typedef") ||
			strings.HasPrefix(line, "_Static") {
			continue
		}
		said[name] = said[name] || contextTerms.MatchString(opening) ||
			contextTerms.MatchString(comment) || contextLocks.MatchString(comment)
		if !said[name] {
			found = append(found, fmt.Sprintf("%d: nothing says in which context %s "+
				"may be called", head+1, name))
		}
	}
	return found
}

// commentText is a comment without what its lines begin and end with.
func commentText(lines []string) string {
	var text []string
	for _, line := range lines {
		line = strings.TrimSuffix(strings.TrimSpace(line), "*/")
		line = strings.TrimPrefix(strings.TrimPrefix(line, "/*"), "*")
		text = append(text, strings.Fields(line)...)
	}
	return strings.Join(text, " ")
}
