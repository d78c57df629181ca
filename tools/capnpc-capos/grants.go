package main

// The objects that a program may start with, as $C.grants of the interfaces declares them.

import (
	"fmt"
	"sort"
	"strings"
)

// grantNameMax is the longest name that CapSetEntry.name holds with its terminator.
const grantNameMax = 47

func (l *loader) grantsOf(node object, it *iface) error {
	value, present, err := annotation(node, 2, annGrants)
	if err != nil || !present {
		return err
	}
	grants, err := value.list(0)
	for _, g := range grants {
		name, err := g.text(0)
		if err != nil {
			return err
		}
		l.out.grants = append(l.out.grants, grant{name, int(g.u8(0)), it})
	}
	return err
}

// orderGrants sorts the grants by bit and rejects bits and names that are not one for each object.
func (s *schema) orderGrants() error {
	sort.Slice(s.grants, func(i, j int) bool { return s.grants[i].bit < s.grants[j].bit })
	names := map[string]bool{}
	for i, g := range s.grants {
		if g.bit != i || i >= 64 {
			return fmt.Errorf("grant %q has bit %d where %d is the next free one",
				g.name, g.bit, i)
		}
		plain := strings.Trim(g.name, "abcdefghijklmnopqrstuvwxyz_") == "" && g.name != ""
		if !plain || len(g.name) > grantNameMax || names[g.name] {
			return fmt.Errorf("grant %q of %s: not a name, or one of two", g.name,
				g.it.name)
		}
		names[g.name] = true
	}
	return nil
}

// camel turns memory_allocator into memoryAllocator.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i := range parts[1:] {
		parts[i+1] = upperFirst(parts[i+1])
	}
	return strings.Join(parts, "")
}

// cGrantField is the member of struct capos_caps. C libraries may define macros of the names of the
// standard streams, so that no member can have them.
func cGrantField(g grant) string {
	switch g.name {
	case "stdin":
		return "standard_input"
	case "stdout":
		return "standard_output"
	case "stderr":
		return "standard_error"
	}
	return g.name
}

// headerGrants writes the bits for both sides of the boundary.
func headerGrants(o *out, s *schema) {
	o.p("\n/* Objects that a program may start with: bits of BootProgram.grants. */")
	for _, g := range s.grants {
		o.p("#define %s %d", macro("Grant", camel(g.name)), g.bit)
	}
	o.p("#define CAPOS_GRANT_COUNT %d", len(s.grants))
}

// generateGrantsHeader declares the kernel's objects; dispatch.c defines them.
func generateGrantsHeader(s *schema) ([]byte, error) {
	o := &out{}
	o.p("/* The objects that a program may start with: one of each for the whole machine. They")
	o.p(" * hold no state of their own, live as long as the kernel and are not counted.")
	o.p(" * %s */", notice)
	o.p("#ifndef CAPOS_GEN_GRANTS_H\n#define CAPOS_GEN_GRANTS_H\n")
	o.p("#include <capos/abi.h>\n\n#include \"core/object.h\"\n")
	o.p("struct grant {\n\tconst char *name; /* in the CapSet */")
	o.p("\tstruct object *object;\n};\n")
	o.p("extern const struct grant grants[CAPOS_GRANT_COUNT]; /* indexed by CAPOS_GRANT_x */\n")
	for _, g := range s.grants {
		o.p("extern struct object object_%s; /* %s */", g.name, g.it.name)
	}
	o.p("\n#endif")
	return o.Bytes(), nil
}

func dispatchGrants(o *out, s *schema) {
	for _, g := range s.grants {
		o.p("struct object object_%s = OBJECT_STATIC(&interface_descs[INTERFACE_%s]);",
			g.name, strings.ToUpper(snake(g.it.name)))
	}
	o.p("\nconst struct grant grants[CAPOS_GRANT_COUNT] = {")
	for _, g := range s.grants {
		o.p("\t[%s] = {%q, &object_%s},", macro("Grant", camel(g.name)), g.name, g.name)
	}
	o.p("};\n")
}

