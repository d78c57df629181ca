package symbols

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// The test binary itself is a Go program with a line table.
func TestGoProgram(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	table, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	pc := uint64(reflect.ValueOf(TestGoProgram).Pointer())
	if got := table.Describe(pc); !strings.HasPrefix(got,
		"capos.dev/tools/internal/symbols.TestGoProgram (symbols/symbols_test.go:") {
		t.Errorf("Describe(%#x) = %q", pc, got)
	}
	if got := table.Describe(0x10); got != "" {
		t.Errorf("Describe of an address outside the program = %q", got)
	}
	if table.IsReturnAddress(0x10) {
		t.Error("an address outside the program passes for a return address")
	}
}

func TestNilTable(t *testing.T) {
	var table *Table
	if table.Describe(1) != "" || table.IsReturnAddress(1) {
		t.Error("a missing table knows something")
	}
}
