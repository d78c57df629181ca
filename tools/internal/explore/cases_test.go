package explore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const selectsSource = `package p

func f(a, b chan int, m map[int]chan int) {
	select {
	case v, ok := <-m[  1 ]:
		_, _ = v, ok
	case a <- 1:
		select {
		case <-b:
		default:
		}
	default:
	case b <- 2:
	case <-a:
	}
}
`

func TestSelectCase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.go")
	if err := os.WriteFile(file, []byte(selectsSource), 0o666); err != nil {
		t.Fatal(err)
	}
	told := new(Run).told(source)
	for _, c := range []struct {
		file   string
		line   int
		number int
		want   string
	}{
		{file, 4, 0, "case a <- 1"},
		{file, 4, 1, "case b <- 2"},
		{file, 4, 2, "case v, ok := <-m[ 1 ]"},
		{file, 4, 3, "case <-a"},
		{file, 4, 4, "ready case 5"},
		{file, 8, 0, "case <-b"},
		{file, 14, 0, "ready case 1"}, // its last digit is a select's line
		{file, 5, 1, "ready case 2"},
		{file + "x", 4, 0, "ready case 1"},
		{"", 0, 0, "ready case 1"},
	} {
		got := told.caseAt(fmt.Sprintf("%s:%d", c.file, c.line), c.number)
		if got != c.want {
			t.Errorf("line %d, case %d: %q, want %q", c.line, c.number, got, c.want)
		}
	}
}
