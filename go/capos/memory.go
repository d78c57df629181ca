package capos

import "unsafe"

// Bytes maps the whole object for reading and writing. Other processes that hold the object see
// what is written, and may change it at any time. The bytes are not the collector's: Free gives the
// addresses back, after which no slice of them may be used.
func (m MemoryObject) Bytes() ([]byte, error) {
	pages, err := m.Info()
	if err != nil {
		return nil, err
	}
	size := pages * abiPageSize
	address, err := m.Map(0, 0, size, abiProtRead|abiProtWrite)
	if err != nil {
		return nil, err
	}
	// Not of the Go heap, so nothing moves or frees it but Free.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), size), nil
}

// Free ends a mapping that Bytes made.
func (m MemoryObject) Free(mapped []byte) error {
	return m.Unmap(uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mapped)))),
		uint64(len(mapped)))
}
