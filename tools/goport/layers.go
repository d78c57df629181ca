package main

// The layers of the toolchain, and the Go release below them.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// defaultBase is the release the port is made and tested with.
	defaultBase = "go1.26.8"
	// stampName marks a complete toolchain and names the layer it is.
	stampName = "capos-toolchain"
	// recipe changes when this program starts to build layers differently from the same inputs.
	recipe = "1"
	// portRecipe is the same for the port layer alone.
	portRecipe = "2"
	// exploreRecipe is the same for the explore layer alone.
	exploreRecipe = "1"
)

var (
	hostPrograms = []string{"cmd/go", "cmd/compile", "cmd/asm", "cmd/link"}
	// Parts of a release that building programs does not need.
	leftOut = map[string]bool{"api": true, "doc": true, "misc": true, "lib/wasm": true,
		".git": true, "pkg/obj": true}
	// Files the schema compiler generates, by their place in the tree.
	generatedFiles = []string{"runtime/zabi_capos.go", "syscall/zabi_capos.go"}
	// The race detector, compiled from go/race.
	raceObject = "runtime/race/race_capos_amd64.syso"
)

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "goport: "+format+"\n", args...)
}

// inputs are all files of which the toolchain is made.
type inputs struct {
	base        string // Go root of the unmodified release
	baseVersion string
	toolEdits   []edit
	portEdits   []edit
	hostOverlay map[string]string // source file by place in the tree, for the tools layer
	overlay     map[string]string // the same for the port layer
	toolsLayer  string            // hash
	portLayer   string            // hash

	exploreEdits   []edit
	exploreOverlay map[string]string
	exploreLayer   string // hash
}

func gatherInputs(root, baseVersion string) (*inputs, error) {
	base, err := findBase(baseVersion)
	if err != nil {
		return nil, err
	}
	in := &inputs{base: base, baseVersion: baseVersion}
	edits, err := readEdits(root, editsPath)
	if err != nil {
		return nil, err
	}
	tools, port := newHasher(), newHasher()
	tools.add("base", []byte(baseVersion+recipe+runtime.GOOS+runtime.GOARCH))
	for _, e := range edits {
		h := port
		if e.layer == "tools" {
			in.toolEdits, h = append(in.toolEdits, e), tools
		} else {
			in.portEdits = append(in.portEdits, e)
		}
		h.addEdit(e)
	}
	if in.hostOverlay, err = overlayFiles(filepath.Join(root, "go", "host")); err != nil {
		return nil, err
	}
	if err := tools.addOverlay(in.hostOverlay); err != nil {
		return nil, err
	}
	in.toolsLayer = tools.String()
	if err := in.gatherOverlay(root); err != nil {
		return nil, err
	}
	port.add("tools", []byte(in.toolsLayer+portRecipe))
	if err := port.addOverlay(in.overlay); err != nil {
		return nil, err
	}
	in.portLayer = port.String()
	return in, in.gatherExplore(root)
}

// gatherExplore finds what an explore build has besides. It changes no other layer, so ordinary
// programs stay as they are.
func (in *inputs) gatherExplore(root string) (err error) {
	if in.exploreEdits, err = readEdits(root, exploreEditsPath); err != nil {
		return err
	}
	if in.exploreOverlay, err = overlayFiles(filepath.Join(root, "go", "explore",
		"overlay")); err != nil {
		return err
	}
	h := newHasher()
	h.add("port", []byte(in.portLayer+exploreRecipe))
	for _, e := range in.exploreEdits {
		h.addEdit(e)
	}
	if err := h.addOverlay(in.exploreOverlay); err != nil {
		return err
	}
	in.exploreLayer = h.String()
	return nil
}

// overlayFiles lists the files of an overlay by their place in the tree.
func overlayFiles(dir string) (map[string]string, error) {
	files, err := listFiles(dir)
	overlay := map[string]string{}
	for _, name := range files {
		overlay[name] = filepath.Join(dir, name)
	}
	return overlay, err
}

func (in *inputs) gatherOverlay(root string) (err error) {
	if in.overlay, err = overlayFiles(filepath.Join(root, "go", "overlay")); err != nil {
		return err
	}
	made := map[string]string{raceObject: filepath.Join(root, "build", "race", "race.syso")}
	for _, name := range generatedFiles {
		made[name] = filepath.Join(root, "build", "gen", "go", name)
	}
	for name, path := range made {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w (make it with: make tools)", err)
		}
		in.overlay["src/"+name] = path
	}
	return nil
}

