package main

// Interfaces in the Go file of a user's schema.

import (
	"fmt"
	"strings"
)

func (g *userGo) iface(it *userInterface) {
	name := goTypeName(it.path)
	g.p("// %sID is the id of the interface.\nconst %sID = %#x\n", name, name, it.id)
	goDoc(g.out, name+" is a capability for an object with the interface of that name.\n"+
		it.doc)
	g.p("type %s struct{ capos.Capability }\n", name)
	for _, m := range it.methods {
		g.client(it, m)
	}
	g.server(it)
}

// side is the parameters or the results of a method, as values with names.
type side struct {
	*userStruct
	whole string            // its name where the schema names the structure, else ""
	names map[string]string // of fields
}

func sides(m *userMethod) (params, results side) {
	params = side{m.params, "value", map[string]string{}}
	results = side{m.results, "result", map[string]string{}}
	taken := map[string]bool{"value": true}
	for _, s := range []*side{&params, &results} {
		if strings.Contains(s.path, "$") {
			s.whole = ""
		}
		for _, f := range s.fields {
			name := goArgument(f.name)
			if s.whole != "" {
				name = s.whole + "." + upperFirst(f.name)
			} else if taken[name] {
				name = "new" + upperFirst(f.name)
			}
			taken[name] = true
			s.names[f.name] = name
		}
	}
	return params, results
}

// declared are the names of the values and their declarations.
func (g *userGo) declared(s side) (names, list []string) {
	if s.none() {
		return nil, nil
	}
	if s.whole != "" {
		return []string{s.whole}, []string{s.whole + " " + goTypeName(s.path)}
	}
	for _, f := range s.fields {
		names = append(names, s.names[f.name])
		list = append(list, s.names[f.name]+" "+g.goKind(f))
	}
	return names, list
}

// put writes the fields to a structure, and get reads them.
func (g *userGo) put(s side, into string) {
	for _, f := range s.fields {
		value := s.names[f.name]
		if f.kind == typeInterface {
			g.p("%s.Cap = %s", into, value)
			continue
		}
		bits := g.bits(f, value)
		if f.preset != 0 {
			bits += fmt.Sprintf(" ^ %#x", f.preset)
		}
		g.p("%s.SetBits(%d, %d, %s)", into, f.offset, goWidths[f.kind], bits)
	}
}

func (g *userGo) get(s side, from string) {
	for _, f := range s.fields {
		value := from + ".Cap"
		if f.kind != typeInterface {
			value = fmt.Sprintf("%s.Bits(%d, %d)", from, f.offset, goWidths[f.kind])
			if f.preset != 0 {
				value = fmt.Sprintf("(%s ^ %#x)", value, f.preset)
			}
			value = g.value(f, value)
		}
		g.p("%s = %s", s.names[f.name], value)
	}
}

func shape(s *userStruct) string {
	return fmt.Sprintf("capos.Struct{DataWords: %d, Pointers: %d}", s.dataWords, s.pointers)
}

// goSignature is in two lines where one is long.
func goSignature(name string, params, results []string) string {
	line := fmt.Sprintf("%s(%s) (%s)", name, strings.Join(params, ", "), strings.Join(results,
		", "))
	if len(line) < 65 {
		return line
	}
	return fmt.Sprintf("%s(\n%s,\n) (%s)", name, strings.Join(params, ", "),
		strings.Join(results, ", "))
}

func (g *userGo) client(it *userInterface, m *userMethod) {
	name := upperFirst(m.name)
	params, results := sides(m)
	_, in := g.declared(params)
	_, out := g.declared(results)
	goDoc(g.out, name+" calls the method.\n"+m.doc)
	g.p("func (c %s) %s {", goTypeName(it.path),
		goSignature(name, append(in, "deadline time.Time"), append(out, "err error")))
	g.p("question := %s", shape(m.params))
	g.put(params, "question")
	answer, assign := "answer", ":="
	if m.results.none() {
		answer, assign = "_", "="
	}
	takes := m.results.carries(map[*userStruct]bool{}) > 0
	g.p("facet := capos.Of[capos.Facet](c.Capability)\n%s, err %s facet.CallMethod(%sID, %d, "+
		"&question, %t, deadline)", answer, assign, goTypeName(it.path), m.ordinal, takes)
	if !m.results.none() {
		g.p("if err == nil {")
		g.get(results, "answer")
		g.p("}")
	}
	g.p("return\n}\n")
}

func (g *userGo) server(it *userInterface) {
	name := goTypeName(it.path)
	g.p("// %sServer answers calls, of facets with a tag. With an error nothing else is "+
		"sent.", name)
	g.p("type %sServer interface {", name)
	for _, m := range it.methods {
		params, results := sides(m)
		_, in := g.declared(params)
		_, out := g.declared(results)
		goDoc(g.out, m.doc)
		g.p("%s", goSignature(upperFirst(m.name), append([]string{"tag uint64"}, in...),
			append(out, "err error")))
	}
	g.p("}\n")
	g.p("// Handle%s makes a handler of a server, for capos.Endpoint.Serve.", name)
	g.p("func Handle%s(server %sServer) capos.HandlerFunc {\nreturn func(tag uint64, "+
		"m *capos.Message) error {\nmethod := func(ordinal uint16, s *capos.Struct) error "+
		"{\nswitch ordinal {", name, name)
	for _, m := range it.methods {
		g.answer(m)
	}
	g.p("}\ns.Drop()\nreturn capos.ErrUnimplemented\n}\nreturn capos.AnswerMethod(m, %sID, "+
		"method)\n}\n}\n", name)
}

// answer is the case of a method. A capability that has come and is no parameter is dropped.
func (g *userGo) answer(m *userMethod) {
	params, results := sides(m)
	names, in := g.declared(params)
	out, _ := g.declared(results)
	g.p("case %d:", m.ordinal)
	if m.params.carries(map[*userStruct]bool{}) == 0 {
		g.p("s.Drop()")
	}
	for _, declared := range in {
		g.p("var %s", declared)
	}
	g.get(params, "s")
	g.p("%s := server.%s(%s)\n*s = %s", strings.Join(append(out, "err"), ", "),
		upperFirst(m.name), strings.Join(append([]string{"tag"}, names...), ", "),
		shape(m.results))
	g.put(results, "s")
	g.p("return err")
}
