package noder

import (
	"internal/buildcfg"

	"cmd/compile/internal/base"
	"cmd/compile/internal/ir"
	"cmd/compile/internal/syntax"
)

// outsidePragma returns what a declaration has besides its own pragmas. golang.org/x/sys/unix
// declares its system calls without bodies. Callers convert pointers to numbers for them, and the
// objects may be on the stack of the goroutine. On Linux that stack does not move during a call. On
// capOS the call runs Go code, so the objects have to be on the heap.
func outsidePragma(decl *syntax.FuncDecl) ir.PragmaFlag {
	if decl.Body == nil && buildcfg.GOOS == "capos" &&
		base.Ctxt.Pkgpath == "golang.org/x/sys/unix" {
		return ir.UintptrKeepAlive | ir.UintptrEscapes
	}
	return 0
}
