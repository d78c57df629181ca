package main

// Tests of the schema compiler, and of the kernel's codec against the capnp tool
// (make host-test-codec runs them).

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func compile(t *testing.T, dir string, files ...string) []byte {
	t.Helper()
	out, err := exec.Command("capnp", append([]string{"compile", "-I", dir, "-I",
		"../../abi/schema", "-o-"}, files...)...).Output()
	if err != nil {
		t.Fatalf("capnp compile: %v", err)
	}
	return out
}

func realRequest(t *testing.T) []byte {
	files, _ := filepath.Glob("../../abi/schema/*.capnp")
	return compile(t, "../../abi/schema", files...)
}

// declare compiles declarations that a test makes up.
func declare(t *testing.T, text string) error {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.capnp")
	text = "@0xb5a9f8d1c2e3f405;\nusing C = import \"/annotations.capnp\";\nenum ErrorCode { " +
		"none @0; tooBad @1; }\n" + text
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := loadSchema(compile(t, dir, path))
	return err
}

func TestLayoutIsChecked(t *testing.T) {
	cases := map[string]string{
		"": "struct S $C.fixed(16) { a @0 :UInt32; b @1 :UInt32; c @2 " +
			":UInt64; }",
		"not aligned": "struct S $C.fixed(16) { a @0 :UInt32; c @1 :UInt64; b @2 " +
			":UInt32; }",
		"fields end":     "struct S $C.fixed(24) { a @0 :UInt64; c @1 :UInt64; }",
		"not a multiple": "struct S $C.fixed(12) { a @0 :UInt64; c @1 :UInt32; }",
		"needs $length":  "struct S $C.fixed(16) { a @0 :Data; }",
		"fixed layout":   "struct S $C.fixed(16) { a @0 :Text; }",
		"unions":         "struct S $C.fixed(16) { union { a @0 :UInt64; b @1 :UInt64; } }",
		"defaults":       "struct S $C.fixed(8) { a @0 :UInt64 = 5; }",
	}
	for want, text := range cases {
		rejection(t, want, text)
	}
}

