package suite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

// modulesFile names programs and modules that are built unchanged; its head says how.
const modulesFile = "tests/modules.txt"

// published is an entry of it.
type published struct {
	program bool
	path    string
	version string
	ci      bool
	// in place of a command of path: a directory whose main.go uses its packages
	source string
	flags  []string // of go build
}

func readModules(file string) ([]published, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []published
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		ci := len(words) == 4 && words[3] == "ci"
		if words[0] != "program" && words[0] != "module" || len(words) != 3 && !ci {
			return nil, fmt.Errorf("%s:%d: want program or module, PATH, VERSION, [ci]",
				file, n)
		}
		all = append(all, published{program: words[0] == "program", path: words[1],
			version: words[2], ci: ci})
	}
	return all, nil
}

// moduleSteps build each entry for capOS.
func (s *suite) moduleSteps() ([]step, error) {
	entries, err := readModules(filepath.Join(s.root, modulesFile))
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, m := range entries {
		steps = append(steps, step{name: "modules/" + m.name(), cpus: 2, full: !m.ci,
			run: func(ctx context.Context) []check {
				ctx, cancel := context.WithTimeout(ctx, stepLimit)
				defer cancel()
				defer lockBuilt(m.path)()
				return s.buildModule(ctx, m)
			}})
	}
	return steps, nil
}

var builtLocks sync.Map

// lockBuilt keeps the steps apart that build the same entry, or run what was built.
func lockBuilt(path string) (unlock func()) {
	lock, _ := builtLocks.LoadOrStore(path, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	return lock.(*sync.Mutex).Unlock
}

// buildModule builds an entry for capOS.
func (s *suite) buildModule(ctx context.Context, m published) []check {
	goroot, err := s.toolchain("")
	if err != nil {
		return single(m.name(), err, "")
	}
	return s.buildPublished(m, "", filepath.Base(goroot), func(dir string,
		args ...string) (string, error) {
		return s.modulesGo(ctx, goroot, dir, args...)
	})
}

// linuxSuffix tells the directory of what is built for Linux from that for capOS.
const linuxSuffix = ".linux"

// buildForLinux builds an entry with the Go that this tool was built with.
func (s *suite) buildForLinux(ctx context.Context, m published) []check {
	return s.buildPublished(m, linuxSuffix, runtime.Version(), func(dir string,
		args ...string) (string, error) {
		cmd := s.hostGo(ctx, dir, args...)
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		return string(out), err
	})
}

// buildPublished builds an entry in a module of its own that requires it. A stamp remembers with
// which toolchain that succeeded.
func (s *suite) buildPublished(m published, suffix, toolchain string,
	goCommand func(dir string, args ...string) (string, error)) []check {
	name := m.name()
	dir := s.modulesDir(m, suffix)
	stamp := filepath.Join(dir, "built")
	done := strings.Join(append([]string{m.version, toolchain}, m.flags...), " ")
	texts := map[string]string{"go.mod": "module capos.dev/build\n"}
	if m.source != "" {
		main, err := os.ReadFile(filepath.Join(m.source, "main.go"))
		if err != nil {
			return single(name, err, "")
		}
		texts["main.go"] = string(main)
		done += fmt.Sprintf(" %x", sha256.Sum256(main))
	}
	if old, err := os.ReadFile(stamp); err == nil && string(old) == done && !m.ci {
		return []check{{name, passed, "built before"}}
	}
	if err := writeTexts(dir, texts); err != nil {
		return single(name, err, "")
	}
	if _, why := s.fetchPinned(m, dir, goCommand); why != nil {
		return why
	}
	out, err := goCommand(dir, "get", m.path+"@"+m.version)
	if why, ok := repo.Unreachable(out); ok && err != nil {
		return []check{{name, skipped, repo.NoProxy + why}}
	}
	if err != nil {
		return single(name, err, out)
	}
	args := append([]string{"build"}, m.flags...)
	if m.program {
		args = append(args, "-o", s.builtProgram(m, suffix))
	}
	if out, err = goCommand(dir, append(args, m.packages())...); err == nil {
		err = os.WriteFile(stamp, []byte(done), 0o644)
	}
	return single(name, err, out)
}

// name is how it is called in the names of steps and directories.
func (m published) name() string { return strings.ReplaceAll(m.path, "/", ":") }

func (s *suite) modulesDir(m published, suffix string) string {
	name := m.name()
	if m.source != "" {
		name += "+" + filepath.Base(m.source)
	}
	if m.flags != nil {
		name += "+flags"
	}
	return filepath.Join(s.root, "build", "modules", name+suffix)
}

// builtProgram is where the command of an entry is built to: under its own name, which is also what
// it is called in the machine.
func (s *suite) builtProgram(m published, suffix string) string {
	return filepath.Join(s.modulesDir(m, suffix), "bin", program.Name(m.path+"@"+m.version))
}

// packages is what is built of it.
func (m published) packages() string {
	if m.source != "" {
		return "."
	}
	if m.program {
		return m.path
	}
	return m.path + "/..."
}

func (s *suite) modulesGo(ctx context.Context, goroot, dir string, args ...string) (string, error) {
	cmd, err := s.portedGo(ctx, goroot, dir, args...)
	if err != nil {
		return "", err
	}
	cmd.Env = append(cmd.Env, "GOFLAGS=-mod=mod")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
