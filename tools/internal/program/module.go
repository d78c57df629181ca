package program

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/guestelf"
	"capos.dev/tools/internal/repo"
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

// exactVersion matches the versions that always mean the same source.
var exactVersion = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

// buildModule builds a command of a module at a version. It is built in a module of its own that
// requires it, because go build takes no version, and go install rejects modules with replacements.
// What an exact version was built to is used again as long as nothing else it is made of changes.
func buildModule(root, pkg, version string) (string, error) {
	output, err := outputFor(root, filepath.Join(root, moduleName(pkg)+"@"+version, pkg))
	if err != nil {
		return "", err
	}
	goroot, env, err := GoEnvironment(root)
	if err != nil {
		return "", err
	}
	stamp, made := output+".made", madeWith(goroot)
	if old, err := os.ReadFile(stamp); err == nil && string(old) == made &&
		exactVersion.MatchString(version) && guestelf.IsELF(output) {
		return output, nil
	}
	os.Remove(stamp)
	dir := output + ".module"
	env = append(env, "GOWORK=off", "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod")
	if os.Getenv("CAPOS_NO_INSTALL") != "" {
		env = append(env, "GOPROXY=off") // what was fetched before is found all the same
	}
	goCommand := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(goroot, "bin", "go"), args...)
		cmd.Dir, cmd.Env = dir, env
		return cmd
	}
	if err := requireModule(dir, pkg, version, goCommand); err != nil {
		return "", cli.WithStatus(report.StatusNotFound, err)
	}
	build := goCommand("build", "-o", output, pkg)
	if err := runBuild("building "+pkg+" for capOS", build); err != nil {
		return "", cli.WithStatus(report.StatusNotFound, err)
	}
	if err := checkMain(build, pkg, output); err != nil {
		return "", err
	}
	return output, os.WriteFile(stamp, []byte(made), 0o644)
}

// madeWith is what decides, beside the version, what is built: the toolchain, whose directory is
// named by its content, and the variables that the go command builds by.
func madeWith(goroot string) string {
	made := filepath.Base(goroot)
	for _, name := range []string{"GOAMD64", "GOEXPERIMENT", "GOFIPS140", "GOFLAGS"} {
		made += " " + name + "=" + os.Getenv(name)
	}
	return made
}

// requireModule makes dir a module that requires a version of what has the package. It asks for an
// exact version once. The go command's list of what it adds is shown only if it fails.
func requireModule(dir, pkg, version string, goCommand func(args ...string) *exec.Cmd) error {
	file := filepath.Join(dir, "go.mod")
	if old, err := os.ReadFile(file); err == nil && exactVersion.MatchString(version) &&
		bytes.Contains(old, []byte("\nrequire ")) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte("module capos.dev/build\n"), 0o644); err != nil {
		return err
	}
	what := "fetching " + pkg + "@" + version
	defer repo.Progress(what)()
	if text, err := goCommand("get", pkg+"@"+version).CombinedOutput(); err != nil {
		return fmt.Errorf("%s failed: %w\n%s", what, err, bytes.TrimSpace(text))
	}
	return nil
}