// findBase returns the root of the release. It is the installed Go if that has the version, and
// otherwise the one that the go command fetches as a toolchain module.
func findBase(baseVersion string) (string, error) {
	installed, err := goCommand("", "env", "GOROOT", "GOVERSION")
	if err != nil {
		return "", fmt.Errorf("a Go installation is needed to build capOS's: %w", err)
	}
	root, version, _ := strings.Cut(strings.TrimSpace(installed), "\n")
	if version == baseVersion {
		if _, err := os.Stat(filepath.Join(root, "src", "cmd", "compile",
			"main.go")); err == nil {
			return root, nil
		}
	}
	module := fmt.Sprintf("golang.org/toolchain@v0.0.1-%s.%s-%s", baseVersion, runtime.GOOS,
		runtime.GOARCH)
	installs := os.Getenv("CAPOS_NO_INSTALL") == ""
	if installs {
		progress("fetching %s (installed: %s)", baseVersion, version)
	} else {
		os.Setenv("GOPROXY", "off") // what was fetched before is found all the same
	}
	answer, err := goCommand(os.TempDir(), "mod", "download", "-json", module)
	if err != nil && !installs {
		return "", fmt.Errorf("the Go release %s is missing, and --no-install is given",
			baseVersion)
	}
	if err != nil {
		return "", err
	}
	var download struct{ Dir string }
	if err := json.Unmarshal([]byte(answer), &download); err != nil || download.Dir == "" {
		return "", fmt.Errorf("go mod download %s: no directory in its answer: %v", module,
			err)
	}
	return download.Dir, nil
}

// goCommand runs the installed go command and returns its output. Settings of go env -w apply where
// a variable is empty, so none is left empty. The user's proxy is used, and the user's flags and
// targets are not.
func goCommand(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod", "GOWORK=off",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	var message strings.Builder
	cmd.Stderr = &message
	answer, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err,
			message.String())
	}
	return string(answer), nil
}

// buildToolchain returns the directory of the toolchain, or of the one for explore builds, making
// what is missing.
func buildToolchain(root, baseVersion string, explore bool) (string, error) {
	in, err := gatherInputs(root, baseVersion)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	tools := filepath.Join(cache, "go-tools-"+in.toolsLayer)
	port := filepath.Join(cache, "go-"+in.portLayer)
	layers := []string{tools, port}
	if explore {
		layers = append(layers, filepath.Join(cache, "go-explore-"+in.exploreLayer))
	}
	wanted := layers[len(layers)-1]
	if isComplete(wanted) {
		markUsed(layers...)
		return wanted, nil
	}
	unlock, err := lockFile(filepath.Join(cache, "goport.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	for i, how := range []func(dir string) error{
		in.makeTools,
		func(dir string) error { return in.makePort(tools, dir) },
		func(dir string) error { return in.makeExplore(port, dir) },
	}[:len(layers)] {
		if err := makeLayer(layers[i], how); err != nil {
			return "", err
		}
	}
	markUsed(layers...)
	return wanted, pruneLayers(cache)
}

// markUsed sets the time of the layers' stamps, which pruneLayers looks at. Errors are ignored,
// because a toolchain works without.
func markUsed(layers ...string) {
	now := time.Now()
	for _, dir := range layers {
		os.Chtimes(filepath.Join(dir, stampName), now, now)
	}
}

// pruneLayers removes layers not used for a long time, so that working on the overlay
// does not fill the disk.
func pruneLayers(cache string) error {
	const unusedFor = 14 * 24 * time.Hour
	stamps, err := filepath.Glob(filepath.Join(cache, "go-*", stampName))
	if err != nil {
		return err
	}
	for _, stamp := range stamps {
		info, err := os.Stat(stamp)
		if err != nil || time.Since(info.ModTime()) < unusedFor {
			continue
		}
		if err := os.RemoveAll(filepath.Dir(stamp)); err != nil {
			return err
		}
	}
	return nil
}

func cacheDir() (string, error) {
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".cache")
	}
	dir = filepath.Join(dir, "capos")
	return dir, os.MkdirAll(dir, 0o755)
}

// lockFile keeps two builds of the same cache apart. The lock ends with the process.
func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { file.Close() }, nil
}

func isComplete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, stampName))
	return err == nil
}

