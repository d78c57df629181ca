package explore

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
)

// selects are the cases of each select of a file as its source has them, by the line.
type selects map[string][]string

// selectsOf reads a file, which may be gone or have changed; then there are none.
func selectsOf(file string) selects {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	found := selects{}
	for node := range ast.Preorder(parsed) {
		s, ok := node.(*ast.SelectStmt)
		if !ok {
			continue
		}
		line := strconv.Itoa(set.Position(s.Select).Line)
		for _, c := range casesInOrder(s) {
			from, to := set.Position(c.Case).Offset, set.Position(c.Colon).Offset
			found[line] = append(found[line],
				string(bytes.Join(bytes.Fields(text[from:to]), []byte(" "))))
		}
	}
	return found
}

// caseAt is the case of the select at FILE:LINE. The compiler numbers those that send before those
// that receive. Where no such select is found it is the number.
func (t *teller) caseAt(place string, number int) string {
	file, line, _ := strings.Cut(place, ":")
	found, read := t.selects[file]
	if !read {
		found = selectsOf(file)
		t.selects[file] = found
	}
	if cases := found[line]; number < len(cases) {
		return cases[number]
	}
	return fmt.Sprintf("ready case %d", number+1)
}

// casesInOrder are the cases without the default, as the compiler numbers them.
func casesInOrder(s *ast.SelectStmt) []*ast.CommClause {
	var sends, receives []*ast.CommClause
	for _, clause := range s.Body.List {
		clause := clause.(*ast.CommClause)
		switch clause.Comm.(type) {
		case nil:
		case *ast.SendStmt:
			sends = append(sends, clause)
		default:
			receives = append(receives, clause)
		}
	}
	return append(sends, receives...)
}
