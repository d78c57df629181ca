// Package manifest has the manifest of a system after it was checked: what the program manifest
// (tools/manifest), which evaluates CUE, hands to ./capos, and the packed form that init reads.
// Layouts are those of abi/schema/manifest.capnp. docs/manifest.md is about the manifest as it is
// written.
package manifest

import (
	"slices"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
)

// Manifest is a checked manifest. Names in it name something, and services stand in an order in
// which they can be started.
type Manifest struct {
	// Binaries are the programs by name: what ./capos run takes, from the manifest's directory.
	Binaries     map[string]string `json:"binaries"`
	InitGrants   []string          `json:"initGrants"`
	Services     []Service         `json:"services"`
	KernelParams []string          `json:"kernelParams"`
}

// Service is a program that init starts.
type Service struct {
	Name   string   `json:"name"`
	Binary string   `json:"binary"`
	Args   []string `json:"args"` // after the program's own name
	Env    []string `json:"env"`
	Grants []string `json:"grants"`
	Serves []Serve  `json:"serves"`
	Uses   []Use    `json:"uses"`
	Log    bool     `json:"log"` // may read that of init
	// Devices are those that it drives.
	Devices []Device `json:"devices"`
	// Processes says that init gives it the processes of all services.
	Processes bool `json:"processes"`
	// Labelled says that the service that is Console writes what it writes to the console.
	Labelled bool             `json:"labelled"`
	Console  bool             `json:"console"`
	After    []int            `json:"after"` // indices of the services that it depends on
	Memory   uint64           `json:"memory"`
	Counts   bootimage.Counts `json:"counts"`
	// Shared has a bit for each budget of which the limit is only a ceiling.
	Shared     uint32 `json:"shared"`
	Foreground bool   `json:"foreground"`
	Essential  bool   `json:"essential"`
	Ready      bool   `json:"ready"` // says by an event that it is
	// RememberCalls is that its last calls are told when it ends by a fault.
	RememberCalls bool   `json:"rememberCalls"`
	ReadyMs       uint32 `json:"readyMs"`
	// HeartbeatMs is how often it signals an event; 0: never.
	HeartbeatMs uint32 `json:"heartbeatMs"`
	// StopMs is how long it has to end when it is asked to; 0: it is not asked.
	StopMs     uint32 `json:"stopMs"`
	Restart    string `json:"restart"` // a name of abi.ManifestRestartNames
	Limit      uint32 `json:"limit"`
	DelayMs    uint32 `json:"delayMs"`
	DelayMaxMs uint32 `json:"delayMaxMs"`
	SteadyMs   uint32 `json:"steadyMs"`
}

// ConsoleName is the service, and its program, that writes what others write to the console.
const ConsoleName = "consoled"

// IsOutput tells a grant that consoled stands for where it runs.
func IsOutput(grant string) bool { return grant == "stdout" || grant == "stderr" }

// LogName is the name of what reads init's log, as a grant and in the CapSet.
const LogName = "init_log"

// ProcessesName is that of what gives the processes of services.
const ProcessesName = "init_processes"

// Serve is an endpoint that a service receives at.
type Serve struct {
	Name       string `json:"name"` // of the endpoint, and in the service's CapSet
	Calls      uint32 `json:"calls"`
	Persistent bool   `json:"persistent"`
}

// Use is a facet of an endpoint that a service calls.
type Use struct {
	Name     string `json:"name"` // in the service's CapSet
	Endpoint string `json:"endpoint"`
	Tag      uint64 `json:"tag"`
}

// Device is a device that a service drives, by its name in the manifest and the CapSet.
type Device struct {
	Name  string `json:"name"`
	Type  uint32 `json:"type"`  // virtio's number, or PCI's vendor and device
	Index uint32 `json:"index"` // among those of the type
	// Registers says that the driver maps the device's registers.
	Registers bool `json:"registers"`
}

// PercentMax is that of as many CPUs as a machine may have.
const PercentMax = 6400

// ReadyName is the event's name in the CapSet of a service that says when it is ready.
const ReadyName = "ready"

// HeartbeatName is that of the event of a service that has a heartbeat.
const HeartbeatName = "heartbeat"

// Foreground is the service whose end is the system's; nil: there is none.
func (m *Manifest) Foreground() *Service {
	for i := range m.Services {
		if m.Services[i].Foreground {
			return &m.Services[i]
		}
	}
	return nil
}

// UnsaidGrants are those of a program of which no manifest says what it holds.
func UnsaidGrants() []string {
	return slices.DeleteFunc(slices.Clone(abi.GrantNames[:]),
		func(name string) bool { return name == abi.GrantNames[abi.GrantTrustedDevices] })
}

// GrantBits are init's grants as a mask for the boot image.
func (m *Manifest) GrantBits() (bits uint64) {
	for bit, name := range abi.GrantNames {
		for _, granted := range m.InitGrants {
			if name == granted {
				bits |= 1 << bit
			}
		}
	}
	return bits
}
