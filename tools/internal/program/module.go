package program

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/report"
)

// moduleVersion takes apart what names a Go command of a module: PATH@VERSION, where the first part
// of the path is a domain.
func moduleVersion(given string) (pkg, version string, ok bool) {
	pkg, version, ok = strings.Cut(given, "@")
	domain, _, _ := strings.Cut(pkg, "/")
	return pkg, version, ok && version != "" && strings.Contains(domain, ".") &&
		!strings.HasPrefix(domain, ".")
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// moduleName is the last part of a package's path that is not the major version of its module.
func moduleName(pkg string) string {
	name := path.Base(pkg)
	if majorVersion.MatchString(name) && path.Dir(pkg) != "." {
		name = path.Base(path.Dir(pkg))
	}
	return name
}

// buildModule builds a command of a module at a version. It is built in a module of its own that
// requires it, because go build takes no version, and go install rejects modules with replacements.
func buildModule(root, pkg, version string) (string, error) {
	output, err := outputFor(root, filepath.Join(root, moduleName(pkg)+"@"+version, pkg))
	if err != nil {
		return "", err
	}
	goroot, env, err := GoEnvironment(root)
	if err != nil {
		return "", err
	}
	dir := output + ".module"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"),
		[]byte("module capos.dev/build\n"), 0o644); err != nil {
		return "", err
	}
	env = append(env, "GOWORK=off", "GOFLAGS=-mod=mod")
	if os.Getenv("CAPOS_NO_INSTALL") != "" {
		env = append(env, "GOPROXY=off") // what was fetched before is found all the same
	}
	var build *exec.Cmd
	for _, args := range [][]string{{"get", pkg + "@" + version},
		{"build", "-o", output, pkg}} {
		build = exec.Command(filepath.Join(goroot, "bin", "go"), args...)
		build.Dir, build.Env = dir, env
		if err := runBuild(fmt.Sprintf("go %s %s for capOS", args[0], pkg),
			build); err != nil {
			return "", cli.WithStatus(report.StatusNotFound, err)
		}
	}
	return output, checkMain(build, pkg, output)
}
