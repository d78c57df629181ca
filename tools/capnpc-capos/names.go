package main

// How a name of the schema is spelled in each language.

import (
	"fmt"
	"strings"
	"unicode"
)

// snake turns xsaveAddress and CapSetHeader into xsave_address and cap_set_header.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func macro(parts ...string) string {
	out := "CAPOS"
	for _, p := range parts {
		out += "_" + strings.ToUpper(snake(p))
	}
	return out
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func upperFirstIf(s string, yes bool) string {
	if yes {
		return upperFirst(s)
	}
	return s
}

// enumPrefix is the enum's name as its enumerants carry it: ErrorCode's are plain errors.
func enumPrefix(e *enum) string {
	if e.name == "ErrorCode" {
		return "Error"
	}
	return e.name
}

// methodName is console_write_line: the stem of everything generated for a method.
func methodName(it *iface, m *method) string { return snake(it.name) + "_" + snake(m.name) }

// cppKeywords are those that C does not have. Programs in C++ include the headers, too.
var cppKeywords = map[string]bool{}

func init() {
	for _, word := range strings.Fields("alignas alignof and and_eq bitand bitor " +
		"catch class compl concept " +
		"consteval constexpr constinit const_cast co_await co_return co_yield " +
		"decltype delete dynamic_cast explicit export friend mutable namespace " +
		"new noexcept not not_eq nullptr operator or or_eq private protected " +
		"public reinterpret_cast requires static_assert static_cast template " +
		"this thread_local throw try typeid typename using virtual wchar_t xor " +
		"xor_eq") {
		cppKeywords[word] = true
	}
}

// checkMembers rejects fields that C and C++ have another use for the name of.
func checkMembers(s *schema) error {
	for _, st := range s.structs {
		for _, f := range st.fields {
			if name := snake(f.name); cKeywords[name] || cppKeywords[name] {
				return fmt.Errorf("%s.%s is a keyword of C or C++", st.name, f.name)
			}
		}
	}
	return nil
}

// checkNames rejects two declarations that would get one name in C or in Go.
func checkNames(s *schema) error {
	seen := map[string]string{}
	add := func(name, what string) error {
		if other, taken := seen[name]; taken {
			return fmt.Errorf("%s and %s are both called %s", other, what, name)
		}
		seen[name] = what
		return nil
	}
	if err := checkMembers(s); err != nil {
		return err
	}
	for _, c := range s.consts {
		if err := add(macro(c.name), "constant "+c.name); err != nil {
			return err
		}
	}
	for _, e := range s.enums {
		for _, it := range e.items {
			if err := add(macro(enumPrefix(e), it.name),
				e.name+"."+it.name); err != nil {
				return err
			}
		}
	}
	for _, it := range s.interfaces {
		if err := add(macro("Interface", it.name), "interface "+it.name); err != nil {
			return err
		}
		for _, m := range it.methods {
			if err := add(macro(it.name, m.name), it.name+"."+m.name); err != nil {
				return err
			}
		}
	}
	return nil
}
