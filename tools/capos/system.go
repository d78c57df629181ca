package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/manifest"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/repo"
)

// Places in the boot image of a system.
const (
	initPath     = "/bin/init"
	manifestPath = "/etc/manifest"
)

// isManifest tells the manifest of a system from a program.
func isManifest(name string) bool { return filepath.Ext(name) == ".cue" }

// prepareSystem fills in init and the services of a manifest.
func (l *launch) prepareSystem(r *runFlags, dir string, args []string) error {
	if len(r.env)+len(r.out) > 0 {
		return errors.New("-e and -o are for one program; a manifest says what each " +
			"service has")
	}
	m, err := readManifest(l.root, args[0])
	if err != nil {
		return err
	}
	if len(args) > 1 {
		foreground := m.Foreground()
		if foreground == nil {
			return fmt.Errorf("%s has no foreground service, which could have "+
				"arguments", args[0])
		}
		foreground.Args = append(foreground.Args, args[1:]...)
	}
	if err := repo.Make(l.root, "services"); err != nil {
		return err
	}
	if err := l.addBinaries(m, filepath.Dir(args[0])); err != nil {
		return err
	}
	packed, err := manifest.Pack(m, binaryPath, plainEnv(dir))
	if err != nil {
		return err
	}
	if err := l.tree.AddData(manifestPath, packed, 0o444, time.Time{}); err != nil {
		return err
	}
	l.host = serviceFile(l.root, "init")
	if err := l.tree.AddHostFile(l.host, initPath); err != nil {
		return err
	}
	l.parameters = m.KernelParams
	l.patience = programPatience
	for _, s := range m.Services { // init asks one after the other
		l.patience += time.Duration(s.StopMs) * time.Millisecond
	}
	l.system = true
	words := []string{initPath, manifestPath}
	if r.initLog {
		words = append(words, "log")
	}
	l.program = bootimage.Program{Path: initPath, Args: words,
		Grants: m.GrantBits(), CommittedLimit: r.limits.memory,
		Counts: r.limits.counts}
	return nil
}

// serviceFile is a program of services/.
func serviceFile(root, name string) string { return filepath.Join(root, "build", "services", name) }

func binaryPath(binary string) string { return "/bin/" + binary }

// hostFile is a program, and where the machine has it.
type hostFile struct{ host, path string }

// addTo has the tree hold it, and the time zones that it needs.
func (f hostFile) addTo(tree *bootimage.Tree) error {
	if err := tree.AddHostFile(f.host, f.path); err != nil {
		return err
	}
	return addZones(tree, f.host)
}

// addBinaries builds the programs that services are made of.
func (l *launch) addBinaries(m *manifest.Manifest, dir string) error {
	files, err := findBinaries(l.root, m, dir, nil)
	for _, f := range files {
		if err == nil {
			err = f.addTo(l.tree)
		}
	}
	return err
}

// findBinaries builds them; those of services that are made to fail with the agent for that.
func findBinaries(root string, m *manifest.Manifest, dir string, failing map[string]bool) (
	files []hostFile, err error) {
	done := map[string]bool{}
	for _, s := range m.Services {
		if done[s.Binary] {
			continue
		}
		done[s.Binary] = true
		name, named := m.Binaries[s.Binary]
		find := program.Find
		switch {
		case failing[s.Binary]:
			find = program.FindFailing
			if s.Console && !named {
				name = filepath.Join(root, "services", s.Binary)
			}
		case s.Console && !named:
			name = serviceFile(root, s.Binary)
		}
		if beside := filepath.Join(dir, name); !filepath.IsAbs(name) && exists(beside) {
			name = beside
		}
		elf, err := find(root, name)
		if err != nil {
			return nil, fmt.Errorf("binary %s: %w", s.Binary, err)
		}
		files = append(files, hostFile{elf, binaryPath(s.Binary)})
	}
	return files, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// readManifest has the tool for manifests evaluate and check one. The tool says itself what is
// wrong with it.
func readManifest(root, file string) (*manifest.Manifest, error) {
	if os.Getenv("CAPOS_NO_INSTALL") != "" {
		os.Setenv("GOPROXY", "off") // what was fetched before is found all the same
	}
	tool := filepath.Join("build", "tools", "manifest")
	if err := repo.Make(root, tool); err != nil {
		return nil, fmt.Errorf("the tool for manifests could not be built, which needs "+
			"the CUE library from the Go module proxy: %w", err)
	}
	cmd := exec.Command(filepath.Join(root, tool), file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return nil, fmt.Errorf("%s is no manifest of a system", file)
	} else if err != nil {
		return nil, err
	}
	m := &manifest.Manifest{}
	return m, json.Unmarshal(out.Bytes(), m)
}

// service is what a run of one program stands for.
func (r *runFlags) service(args []string) (manifest.Service, error) {
	dir, err := r.workingDir()
	return manifest.Service{Name: manifest.ServiceName(program.Name(args[0])), Args: args[1:],
		Env:    bootimage.LastWins(append([]string{"PWD=" + dir}, r.environment()...)),
		Grants: manifest.UnsaidGrants(),
		Memory: r.limits.memory * uint64(abi.PageSize), Counts: r.limits.counts,
		Foreground: true}, err
}

// printManifest prints the manifest that a run of one program stands for.
func (r *runFlags) printManifest(args []string) int {
	if isManifest(args[0]) {
		return cli.Failf("%s is a manifest; --manifest prints that of a program", args[0])
	}
	service, err := r.service(args)
	if err == nil {
		err = manifest.Print(os.Stdout, service, args[0], nil, nil)
	}
	if err != nil {
		return cli.Fail(err)
	}
	return 0
}
