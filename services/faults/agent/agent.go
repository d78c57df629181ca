// What ./capos explore builds into each Go program of a system whose services it makes fail, as one
// more file of its main package: agent.c in Go. It needs nothing of the program's modules.

package main

import (
	"syscall"
	"unsafe"
)

// Of abi/schema: VirtualMemory.query, the opcode endpointCall and what it takes.
const (
	faultMethodQuery  = 6
	faultOpcodeCall   = 9
	faultForever      = ^uint64(0)
	faultProtWrite    = 2
	faultUserTop      = 0x7ffffffff000
	faultPageBytes    = 4096
	faultFree         = 0
	faultReservedOnly = 1
)

// faultRegion is RegionInfo.
type faultRegion struct {
	start, size uint64
	state, prot uint32
	resident    uint64
	reserved    [4]uint64
}

// faultPage finds the page of that number among those that can be written and have frames, and
// gives how many there are where there is no such page.
func faultPage(vm uint32, page uint64) (address, count uint64) {
	var region faultRegion
	for at := uint64(0); at < faultUserTop; at = region.start + region.size {
		answer := syscall.CapCall(vm, faultMethodQuery, uintptr(at), 0,
			uintptr(unsafe.Pointer(&region)), unsafe.Sizeof(region), 0)
		if answer > ^uintptr(4095) {
			break
		}
		if region.state == faultFree || region.state == faultReservedOnly ||
			region.prot&faultProtWrite == 0 {
			continue
		}
		if page-count < region.resident {
			return region.start + (page-count)*faultPageBytes, count
		}
		count += region.resident
	}
	return 0, count
}

func faultOverwrite(order *[8]uint64) {
	vm := syscall.Capability("vm")
	_, count := faultPage(vm, faultForever)
	if count == 0 {
		return
	}
	address, _ := faultPage(vm, order[0]%count)
	if address == 0 {
		return
	}
	address += order[1] % (faultPageBytes / 8) * 8
	word := *(**uint64)(unsafe.Pointer(&address))
	*word = *word&order[2] ^ order[3]
}

func init() {
	agent := syscall.Capability("fault_agent")
	if agent == 0 {
		return
	}
	go func() {
		for {
			r := syscall.CapRegisters{RDI: uint64(agent), R14: faultForever}
			syscall.CapEndpoint(faultOpcodeCall, &r)
			if r.RAX != 0 {
				return
			}
			faultOverwrite(&r.Words)
		}
	}()
}