// makeLayer builds a layer beside its place and renames it, so that a directory of that name is
// always complete.
func makeLayer(dir string, build func(dir string) error) error {
	if isComplete(dir) {
		return nil
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	begin := time.Now()
	if err := build(temporary); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(temporary, stampName), []byte(filepath.Base(dir)+"\n"),
		0o644); err != nil {
		return err
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	progress("%s made in %.1f s", filepath.Base(dir), time.Since(begin).Seconds())
	return os.Rename(temporary, dir)
}

// makeTools copies the release, applies the edits of the tools layer and rebuilds the four host
// programs that know the list of operating systems. The programs of a release that was fetched as a
// module have lost the permission to run, and get it back.
func (in *inputs) makeTools(dir string) error {
	progress("copying %s", in.baseVersion)
	skip := func(relative string) bool { return leftOut[filepath.ToSlash(relative)] }
	if err := copyTree(in.base, dir, copyFile, skip); err != nil {
		return err
	}
	host := runtime.GOOS + "_" + runtime.GOARCH
	for _, pattern := range []string{"bin/*", "pkg/tool/" + host + "/*"} {
		programs, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, program := range programs {
			if err := os.Chmod(program, 0o755); err != nil {
				return err
			}
		}
	}
	if err := in.layFiles(dir, in.toolEdits, in.hostOverlay); err != nil {
		return err
	}
	return installPrograms(dir)
}

// installPrograms builds the host programs with the release's own compiler. The linker would stamp
// them with the version of the release. The flag gives them the version of the port, by which the
// go command and the build cache tell them apart. Settings of the user, in the environment or by go
// env -w, have no effect on them.
func installPrograms(dir string) error {
	version, err := os.ReadFile(filepath.Join(dir, "VERSION"))
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(string(version), "\n")
	progress("building go, compile, asm and link as %s", name)
	args := append([]string{"install", "-trimpath",
		"-ldflags=all=-s -w -X runtime.buildVersion=" + name}, hostPrograms...)
	cmd := exec.Command(filepath.Join(dir, "bin", "go"), args...)
	cmd.Dir = filepath.Join(dir, "src")
	cmd.Env = append(os.Environ(), "GOENV=off", "GOROOT="+dir, "GOTOOLCHAIN=local", "GOFLAGS=",
		"GOPROXY=off", "GOWORK=off",
		"GOEXPERIMENT=", "GODEBUG=", "GOFIPS140=off", "GOTELEMETRY=off", "CGO_ENABLED=0",
		"GOOS=", "GOARCH=", "GOAMD64=v1", "GOBIN=")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// makePort lays the remaining edits and the overlay over a tree of hard links to the tools layer.
func (in *inputs) makePort(tools, dir string) error {
	if err := in.layOver(tools, dir, in.portEdits, in.overlay); err != nil {
		return err
	}
	return generatePortable(dir)
}

// makeExplore does the same over the port layer, for explore builds.
func (in *inputs) makeExplore(port, dir string) error {
	return in.layOver(port, dir, in.exploreEdits, in.exploreOverlay)
}

// layOver makes dir from hard links to the layer below, edits and new files.
func (in *inputs) layOver(below, dir string, edits []edit, overlay map[string]string) error {
	skip := func(relative string) bool { return relative == stampName }
	if err := copyTree(below, dir, linkFile, skip); err != nil {
		return err
	}
	return in.layFiles(dir, edits, overlay)
}

// layFiles applies edits to the tree of a layer and adds new files.
func (in *inputs) layFiles(dir string, edits []edit, overlay map[string]string) error {
	if err := applyEdits(dir, edits); err != nil {
		return err
	}
	for _, name := range sortedKeys(overlay) {
		target := filepath.Join(dir, name)
		if _, err := os.Stat(target); err == nil {
			return fmt.Errorf("overlay file %s exists in %s: make it an edit", name,
				in.baseVersion)
		}
		data, err := os.ReadFile(overlay[name])
		if err != nil {
			return err
		}
		if err := replaceFile(target, data); err != nil {
			return err
		}
	}
	progress("%d overlay files", len(overlay))
	return nil
}

func applyEdits(dir string, edits []edit) error {
	contents, err := planEdits(dir, edits, io.Discard)
	if err != nil {
		return err
	}
	progress("%d edits in %d files", len(edits), len(contents))
	return writeEdits(dir, contents)
}
