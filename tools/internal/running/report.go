package running

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
)

// Report is what the processes of a machine are doing.
type Report struct {
	NowNs      uint64     `json:"nowNs"`
	CPUs       uint32     `json:"cpus"`
	Frames     uint64     `json:"frames"`
	FreeFrames uint64     `json:"freeFrames"`
	Objects    uint64     `json:"objects"` // live kernel objects
	Processes  []*Process `json:"processes"`
}

// Process is one of them. Those that a process started follow it. Memory is in pages.
type Process struct {
	ID             uint64       `json:"id"`
	Name           string       `json:"name"`
	Parent         uint64       `json:"parent,omitempty"`
	Depth          int          `json:"depth"` // processes above it
	StartedNs      uint64       `json:"startedNs"`
	CPUTimeNs      uint64       `json:"cpuTimeNs"`
	CommittedPages uint64       `json:"committedPages"`
	PeakPages      uint64       `json:"peakPages"`
	LimitPages     uint64       `json:"limitPages,omitempty"` // 0: none of its own
	ResidentPages  uint64       `json:"residentPages"`
	ReservedPages  uint64       `json:"reservedPages"`
	KernelPages    uint64       `json:"kernelPages"` // of CommittedPages
	Threads        []Thread     `json:"threads"`
	Capabilities   []Capability `json:"capabilities"`
}

// Thread is one of a process.
type Thread struct {
	ID        uint64 `json:"id"`
	Name      string `json:"name"`
	State     string `json:"state"`
	CPU       uint32 `json:"cpu"`
	CPUTimeNs uint64 `json:"cpuTimeNs"`
}

// Capability is one that a process holds.
type Capability struct {
	ID        uint32 `json:"id"`
	Name      string `json:"name,omitempty"` // by which the process began with it
	Interface string `json:"interface"`
	Object    uint64 `json:"object,omitempty"`   // the same for all copies
	Endpoint  uint64 `json:"endpoint,omitempty"` // of a facet: the object
	Tag       uint64 `json:"tag,omitempty"`
	Holders   uint64 `json:"holders,omitempty"` // capabilities for the object, of all processes
}

// text is what is before the first zero byte.
func text(field []byte) string {
	field, _, _ = bytes.Cut(field, []byte{0})
	return string(field)
}

// ReadReport decodes the kernel's messages.
func ReadReport(from io.Reader) (*Report, error) {
	report := &Report{}
	messages := hostchannel.NewReader(from)
	for {
		message, err := messages.Read()
		if err != nil {
			return nil, fmt.Errorf("the machine's answer: %w", err)
		}
		if int(message.Type) == abi.HostMessageLookedEnd {
			return report, report.takeMachine(message.Payload)
		}
		if err := report.take(message); err != nil {
			return nil, err
		}
	}
}

func decode(payload []byte, record any) error {
	n, err := binary.Decode(payload, binary.LittleEndian, record)
	if err != nil || n != len(payload) {
		return fmt.Errorf("the machine's answer has a record of %d bytes", len(payload))
	}
	return nil
}

func (r *Report) take(message hostchannel.Message) error {
	if int(message.Type) == abi.HostMessageLookedProcess {
		return r.takeProcess(message.Payload)
	}
	if len(r.Processes) == 0 {
		return errors.New("the machine's answer does not begin with a process")
	}
	process := r.Processes[len(r.Processes)-1]
	if int(message.Type) == abi.HostMessageLookedThread {
		return process.takeThread(message.Payload)
	}
	return process.takeCapability(message.Payload)
}

func (r *Report) takeMachine(payload []byte) error {
	var record abi.LookedMachine
	if err := decode(payload, &record); err != nil {
		return err
	}
	r.NowNs, r.CPUs, r.Objects = record.NowNs, record.Cpus, record.Objects
	r.Frames, r.FreeFrames = record.Frames, record.FreeFrames
	return nil
}

func (r *Report) takeProcess(payload []byte) error {
	var record abi.LookedProcess
	var usage abi.ProcessResources
	var memory abi.MemoryUsage
	err := errors.Join(decode(payload, &record), decode(record.Usage[:], &usage),
		decode(record.Memory[:], &memory))
	if err != nil {
		return err
	}
	depth := 0
	for _, other := range r.Processes {
		if other.ID == record.ParentId {
			depth = other.Depth + 1
		}
	}
	r.Processes = append(r.Processes, &Process{ID: usage.ProcessId, Name: text(record.Name[:]),
		Parent: record.ParentId, Depth: depth, StartedNs: usage.StartedNs,
		CPUTimeNs: usage.CpuTimeNs, CommittedPages: memory.CommittedPages,
		PeakPages: memory.PeakCommitted, LimitPages: memory.CommittedLimit,
		ResidentPages: memory.ResidentPages, ReservedPages: memory.ReservedPages,
		KernelPages: memory.KernelPages})
	return nil
}

func (p *Process) takeThread(payload []byte) error {
	var record abi.ThreadInfo
	if err := decode(payload, &record); err != nil {
		return err
	}
	thread := Thread{ID: record.ThreadId, Name: text(record.Name[:]), CPU: record.Cpu,
		CPUTimeNs: record.CpuTimeNs, State: fmt.Sprint(record.State)}
	if int(record.State) < len(abi.ThreadStateKindNames) {
		thread.State = abi.ThreadStateKindNames[record.State]
	}
	p.Threads = append(p.Threads, thread)
	return nil
}

func (p *Process) takeCapability(payload []byte) error {
	var record abi.LookedCapability
	var held abi.HeldCapability
	if err := decode(payload, &record); err != nil {
		return err
	}
	if err := decode(record.Held[:], &held); err != nil {
		return err
	}
	capability := Capability{ID: held.Cap, Name: text(record.Name[:]), Object: held.ObjectId,
		Endpoint: held.EndpointId, Tag: held.Tag, Holders: held.Holders,
		Interface: abi.InterfaceNames[held.InterfaceId]}
	if capability.Interface == "" {
		capability.Interface = fmt.Sprintf("%#x", held.InterfaceId)
	}
	p.Capabilities = append(p.Capabilities, capability)
	return nil
}

// holders maps each endpoint to the processes that hold it, and each facet's endpoint to those
// that can call it.
func (r *Report) holders() (servers, callers map[uint64][]*Process) {
	servers, callers = map[uint64][]*Process{}, map[uint64][]*Process{}
	add := func(list map[uint64][]*Process, object uint64, p *Process) {
		if known := list[object]; len(known) == 0 || known[len(known)-1] != p {
			list[object] = append(known, p)
		}
	}
	endpoint := abi.InterfaceNames[abi.InterfaceEndpoint]
	for _, p := range r.Processes {
		for _, c := range p.Capabilities {
			if c.Interface == endpoint {
				add(servers, c.Object, p)
			} else if c.Endpoint != 0 {
				add(callers, c.Endpoint, p)
			}
		}
	}
	return servers, callers
}
