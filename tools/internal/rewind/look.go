package rewind

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Indices of registers, in the order in which gdb's protocol has them (features/i386/64bit-core.xml
// of gdb).
const (
	RAX = iota
	RBX
	RCX
	_
	_
	_
	_
	RSP
	RIP          = 16
	registersMin = RIP + 1
)

// Registers are the general registers of the machine's first CPU.
func (m *Machine) Registers() (values []uint64, err error) {
	data, err := m.bytes("g")
	if err != nil {
		return nil, err
	}
	if len(data) < registersMin*8 {
		return nil, fmt.Errorf("QEMU gives %d bytes of registers", len(data))
	}
	for i := range registersMin {
		values = append(values, binary.LittleEndian.Uint64(data[i*8:]))
	}
	return values, nil
}

// memoryAtOnce is less than fits in a packet, two digits for each byte.
const memoryAtOnce = 1 << 10

// Memory reads what a virtual address stands for where the machine is.
func (m *Machine) Memory(address, size uint64) (read []byte, err error) {
	for uint64(len(read)) < size {
		data, err := m.bytes(fmt.Sprintf("m%x,%x", address+uint64(len(read)),
			min(size-uint64(len(read)), memoryAtOnce)))
		if err != nil {
			return nil, err
		}
		read = append(read, data...)
	}
	return read, nil
}

// bytes asks for what comes in hexadecimal digits.
func (m *Machine) bytes(packet string) ([]byte, error) {
	reply, err := m.stub.ask(packet)
	if err != nil {
		return nil, err
	}
	data, err := hex.DecodeString(reply)
	if err != nil || len(data) == 0 {
		return nil, fmt.Errorf("QEMU answers %q to %s", reply, packet)
	}
	return data, nil
}
