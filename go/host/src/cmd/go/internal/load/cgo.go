package load

import "cmd/go/internal/cfg"

// withoutCgo is what is said more of a package of which all files are excluded, if it has some with
// cgo, which is not there for capos.
func withoutCgo(dir string) string {
	ctxt := cfg.BuildContext
	if ctxt.GOOS != "capos" {
		return ""
	}
	ctxt.CgoEnabled = true
	if p, _ := ctxt.ImportDir(dir, 0); p == nil || len(p.CgoFiles) == 0 {
		return ""
	}
	return ": it needs cgo, which capOS does not have yet"
}
