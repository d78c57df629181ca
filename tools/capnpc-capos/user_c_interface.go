package main

// Interfaces in the C header of a user's schema.

import (
	"fmt"
	"slices"
	"strings"
)

func (c *userC) iface(it *userInterface) {
	name := cName(it.path)
	c.p("/* ---- %s ---- */\n", it.path)
	c.p("#define %s_ID UINT64_C(%#x)\n", strings.ToUpper(name), it.id)
	c.methodTable(it)
	for _, m := range it.methods {
		c.client(it, m)
	}
	c.methodsStruct(it)
	c.dispatch(it)
	c.server(it)
}

// structTable is the table of a method's parameters or results.
func structTable(s *userStruct) string {
	if s.none() {
		return "capos_nothing_type"
	}
	return cName(s.path) + "_type"
}

func (c *userC) methodTable(it *userInterface) {
	if len(it.methods) == 0 {
		return
	}
	c.p("static const struct capos_method %s_table[] = {", cName(it.path))
	for _, m := range it.methods {
		words := m.results.boundedWords()
		if words != 0 || m.results.none() {
			words++ // the root pointer
		}
		c.p("\t{ %d, %t, %d, %d, &%s, &%s },", m.ordinal, m.inRegisters(),
			m.results.carries(map[*userStruct]bool{}), words, structTable(m.params),
			structTable(m.results))
	}
	c.p("};\n")
}

// argument declares what a client gives for a parameter.
func (c *userC) argument(f *userField) string {
	kind := c.cType(&f.userType)
	if f.kind == typeStruct {
		kind = "const " + kind + " *"
	}
	return spaced(kind) + cMember(f.name)
}

// client is a function that calls a method. What a method's list of parameters or results has
// become is not seen; a structure that the schema names is passed as it is.
func (c *userC) client(it *userInterface, m *userMethod) {
	args := []string{"struct capos_client *client"}
	params, results := "NULL", "NULL"
	var before, values, after []string
	switch {
	case m.params.none():
	case !strings.Contains(m.params.path, "$"):
		params = "params"
		args = append(args, "const struct "+cName(m.params.path)+" *params")
	default:
		params = "&params"
		for _, f := range m.params.fields {
			args = append(args, c.argument(f))
			name, star := cMember(f.name), ""
			if f.kind == typeStruct && !f.pointed {
				star = "*"
			}
			values = append(values, fmt.Sprintf("\t\t.%s = %s%s,", name, star, name))
		}
		before = append(before, fmt.Sprintf("\tstruct %s params = {\n%s\n\t};",
			cName(m.params.path), strings.Join(values, "\n")))
	}
	switch {
	case m.results.none():
	case !strings.Contains(m.results.path, "$"):
		results = "results"
		args = append(args, "struct "+cName(m.results.path)+" *results")
	default:
		results = "&results"
		before = append(before, "\tstruct "+cName(m.results.path)+" results;")
		for _, f := range m.results.fields {
			member := cMember(f.name)
			into := member
			if slices.ContainsFunc(m.params.fields, func(p *userField) bool {
				return params != "params" && cMember(p.name) == member
			}) {
				into = member + "_result"
			}
			args = append(args, spaced(c.resultType(f))+"*"+into)
			after = append(after, fmt.Sprintf("\t\t*%s = results.%s;", into, member))
		}
	}
	c.clientBody(it, m, args, before, after, params, results)
}

func (c *userC) resultType(f *userField) string {
	if f.pointed {
		return "const " + c.cType(&f.userType) + " *"
	}
	return c.cType(&f.userType)
}

