package manifest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
)

// ServiceName makes the name of a service of a program's name.
func ServiceName(program string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, program)
	if name == "" || name[0] < 'a' || name[0] > 'z' {
		name = "p" + name
	}
	return name[:min(len(name), len(abi.ManifestService{}.Name)-1)]
}

func printCounts(b *strings.Builder, counts bootimage.Counts) {
	for _, c := range []struct {
		name  string
		count uint32
	}{{"threads", counts.Threads}, {"caps", counts.Capabilities},
		{"calls", counts.Calls}} {
		if c.count != 0 {
			fmt.Fprintf(b, "\t\t%s: %d\n", c.name, c.count)
		}
	}
	if counts.CPU != 0 {
		fmt.Fprintf(b, "\t\tcpu: \"%d%%\"\n", counts.CPU/10)
	}
}

func printComments(b *strings.Builder, indent string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(b, "%s// %s\n", indent, line)
	}
}

// Print writes the manifest of a system that is one service as CUE. binary is what ./capos run is
// given. head are sentences about the manifest, and aside fields of the service that are only
// suggested; both become comments.
func Print(w io.Writer, s Service, binary string, head, aside []string) error {
	var failed error
	quote := func(text string) string {
		quoted, err := json.Marshal(text) // a string of JSON is one of CUE
		if err == nil && !utf8.ValidString(text) {
			err = fmt.Errorf("%q is not UTF-8, as all text of a manifest is", text)
		}
		if failed == nil {
			failed = err
		}
		return string(quoted)
	}
	list := func(texts []string) string {
		if len(texts) == 0 {
			return "[]"
		}
		quoted := make([]string, len(texts))
		for i, text := range texts {
			quoted[i] = "\t\t\t" + quote(text) + ",\n"
		}
		return "[\n" + strings.Join(quoted, "") + "\t\t]"
	}
	var b strings.Builder
	printComments(&b, "", head)
	fmt.Fprintf(&b, "schemaVersion: 1\nbinaries: %s: %s\n", quote(s.Name), quote(binary))
	fmt.Fprintf(&b, "initConfig: services: [\n\t{\n\t\tname:   %s\n\t\tbinary: %s\n",
		quote(s.Name), quote(s.Name))
	if len(s.Args) > 0 {
		fmt.Fprintf(&b, "\t\targs: %s\n", list(s.Args))
	}
	b.WriteString("\t\tenv: {\n")
	for _, entry := range s.Env {
		name, value, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&b, "\t\t\t%s: %s\n", quote(name), quote(value))
	}
	fmt.Fprintf(&b, "\t\t}\n\t\tgrants: %s\n", list(s.Grants))
	if s.Memory != 0 {
		fmt.Fprintf(&b, "\t\tmemory: \"%dK\"\n", s.Memory>>10)
	}
	printCounts(&b, s.Counts)
	printComments(&b, "\t\t", aside)
	b.WriteString("\t\tforeground: true\n\t},\n]\n")
	if failed != nil {
		return failed
	}
	_, err := io.WriteString(w, b.String())
	return err
}
