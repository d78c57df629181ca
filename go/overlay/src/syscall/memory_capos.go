// Mmap and its kin, for programs that read or write files through memory.
//
// The kernel has no files, so it maps none. A mapping is memory of its own, into which the file's
// bytes are copied. A writable shared one is copied back when it is unmapped. A shared mapping and
// its file are kept the same (mapped_capos.go).

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

	node    *node   // of a shared mapping of a file
	rights  []uint8 // of its pages
	private bool    // of a file, without what the file gets later
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
	size, access := alignedLength(length), uintptr(abiProtRead|abiProtWrite)
	if isReservation(prot, flags) {
		access |= abiCommitDemandZero
	}
	address := call(granted.vm, abiVirtualMemoryMap, 0, size, access, 0, 0)
	if number := failure(address); number != 0 {
		return nil, errnoOf(number)
	}
	m := &mapping{address: address, length: length, offset: offset}
	if writtenBack {
		m.held, m.file = d, f
	}
	if err := m.fill(f, prot, flags&MAP_SHARED != 0); err != nil {
		call(granted.vm, abiVirtualMemoryUnmap, address, size, 0, 0, 0)
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

// isReservation is whether a mapping takes addresses, and memory only for the pages that are
// touched. As on Linux, that is memory of no file without the right to write, or with
// MAP_NORESERVE. Other memory is charged at once, so that a lack of it is an error of Mmap and not
// a fault later.
func isReservation(prot, flags int) bool {
	return flags&MAP_ANON != 0 && (prot&PROT_WRITE == 0 || flags&MAP_NORESERVE != 0)
}

// fill copies the file into the mapping, if it is of one, and sets the rights.
func (m *mapping) fill(f *treeFile, prot int, shared bool) error {
	if f != nil {
		m.private = !shared
		lockTree()
		f.node.content.readAt(m.bytes(), m.offset)
		f.node.fromMappings(m.bytes(), m.offset)
		err := Errno(0)
		if shared {
			err = m.share(f.node, PROT_READ|PROT_WRITE)
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
	size := alignedLength(len(data))
	answer := call(granted.vm, abiVirtualMemoryUnmap, uintptr(unsafe.Pointer(&data[0])), size,
		0, 0, 0)
	if number := failure(answer); number != 0 {
		return errnoOf(number)
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
	last := (inside - 1) / abiPageSize
	m.protect(0, last, func(page int) uint8 { return m.rights[page] | PROT_READ })
	data := m.bytes()
	written := content.writeAt(data[:inside], m.offset)
	m.file.node.touch()
	m.file.dirty = true
	m.protect(0, last, func(page int) uint8 { return m.rights[page] })
	if written < inside {
		return ENOSPC
	}
	return 0
}

func Mprotect(b []byte, prot int) error {
	if len(b) == 0 {
		return nil
	}
	// PROT_READ, PROT_WRITE and PROT_EXEC are the kernel's bits.
	address, size := uintptr(unsafe.Pointer(&b[0])), alignedLength(len(b))
	lockTree()
	defer tree.Unlock()
	answer := call(granted.vm, abiVirtualMemoryProtect, address, size, uintptr(prot&7), 0, 0)
	if number := failure(answer); number != 0 {
		return errnoOf(number)
	}
	setRights(address, size, prot)
	return nil
}
