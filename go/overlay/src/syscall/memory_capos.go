// Mmap and its kin, for programs that read or write files through memory.
//
// The kernel has no files, so it maps none. A mapping is memory of its own, into which the file's
// bytes are copied. A writable shared one is copied back when it is unmapped. A shared mapping and
// its file are kept the same (mapped_capos.go). Holes of the file, and what is behind its end, take
// addresses only until they are touched.

//go:build capos

package syscall

import (
	"sync"
	"unsafe"
)

type mapping struct {
	address uintptr
	length  int
	held    *description // of the file written back to; nil for the others
	file    *treeFile
	offset  int64

	node    *node    // of a shared mapping of a file
	pages   pageRuns // what is known of its pages
	private bool     // of a file, without what the file gets later
}

func (m *mapping) bytes() []byte { return unsafe.Slice((*byte)(pointerTo(m.address)), m.length) }

var mappings struct {
	sync.Mutex
	byAddress map[*byte]*mapping
}

func Mmap(fd int, offset int64, length int, prot int, flags int) (data []byte, err error) {
	if length <= 0 || offset < 0 || offset%abiPageSize != 0 ||
		flags&(MAP_SHARED|MAP_PRIVATE) == 0 {
		return nil, EINVAL
	}
	writtenBack := flags&MAP_ANON == 0 && flags&MAP_SHARED != 0 && prot&PROT_WRITE != 0
	var d *description
	var f *treeFile
	if flags&MAP_ANON == 0 {
		if d = hold(fd); d == nil {
			return nil, EBADF
		}
		defer func() {
			if err != nil || !writtenBack {
				letGo(d)
			}
		}()
		var e Errno
		if f, e = d.mayMap(writtenBack); e != 0 {
			return nil, e
		}
	}
	m := &mapping{length: length, offset: offset}
	if writtenBack {
		m.held, m.file = d, f
	}
	if err := m.obtain(f, prot, flags); err != nil {
		return nil, err
	}
	data = m.bytes()
	mappings.Lock()
	defer mappings.Unlock()
	if mappings.byAddress == nil {
		mappings.byAddress = map[*byte]*mapping{}
	}
	mappings.byAddress[&data[0]] = m
	return data, nil
}

// obtain gives the mapping addresses, the memory that it has from its start on, and its rights. As
// on Linux, memory of no file without the right to write, or with MAP_NORESERVE, takes addresses,
// and memory only for the pages that are touched. Other memory of no file is charged at once, so
// that a lack of it is an error of Mmap and not a fault later.
func (m *mapping) obtain(f *treeFile, prot, flags int) error {
	size := alignedLength(m.length)
	var e Errno
	if m.address, e = reserveMemory(0, size); e != 0 {
		return e
	}
	if f == nil {
		kind := uintptr(0)
		if prot&PROT_WRITE == 0 || flags&MAP_NORESERVE != 0 {
			kind = abiCommitDemandZero
		}
		e = commitMemory(m.address, size, kind)
	}
	err := result(e)
	if err == nil {
		err = m.fill(f, prot, flags&MAP_SHARED != 0)
	}
	if err != nil {
		unmapMemory(m.address, size)
	}
	return err
}

// fill copies the file into the mapping, if it is of one, and sets the rights.
func (m *mapping) fill(f *treeFile, prot int, shared bool) error {
	if f != nil {
		m.private = !shared
		lockTree()
		err := m.fillLocked(f.node)
		if err == 0 && shared {
			err = m.share(f.node)
		}
		tree.Unlock()
		if err != 0 {
			return err
		}
	}
	err := Mprotect(m.bytes(), prot)
	if err != nil {
		m.unshare()
	}
	return err
}

func (m *mapping) fillLocked(n *node) Errno {
	// What others have written is in the file then, with the memory that it takes.
	for _, other := range sharedMappings[n] {
		if other.file != nil {
			if err := other.writeBackLocked(); err != 0 {
				return err
			}
		}
	}
	return m.take(n.content, m.address, 0, alignedLength(m.length))
}

