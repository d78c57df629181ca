package suite

import (
	"archive/zip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The build tags that packages see for capOS: linux outside the Go root, in a main module and in
// one of the module cache, and not inside. What they see of runtime.GOOS is capos, or what the
// compiler is told. docs/decisions/0013-the-tag-linux.md says why.

// outsideModule is a module of the cache, whose files the go command finds by an index.
var outsideModule = map[string]string{
	"go.mod":         "module probe.example/dep\n\ngo 1.26\n",
	"dep.go":         "package dep\n",
	"dep_linux.go":   "package dep\n\nimport _ \"probe.example/dep/inner\"\n",
	"dep_darwin.go":  "package dep\n\nimport _ \"probe.example/dep/none\"\n",
	"none/none.go":   "package none\n",
	"inner/inner.go": "//go:build linux && capos && unix\n\npackage inner\n",
	"inner/not.go":   "//go:build linux && !capos\n\npackage inner\n",
	// twice the same key, unless the system is linux
	"asks/asks.go": "package asks\n\nimport \"runtime\"\n\n" +
		"var _ = map[bool]int{false: 0, runtime.GOOS == \"linux\": 1}\n",
}

// outsideMain is a main module.
var outsideMain = map[string]string{
	"go.mod": "module probe.example/main\n\ngo 1.26\n\nrequire probe.example/dep v1.0.0\n",
	"main.go": "package main\n\nfunc value() int\n\n" +
		"func main() { println(value(), options()) }\n",
	// as golang.org/x/net/internal/socket
	"g_linux.go": "package main\n\nimport (\n\t_ \"syscall\"\n\t\"unsafe\"\n)\n\n" +
		"//go:linkname set syscall.setsockopt\n" +
		"func set(s, level, name int, value unsafe.Pointer, length uintptr) error\n\n" +
		"//go:linkname get syscall.getsockopt\n" +
		"func get(s, level, name int, value unsafe.Pointer, length *uint32) error\n\n" +
		"func options() bool { return set(0, 0, 0, nil, 0) == get(0, 0, 0, nil, nil) }\n",
	"a_linux_amd64.s": "#include \"textflag.h\"\n\n#ifdef GOOS_linux\n#ifdef GOOS_capos\n" +
		"TEXT ·value(SB),NOSPLIT,$0-8\n\tMOVQ $1, ret+0(FP)\n\tRET\n#endif\n#endif\n",
	"b_linux.go":      "package main\n\nimport _ \"probe.example/dep\"\n",
	"c_capos.go":      "package main\n",
	"d_darwin.go":     "package main\n",
	"e.go":            "//go:build linux && !capos\n\npackage main\n",
	"f_linux_test.go": "package main\n",
}

// testOutside has the go command list and build these modules. A proxy in a directory serves the
// one that belongs to the cache.
func (s *suite) testOutside(ctx context.Context) error {
	goroot, err := s.toolchain("")
	if err != nil {
		return err
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return err
	}
	defer remove()
	main := filepath.Join(dir, "main")
	if err := writeTexts(main, outsideMain); err != nil {
		return err
	}
	proxy := filepath.Join(dir, "proxy")
	if err := writeProxy(proxy, "probe.example/dep", outsideModule); err != nil {
		return err
	}
	run := func(args ...string) (string, error) {
		cmd, err := s.portedGo(ctx, goroot, main, args...)
		if err != nil {
			return "", err
		}
		cmd.Env = append(cmd.Env, "GOSUMDB=off", "GOFLAGS=-mod=mod -modcacherw",
			"GOPROXY=file://"+proxy, "GOMODCACHE="+filepath.Join(dir, "cache"))
		var messages strings.Builder
		cmd.Stderr = &messages
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err,
				messages.String())
		}
		return strings.TrimSpace(string(out)), err
	}
	return checkOutside(run)
}

func checkOutside(run func(args ...string) (string, error)) error {
	const files = "{{.GoFiles}} {{.SFiles}} {{.TestGoFiles}}"
	for _, c := range []struct{ what, files string }{
		{".", "[b_linux.go c_capos.go g_linux.go main.go] [a_linux_amd64.s] " +
			"[f_linux_test.go]"},
		{"probe.example/dep", "[dep.go dep_linux.go] [] []"},
		{"probe.example/dep/inner", "[inner.go] [] []"},
	} {
		if got, err := run("list", "-f", files, c.what); err != nil || got != c.files {
			return fmt.Errorf("%s is made of %s, not of %s: %v", c.what, got, c.files,
				err)
		}
	}
	const asks = "probe.example/dep/asks"
	for _, args := range [][]string{{"mod", "tidy"}, {"vet", "."}, {"build", "."},
		{"build", "-gcflags=" + asks + "=-env=runtime.GOOS=linux", asks}} {
		if _, err := run(args...); err != nil {
			return err
		}
	}
	if _, err := run("build", asks); err == nil {
		return fmt.Errorf("runtime.GOOS says linux, and the compiler was not told to")
	}
	inside, err := run("list", "-f", "{{.ImportPath}} {{.GoFiles}}", "std", "cmd/go",
		"cmd/vendor/golang.org/x/sys/unix")
	if err == nil && strings.Contains(inside, "_linux.go") {
		err = fmt.Errorf("a package inside the Go root sees the tag linux:\n%s", inside)
	}
	return err
}

func writeTexts(dir string, texts map[string]string) error {
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeProxy makes what a module proxy serves of version v1.0.0 of a module.
func writeProxy(proxy, module string, texts map[string]string) error {
	dir := filepath.Join(proxy, module, "@v")
	if err := writeTexts(dir, map[string]string{
		"list":        "v1.0.0\n",
		"v1.0.0.info": `{"Version": "v1.0.0"}`,
		"v1.0.0.mod":  texts["go.mod"],
	}); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "v1.0.0.zip"))
	if err != nil {
		return err
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for name, text := range texts {
		w, err := archive.Create(module + "@v1.0.0/" + name)
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
	}
	return archive.Close()
}
