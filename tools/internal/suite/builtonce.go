package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/repo"
)

// builtOnce is a module whose command ./capos run builds.
var builtOnce = map[string]string{
	"go.mod":  "module probe.example/builtonce\n\ngo 1.26\n",
	"main.go": "package main\n\nfunc main() {}\n",
}

// testBuiltOnce has ./capos run build a command of a module at an exact version: without the go
// command's own messages, and a second time without the proxy and what was fetched.
func (s *suite) testBuiltOnce(ctx context.Context) error {
	if _, err := s.toolchain(""); err != nil {
		return err
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return err
	}
	defer remove()
	proxy := filepath.Join(dir, "proxy")
	if err := writeProxy(proxy, "probe.example/builtonce", builtOnce); err != nil {
		return err
	}
	forget := func() { // what an earlier run has built must not count
		made, _ := filepath.Glob(filepath.Join(s.root, "build", "run", "builtonce-*"))
		for _, name := range made {
			os.RemoveAll(name)
		}
	}
	forget()
	defer forget()
	for _, source := range []string{proxy, filepath.Join(dir, "nothing")} {
		cmd := s.tool(ctx, "run", "--dry-run", "probe.example/builtonce@v1.0.0")
		cmd.Env = append(repo.Without(cmd.Env, "CAPOS_NO_INSTALL"), "GOSUMDB=off",
			"GOPROXY=file://"+source, "GOMODCACHE="+source+".cache")
		var messages strings.Builder
		cmd.Stderr = &messages
		if _, err := cmd.Output(); err != nil {
			return fmt.Errorf("with %s: %w\n%s", source, err, messages.String())
		}
		if said := withoutRemarks(messages.String()); said != "" {
			return fmt.Errorf("with %s it says %q", source, said)
		}
	}
	return nil
}