// generateCaps declares the C library's variables; stubs.c fills them.
func generateCaps(s *schema) ([]byte, error) {
	o := &out{}
	o.p("/* The capabilities that a program may start with.")
	o.p(" * %s */", notice)
	o.p("#ifndef CAPOS_GRANTS_H\n#define CAPOS_GRANTS_H\n\n#include <capos/call.h>\n")
	o.p("/* 0 for what was not granted. */\nstruct capos_caps {")
	for _, g := range s.grants {
		o.p("\tcapos_cap_t %s; /* %q, %s */", cGrantField(g), g.name, g.it.name)
	}
	o.p("};\n\n#endif")
	return o.Bytes(), nil
}

// stubDenial has a stub say which capability is missing. What is not granted under a name of its
// own is an endpoint that the program was to serve, or a facet or an event.
func stubDenial(o *out, s *schema, it *iface, m *method) {
	which := "GRANT_USED"
	if it.name == "Endpoint" {
		which = "GRANT_SERVED"
	}
	for _, g := range s.grants {
		reads, input := strings.HasPrefix(m.name, "read"), g.name == "stdin"
		if g.it == it && (it.name != "Console" || reads == input && g.name != "stderr") {
			which = macro("Grant", camel(g.name))
		}
	}
	o.p("\tif (cap == 0)\n\t\treturn grant_missing(%s);", which)
}

func stubsGrants(o *out, s *schema) {
	o.p("const char *const grant_names[CAPOS_GRANT_COUNT] = {")
	for _, g := range s.grants {
		o.p("\t[%s] = %q,", macro("Grant", camel(g.name)), g.name)
	}
	o.p("};\n")
	o.p("void caps_find(struct capos_caps *caps)\n{")
	for _, g := range s.grants {
		o.p("\tcaps->%s = grant_cap(%q);", cGrantField(g), g.name)
	}
	o.p("}\n")
}

// goGrants writes the structure that both packages of the port share, with the CapIds in the order
// of the bits. capID is the package's type for one.
func goGrants(o *out, s *schema, capID string) {
	o.p("// abiCapabilities are the CapIds of what the program was started with; 0 is none.")
	o.p("type abiCapabilities struct {")
	for _, g := range s.grants {
		o.p("%s %s // %s", camel(g.name), capID, g.it.name)
	}
	o.p("}\n")
}

// goGrantNames writes what tells a grant from an endpoint.
func goGrantNames(o *out, s *schema) {
	o.p("// grantNames are the names of the kernel's objects in the CapSet.")
	o.p("var grantNames = [...]string{")
	for _, g := range s.grants {
		o.p("\t%q,", g.name)
	}
	o.p("}\n")
}

// goGrantSlot writes the look-up by name, which the runtime needs before anything else works.
func goGrantSlot(o *out, s *schema) {
	o.p("// slot returns where the CapId of that name is kept, or nil. It compares byte by")
	o.p("// byte: nothing else works before the thread pointer is set.\n//\n//go:nosplit")
	o.p("func (c *abiCapabilities) slot(name *[48]byte) *uint32 {\nswitch {")
	for _, g := range s.grants {
		o.p("case nameIs(name, %q):\nreturn &c.%s", g.name, camel(g.name))
	}
	o.p("}\nreturn nil\n}\n")
}

func goHostGrants(o *out, s *schema) {
	o.p("// Objects that a program may start with: bits of BootProgram.Grants.\nconst (")
	for _, g := range s.grants {
		o.p("Grant%s = %d // %s", upperFirst(camel(g.name)), g.bit, g.it.name)
	}
	o.p("GrantCount = %d", len(s.grants))
	o.p(")\n")
	o.p("// GrantNames are the names in the CapSet, by bit.\nvar GrantNames = [...]string{")
	for _, g := range s.grants {
		o.p("\t%q,", g.name)
	}
	o.p("}\n")
}

func referenceGrants(o *out, s *schema) {
	o.p("## Objects a program may start with\n")
	o.p("The CapSet page names them in this order, those that the program was granted.\n")
	o.p("| bit of `BootProgram.grants` | name | interface |\n| --- | --- | --- |")
	for _, g := range s.grants {
		o.p("| %d | `%s` | [%s](#%s) |", g.bit, g.name, g.it.name,
			strings.ToLower(g.it.name))
	}
	o.p("")
}