// rejection checks that declarations are taken, want "", or rejected with an error that says want.
func rejection(t *testing.T, want, text string) {
	t.Helper()
	err := declare(t, text)
	if want == "" && err != nil {
		t.Errorf("%s: %v", text, err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: error %v does not say %q", text, err, want)
	}
}

func TestMethodsAreChecked(t *testing.T) {
	const does = "; # Does.\n"
	for _, c := range [][2]string{
		{"", "interface I { m @0 (a :UInt8) -> (b :Data)" + does + "# a: x\n# b: y\n}"},
		{"parameter a: unsupported", "interface I { m @0 (a :List(UInt8)) -> ()" + does +
			"# a: x\n}"},
		{"parameter a: unsupported", "interface I { m @0 (a :Float64) -> ()" + does +
			"# a: x\n}"},
		{"only result", "interface I { m @0 () -> (a :Data, b :UInt64)" + does +
			"# a: x\n# b: x\n}"},
		{"result a: unsupported", "interface I { m @0 () -> (a :Text)" + does +
			"# a: x\n}"},
		{"only result", "interface I { m @0 () -> (a :I, b :I)" + does +
			"# a: x\n# b: x\n}"},
		{"defaults", "interface I { m @0 (a :UInt32 = 7) -> ()" + does + "# a: x\n}"},
		{"cannot extend", "interface J {} interface I extends(J) {}"},
	} {
		rejection(t, c[0], c[1])
	}
}

func TestDescriptionsAreChecked(t *testing.T) {
	const method = "interface I { m @0 (size :UInt64) -> ();\n"
	for _, c := range [][2]string{
		{"", method + "# Does.\n# size: bytes\n# tooBad: size is\n#   odd\n}"},
		{"no description", method + "# size: bytes\n}"},
		{"size is not described", method + "# Does.\n# tooBad: size is odd\n}"},
		{"size has no text", method + "# Does.\n# size: \n}"},
		{"tooBad has no text", method + "# Does.\n# size: bytes\n# tooBad: \n}"},
		{"tooGood is no parameter", method +
			"# Does.\n# size: bytes\n# tooGood: size is odd\n}"},
		{"tooBad is described twice", method +
			"# Does.\n# size: bytes\n# tooBad: odd\n# tooBad: even\n}"},
		{"none is no parameter", method + "# Does.\n# size: bytes\n# none: always\n}"},
		{"", "enum Opcode { go @0; # Goes.\n# tooBad: always\n}"},
		{"Opcode.go: toBad", "enum Opcode { go @0; # Goes.\n# toBad: always\n}"},
		{"sysGo: toBad", "const sysGo :UInt32 = 1; # Goes.\n# toBad: always\n"},
	} {
		rejection(t, c[0], c[1])
	}
}

func TestEntriesAreSplit(t *testing.T) {
	description, entries := splitEntries("Does what it is: told.\nMore.\n" +
		"a: one\n  two\nb: three")
	want := []entry{{"a", "one two"}, {"b", "three"}}
	if description != "Does what it is: told.\nMore." || !slices.Equal(entries, want) {
		t.Errorf("%q, %q", description, entries)
	}
}

func TestNamesAreChecked(t *testing.T) {
	s := &schema{
		consts: []*constant{{name: "opcodeCall"}},
		enums:  []*enum{{name: "Opcode", items: []item{{name: "call"}}}},
	}
	if checkNames(s) == nil {
		t.Error("two declarations of one name are accepted")
	}
	s = &schema{structs: []*structure{{name: "Device", fields: []field{{name: "class"}}}}}
	if checkNames(s) == nil {
		t.Error("a keyword is accepted as the name of a field")
	}
}

// A request with any byte or tail missing or changed is an error or another schema, never a crash.
func TestDamagedRequests(t *testing.T) {
	request := realRequest(t)
	for i := 0; i < len(request); i += 101 {
		if _, err := loadSchema(request[:i]); err == nil {
			t.Fatalf("a request cut to %d of %d bytes is accepted", i, len(request))
		}
	}
	random := rand.New(rand.NewSource(1))
	for range 3000 {
		damaged := bytes.Clone(request)
		for range 1 + random.Intn(4) {
			damaged[random.Intn(len(damaged))] = byte(random.Intn(256))
		}
		if s, err := loadSchema(damaged); err == nil {
			checkNames(s)
		}
	}
}

// oracleSchema declares every method's parameters and results as named structures, with one
// interface in place of all: on the wire they are the same.
func oracleSchema(s *schema) string {
	text := "@0xb5a9f8d1c2e3f406;\ninterface Capability {}\n"
	for _, it := range s.interfaces {
		for _, m := range it.methods {
			for _, side := range []string{"params", "results"} {
				text += fmt.Sprintf("struct %s {\n", oracleName(it, m, side))
				for i, f := range m.side(side).fields {
					name := typeName(s, f)
					if f.kind == typeInterface {
						name = "Capability"
					}
					text += fmt.Sprintf("  %s @%d :%s;\n", f.name, i, name)
				}
				text += "}\n"
			}
		}
	}
	return text
}

func oracleName(it *iface, m *method, side string) string {
	return it.name + upperFirst(m.name) + upperFirst(side)
}

// value makes a random value of a field: as capnp's text, and as codec_tool prints or takes it.
func value(random *rand.Rand, f field) (capnp, plain string) {
	if f.bytes() {
		b := make([]byte, random.Intn(20))
		for i := range b {
			b[i] = byte('a' + random.Intn(26))
		}
		return fmt.Sprintf("%q", b), string(b)
	}
	v := random.Uint64() >> random.Intn(8) & (1<<(8*f.width()-1)<<1 - 1)
	if f.signed() {
		v = uint64(int64(v) << (64 - 8*f.width()) >> (64 - 8*f.width()))
		return fmt.Sprint(int64(v)), fmt.Sprint(int64(v))
	}
	return fmt.Sprint(v), fmt.Sprint(v)
}

func pipe(t *testing.T, input []byte, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, errs.String())
	}
	return string(out)
}

