package main

// The C library's side, libcapos/stubs.h and stubs.c: for every method one call in register form
// and one in message form over the thread's ring. Both return a negative error, or 0, or the number
// of bytes of a Data result; other results come through pointers, written only on success.

import (
	"fmt"
	"strings"
)

func generateStubsHeader(s *schema) ([]byte, error) {
	o := &out{}
	o.p("/* Typed calls of every method.")
	o.p(" *")
	o.p(" * capos_INTERFACE_METHOD enters the kernel with the arguments in registers. It " +
		"touches no ring and is safe in")
	o.p(" * notification handlers. capos_INTERFACE_METHOD_message sends Cap'n Proto messages " +
		"over the calling thread's ring.")
	o.p(" * Both return a negative error (capos/call.h), the number of bytes of a Data " +
		"result, or 0.")
	o.p(" * %s */", notice)
	o.p("#ifndef CAPOS_STUBS_H\n#define CAPOS_STUBS_H\n")
	o.p("#include <stddef.h>\n#include <stdint.h>\n\n#include <capos/abi.h>\n#include " +
		"<capos/call.h>\n")
	o.p("#ifdef __cplusplus\nextern \"C\" {\n#endif\n")
	for _, it := range s.interfaces {
		if len(it.methods) == 0 {
			continue
		}
		o.p("/* ---- %s ---- */\n", it.name)
		for _, m := range it.methods {
			o.comment("", m.doc)
			o.p("%s;", prototype(it, m, ""))
			o.p("%s;\n", prototype(it, m, "_message"))
		}
	}
	o.p("#ifdef __cplusplus\n}\n#endif\n\n#endif")
	return o.Bytes(), nil
}

func stubType(f field) string {
	if f.signed() {
		return fmt.Sprintf("int%d_t", f.width()*8)
	}
	return fmt.Sprintf("uint%d_t", f.width()*8)
}

func prototype(it *iface, m *method, suffix string) string {
	args := []string{"capos_cap_t cap"}
	for _, f := range m.params.fields {
		name := snake(f.name)
		switch f.kind {
		case typeText:
			args = append(args, "const char *"+name)
		case typeData:
			args = append(args, "const void *"+name, "size_t "+name+"_length")
		default:
			args = append(args, stubType(f)+" "+name)
		}
	}
	for _, f := range m.results.fields {
		name := snake(f.name)
		switch f.kind {
		case typeInterface:
			args = append(args, "capos_cap_t *"+name)
		case typeData:
			args = append(args, "void *"+name, "size_t "+name+"_capacity")
		default:
			args = append(args, stubType(f)+" *"+name)
		}
	}
	return fmt.Sprintf("int64_t capos_%s%s(%s)", methodName(it, m), suffix, strings.Join(args,
		", "))
}

func generateStubs(s *schema) ([]byte, error) {
	o := &out{}
	o.p("/* Typed calls of every method: see stubs.h.")
	o.p(" * %s */", notice)
	o.p("#include <capos/stubs.h>\n\n#include <string.h>\n\n#include <capos/caps.h>\n")
	o.p("#include \"internal.h\"\n#include \"request.h\"\n")
	for _, it := range s.interfaces {
		for _, m := range it.methods {
			registerStub(o, s, it, m)
			messageStub(o, s, it, m)
		}
	}
	stubsGrants(o, s)
	errorTables(o, s)
	return o.Bytes(), nil
}

// errorTables writes the functions that say an error in words.
func errorTables(o *out, s *schema) {
	transport := &enum{}
	for _, e := range s.enums {
		if e.name == "TransportError" {
			transport = e
		}
	}
	o.p("struct error_text {\n\tconst char *name;\n\tconst char *meaning;\n};\n")
	for _, e := range []*enum{transport, s.errors} {
		o.p("static const struct error_text %s_texts[] = {", snake(enumName(e)))
		for _, it := range e.items {
			o.p("\t[%s] = {%q, %q},", macro(enumPrefix(e), it.name), it.name,
				strings.Join(strings.Fields(it.doc), " "))
		}
		o.p("};\n")
	}
	o.p("static const struct error_text *find_error(int64_t status)\n{")
	o.p("\tuint64_t number = 0 - (uint64_t)status;\n")
	o.p("\tif (number < CAPOS_ERROR_BASE)\n\t\treturn number < %d ? "+
		"&transport_error_texts[number] : NULL;", len(transport.items))
	o.p("\tnumber -= CAPOS_ERROR_BASE;")
	o.p("\treturn number < %d ? &error_texts[number] : NULL;\n}\n", len(s.errors.items))
	for _, what := range []string{"name", "meaning"} {
		o.p("const char *capos_error_%s(int64_t status)\n{", what)
		o.p("\tconst struct error_text *text = find_error(status);\n")
		o.p("\treturn text != NULL ? text->%s : \"unknown error\";\n}\n", what)
	}
}

