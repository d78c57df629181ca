// mremap and munmap by number: a mapping that becomes longer or shorter, or loses a part.

//go:build capos

package syscall

import "unsafe"

const (
	mremapMayMove   = 1
	mremapFixed     = 2
	mremapDontUnmap = 4
)

// mremap changes a whole mapping. It grows where it is if the addresses behind it are free. No
// mapping replaces another, or leaves its addresses without memory.
func mremap(address, oldSize, newSize uintptr, flags int) (uintptr, Errno) {
	const special = mremapFixed | mremapDontUnmap
	if flags&^(mremapMayMove|special) != 0 || address%abiPageSize != 0 || newSize == 0 ||
		flags&special != 0 && flags&mremapMayMove == 0 {
		return 0, EINVAL
	}
	mappings.Lock()
	defer mappings.Unlock()
	m := mappings.byAddress[(*byte)(pointerTo(address))]
	switch {
	case m == nil:
		return 0, EFAULT
	case alignedLength(int(oldSize)) != alignedLength(m.length):
		return 0, EINVAL
	case flags&special != 0 || newSize > 1<<46:
		return 0, ENOMEM
	case alignedLength(int(newSize)) <= alignedLength(m.length):
		return address, m.shrink(int(newSize))
	case m.private: // what the file has behind it is not known any more
		return 0, ENOMEM
	}
	delete(mappings.byAddress, (*byte)(pointerTo(address)))
	err := m.grow(int(newSize), flags&mremapMayMove != 0)
	mappings.byAddress[(*byte)(pointerTo(m.address))] = m
	return m.address, err
}

func (m *mapping) shrink(length int) Errno {
	old, size := alignedLength(m.length), alignedLength(length)
	lockTree()
	defer tree.Unlock()
	if m.file != nil {
		if err := m.writeBackLocked(); err != 0 {
			return err
		}
	}
	from := m.length
	m.length = length
	if m.node != nil {
		m.rights = m.rights[:size/abiPageSize]
		m.fillFrom(from)
	}
	if size == old {
		return 0
	}
	return errnoOf(failure(call(granted.vm, abiVirtualMemoryUnmap, m.address+size, old-size, 0,
		0, 0)))
}

// grow gives the mapping more memory behind it, or else elsewhere. What a file has there comes into
// it, as into the rest of the last page.
func (m *mapping) grow(length int, mayMove bool) Errno {
	lockTree()
	defer tree.Unlock()
	if m.node != nil && m.wouldDiffer(m.node, length) {
		return ENODEV
	}
	info, err := regionAt(m.address)
	if err != 0 {
		return err
	}
	prot := uintptr(info.prot)
	old, size := alignedLength(m.length), alignedLength(length)
	end := m.address + old
	tail := call(granted.vm, abiVirtualMemoryMap, end, size-old, abiProtRead|abiProtWrite, 0, 0)
	switch number := failure(tail); {
	case number != 0:
		return errnoOf(number)
	case tail == end:
	default:
		call(granted.vm, abiVirtualMemoryUnmap, tail, size-old, 0, 0, 0)
		if !mayMove {
			return ENOMEM
		}
		if err := m.move(old, size); err != 0 {
			return err
		}
	}
	from := m.length
	m.length = length
	if m.node != nil {
		for uintptr(len(m.rights)) < size/abiPageSize {
			m.rights = append(m.rights, uint8(prot))
		}
		m.fillFrom(from)
	}
	return protectRange(m.address+old, size-old, prot)
}

// fillFrom reads what the file has for the end of the mapping. That part may be written, unless it
// is of a page that the mapping had.
func (m *mapping) fillFrom(from int) {
	if from >= m.length {
		return
	}
	page := from / abiPageSize
	m.protect(page, page, func(int) uint8 { return PROT_READ | PROT_WRITE })
	m.node.content.readAt(m.bytes()[from:], m.offset+int64(from))
	m.protect(page, page, func(page int) uint8 { return m.rights[page] })
}

// move copies the memory to where there is room for more. The rights go with it.
func (m *mapping) move(old, size uintptr) Errno {
	to := call(granted.vm, abiVirtualMemoryMap, 0, size, abiProtRead|abiProtWrite, 0, 0)
	if number := failure(to); number != 0 {
		return errnoOf(number)
	}
	for at := m.address; at < m.address+old; {
		info, err := regionAt(at)
		if err != 0 {
			call(granted.vm, abiVirtualMemoryUnmap, to, size, 0, 0, 0)
			return err
		}
		part := min(uintptr(info.start+info.size), m.address+old) - at
		if info.prot&abiProtRead == 0 {
			protectRange(at, part, abiProtRead)
		}
		copy(memoryAt(to+at-m.address, part), memoryAt(at, part))
		protectRange(to+at-m.address, part, uintptr(info.prot))
		at += part
	}
	call(granted.vm, abiVirtualMemoryUnmap, m.address, old, 0, 0, 0)
	m.address = to
	return 0
}

// regionAt tells of a page and those around it that are like it.
func regionAt(address uintptr) (*abiRegionInfo, Errno) {
	info := new(abiRegionInfo)
	answer := call(granted.vm, abiVirtualMemoryQuery, address, uintptr(unsafe.Pointer(info)),
		unsafe.Sizeof(*info), 0, 0)
	return info, errnoOf(failure(answer))
}

func protectRange(address, size, prot uintptr) Errno {
	return errnoOf(failure(call(granted.vm, abiVirtualMemoryProtect, address, size, prot, 0,
		0)))
}

// ---- taking away
// ------------------------------------------------------------------------------------------

// munmap takes away what of the pages is mapped. A shared mapping of a file goes as a whole.
func munmap(address, length uintptr) error {
	if address%abiPageSize != 0 || length == 0 || length > 1<<46 {
		return EINVAL
	}
	end := address + alignedLength(int(length))
	for {
		m, whole, err := cutMapping(address, end)
		if m == nil || err != 0 {
			return result(err)
		}
		if whole {
			if err := Munmap(m.bytes()); err != nil {
				return err
			}
		}
	}
}

// cutMapping finds a mapping that has some of the pages, and takes these away unless they are all
// that it has.
func cutMapping(address, end uintptr) (m *mapping, whole bool, err Errno) {
	mappings.Lock()
	defer mappings.Unlock()
	for _, other := range mappings.byAddress {
		if other.address < end && address < other.address+alignedLength(other.length) {
			m = other
			break
		}
	}
	if m == nil {
		return nil, false, 0
	}
	last := m.address + alignedLength(m.length)
	from, to := max(address, m.address), min(end, last)
	switch {
	case from == m.address && to == last:
		return m, true, 0
	case m.node != nil:
		return m, false, EINVAL
	}
	number := failure(call(granted.vm, abiVirtualMemoryUnmap, from, to-from, 0, 0, 0))
	if number != 0 {
		return m, false, errnoOf(number)
	}
	delete(mappings.byAddress, (*byte)(pointerTo(m.address)))
	m.keepPart(m.address, from)
	m.keepPart(to, min(last, m.address+uintptr(m.length)))
	return m, false, 0
}

// keepPart makes a mapping of what is left of one.
func (m *mapping) keepPart(from, to uintptr) {
	if from < to {
		mappings.byAddress[(*byte)(pointerTo(from))] = &mapping{address: from,
			length: int(to - from), private: m.private}
	}
}
