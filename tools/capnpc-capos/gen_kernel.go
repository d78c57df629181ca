package main

// The kernel's side: kernel/methods.h declares one function and two structures per method for the
// hand-written kernel to implement; kernel/dispatch.c holds the constant tables that lead from
// interface and ordinal to that function, with the field descriptors the decoder works from
// (kernel/call/decode.h).

import "strings"

func generateMethods(s *schema) ([]byte, error) {
	o := &out{}
	o.p("/* Every method the kernel implements: its parameters, its results, its function.")
	o.p(" * %s */", notice)
	o.p("#ifndef CAPOS_GEN_METHODS_H\n#define CAPOS_GEN_METHODS_H\n")
	o.p("#include <stdint.h>\n\n#include <capos/abi.h>\n\n#include " +
		"\"call/decode.h\"\n#include \"call/buffer.h\"\n")
	o.p("enum interface_index {")
	for _, it := range s.interfaces {
		o.p("\tINTERFACE_%s,", strings.ToUpper(snake(it.name)))
	}
	o.p("\tINTERFACE_COUNT\n};\n")
	for _, e := range s.namedEnums() {
		o.p("/* Indexed by enum capos_%s. */", snake(e.name))
		o.p("extern const char *const %s_names[%d];\n", snake(e.name), len(e.items))
	}
	o.p("/* Indexed by enum interface_index. */")
	o.p("extern const struct interface_desc interface_descs[INTERFACE_COUNT];\n")
	words, results, methods := 0, 1, 0
	for _, it := range s.interfaces {
		o.p("/* ---- %s ---- */\n", it.name)
		for _, m := range it.methods {
			words, results = max(words, m.words()), max(results, len(m.results.fields))
			methodDeclaration(o, it, m)
			methods++
		}
	}
	o.p("/* The methods of all interfaces: interface_desc.first_method and up. */")
	o.p("#define METHOD_COUNT %d\n", methods)
	o.p("/* Room for any method's parameters, and for any method's results. */")
	for _, side := range []string{"params", "results"} {
		o.p("union method_%s {", side)
		for _, it := range s.interfaces {
			for _, m := range it.methods {
				if len(m.side(side).fields) != 0 {
					o.p("\tstruct %s_%s %s;", methodName(it, m), side,
						methodName(it, m))
				}
			}
		}
		o.p("};\n")
	}
	o.p("/* The most argument words a method takes in compact form. */\n#define "+
		"METHOD_WORDS_MAX %d\n", words)
	o.p("/* The most results a method has. */\n#define METHOD_RESULTS_MAX %d\n", results)
	o.p("#endif")
	return o.Bytes(), nil
}

// namedEnums are those whose values the kernel's trace spells out; ErrorCode has more than names.
func (s *schema) namedEnums() (named []*enum) {
	for _, e := range s.enums {
		switch e.name {
		case "TransportError", "ParkResult", "ReceiveResult", "Opcode":
			named = append(named, e)
		}
	}
	return named
}

func (m *method) side(which string) *structure {
	if which == "params" {
		return m.params
	}
	return m.results
}

func methodDeclaration(o *out, it *iface, m *method) {
	name := methodName(it, m)
	for _, side := range []string{"params", "results"} {
		fields := m.side(side).fields
		if len(fields) == 0 {
			o.p("struct %s_%s {};", name, side)
			continue
		}
		o.p("struct %s_%s {", name, side)
		for _, f := range fields {
			o.p("\t%s;", kernelField(f, side))
		}
		o.p("};")
	}
	o.comment("", m.doc)
	o.p("status_t method_%s(struct call *call, const struct %s_params *in,", name, name)
	o.p("\t\tstruct %s_results *out);\n", name)
}

func kernelField(f field, side string) string {
	switch {
	case f.kind == typeInterface:
		return "struct object *" + snake(f.name)
	case f.bytes() && side == "params":
		return "struct buffer_in " + snake(f.name)
	case f.bytes():
		return "struct buffer_out " + snake(f.name)
	case f.signed():
		return "int64_t " + snake(f.name)
	}
	return "uint64_t " + snake(f.name)
}

