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

// selectCase is the case of the select at FILE:LINE as its source has it. The compiler numbers
// those that send before those that receive. Where no such select is found it is the number.
func selectCase(place string, number int) string {
	nameless := fmt.Sprintf("ready case %d", number+1)
	file, line, _ := strings.Cut(place, ":")
	text, err := os.ReadFile(file)
	if err != nil {
		return nameless
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nameless
	}
	for node := range ast.Preorder(parsed) {
		s, ok := node.(*ast.SelectStmt)
		if !ok || strconv.Itoa(set.Position(s.Select).Line) != line {
			continue
		}
		if clauses := casesInOrder(s); number < len(clauses) {
			c := clauses[number]
			from, to := set.Position(c.Case).Offset, set.Position(c.Colon).Offset
			return string(bytes.Join(bytes.Fields(text[from:to]), []byte(" ")))
		}
	}
	return nameless
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