// argumentWords lists the compact form's words as C expressions.
func argumentWords(m *method) []string {
	var words []string
	for _, f := range m.params.fields {
		name := snake(f.name)
		switch {
		case f.kind == typeText:
			words = append(words, "(uintptr_t)"+name, "strlen("+name+")")
		case f.kind == typeData:
			words = append(words, "(uintptr_t)"+name, name+"_length")
		case f.signed():
			words = append(words, "(uint64_t)"+name)
		default:
			words = append(words, name)
		}
	}
	switch {
	case m.dataResult():
		name := snake(m.results.fields[0].name)
		words = append(words, "(uintptr_t)"+name, name+"_capacity")
	case m.arrayResult():
		words = append(words, "(uintptr_t)array")
	}
	return words
}

func registerStub(o *out, s *schema, it *iface, m *method) {
	o.p("%s\n{", prototype(it, m, ""))
	stubDenial(o, s, it, m)
	words := argumentWords(m)
	results := m.results.fields
	if m.arrayResult() {
		o.p("\tuint64_t array[%d];", len(results))
	}
	if len(words) > registerWords {
		o.p("\tuint64_t words[%d] = {%s};", len(words), strings.Join(words, ", "))
		words = []string{"(uintptr_t)words"}
	}
	for len(words) < registerWords {
		words = append(words, "0")
	}
	call := fmt.Sprintf("capos_call(cap, %s, %s)", macro(it.name, m.name), strings.Join(words,
		", "))
	if len(results) == 0 || m.dataResult() {
		o.p("\treturn %s;\n}\n", call)
		return
	}
	o.p("\tint64_t word = %s;\n", call)
	o.p("\tif (capos_is_error(word))\n\t\treturn word;")
	for i, f := range results {
		switch {
		case m.arrayResult():
			o.p("\t*%s = (%s)array[%d];", snake(f.name), stubType(f), i)
		case m.capResult():
			o.p("\t*%s = (capos_cap_t)word;", snake(f.name))
		default:
			o.p("\t*%s = (%s)word;", snake(f.name), stubType(f))
		}
	}
	o.p("\treturn 0;\n}\n")
}

func messageStub(o *out, s *schema, it *iface, m *method) {
	o.p("%s\n{", prototype(it, m, "_message"))
	stubDenial(o, s, it, m)
	var lists, capacity []string
	for _, f := range m.params.fields {
		switch f.kind {
		case typeText:
			o.p("\tsize_t %s_length = strlen(%s) + 1;", snake(f.name), snake(f.name))
			fallthrough
		case typeData:
			lists = append(lists, fmt.Sprintf("request_padded(%s_length)",
				snake(f.name)))
		}
	}
	if m.dataResult() {
		capacity = append(capacity, snake(m.results.fields[0].name)+"_capacity")
	}
	lists, capacity = append(lists, "0"), append(capacity, "0")
	o.p("\tstruct request request;")
	room := strings.Join(lists[:max(1, len(lists)-1)], " + ")
	o.p("\tint64_t status = request_begin(&request, %d, %d, %s);\n", m.params.dataWords,
		m.params.pointers, room)
	o.p("\tif (status < 0)\n\t\treturn status;")
	for _, f := range m.params.fields {
		name := snake(f.name)
		if f.bytes() {
			o.p("\trequest_set_bytes(&request, %d, %s, %s_length);", f.offset, name,
				name)
		} else {
			o.p("\trequest_set_scalar(&request, %d, %d, (uint64_t)%s);",
				f.offset*f.width(), f.width(), name)
		}
	}
	o.p("\tstatus = request_send(&request, cap, %s, %d, %d, %s);", macro(it.name, m.name),
		m.results.dataWords,
		m.results.pointers, capacity[0])
	if len(m.results.fields) != 0 {
		takeResults(o, m)
	}
	o.p("\trequest_end(&request);\n\treturn status;\n}\n")
}

// takeResults stores the results of a call that succeeded.
func takeResults(o *out, m *method) {
	o.p("\tif (status >= 0) {")
	for _, f := range m.results.fields {
		name := snake(f.name)
		switch f.kind {
		case typeData:
			o.p("\t\tstatus = request_get_bytes(&request, %d, %s, %s_capacity);",
				f.offset, name, name)
		case typeInterface:
			o.p("\t\t*%s = request.returned_cap;", name)
		default:
			o.p("\t\t*%s = (%s)request_get_scalar(&request, %d, %d);", name,
				stubType(f), f.offset*f.width(), f.width())
		}
	}
	o.p("\t}")
}
