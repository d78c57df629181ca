// What keeps shared mappings of a file and the file the same.
//
// A mapping has memory of its own (memory_capos.go). A write to the file goes to the mappings of
// its bytes, too, and is cut short where these lack memory. What was written to the memory of a
// mapping is read from there, because nothing tells that it was written. Two mappings of the same
// bytes, one of them for writing, would differ. So the second is refused.

//go:build capos

package syscall

import "unsafe"

// sharedMappings are guarded by the lock of the tree, with the rights in them.
var sharedMappings map[*node][]*mapping

// What is known of a page of a mapping: its rights, and these.
const (
	hasMemory = 8 // it lacks none; others may have got theirs when the program touched them
	isKnown   = 16
)

// share enters a mapping, unless it cannot be kept the same as another one. The tree is locked.
func (m *mapping) share(n *node) Errno {
	if m.wouldDiffer(n, m.length) {
		return ENODEV
	}
	m.node = n
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
			page := int(max(address, m.address)-m.address) / abiPageSize
			end := int(max(address+size, m.address)-m.address) / abiPageSize
			for page < min(end, m.pageCount()) {
				kind, next := m.pages.at(page)
				next = min(next, end, m.pageCount())
				if kind&isKnown != 0 {
					m.pages.set(page, next, kind&^7|uint8(prot&7))
				}
				page = next
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

// toMappings gives the mappings of a file bytes that it has from an offset on. There is memory for
// them (makeRoom).
func (n *node) toMappings(p []byte, offset int64) {
	for _, m := range sharedMappings[n] {
		m.overlap(offset, int64(len(p)), PROT_READ|PROT_WRITE,
			func(memory []byte, at int64) { copy(memory, p[at-offset:]) })
	}
}

// fromMappings reads what may have been written to the memory of mappings.
func (n *node) fromMappings(p []byte, offset int64) {
	for _, m := range sharedMappings[n] {
		if m.file != nil {
			m.overlap(offset, int64(len(p)), PROT_READ,
				func(memory []byte, at int64) { copy(p[at-offset:], memory) })
		}
	}
}

// makeRoom gives memory to the pages of mappings that are to get bytes of the file, and returns how
// many of these there is memory for.
func (n *node) makeRoom(offset, size int64) int64 {
	for _, m := range sharedMappings[n] {
		page, end := m.pagesOf(offset, size)
		m.know(page, end)
		for page < end {
			kind, next := m.pages.at(page)
			if kind&hasMemory != 0 {
				page = next
			} else if m.touch(page) {
				page++
			} else {
				size = max(0, m.offset+int64(page)*abiPageSize-offset)
				break
			}
		}
	}
	return size
}

// touch has the kernel read a word of a page, because a lack of memory is an answer there and a
// fault here.
func (m *mapping) touch(page int) bool {
	kind, _ := m.pages.at(page)
	if kind&PROT_READ == 0 {
		m.protect(page, page+1, kind|PROT_READ)
		defer m.protect(page, page+1, kind)
	}
	if !runtime_touch(m.address + uintptr(page)*abiPageSize) {
		return false
	}
	m.pages.set(page, page+1, kind|hasMemory)
	return true
}

// know asks the kernel about pages that were not needed before, and about those of a writable
// mapping that the program may have touched since.
func (m *mapping) know(page, end int) {
	for page < end {
		kind, next := m.pages.at(page)
		next = min(next, end)
		if kind&isKnown == 0 || m.file != nil && kind&hasMemory == 0 {
			next = m.ask(page, next)
		}
		page = next
	}
}

// ask notes what some of the pages from the first on are, and returns the next one.
func (m *mapping) ask(page, end int) (next int) {
	info, has, err := memoryWithin(m.address+uintptr(page)*abiPageSize,
		uintptr(end-page)*abiPageSize)
	if err != 0 {
		panic("syscall: a mapping of a file is gone")
	}
	kind := isKnown | uint8(info.prot&7)
	if has {
		kind |= hasMemory
	}
	next = page + int(info.size/abiPageSize)
	m.pages.set(page, next, kind)
	return next
}

func (m *mapping) pageCount() int { return int(alignedLength(m.length) / abiPageSize) }

// pagesOf returns the pages of the mapping that have some of the file's bytes.
func (m *mapping) pagesOf(offset, size int64) (first, end int) {
	from := max(offset, m.offset) - m.offset
	to := min(offset+size, m.offset+int64(m.length)) - m.offset
	if from >= to {
		return 0, 0
	}
	return int(from / abiPageSize), int((to + abiPageSize - 1) / abiPageSize)
}

// overlap calls move for the bytes that the mapping has of some of the file, and their offset. It
// leaves out pages without memory, which are zero. The program may have taken away rights, which
// the pages have meanwhile.
func (m *mapping) overlap(offset, size int64, wanted uint8, move func(memory []byte, at int64)) {
	page, end := m.pagesOf(offset, size)
	m.know(page, end)
	for page < end {
		kind, next := m.pages.at(page)
		next = min(next, end)
		if kind&hasMemory != 0 {
			from := max(offset, m.offset+int64(page)*abiPageSize)
			to := min(offset+size, m.offset+int64(min(next*abiPageSize, m.length)))
			if kind&wanted != wanted {
				m.protect(page, next, kind|wanted)
			}
			move(m.bytes()[from-m.offset:to-m.offset], from)
			if kind&wanted != wanted {
				m.protect(page, next, kind)
			}
		}
		page = next
	}
}

// protect gives the pages before end rights for a while. What is noted of them stays.
func (m *mapping) protect(page, end int, kind uint8) {
	protectMemory(m.address+uintptr(page)*abiPageSize, uintptr(end-page)*abiPageSize,
		uintptr(kind&7))
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
		m.overlap(start, end-start, PROT_READ|PROT_WRITE,
			func(memory []byte, _ int64) { clear(memory) })
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
