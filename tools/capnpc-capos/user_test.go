package main

// Tests of what ./capos schema makes, and of libcapos' messages against the capnp tool.

import (
	"bytes"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// userSchema loads declarations that a test makes up.
func userSchema(t *testing.T, text string) (*userFile, *source, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.capnp")
	text = "@0xb5a9f8d1c2e3f407;\n" + text
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	source := readSource("x.capnp", text)
	f, err := loadUserSchema(compile(t, dir, path), source)
	return f, source, err
}

// rejected is a schema, and how its rejection begins.
type rejected struct{ text, want string }

func TestMistakesHaveLines(t *testing.T) {
	for _, c := range []rejected{
		{"struct S {\n  a @0 :AnyPointer;\n}", "3: S.a: AnyPointer"},
		{"interface I {\n  m @0 ();\n  n @1 (a :Int8,\n    b :AnyPointer);\n}",
			"4: I.n.b: AnyPointer"},
		{"struct S(T) {\n  a @0 :T;\n}", "2: S: parameters"},
		{"interface A {}\ninterface B extends(A) {}", "3: B: an interface cannot"},
		{"struct S {\n\n  a @0 :List(Void);\n}", "4: S.a: lists of Void"},
		{"# no struct {\nstruct S {\n  a @0 :Text = \"b\";\n}", "4: S.a: only numbers"},
		{"const c :List(Int8) = [1];", "2: c: constants are"},
		{"struct O {\n  g :group {\n    x @0 :Int8;\n    y @1 :AnyPointer;\n  }\n}",
			"5: O.g.y: AnyPointer"},
	} {
		_, _, err := userSchema(t, c.text)
		if err == nil || !strings.HasPrefix(err.Error(), "x.capnp:"+c.want) {
			t.Errorf("%s: %v, not %q", c.text, err, c.want)
		}
	}
}

func TestNamesMeetInC(t *testing.T) {
	for _, c := range []rejected{
		{"interface I {\n  serve @0 ();\n}", "3: I.serve: it and I are both i_serve"},
		{"struct X {\n  struct YZ { a @0 :Int8; }\n  struct Y {\n    struct Z { a @0 " +
			":Int8; }\n  }\n}", "5: X.Y.Z: it and X.YZ are both struct x_y_z"},
		{"struct XList { a @0 :Int8; }\nstruct X { b @0 :Int8; }",
			"3: X: it and XList are both struct x_list"},
		{"interface I {\n  table @0 ();\n}", "3: I.table: it and I are both i_table"},
		{"struct S {\n  int @0 :Int8;\n  union {\n    which @1 :Int8;\n    b @2 :Void;\n" +
			"  }\n}", ""},
	} {
		f, source, err := userSchema(t, c.text)
		if err == nil {
			_, err = generateUserC(f, source)
		}
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || err.Error() != "x.capnp:"+c.want+" in C" {
			t.Errorf("%s: %v, not %q", c.text, err, c.want)
		}
	}
}

func TestWhatFitsRegisters(t *testing.T) {
	f, _, err := userSchema(t, `interface I {
  five @0 (a :Int64, b :Int64, c :Int64, d :Int64, e :Int64) -> (a :Int64, b :Int64, c :Int64,
    d :Int64, e :Int64, f :Int64);
  six @1 (a :Int64, b :Int64, c :Int64, d :Int64, e :Int64, f :Int8);
  seven @2 () -> (a :Int64, b :Int64, c :Int64, d :Int64, e :Int64, f :Int64, g :Bool);
  cap @3 (a :I, b :Int64) -> (c :I);
  caps @4 (a :I, b :I);
  text @5 (a :Text);
  list @6 () -> (a :List(I));
}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []bool{true, false, false, true, false, false, false}
	carries := []int{0, 0, 0, 1, 0, 0, 8}
	for i, m := range f.interfaces[0].methods {
		if n := m.results.carries(map[*userStruct]bool{}); m.inRegisters() != want[i] ||
			n != carries[i] {
			t.Errorf("%s: %v, %d capabilities", m.name, m.inRegisters(), n)
		}
	}
}

func TestWhatHasABound(t *testing.T) {
	f, _, err := userSchema(t, `struct P { a @0 :Int64; b @1 :Q; }
struct Q { c @0 :I; d @1 :Bool; e :group { f @2 :R; } }
struct R { g @0 :Int8; }
struct N { next @0 :N; }
struct T { g :group { t @0 :Text; } }
interface I {
  p @0 () -> P;
  none @1 ();
  text @2 () -> (t :T);
  list @3 () -> (l :List(P));
  node @4 () -> N;
}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2 + 3 + 1, 0, 0, 0, 0} {
		m := f.interfaces[0].methods[i]
		if got := m.results.boundedWords(); got != want {
			t.Errorf("%s: %d words, not %d", m.name, got, want)
		}
	}
}

func TestGoNeedsRegisters(t *testing.T) {
	f, source, err := userSchema(t, "interface I {\n  m @0 ();\n  n @1 (a :Text);\n}")
	if err == nil {
		_, err = generateUserGo(f, source, "x")
	}
	if err == nil || !strings.HasPrefix(err.Error(), "x.capnp:4: I.n: it does not fit") {
		t.Error(err)
	}
}

// TestExampleIsUpToDate compares the example's Go file with what is made of its schema.
func TestExampleIsUpToDate(t *testing.T) {
	const schema = "../../examples/counter/counter.capnp"
	text, err := os.ReadFile(schema)
	if err != nil {
		t.Fatal(err)
	}
	source := readSource("counter.capnp", string(text))
	f, err := loadUserSchema(compile(t, filepath.Dir(schema), schema), source)
	if err != nil {
		t.Fatal(err)
	}
	made, err := generateUserGo(f, source, "main")
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadFile("../../examples/counter-go/counter.go")
	if err != nil || !bytes.Equal(made, there) {
		t.Errorf("./capos schema --go makes another counter.go than there is (%v)", err)
	}
}

func TestDamagedUserRequests(t *testing.T) {
	request := compile(t, "../../tests/schema", "../../tests/schema/all.capnp")
	random := rand.New(rand.NewSource(1))
	for range 300 {
		damaged := bytes.Clone(request)
		for range 1 + random.Intn(4) {
			damaged[random.Intn(len(damaged))] = byte(random.Intn(256))
		}
		loadUserSchema(damaged, readSource("all.capnp", ""))
	}
}

// allText is an All of tests/schema/all.capnp. Structures that C embeds are all there, because C
// has no other way to say what they are.
const allText = `(
  bit = false, small = -7, medium = 65535, wide = -9223372036854775808, real = -0.25,
  data = "\x00\xff\x01", text = "text", tree = (name = "root", children = [
    (name = "a", at = (x = 1, y = 2, color = red)), (name = "", at = (color = blue)),
    (name = "c", left = (name = "d", at = ()), at = ())], at = (x = -1)),
  shape = (area = 9, box = (width = 1, height = 2, name = "box")),
  bits = [true, false, true, true, true, false, false, false, false, true],
  bytes = [1, 2, 255], words = [1, 2, 3, 4, 5], reals = [1.5, -2e300],
  texts = ["", "b", "a longer one"], blobs = ["12345678", ""],
  grid = [[1, -2, 3], [], [-2147483648]], colors = [blue, red],
  shapes = [(area = 1, none = void), (area = 2, circle = 3.5), (area = 3, corners =
    [(x = 1, y = 2, color = red), (x = 3, y = 4, color = blue)])])`

func TestMessagesAreCapnps(t *testing.T) {
	tool := os.Getenv("SCHEMA_TOOL")
	if tool == "" {
		t.Skip("SCHEMA_TOOL is not set")
	}
	run := func(input []byte, name string, args ...string) []byte {
		cmd := exec.Command(name, args...)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v", name, args, err)
		}
		return out
	}
	capnp := func(what string, input []byte) []byte {
		return run(input, "capnp", what, "-I", "../../abi/schema",
			"../../tests/schema/all.capnp", "All")
	}
	message := capnp("encode", []byte(allText))
	want, got := capnp("decode", message), capnp("decode", run(message, tool))
	if !bytes.Equal(got, want) {
		t.Errorf("libcapos makes of it\n%s\nnot\n%s", got, want)
	}
}
