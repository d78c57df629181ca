package main

// The interface reference, docs/reference.md.

import (
	"fmt"
	"strings"
)

func generateReference(s *schema) ([]byte, error) {
	o := &out{}
	o.p("# Interface reference\n")
	o.p("Generated from `abi/schema` by `capnpc-capos`. How calls travel is in " +
		"[abi.md](abi.md); this page lists what can be")
	o.p("called, what it answers, and how shared memory is laid out.\n")
	o.p("- [Objects a program may start with](#objects-a-program-may-start-with)")
	o.p("- [System calls and opcodes](#system-calls-and-opcodes)")
	o.p("- [Interfaces](#interfaces)\n- [Errors](#errors)\n- [Enums](#enums)\n- " +
		"[Constants](#constants)\n- [Layouts](#layouts)\n")
	referenceGrants(o, s)
	referenceOperations(o, s)
	o.p("## Interfaces\n")
	for _, it := range s.interfaces {
		referenceInterface(o, s, it)
	}
	o.p("## Errors\n\nIn a register call RAX is minus the number below.\n")
	o.p("| number | error | meaning |\n| --- | --- | --- |")
	base := errorBase(s)
	for i, it := range s.errors.items {
		if i != 0 {
			o.p("| %d | `%s` | %s |", i+base, it.name, cell(it.doc))
		}
	}
	o.p("\n## Enums\n")
	for _, e := range s.enums {
		if e == s.errors {
			continue
		}
		o.p("### %s\n", e.name)
		paragraph(o, e.doc)
		o.p("| value | name | meaning |\n| --- | --- | --- |")
		for i, it := range e.items {
			o.p("| %d | `%s` | %s |", i, it.name, cell(it.doc))
		}
		o.p("")
	}
	o.p("## Constants\n\n| name | value | meaning |\n| --- | --- | --- |")
	for _, c := range s.consts {
		o.p("| `%s` | %s | %s |", macro(c.name), literal(c.value), cell(c.doc))
	}
	o.p("\n## Layouts\n\nLittle endian, no padding; reserved fields are zero.\n")
	for _, st := range s.structs {
		referenceLayout(o, st)
	}
	return o.Bytes(), nil
}

func errorBase(s *schema) int {
	for _, c := range s.consts {
		if c.name == "errorBase" {
			return int(c.value)
		}
	}
	return 0
}

func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
}

func paragraph(o *out, text string) {
	if text != "" {
		o.p("%s\n", strings.TrimSpace(text))
	}
}

func referenceInterface(o *out, s *schema, it *iface) {
	o.p("### %s\n", it.name)
	o.p("Interface id `%#x`.\n", it.id)
	paragraph(o, it.doc)
	for _, m := range it.methods {
		o.p("#### %s.%s\n", it.name, m.name)
		o.p("    %s\n", signature(s, m))
		paragraph(o, m.description)
		o.p("- ordinal %d; %s", m.ordinal, blocking(m))
		o.p("- compact form: %s\n", compactForm(m))
		referenceFields(o, "parameter", m.params)
		referenceFields(o, "result", m.results)
		referenceFails(o, m.fails)
	}
}

func referenceFields(o *out, what string, side *structure) {
	if len(side.fields) == 0 {
		return
	}
	o.p("| %s | meaning |\n| --- | --- |", what)
	for _, f := range side.fields {
		o.p("| `%s` | %s |", f.name, cell(f.doc))
	}
	o.p("")
}

// referenceOperations shows the system calls and the opcodes: what each does and answers, besides
// what the method answers that is called.
func referenceOperations(o *out, s *schema) {
	o.p("## System calls and opcodes\n")
	for _, c := range s.consts {
		if strings.HasPrefix(c.name, systemCallPrefix) {
			o.p("### %s\n\nEAX = %d.\n", c.name, c.value)
			paragraph(o, c.doc)
			referenceFails(o, c.fails)
		}
	}
	for _, e := range s.enums {
		if e.name != "Opcode" {
			continue
		}
		for i, it := range e.items {
			o.p("### Opcode %s\n\nOpcode %d.\n", it.name, i)
			paragraph(o, it.doc)
			referenceFails(o, it.fails)
		}
	}
}

func typeName(s *schema, f field) string {
	switch f.kind {
	case typeText:
		return "Text"
	case typeData:
		return "Data"
	case typeInterface:
		if it := s.byID[f.typeID]; it != nil {
			return it.name
		}
		return "capability"
	}
	if f.signed() {
		return fmt.Sprintf("Int%d", f.width()*8)
	}
	return fmt.Sprintf("UInt%d", f.width()*8)
}

func signature(s *schema, m *method) string {
	list := func(fields []field) string {
		var parts []string
		for _, f := range fields {
			parts = append(parts, f.name+" :"+typeName(s, f))
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	return fmt.Sprintf("%s @%d %s -> %s", m.name, m.ordinal, list(m.params.fields),
		list(m.results.fields))
}

func blocking(m *method) string {
	if m.blocks {
		return "may block"
	}
	return "does not block"
}

func arrayWord(m *method) string {
	if len(m.results.fields) == 1 {
		return "address of the result's word"
	}
	return fmt.Sprintf("address of %d result words", len(m.results.fields))
}

func compactForm(m *method) string {
	var words []string
	for _, f := range m.params.fields {
		if f.bytes() {
			words = append(words, f.name+" address", f.name+" length")
		} else {
			words = append(words, f.name)
		}
	}
	result := "0"
	switch {
	case m.dataResult():
		name := m.results.fields[0].name
		words = append(words, name+" address", name+" capacity")
		result = "bytes written"
	case m.capResult():
		result = "CapId"
	case m.arrayResult():
		words = append(words, arrayWord(m))
	case len(m.results.fields) == 1:
		result = m.results.fields[0].name
	}
	text := "no words"
	if len(words) != 0 {
		text = strings.Join(words, ", ")
	}
	switch {
	case len(words) > 6:
		text = fmt.Sprintf("address of %d words: %s", len(words), text)
	case len(words) > registerWords:
		text = fmt.Sprintf("%s (in registers: the address of these %d words)", text,
			len(words))
	}
	return text + "; result word: " + result
}

func referenceLayout(o *out, st *structure) {
	o.p("### %s\n", st.name)
	o.p("%d bytes, aligned to %d.\n", st.size, st.align)
	paragraph(o, st.doc)
	o.p("| offset | field | type | meaning |\n| --- | --- | --- | --- |")
	for _, f := range st.fields {
		o.p("| %d | `%s` | %s | %s |", f.offset, f.name, goType(f), cell(f.doc))
	}
	o.p("")
}
