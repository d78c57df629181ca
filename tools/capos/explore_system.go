package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/manifest"
	"capos.dev/tools/internal/repo"
)

// faultsName is the service that makes others fail, and the endpoint at which their clients tell it
// what they were answered. Agents are endpoints at which the services wait for orders to overwrite
// their own memory.
const (
	faultsName  = "faults"
	agentName   = "fault_agent"
	agentsNames = "agents-"
)

// entropyType is virtio's number of entropy devices.
const entropyType = 4

// failingSystem is a system that is explored: its services fail by the choices of the seed.
type failingSystem struct {
	launch *launch
	m      *manifest.Manifest
	faults *manifest.Service
	args   []string // of it, as the manifest has them
	files  []hostFile
	wanted uint64
}

// prepareSystem reads the manifest and builds its programs.
func (x *explorer) prepareSystem(file string, rest []string) ([]target, error) {
	if len(rest) > 0 {
		return nil, errors.New("a system has no flags of go test")
	}
	m, err := readManifest(x.root, file)
	if err != nil {
		return nil, err
	}
	if err := repo.Make(x.root, "services"); err != nil {
		return nil, err
	}
	s := &failingSystem{m: m, wanted: x.flags.faults}
	failing, err := s.arm()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s.launch = &launch{root: x.root, config: x.config, flags: &machineFlags{},
		host: serviceFile(x.root, "init"), system: true}
	if s.files, err = findBinaries(x.root, m, filepath.Dir(file), failing); err != nil {
		return nil, err
	}
	s.files = append(s.files, hostFile{s.launch.host, initPath})
	x.config.KernelParameters = append(x.config.KernelParameters, m.KernelParams...)
	x.config.Entropy = x.hasChoosingKernel() && drivesEntropy(m)
	return []target{{name: file, elf: s.launch.host, words: []string{file}, system: s}}, nil
}

// drivesEntropy tells whether a service drives the entropy device. No other device answers at the
// same instruction in each run.
func drivesEntropy(m *manifest.Manifest) bool {
	for i := range m.Services {
		for _, device := range m.Services[i].Devices {
			if device.Type == entropyType && !device.Registers {
				return true
			}
		}
	}
	return false
}

// arm lets the service faults reach those that it makes fail, which its arguments name, and gives
// their binaries. It is the first service and does not depend on consoled, because that fails too.
func (s *failingSystem) arm() (failing map[string]bool, err error) {
	at := slices.IndexFunc(s.m.Services, func(one manifest.Service) bool {
		return one.Name == faultsName
	})
	if at < 0 {
		return nil, errors.New("it has no service faults, which makes others fail " +
			"(docs/explore.md)")
	}
	s.m.Services[at].Labelled, s.m.Services[at].After = false, nil
	s.moveFirst(at)
	s.faults = &s.m.Services[0]
	s.args = s.faults.Args
	failing = map[string]bool{}
	for i := range s.m.Services[1:] {
		one := &s.m.Services[i+1]
		if !slices.Contains(s.args, one.Name) {
			continue
		}
		failing[one.Binary] = true
		for _, grant := range []string{"thread_spawner", "park"} {
			if !slices.Contains(one.Grants, grant) {
				one.Grants = append(slices.Clone(one.Grants), grant)
			}
		}
		one.Uses = append(one.Uses, manifest.Use{Name: agentName,
			Endpoint: agentsNames + one.Name})
		if !slices.Contains(one.After, 0) {
			one.After = append(one.After, 0)
		}
		s.faults.Serves = append(s.faults.Serves, manifest.Serve{
			Name: agentsNames + one.Name, Calls: 4})
	}
	return failing, nil
}

// moveFirst makes a service the first in the order of starts.
func (s *failingSystem) moveFirst(at int) {
	moved := s.m.Services[at]
	s.m.Services = slices.Insert(slices.Delete(s.m.Services, at, at+1), 0, moved)
	for i := range s.m.Services {
		for n, other := range s.m.Services[i].After {
			switch {
			case other == at:
				s.m.Services[i].After[n] = 0
			case other < at:
				s.m.Services[i].After[n]++
			}
		}
	}
}

// pack gives the manifest of an attempt.
func (s *failingSystem) pack(a attempt) ([]byte, error) {
	m, faults := *s.m, *s.faults
	m.Services = slices.Clone(s.m.Services)
	faults.Args = append([]string{fmt.Sprintf("seed=%d", a.seed),
		fmt.Sprintf("faults=%d", s.wanted)}, s.args...)
	if a.faults != "" {
		faults.Args = append(faults.Args, "only="+a.faults)
	}
	m.Services[0] = faults
	return manifest.Pack(&m, binaryPath, plainEnv("/"))
}

// digest is that of all that its machines hold.
func (s *failingSystem) digest() (string, error) {
	packed, err := s.pack(attempt{})
	sum := sha256.New()
	sum.Write(packed)
	for _, f := range s.files {
		if err == nil {
			var one string
			one, err = digestOf(f.host)
			fmt.Fprintln(sum, f.path, one)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}

// image gives what a machine holds that makes the attempts: a manifest for each.
func (s *failingSystem) image(x *explorer, attempts []attempt) (*bootimage.Tree,
	[]bootimage.Program, error) {
	tree := bootimage.NewTree()
	tree.Input, tree.Date = hostchannel.Input(nil), s.launch.config.Seed.Date
	for _, dir := range []string{"/tmp", bootimage.Home} {
		if err := tree.AddDir(dir); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range s.files {
		if err := f.addTo(tree); err != nil {
			return nil, nil, err
		}
	}
	var list []bootimage.Program
	for i, a := range attempts {
		packed, err := s.pack(a)
		if err != nil {
			return nil, nil, err
		}
		path := manifestPath + strconv.Itoa(i)
		if err := tree.AddData(path, packed, 0o444, time.Time{}); err != nil {
			return nil, nil, err
		}
		program := bootimage.Program{Path: initPath, Args: []string{initPath, path},
			Grants: s.m.GrantBits()}
		if x.flags.strategy != 0 {
			program.Env = []string{x.kernelVariable(&target{system: s}, a)}
		}
		list = append(list, program)
	}
	return tree, list, nil
}

// shrinkFaults leaves out faults as long as the run still fails in the same way. What remains is
// told, and named in the replay.
func (s *session) shrinkFaults(ctx context.Context, f *explore.Found, r *explore.Run) {
	left, tries := r.Made(), 0
	f.Of, f.Shrunk = len(left), true
	fails := func(list []explore.Fault) bool {
		tries++
		if ctx.Err() != nil || tries > shrinkRuns || len(list) == 0 {
			return false
		}
		_, same := s.try(ctx, attempt{seed: f.Seed, faults: faultList(list),
			strategy: s.x.flags.strategy},
			f.Signature())
		return same
	}
	for size := len(left); size > 0; size /= 2 {
		for from := 0; from+size <= len(left); {
			fewer := slices.Delete(slices.Clone(left), from, from+size)
			if fails(fewer) {
				left = fewer
			} else {
				from += size
			}
		}
	}
	for _, fault := range left {
		f.Story = append(f.Story, explore.Disturbance{Text: fault.String()})
	}
	if len(left) < f.Of {
		f.Replay = s.command(fmt.Sprintf("%d:%s", f.Seed, faultList(left)), "")
	}
}

func faultList(list []explore.Fault) string {
	numbers := make([]string, len(list))
	for i, fault := range list {
		numbers[i] = strconv.Itoa(fault.Number)
	}
	return strings.Join(numbers, ",")
}
