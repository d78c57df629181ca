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
	if length > m.length {
		if err := m.fillLast(); err != 0 {
			return err
		}
	}
	m.length = length
	m.pages.set(m.pageCount(), int(old/abiPageSize), 0)
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
	if err := m.fillLast(); err != 0 {
		return err
	}
	if err := m.extend(old, size, mayMove); err != 0 {
		return err
	}
	m.length = length
	if m.node != nil {
		if m.file != nil {
			m.node.content.readAt(m.bytes()[old:], m.offset+int64(old))
		}
		m.know(m.pagesOf(0, m.node.content.size))
	}
	setRights(m.address+old, size-old, int(prot))
	return protectRange(m.address+old, size-old, prot)
}

// extend gives the mapping memory behind it, or moves it.
func (m *mapping) extend(old, size uintptr, mayMove bool) Errno {
	end := m.address + old
	tail, err := m.addresses(end, size-old)
	if err != 0 {
		return err
	}
	if tail == end {
		if m.isSparse() {
			err = m.take(m.node.content, end, old, size-old)
		}
		if err != 0 {
			call(granted.vm, abiVirtualMemoryUnmap, tail, size-old, 0, 0, 0)
		}
		return err
	}
	call(granted.vm, abiVirtualMemoryUnmap, tail, size-old, 0, 0, 0)
	if !mayMove {
		return ENOMEM
	}
	return m.move(old, size)
}

// isSparse is whether pages without bytes of the file take addresses only.
func (m *mapping) isSparse() bool { return m.node != nil && m.file == nil }

// addresses are for more of the mapping, with memory unless it is sparse.
func (m *mapping) addresses(hint, size uintptr) (uintptr, Errno) {
	method, access := uintptr(abiVirtualMemoryMap), uintptr(abiProtRead|abiProtWrite)
	if m.isSparse() {
		method, access = abiVirtualMemoryReserve, 0
	}
	at := call(granted.vm, method, hint, size, access, 0, 0)
	if number := failure(at); number != 0 {
		return 0, errnoOf(number)
	}
	return at, 0
}

// fillLast reads what the file has for the rest of the last page.
func (m *mapping) fillLast() Errno {
	from := uintptr(m.length)
	rest := alignedLength(m.length) - from
	if m.node == nil || rest == 0 || m.offset+int64(from) >= m.node.content.size {
		return 0
	}
	page := m.length / abiPageSize
	m.know(page, page+1)
	kind, _ := m.pages.at(page)
	if kind&hasMemory == 0 && !m.touch(page) {
		return ENOMEM
	}
	m.protect(page, page+1, PROT_READ|PROT_WRITE)
	m.node.content.readAt(memoryAt(m.address+from, rest), m.offset+int64(from))
	m.protect(page, page+1, kind)
	return 0
}

// move copies the memory to where there is room for more. The rights go with it.
func (m *mapping) move(old, size uintptr) Errno {
	to, err := m.addresses(0, size)
	if err == 0 && m.isSparse() {
		err = m.take(m.node.content, to, 0, size)
	}
	if err != 0 {
		if to != 0 {
			call(granted.vm, abiVirtualMemoryUnmap, to, size, 0, 0, 0)
		}
		return err
	}
	for at := m.address; at < m.address+old; {
		info, err := regionAt(at)
		if err != 0 {
			call(granted.vm, abiVirtualMemoryUnmap, to, size, 0, 0, 0)
			return err
		}
		part := min(uintptr(info.start+info.size), m.address+old) - at
		if !m.isSparse() {
			if info.prot&abiProtRead == 0 {
				protectRange(at, part, abiProtRead)
			}
			copy(memoryAt(to+at-m.address, part), memoryAt(at, part))
		}
		protectRange(to+at-m.address, part, uintptr(info.prot))
		at += part
	}
	call(granted.vm, abiVirtualMemoryUnmap, m.address, old, 0, 0, 0)
	m.address = to
	if m.isSparse() {
		m.pages = nil // what a hole has got since is not known of its new page
	}
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