// take gives memory to the pages of a reserved part of the mapping, which lies at the address, as
// far as the file has bytes for them, and copies these. A lack of memory is an error here. The
// other pages get memory when they are touched.
func (m *mapping) take(c *content, address, from, size uintptr) Errno {
	start := m.offset + int64(from)
	end := min(start+int64(size), c.size)
	for at := c.nextData(start); at < end; {
		hole := min(c.nextHole(at), end)
		part := memoryAt(address+uintptr(at-start), uintptr(hole-at))
		err := commitMemory(uintptr(unsafe.Pointer(&part[0])), alignedLength(len(part)), 0)
		if err != 0 {
			return err
		}
		c.readAt(part, at)
		at = c.nextData(hole)
	}
	return commitMemory(address, size, abiCommitDemandZero)
}

// mayMap returns the file of the tree if the description allows to map it.
func (d *description) mayMap(writtenBack bool) (*treeFile, Errno) {
	f, ok := d.file.(*treeFile)
	switch mode := d.flags & O_ACCMODE; {
	case !ok:
		return nil, ENODEV
	case mode == O_WRONLY || mode == O_RDONLY && writtenBack:
		return nil, EACCES
	case writtenBack && f.node.seals&(sealWrite|sealFutureWrite) != 0:
		return nil, EPERM
	}
	return f, 0
}

func Munmap(data []byte) error {
	if len(data) == 0 {
		return EINVAL
	}
	mappings.Lock()
	m, known := mappings.byAddress[&data[0]]
	if known && m.length == len(data) {
		delete(mappings.byAddress, &data[0])
	}
	mappings.Unlock()
	if !known || m.length != len(data) {
		return EINVAL
	}
	m.unshare()
	var lost Errno
	if m.file != nil {
		m.file.position.use.Lock()
		lost = m.writeBack()
		m.file.position.use.Unlock()
		if err := letGo(m.held); lost == 0 {
			lost = err
		}
	}
	if err := unmapMemory(m.address, alignedLength(len(data))); err != 0 {
		return err
	}
	return result(lost)
}

// writeBackMappings is for the end of the program, so that bytes written through memory go to the
// host as well.
func writeBackMappings() {
	if !mappings.TryLock() {
		return
	}
	defer mappings.Unlock()
	for _, m := range mappings.byAddress {
		if m.file != nil && m.file.position.use.TryLock() {
			m.writeBack()
			m.file.exportNow()
			m.file.position.use.Unlock()
		}
	}
}

// writeBack copies the part that lies in the file, because a mapping never makes its file longer.
// The program may have taken the right to read away. position.use of the file is held.
func (m *mapping) writeBack() Errno {
	lockTree()
	defer tree.Unlock()
	return m.writeBackLocked()
}

func (m *mapping) writeBackLocked() Errno {
	content := m.file.node.content
	inside := int(min(int64(m.length), content.size-m.offset))
	if inside <= 0 {
		return 0
	}
	var err Errno
	m.overlap(m.offset, int64(inside), PROT_READ, func(memory []byte, at int64) {
		if content.writeAt(memory, at) < len(memory) {
			err = ENOSPC
		}
	})
	m.file.node.touch()
	m.file.dirty = true
	return err
}

func Mprotect(b []byte, prot int) error {
	if len(b) == 0 {
		return nil
	}
	// PROT_READ, PROT_WRITE and PROT_EXEC are the kernel's bits.
	address, size := uintptr(unsafe.Pointer(&b[0])), alignedLength(len(b))
	lockTree()
	defer tree.Unlock()
	if err := protectMemory(address, size, uintptr(prot&7)); err != 0 {
		return err
	}
	setRights(address, size, prot)
	return nil
}

func reserveMemory(hint, size uintptr) (uintptr, Errno) {
	at := call(granted.vm, abiVirtualMemoryReserve, hint, size, 0, 0, 0)
	if number := failure(at); number != 0 {
		return 0, errnoOf(number)
	}
	return at, 0
}

// commitMemory makes reserved pages ones that may be read and written.
func commitMemory(address, size, kind uintptr) Errno {
	return errnoOf(failure(call(granted.vm, abiVirtualMemoryCommit, address, size,
		abiProtRead|abiProtWrite|kind, 0, 0)))
}

func unmapMemory(address, size uintptr) Errno {
	return errnoOf(failure(call(granted.vm, abiVirtualMemoryUnmap, address, size, 0, 0, 0)))
}

func protectMemory(address, size, prot uintptr) Errno {
	return errnoOf(failure(call(granted.vm, abiVirtualMemoryProtect, address, size, prot, 0,
		0)))
}
