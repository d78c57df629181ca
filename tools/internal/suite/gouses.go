package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/guestelf"
)

// What people do with the go command, done with ./capos go: commands of a module at a version, -C,
// -ldflags, generated files, workspaces, vendored modules, a module cache of one's own, coverage.

// usedModule is a module that a proxy serves, with a command.
var usedModule = map[string]string{
	"go.mod":         "module probe.example/used\n\ngo 1.26\n",
	"used.go":        "package used\n\nconst Text = \"from the proxy\"\n",
	"cmd/hi/main.go": "package main\n\nfunc main() {}\n",
}

// usingTree has a main module that needs it, a workspace with another one, and a package that is
// nothing without cgo.
var usingTree = map[string]string{
	"main/go.mod": "module probe.example/using\n\ngo 1.26\n\n" +
		"require probe.example/used v1.0.0\n",
	"main/main.go": "package main\n\nimport \"probe.example/used\"\n\n" +
		"//go:generate sh -c \"echo package main > made.go; " +
		"echo const made = $GOOS$GOARCH >> made.go\"\n\nconst caposamd64 = 1\n\n" +
		"var said string\n\nfunc main() { println(said, used.Text, made) }\n",
	"other/go.mod":  "module probe.example/used\n\ngo 1.26\n",
	"other/used.go": "package used\n\nconst Text = \"from the workspace\"\n",
	"go.work":       "go 1.26\n\nuse (\n\t./main\n\t./other\n)\n",
	"cgo/go.mod":    "module probe.example/cgo\n\ngo 1.26\n",
	"cgo/cgo.go":    "package cgo\n\nimport \"C\"\n",
}

// A goUse is a command, run in the directory of usingTree.
type goUse struct {
	what string
	env  string
	args []string
	made string // a program for capOS, if it is not empty
	has  string // bytes of it
	says string // and fails, if it is not empty
}

func goUses(dir string) []goUse {
	const alone = "GOWORK=off"
	program := filepath.Join(dir, "program")
	build := []string{"-C", "main", "build", "-o", program}
	command := "probe.example/used/cmd/hi@latest"
	return []goUse{
		{what: "generate", env: alone, args: []string{"-C", "main", "generate", "./..."}},
		{what: "get", env: alone, args: []string{"-C", "main", "get",
			"probe.example/used@latest"}},
		{what: "ldflags", env: alone, args: append(build, "-ldflags",
			"-X main.said=by-the-linker", "."), made: program, has: "by-the-linker"},
		{what: "proxy", env: alone, args: append(build, "."), made: program,
			has: "from the proxy"},
		{what: "workspace", args: append(build, "."), made: program,
			has: "from the workspace"},
		{what: "install", env: alone, args: []string{"install", command}, has: "main.main",
			made: filepath.Join(dir, "path", "bin", "capos_amd64", "hi")},
		{what: "vendor", env: alone, args: []string{"-C", "main", "mod", "vendor"}},
		{what: "vendored", env: alone + " GOPROXY=off GOMODCACHE=" + dir + "/no",
			args: append(build, "."), made: program, has: "from the proxy"},
		{what: "build of a version", env: alone, args: []string{"build", command},
			says: "can only use path@version syntax"},
		{what: "cgo", env: alone, args: []string{"-C", "cgo", "build", "."},
			says: "it needs cgo, which capOS does not have yet"},
	}
}

// testGoUses runs them one after the other, since some need what others left.
func (s *suite) testGoUses(ctx context.Context) (checks []check) {
	dir, remove, err := makeScratch()
	if err != nil {
		return single("go-uses", err, "")
	}
	defer remove()
	proxy := filepath.Join(dir, "proxy")
	if err := writeTexts(dir, usingTree); err != nil {
		return single("go-uses", err, "")
	}
	if err := writeProxy(proxy, "probe.example/used", usedModule); err != nil {
		return single("go-uses", err, "")
	}
	for _, use := range goUses(dir) {
		cmd := s.tool(ctx, append([]string{"go"}, use.args...)...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "GOSUMDB=off", "GOFLAGS=-modcacherw",
			"GOPROXY=file://"+proxy, "GOMODCACHE="+filepath.Join(dir, "cache"),
			"GOPATH="+filepath.Join(dir, "path"))
		cmd.Env = append(cmd.Env, strings.Fields(use.env)...)
		out, err := cmd.CombinedOutput()
		checks = append(checks, single("go: "+use.what, use.judge(string(out), err),
			string(out))...)
	}
	return checks
}

func (use *goUse) judge(out string, err error) error {
	switch {
	case use.says != "" && err == nil:
		return fmt.Errorf("it succeeds")
	case use.says != "" && !strings.Contains(out, use.says):
		return fmt.Errorf("it does not say %q", use.says)
	case use.says != "":
		return nil
	case err != nil || use.made == "":
		return err
	}
	if _, err := guestelf.Check(use.made); err != nil {
		return err
	}
	bytes, err := os.ReadFile(use.made)
	if err == nil && !strings.Contains(string(bytes), use.has) {
		err = fmt.Errorf("the program does not have %q", use.has)
	}
	return err
}
