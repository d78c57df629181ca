package manifest

import (
	"encoding/binary"
	"fmt"
	"slices"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
)

// packing is a manifest that is being packed.
type packing struct {
	m         *Manifest
	header    abi.ManifestHeader
	services  []abi.ManifestService
	grants    []abi.ManifestGrant
	endpoints []abi.ManifestEndpoint
	after     []uint32
	strings   []byte // begin at stringsOffset
	offset    uint32 // of the strings
}

// Pack gives the form that init reads. path says where in the boot image a binary is, env what each
// service's environment begins with.
func Pack(m *Manifest, path func(binary string) string, env []string) ([]byte, error) {
	p := &packing{m: m}
	p.layOut()
	for i := range m.Services {
		if err := p.addService(i, path(m.Services[i].Binary), env); err != nil {
			return nil, err
		}
	}
	p.header.Size = p.offset + uint32(len(p.strings))
	if p.header.Size > abi.ManifestSizeMax {
		return nil, fmt.Errorf("the packed manifest has %d bytes; at most %d are possible",
			p.header.Size, uint32(abi.ManifestSizeMax))
	}
	var out []byte
	var err error
	for _, part := range []any{&p.header, p.services, p.grants, p.endpoints, p.after} {
		if out, err = binary.Append(out, binary.LittleEndian, part); err != nil {
			return nil, err
		}
	}
	return append(out, p.strings...), nil
}

// layOut counts the records, so that the places of all tables are known, and makes the endpoints.
func (p *packing) layOut() {
	grants, dependencies := 0, 0
	for i, s := range p.m.Services {
		grants += len(s.Grants) + len(s.Serves) + len(s.Uses) + len(s.Devices)
		if s.Log {
			grants++
		}
		if s.Processes {
			grants++
		}
		dependencies += len(s.After)
		for _, serve := range s.Serves {
			e := abi.ManifestEndpoint{Server: uint32(i), CallsMax: serve.Calls}
			copy(e.Name[:], serve.Name)
			if serve.Persistent {
				e.Flags = uint32(abi.ManifestPersistent)
			}
			p.endpoints = append(p.endpoints, e)
		}
	}
	end := uint32(abi.ManifestHeaderSize)
	place := func(count, size int) (uint32, uint32) {
		offset := end
		end += uint32(count * size)
		return uint32(count), offset
	}
	h := &p.header
	h.Magic, h.Version = abi.ManifestMagic, uint32(abi.AbiVersion)
	h.ServiceCount, h.ServicesOffset = place(len(p.m.Services), abi.ManifestServiceSize)
	h.GrantCount, h.GrantsOffset = place(grants, abi.ManifestGrantSize)
	h.EndpointCount, h.EndpointsOffset = place(len(p.endpoints), abi.ManifestEndpointSize)
	h.DependencyCount, h.DependenciesOffset = place(dependencies, 4)
	p.offset = end
}

// addStrings adds NUL-terminated strings and gives their place.
func (p *packing) addStrings(list ...string) (offset, size uint32) {
	offset = p.offset + uint32(len(p.strings))
	for _, s := range list {
		p.strings = append(append(p.strings, s...), 0)
	}
	return offset, p.offset + uint32(len(p.strings)) - offset
}

func (p *packing) addService(index int, path string, env []string) error {
	s := &p.m.Services[index]
	restart := slices.Index(abi.ManifestRestartNames[:], s.Restart)
	if restart < 0 {
		return fmt.Errorf("service %s: no restart policy %q", s.Name, s.Restart)
	}
	record := abi.ManifestService{MemoryPages: s.Memory / uint64(abi.PageSize),
		Threads: s.Counts.Threads, Capabilities: s.Counts.Capabilities,
		Calls: s.Counts.Calls, Cpu: uint16(s.Counts.CPU),
		Shared:  uint16(s.Shared),
		Restart: uint32(restart), RestartLimit: s.Limit, DelayMs: s.DelayMs,
		DelayMaxMs: s.DelayMaxMs, SteadyMs: s.SteadyMs, ReadyMs: s.ReadyMs,
		HeartbeatMs: s.HeartbeatMs, StopMs: s.StopMs}
	copy(record.Name[:], s.Name)
	for _, flag := range []struct {
		on  bool
		bit uint32
	}{{s.Foreground, uint32(abi.ManifestForeground)},
		{s.Essential, uint32(abi.ManifestEssential)},
		{s.Console, uint32(abi.ManifestConsole)},
		{s.Ready, uint32(abi.ManifestSignalsReady)},
		{s.RememberCalls, uint32(abi.ManifestRememberCalls)}} {
		if flag.on {
			record.Flags |= flag.bit
		}
	}
	record.PathOffset, _ = p.addStrings(path)
	record.ArgsOffset, record.ArgsSize = p.addStrings(append([]string{path}, s.Args...)...)
	record.EnvOffset, record.EnvSize = p.addStrings(
		bootimage.LastWins(append(slices.Clone(env), s.Env...))...)
	record.FirstDependency, record.DependencyCount = uint32(len(p.after)), uint32(len(s.After))
	for _, other := range s.After {
		p.after = append(p.after, uint32(other))
	}
	record.FirstGrant = uint32(len(p.grants))
	if err := p.addGrants(s); err != nil {
		return err
	}
	record.GrantCount = uint32(len(p.grants)) - record.FirstGrant
	p.services = append(p.services, record)
	return nil
}

func (p *packing) addGrants(s *Service) error {
	for _, name := range s.Grants {
		kind := uint32(abi.ManifestGrantKindKernel)
		if s.Labelled && IsOutput(name) {
			kind = abi.ManifestGrantKindOutput
		}
		p.addGrant(name, kind, 0, 0)
	}
	if s.Log {
		p.addGrant(LogName, abi.ManifestGrantKindLog, 0, 0)
	}
	for _, d := range s.Devices {
		kind := uint32(abi.ManifestGrantKindDevice)
		if d.Registers {
			kind = abi.ManifestGrantKindRegisters
		}
		p.addGrant(d.Name, kind, int(d.Index), uint64(d.Type))
	}
	if s.Processes {
		p.addGrant(ProcessesName, abi.ManifestGrantKindProcesses, 0, 0)
	}
	for _, serve := range s.Serves {
		p.addGrant(serve.Name, abi.ManifestGrantKindServe, p.endpoint(serve.Name), 0)
	}
	for _, use := range s.Uses {
		index := p.endpoint(use.Endpoint)
		if index < 0 {
			return fmt.Errorf("service %s uses %s, which no service serves", s.Name,
				use.Endpoint)
		}
		p.addGrant(use.Name, abi.ManifestGrantKindUse, index, use.Tag)
	}
	return nil
}

func (p *packing) addGrant(name string, kind uint32, endpoint int, tag uint64) {
	g := abi.ManifestGrant{Tag: tag, Kind: kind, Endpoint: uint32(endpoint)}
	copy(g.Name[:], name)
	p.grants = append(p.grants, g)
}

// endpoint gives the index of the endpoint of that name, or -1.
func (p *packing) endpoint(name string) int {
	return slices.IndexFunc(p.endpoints, func(e abi.ManifestEndpoint) bool {
		return string(e.Name[:len(name)]) == name && e.Name[len(name)] == 0
	})
}
