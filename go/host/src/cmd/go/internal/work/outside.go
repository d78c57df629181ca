package work

// How the assembler sees packages outside the Go root: see package internal/syslist.

import (
	"path/filepath"

	"cmd/go/internal/cfg"
	"cmd/go/internal/fsys"
	"cmd/go/internal/load"
	"internal/syslist"
)

// sourceFile returns the path of a package's file. golang.org/x/sys/unix enters the kernel by two
// assembly functions of its own, with numbers and a convention that capOS does not have. The port
// has a file with the same functions, which jump to package syscall.
func sourceFile(p *load.Package, name string) string {
	if cfg.Goos == "capos" && p.ImportPath == "golang.org/x/sys/unix" &&
		name == "asm_linux_amd64.s" {
		return filepath.Join(cfg.GOROOT, "pkg", "include", "x_sys_unix_capos.s")
	}
	return fsys.Actual(mkAbs(p.Dir, name))
}

// outsideDefines returns the assembler's flags for what goes with the build tag linux.
func outsideDefines(p *load.Package) []string {
	if syslist.Outside(cfg.Goos, cfg.GOROOT, p.Dir) {
		return []string{"-D", "GOOS_linux"}
	}
	return nil
}