func generateDispatch(s *schema) ([]byte, error) {
	o := &out{}
	o.p("/* The dispatch tables: from interface and ordinal to field descriptors and function.")
	o.p(" * %s */", notice)
	o.p("#include \"methods.h\"\n\n#include <stddef.h>\n\n#include \"grants.h\"\n")
	for _, it := range s.interfaces {
		for _, m := range it.methods {
			dispatchMethod(o, it, m)
		}
		if len(it.methods) != 0 {
			dispatchInterface(o, it)
		}
	}
	o.p("const struct interface_desc interface_descs[INTERFACE_COUNT] = {")
	first := 0
	for _, it := range s.interfaces {
		methods := "NULL"
		if len(it.methods) != 0 {
			methods = snake(it.name) + "_methods"
		}
		o.p("\t[INTERFACE_%s] = {", strings.ToUpper(snake(it.name)))
		o.p("\t\t.id = %s, .name = %q, .method_count = %d, .first_method = %d,",
			macro("Interface", it.name), it.name, len(it.methods), first)
		o.p("\t\t.methods = %s,", methods)
		first += len(it.methods)
		o.p("\t},")
	}
	o.p("};\n")
	dispatchGrants(o, s)
	o.p("const struct error_text error_texts[] = {")
	for _, it := range s.errors.items {
		o.p("\t[%s] = {%q, %q},", macro("Error", it.name), it.name,
			strings.Join(strings.Fields(it.doc), " "))
	}
	o.p("};\nconst size_t error_text_count = sizeof(error_texts) / sizeof(error_texts[0]);")
	for _, e := range s.namedEnums() {
		o.p("\nconst char *const %s_names[%d] = {", snake(e.name), len(e.items))
		for _, it := range e.items {
			o.p("\t[%s] = %q,", macro(e.name, it.name), it.name)
		}
		o.p("};")
	}
	return o.Bytes(), nil
}

// dispatchMethod writes the field descriptors and a function of the table's type: calling a method
// through a cast of its own type would be undefined behaviour.
func dispatchMethod(o *out, it *iface, m *method) {
	name := methodName(it, m)
	for _, side := range []string{"params", "results"} {
		fields := m.side(side).fields
		if len(fields) == 0 {
			continue
		}
		o.p("static const struct field_desc %s_%s_fields[] = {", name, side)
		for _, f := range fields {
			o.p("\t{%q, %s, %d, %d, offsetof(struct %s_%s, %s)},", f.name, fieldKind(f),
				f.width(), wirePosition(f),
				name, side, snake(f.name))
		}
		o.p("};")
	}
	o.p("static status_t invoke_%s(struct call *call, const void *in, void *out)\n{", name)
	o.p("\treturn method_%s(call, in, out);\n}\n", name)
}

func fieldKind(f field) string {
	switch {
	case f.kind == typeText:
		return "FIELD_TEXT"
	case f.kind == typeData:
		return "FIELD_DATA"
	case f.kind == typeInterface:
		return "FIELD_CAP"
	case f.signed():
		return "FIELD_SIGNED"
	}
	return "FIELD_UNSIGNED"
}

func wirePosition(f field) int {
	if f.scalar() {
		return f.offset * f.width()
	}
	return f.offset
}

func dispatchInterface(o *out, it *iface) {
	o.p("static const struct method_desc %s_methods[] = {", snake(it.name))
	for _, m := range it.methods {
		name := methodName(it, m)
		flags := []string{}
		if m.capResult() {
			flags = append(flags, "METHOD_RETURNS_CAP")
		}
		if m.dataResult() {
			flags = append(flags, "METHOD_RETURNS_DATA")
		}
		if m.arrayResult() {
			flags = append(flags, "METHOD_RESULT_ARRAY")
		}
		if m.plain() {
			flags = append(flags, "METHOD_PLAIN")
		}
		if m.narrow() {
			flags = append(flags, "METHOD_NARROW")
		}
		if len(flags) == 0 {
			flags = append(flags, "0")
		}
		o.p("\t[%s] = {", macro(it.name, m.name))
		o.p("\t\t.name = %q, .invoke = invoke_%s, .flags = %s, .words = %d,", m.name, name,
			strings.Join(flags, " | "), m.words())
		for _, side := range []string{"params", "results"} {
			st := m.side(side)
			table := "NULL"
			if len(st.fields) != 0 {
				table = name + "_" + side + "_fields"
			}
			o.p("\t\t.%s = {%s, %d, %d, %d, sizeof(struct %s_%s)},", side, table,
				len(st.fields), st.dataWords, st.pointers, name, side)
		}
		o.p("\t},")
	}
	o.p("};\n")
}
