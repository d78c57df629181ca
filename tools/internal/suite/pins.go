package suite

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/repo"
)

// What is fetched is pinned by hash. pinsFile has the lines of go.sum for the module of each entry
// of modulesFile. The go.sum that a module was published with is part of it, so those lines pin
// all that it was built with as well.

// PinsFile has lines MODULE VERSION HASH and MODULE VERSION/go.mod HASH.
const pinsFile = "tests/modules.sum"

// pin is a module at a version.
type pin struct {
	module, version string
	sums            string // lines of go.sum
}

func readPins(root string) ([]pin, error) {
	text, err := os.ReadFile(filepath.Join(root, pinsFile))
	if err != nil {
		return nil, err
	}
	var pins []pin
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			return nil, fmt.Errorf("%s: %q: want MODULE VERSION HASH", pinsFile, line)
		}
		version := strings.TrimSuffix(words[1], "/go.mod")
		last := len(pins) - 1
		if last < 0 || pins[last].module != words[0] || pins[last].version != version {
			pins, last = append(pins, pin{module: words[0], version: version}), last+1
		}
		pins[last].sums += line
	}
	return pins, nil
}

// pinOf gives the module that an entry is in: that with the longest name.
func pinOf(pins []pin, m published) (found pin, err error) {
	for _, p := range pins {
		inside := m.path == p.module || strings.HasPrefix(m.path, p.module+"/")
		if inside && p.version == m.version && len(p.module) > len(found.module) {
			found = p
		}
	}
	if found.module == "" || strings.Count(found.sums, "\n") != 2 {
		return pin{}, fmt.Errorf("%s does not have the two hashes of %s %s", pinsFile,
			m.path, m.version)
	}
	return found, nil
}

// fetchPinned has the go command fetch the module of an entry, for which dir has a go.mod. In its
// go.sum are then the hashes of the module and those that it was published with, so that what
// differs from them is refused. It gives where the module's files are.
func (s *suite) fetchPinned(m published, dir string,
	goCommand func(dir string, args ...string) (string, error)) (files string, why []check) {
	pins, err := readPins(s.root)
	if err != nil {
		return "", single(m.name(), err, "")
	}
	p, err := pinOf(pins, m)
	if err == nil {
		err = writeTexts(dir, map[string]string{"go.sum": p.sums})
	}
	if err != nil {
		return "", single(m.name(), err, "")
	}
	var got struct{ Dir, Error string }
	out, err := goCommand(dir, "mod", "download", "-json", p.module+"@"+p.version)
	if why, ok := repo.Unreachable(out); ok && err != nil {
		return "", []check{{m.name(), skipped, repo.NoProxy + why}}
	}
	if start := strings.IndexByte(out, '{'); err == nil && start >= 0 {
		err = json.NewDecoder(strings.NewReader(out[start:])).Decode(&got)
	}
	if err != nil || got.Dir == "" {
		return "", single(m.name(), fmt.Errorf("it could not be fetched: %v", err), out)
	}
	sums, err := os.ReadFile(filepath.Join(got.Dir, "go.sum"))
	if err != nil && !os.IsNotExist(err) {
		return "", single(m.name(), err, "")
	}
	if err := writeTexts(dir, map[string]string{"go.sum": p.sums + string(sums)}); err != nil {
		return "", single(m.name(), err, "")
	}
	return got.Dir, nil
}
