// What keeps shared mappings of a file and the file the same.
//
// A mapping has memory of its own (memory_capos.go). A write to the file goes to the mappings of
// its bytes, too. What was written to the memory of a mapping is read from there, because nothing
// tells that it was written. Two mappings of the same bytes, one of them for writing, would differ.
// So the second is refused.

//go:build capos

package syscall

import "unsafe"

// sharedMappings are guarded by the lock of the tree, with the rights in them.
var sharedMappings map[*node][]*mapping

// share enters a mapping, unless it cannot be kept the same as another one. The tree is locked.
func (m *mapping) share(n *node, prot int) Errno {
	if m.wouldDiffer(n, m.length) {
		return ENODEV
	}
	m.node = n
	m.rights = make([]uint8, (m.length+abiPageSize-1)/abiPageSize)
	for page := range m.rights {
		m.rights[page] = uint8(prot & 7)
	}
	if sharedMappings == nil {
		sharedMappings = map[*node][]*mapping{}
	}
	sharedMappings[n] = append(sharedMappings[n], m)
	return 0
}

// wouldDiffer reports whether the mapping, if it were that long, and another one of the file would
// have the same bytes, which one of them may write.
func (m *mapping) wouldDiffer(n *node, length int) bool {
	for _, other := range sharedMappings[n] {
		apart := m.offset >= other.offset+int64(other.length) ||
			other.offset >= m.offset+int64(length)
		if other != m && !apart && (m.file != nil || other.file != nil) {
			return true
		}
	}
	return false
}

func (m *mapping) unshare() {
	if m.node == nil {
		return
	}
	lockTree()
	defer tree.Unlock()
	var kept []*mapping
	for _, other := range sharedMappings[m.node] {
		if other != m {
			kept = append(kept, other)
		}
	}
	if len(kept) == 0 {
		delete(sharedMappings, m.node)
	} else {
		sharedMappings[m.node] = kept
	}
}

// setRights notes what Mprotect has done. The tree is locked.
func setRights(address, size uintptr, prot int) {
	for _, list := range sharedMappings {
		for _, m := range list {
			for page := range m.rights {
				at := m.address + uintptr(page)*abiPageSize
				if at >= address && at < address+size {
					m.rights[page] = uint8(prot & 7)
				}
			}
		}
	}
}

// isMappedForWriting reports whether a mapping will be written back to the file.
func isMappedForWriting(n *node) bool {
	for _, m := range sharedMappings[n] {
		if m.file != nil {
			return true
		}
	}
	return false
}

// toMappings gives the mappings of a file bytes that it has from an offset on.
func (n *node) toMappings(p []byte, offset int64) {
	for _, m := range sharedMappings[n] {
		m.overlap(p, offset, PROT_READ|PROT_WRITE, func(memory, part []byte) {
			copy(memory, part)
		})
	}
}

// fromMappings reads what may have been written to the memory of mappings.
func (n *node) fromMappings(p []byte, offset int64) {
	for _, m := range sharedMappings[n] {
		if m.file != nil {
			m.overlap(p, offset, PROT_READ, func(memory, part []byte) {
				copy(part, memory)
			})
		}
	}
}

// overlap calls move for the bytes that the mapping has of some of the file. The program may have
// taken away rights, which the pages have meanwhile.
func (m *mapping) overlap(p []byte, offset int64, wanted uint8, move func(memory, part []byte)) {
	start := max(offset, m.offset)
	end := min(offset+int64(len(p)), m.offset+int64(m.length))
	if start >= end {
		return
	}
	memory := m.bytes()[start-m.offset : end-m.offset]
	first := int(start-m.offset) / abiPageSize
	last := int(end-m.offset-1) / abiPageSize
	lacking := false
	for page := first; page <= last; page++ {
		lacking = lacking || m.rights[page]&wanted != wanted
	}
	if lacking {
		m.protect(first, last, func(page int) uint8 { return m.rights[page] | wanted })
	}
	move(memory, p[start-offset:end-offset])
	if lacking {
		m.protect(first, last, func(page int) uint8 { return m.rights[page] })
	}
}

// protect sets the rights of pages, as many at once as have the same.
func (m *mapping) protect(first, last int, rights func(page int) uint8) {
	for first <= last {
		end := first + 1
		for end <= last && rights(end) == rights(first) {
			end++
		}
		call(granted.vm, abiVirtualMemoryProtect, m.address+uintptr(first)*abiPageSize,
			uintptr(end-first)*abiPageSize, uintptr(rights(first)), 0, 0)
		first = end
	}
}

// writeBackShared is for those that read the bytes of files as they are in the tree. The tree is
// locked.
func writeBackShared() {
	for _, list := range sharedMappings {
		for _, m := range list {
			if m.file != nil {
				m.writeBackLocked()
			}
		}
	}
}

// setSize is truncate for a file that may be mapped.
func (n *node) setSize(size int64) {
	old := n.content.size
	n.content.truncate(size)
	n.zeroMapped(size, old)
}

// zeroMapped clears what mappings have of bytes that the file gave up.
func (n *node) zeroMapped(start, end int64) {
	for _, m := range sharedMappings[n] {
		from, to := max(start, m.offset), min(end, m.offset+int64(m.length))
		if from < to {
			n.toMappings(make([]byte, to-from), from)
		}
	}
}

// msync writes a mapping back to its file.
func msync(address, length uintptr, flags int) error {
	const async, invalidate, synchronous = 1, 2, 4
	const all = async | invalidate | synchronous
	if flags&^all != 0 || flags&async != 0 && flags&synchronous != 0 ||
		address%abiPageSize != 0 {
		return EINVAL
	}
	mappings.Lock()
	defer mappings.Unlock()
	for start, m := range mappings.byAddress {
		at := uintptr(unsafe.Pointer(start))
		if address >= at && address+length <= at+alignedLength(m.length) {
			if m.file != nil {
				return result(m.writeBack())
			}
			return nil
		}
	}
	return ENOMEM
}

func alignedLength(n int) uintptr {
	return (uintptr(n) + abiPageSize - 1) &^ (abiPageSize - 1)
}