// TestOracle compares the kernel's codec with the capnp tool, for every method in both directions.
func TestOracle(t *testing.T) {
	tool := os.Getenv("CODEC_TOOL")
	if tool == "" {
		t.Fatal("CODEC_TOOL does not name the codec's filter; make host-test-codec does")
	}
	s, err := loadSchema(realRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "oracle.capnp")
	if err := os.WriteFile(path, []byte(oracleSchema(s)), 0o644); err != nil {
		t.Fatal(err)
	}
	capnp := func(input []byte, what, name string) string {
		return pipe(t, input, "capnp", what, "--quiet", "--short", "-I", "../../abi/schema",
			path, name)
	}
	random := rand.New(rand.NewSource(2))
	for _, it := range s.interfaces {
		for _, m := range it.methods {
			oracleParams(t, random, it, m, tool, func(text string) string {
				return pipe(t, []byte(text), "capnp", "encode", "-I",
					"../../abi/schema", path, oracleName(it, m, "params"))
			})
			oracleResults(t, random, it, m, tool, func(message string) string {
				return capnp([]byte(message), "decode",
					oracleName(it, m, "results"))
			})
		}
	}
}

func oracleParams(t *testing.T, random *rand.Rand, it *iface, m *method, tool string,
	encode func(string) string) {
	var text []string
	want := ""
	for _, f := range m.params.fields {
		c, plain := value(random, f)
		text = append(text, f.name+" = "+c)
		if f.bytes() {
			plain = hex.EncodeToString([]byte(plain))
		}
		want += f.name + " " + plain + "\n"
	}
	message := encode("(" + strings.Join(text, ", ") + ")")
	if got := pipe(t, []byte(message), tool, "decode", it.name+"."+m.name); got != want {
		t.Errorf("%s.%s: parameters %q decode as %q, not %q", it.name, m.name, text, got,
			want)
	}
}

func oracleResults(t *testing.T, random *rand.Rand, it *iface, m *method, tool string,
	decode func(string) string) {
	var text []string
	command := []string{tool, "encode", it.name + "." + m.name}
	for _, f := range m.results.fields {
		if f.kind == typeInterface {
			command = append(command, "0")
			continue
		}
		c, plain := value(random, f)
		command = append(command, plain)
		text = append(text, f.name+" = "+c)
	}
	if m.capResult() {
		// The capnp tool cannot show a capability outside a connection: a pointer to
		// capability 0 is expected as it is.
		const want = "00000000" + "02000000" + "0000000000000100" + "0300000000000000"
		if got := hex.EncodeToString([]byte(pipe(t, nil, command...))); got != want {
			t.Errorf("%s.%s: capability result %s", it.name, m.name, got)
		}
		return
	}
	want := "(" + strings.Join(text, ", ") + ")\n"
	if got := decode(pipe(t, nil, command...)); got != want {
		t.Errorf("%s.%s: results %q decode as %q", it.name, m.name, want, got)
	}
}

func TestExceptionOracle(t *testing.T) {
	message := pipe(t, nil, os.Getenv("CODEC_TOOL"), "exception")
	got := pipe(t, []byte(message), "capnp", "decode", "--quiet", "--short", "-I",
		"../../abi/schema",
		"../../abi/schema/call.capnp", "CapException")
	if !strings.HasPrefix(got,
		"(type = overloaded, code = 13, detail = 77, reason = \"noMemory: ") {
		t.Errorf("the exception decodes as %s", got)
	}
}

// Structures of the generated host package have the size the schema states.
func TestGoStructuresHaveNoPadding(t *testing.T) {
	s, err := loadSchema(realRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range s.structs {
		size := 0
		for _, f := range st.fields {
			if f.offset != size {
				t.Errorf("%s.%s: offset %d after %d bytes", st.name, f.name,
					f.offset, size)
			}
			size += f.elem * max(f.array, 1)
		}
		if size != st.size {
			t.Errorf("%s: %d bytes of fields in %d", st.name, size, st.size)
		}
	}
}

func TestGrantsAreChecked(t *testing.T) {
	one := "interface I $C.grants([(name = \"one\", bit = 0)]) {}\n"
	cases := map[string]string{
		"": one + "interface J $C.grants([(name = \"t_w_o\", bit = 1)]) {}",
		"has bit 2": one +
			"interface J $C.grants([(name = \"two\", bit = 2)]) {}",
		"has bit 0": one +
			"interface J $C.grants([(name = \"two\", bit = 0)]) {}",
		"one of two": one +
			"interface J $C.grants([(name = \"one\", bit = 1)]) {}",
		"not a name": "interface J $C.grants([(name = \"a b\", bit = 0)]) {}",
	}
	for want, text := range cases {
		rejection(t, want, text)
	}
}
