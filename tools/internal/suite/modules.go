package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// modulesFile names programs and modules that are built unchanged; its head says how.
const modulesFile = "tests/modules.txt"

// published is an entry of it.
type published struct {
	program bool
	path    string
	version string
	ci      bool
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
		all = append(all, published{words[0] == "program", words[1], words[2], ci})
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
		name := strings.ReplaceAll(m.path, "/", ":")
		steps = append(steps, step{name: "modules/" + name, cpus: 2, full: !m.ci,
			run: func(ctx context.Context) []check {
				return s.buildModule(ctx, name, m)
			}})
	}
	return steps, nil
}

// buildModule builds an entry in a module of its own that requires it. A stamp remembers with which
// toolchain that succeeded.
func (s *suite) buildModule(ctx context.Context, name string, m published) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	goroot, err := s.toolchain("")
	if err != nil {
		return single(name, err, "")
	}
	dir := filepath.Join(s.root, "build", "modules", name)
	stamp, done := filepath.Join(dir, "built"), m.version+" "+filepath.Base(goroot)
	if old, err := os.ReadFile(stamp); err == nil && string(old) == done && !m.ci {
		return []check{{name, passed, "built before"}}
	}
	err = writeTexts(dir, map[string]string{"go.mod": "module capos.dev/build\n"})
	if err != nil {
		return single(name, err, "")
	}
	out, err := s.modulesGo(ctx, goroot, dir, "get", m.path+"@"+m.version)
	if why, ok := unreachable(out); ok && err != nil {
		return []check{{name, skipped, "no module proxy can be reached: " + why}}
	}
	if err != nil {
		return single(name, err, out)
	}
	args := []string{"build"}
	if m.program {
		args = append(args, "-o", filepath.Join(dir, "program"))
	}
	out, err = s.modulesGo(ctx, goroot, dir, append(args, m.packages())...)
	if err == nil {
		err = os.WriteFile(stamp, []byte(done), 0o644)
	}
	return single(name, err, out)
}

// packages is what is built of it.
func (m published) packages() string {
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

// unreachable tells from the go command's messages whether there was a network at all.
func unreachable(messages string) (why string, ok bool) {
	for _, text := range []string{"no such host", "connection refused", "i/o timeout",
		"network is unreachable", "module lookup disabled", "connection reset",
		"TLS handshake timeout"} {
		if strings.Contains(messages, text) {
			return text, true
		}
	}
	return "", false
}