func (c *userC) clientBody(it *userInterface, m *userMethod, args, before, after []string,
	params, results string) {
	c.comment("", m.doc)
	c.p("static inline int64_t %s(%s)\n{", cName(m.path), strings.Join(args, ",\n\t"))
	if len(before) > 0 {
		c.p("%s", strings.Join(before, "\n"))
	}
	call := fmt.Sprintf("capos_client_call(\n\t\tclient, %s_ID, &%s_table[%d], %s, %s)",
		strings.ToUpper(cName(it.path)), cName(it.path), m.ordinal, params, results)
	if len(after) == 0 {
		c.p("\treturn %s;\n}\n", call)
		return
	}
	c.p("\tint64_t status = %s;\n\n\tif (status == 0) {\n%s\n\t}\n\treturn status;\n}\n", call,
		strings.Join(after, "\n"))
}

// methodsStruct is what a server fills in.
func (c *userC) methodsStruct(it *userInterface) {
	c.p("/* What a server implements: each function answers one call, with 0 or the " +
		"CAPOS_ERROR_x with\n * which it fails. NULL: unimplemented. */")
	c.p("struct %s_methods {", cName(it.path))
	for _, m := range it.methods {
		c.comment("\t", m.doc)
		args := []string{"struct capos_call *call"}
		if !m.params.none() {
			args = append(args, "const struct "+cName(m.params.path)+" *params")
		}
		if !m.results.none() {
			args = append(args, "struct "+cName(m.results.path)+" *results")
		}
		c.p("\tuint32_t (*%s)(%s);", cMember(m.name), strings.Join(args, ",\n\t\t"))
	}
	if len(it.methods) == 0 {
		c.p("\tchar nothing;")
	}
	c.p("};\n")
}

func (c *userC) dispatch(it *userInterface) {
	name := cName(it.path)
	c.p("static inline uint32_t %s_dispatch(const void *all, struct capos_call *call,\n\t"+
		"uint16_t ordinal, const void *params, void *results)\n{", name)
	c.p("\tconst struct %s_methods *methods = (const struct %s_methods *)all;\n", name, name)
	c.p("\t(void)methods, (void)call, (void)params, (void)results;\n\tswitch (ordinal) {")
	for _, m := range it.methods {
		args := "call"
		if !m.params.none() {
			args += ", (const struct " + cName(m.params.path) + " *)params"
		}
		if !m.results.none() {
			args += ",\n\t\t\t(struct " + cName(m.results.path) + " *)results"
		}
		c.p("\tcase %d:\n\t\tif (methods->%s)\n\t\t\treturn methods->%s(%s);\n\t\tbreak;",
			m.ordinal, cMember(m.name), cMember(m.name), args)
	}
	c.p("\t}\n\treturn CAPOS_ERROR_UNIMPLEMENTED;\n}\n")
}

func (c *userC) server(it *userInterface) {
	name := cName(it.path)
	registers, carries, table := true, false, name+"_table"
	for _, m := range it.methods {
		registers = registers && m.inRegisters()
		carries = carries || m.params.carries(map[*userStruct]bool{}) > 0
	}
	if len(it.methods) == 0 {
		table = "NULL"
	}
	c.p("static const struct capos_interface %s_interface = { %s_ID, %s, %d, %t, %t,\n\t%s, "+
		"%s_dispatch };\n", name, strings.ToUpper(name), cString(it.path), len(it.methods),
		registers, carries, table, name)
	c.p("static inline struct capos_object %s_object(\n\tconst struct %s_methods *methods, "+
		"void *context)\n{\n\treturn (struct capos_object){ &%s_interface, methods, "+
		"context };\n}\n", name, name, name)
	c.p("/* Serves the endpoint with so many threads until a facet has no holder any more:\n"+
		" * see capos_serve. context: of every call. */\n"+
		"static inline int64_t %s_serve(capos_cap_t endpoint, const struct %s_methods "+
		"*methods,\n\tvoid *context, unsigned threads)\n{", name, name)
	c.p("\tstruct capos_service service = {\n\t\t.endpoint = endpoint,\n\t\t.threads = "+
		"threads,\n\t\t.object = %s_object(methods, context),\n\t};\n", name)
	c.p("\treturn capos_serve(&service);\n}\n")
}
