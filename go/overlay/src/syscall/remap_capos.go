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
	return unmapMemory(m.address+size, old-size)
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
	setRights(m.address+old, size-old, int(prot))
	return protectMemory(m.address+old, size-old, prot)
}

// extend gives the mapping memory behind it, or moves it.
func (m *mapping) extend(old, size uintptr, mayMove bool) Errno {
	end := m.address + old
	tail, err := reserveMemory(end, size-old)
	if err != 0 {
		return err
	}
	if tail == end {
		if err = m.takeMore(end, old, size-old); err != 0 {
			unmapMemory(tail, size-old)
		}
		return err
	}
	unmapMemory(tail, size-old)
	if !mayMove {
		return ENOMEM
	}
	return m.move(old, size)
}

// takeMore gives memory to a reserved part behind the mapping, as Mmap does.
func (m *mapping) takeMore(address, from, size uintptr) Errno {
	if m.node != nil {
		return m.take(m.node.content, address, from, size)
	}
	return commitMemory(address, size, 0)
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

// move copies the memory to where there is room for more. What takes addresses only stays so, and
// the rights go with it.
func (m *mapping) move(old, size uintptr) Errno {
	to, err := reserveMemory(0, size)
	if err != 0 {
		return err
	}
	if err = m.takeMore(to+old, old, size-old); err == 0 {
		err = m.copyTo(to, old)
	}
	if err != 0 {
		unmapMemory(to, size)
		return err
	}
	unmapMemory(m.address, old)
	m.address = to
	return 0
}

func (m *mapping) copyTo(to, size uintptr) Errno {
	end := m.address + size
	for at := m.address; at < end; {
		info, has, err := memoryWithin(at, end-at)
		if err != 0 {
			return err
		}
		there, part := to+at-m.address, uintptr(info.size)
		if !has {
			err = commitMemory(there, part, abiCommitDemandZero)
		} else if err = commitMemory(there, part, 0); err == 0 {
			if info.prot&abiProtRead == 0 {
				protectMemory(at, part, abiProtRead)
			}
			copy(memoryAt(there, part), memoryAt(at, part))
		}
		if err != 0 {
			return err
		}
		protectMemory(there, part, uintptr(info.prot))
		at += part
	}
	return 0
}

// regionAt tells of a page and those around it that are like it.
func regionAt(address uintptr) (*abiRegionInfo, Errno) { return regionWithin(address, 0) }

// regionWithin tells of a page and those behind it that are like it, of so many bytes.
func regionWithin(address, size uintptr) (*abiRegionInfo, Errno) {
	info := new(abiRegionInfo)
	answer := call(granted.vm, abiVirtualMemoryQuery, address, size,
		uintptr(unsafe.Pointer(info)), unsafe.Sizeof(*info), 0)
	return info, errnoOf(failure(answer))
}

// memoryWithin is regionWithin for pages that all have memory or all have none. Those that get it
// when they are touched are alike for the kernel.
func memoryWithin(address, size uintptr) (info *abiRegionInfo, has bool, err Errno) {
	info, err = regionWithin(address, size)
	for err == 0 && info.state == abiRegionStateDemandZero && info.residentPages != 0 &&
		info.residentPages*abiPageSize != info.size {
		info, err = regionWithin(address, uintptr(info.size/2)&^(abiPageSize-1))
	}
	return info, info.state != abiRegionStateDemandZero || info.residentPages != 0, err
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
	if err := unmapMemory(from, to-from); err != 0 {
		return m, false, err
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
