// Open files and directories of the tree.

//go:build capos

package syscall

import (
	"sync"
	"unsafe"
)

// A position is where the next read or write of an opening starts.
type position struct {
	use    sync.Mutex // makes a read or write at the offset one step
	offset int64
}

// seek is the call of that name for a node.
func (p *position) seek(n *node, offset int64, whence int) (int64, Errno) {
	p.use.Lock()
	defer p.use.Unlock()
	switch whence {
	case 0:
	case 1:
		offset += p.offset
	case 2:
		lockTree()
		offset += n.size()
		tree.Unlock()
	default:
		return -1, EINVAL
	}
	if offset < 0 {
		return -1, EINVAL
	}
	p.offset = offset
	return offset, 0
}

// statLocked is stat for callers that do not hold the tree.
func (n *node) statLocked(st *Stat_t) {
	lockTree()
	defer tree.Unlock()
	n.stat(st)
}

// ---- files
// ------------------------------------------------------------------------------------------

// A treeFile is an open regular file.
type treeFile struct {
	fileDefaults
	node     *node
	at       location
	position position // position.use guards what follows, too

	export string // path under which the host gets the file
	dirty  bool   // the host has not got what was written
}

func (f *treeFile) read(p []byte, flags int) (int, Errno) {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	n, err := f.pread(p, f.position.offset)
	f.position.offset += int64(n)
	return n, err
}

func (f *treeFile) pread(p []byte, offset int64) (int, Errno) {
	lockTree()
	defer tree.Unlock()
	n := f.node.content.readAt(p, offset)
	if n > 0 {
		f.node.fromMappings(p[:n], offset)
		f.node.notify(&f.at, inAccess)
	}
	return n, 0
}

func (f *treeFile) write(p []byte, flags int) (int, Errno) {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	n, end, err := f.writeContent(p, f.position.offset, flags)
	f.position.offset = end
	if err == 0 {
		err = f.passOn(p[:n], end)
	}
	return n, err
}

func (f *treeFile) pwrite(p []byte, offset int64, flags int) (int, Errno) {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	n, end, err := f.writeContent(p, offset, flags)
	if err == 0 {
		err = f.passOn(p[:n], end)
	}
	return n, err
}

// writeContent writes at the offset, or with O_APPEND at the end of the file, and returns where it
// stopped. position.use is held.
func (f *treeFile) writeContent(p []byte, offset int64, flags int) (n int, end int64, err Errno) {
	lockTree()
	defer tree.Unlock()
	if flags&O_APPEND != 0 {
		offset = f.node.content.size
	}
	if offset > fileSizeMax-int64(len(p)) {
		return 0, offset, EFBIG
	}
	if len(p) == 0 {
		return 0, offset, 0
	}
	if err := f.node.mayWrite(offset + int64(len(p))); err != 0 {
		return 0, offset, err
	}
	p = p[:f.node.makeRoom(offset, int64(len(p)))]
	if n = f.node.content.writeAt(p, offset); n == 0 {
		return 0, offset, ENOSPC
	}
	f.node.toMappings(p[:n], offset)
	f.node.touch()
	f.node.notify(&f.at, inModify)
	f.dirty = true
	return n, offset + int64(n), 0
}

func (f *treeFile) truncate(length int64) Errno {
	if length > fileSizeMax {
		return EFBIG
	}
	f.position.use.Lock()
	defer f.position.use.Unlock()
	lockTree()
	if err := f.node.maySize(length); err != 0 {
		tree.Unlock()
		return err
	}
	f.node.setSize(length)
	f.node.touch()
	f.node.notify(&f.at, inModify)
	tree.Unlock()
	f.dirty = true
	if f.node.text != nil {
		return f.exportNow()
	}
	return 0
}

// Values of whence beyond 0 to 2, which are those of Linux.
const (
	seekData = 3
	seekHole = 4
)

func (f *treeFile) seek(offset int64, whence int) (int64, Errno) {
	if whence == seekData || whence == seekHole {
		return f.seekStored(offset, whence)
	}
	return f.position.seek(f.node, offset, whence)
}

// seekStored goes to the next bytes from an offset on that are stored, or to the next hole.
func (f *treeFile) seekStored(offset int64, whence int) (int64, Errno) {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	lockTree()
	defer tree.Unlock()
	c := f.node.content
	if offset < 0 || offset >= c.size {
		return 0, ENXIO
	}
	if whence == seekHole {
		offset = c.nextHole(offset)
	} else if offset = c.nextData(offset); offset == c.size {
		return 0, ENXIO
	}
	f.position.offset = offset
	return offset, 0
}

func (f *treeFile) sync() Errno     { return 0 }
func (f *treeFile) stat(st *Stat_t) { f.node.statLocked(st) }
func (f *treeFile) treeNode() *node { return f.node }

func (f *treeFile) close(access int) Errno {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	err := f.exportNow()
	lockTree()
	defer tree.Unlock()
	f.node.notify(&f.at, closingEvent(access))
	f.node.opens--
	f.node.dropIfUnused()
	return err
}

// closingEvent is the event of the end of an opening.
func closingEvent(access int) uint32 {
	if access == O_RDONLY {
		return inCloseNoWrite
	}
	return inCloseWrite
}

// ---- directories
// ------------------------------------------------------------------------------------------

// A treeDirectory is an open directory. Its offset is the cookie of the entry read last.
type treeDirectory struct {
	fileDefaults
	node     *node
	position position
}

func (f *treeDirectory) read(p []byte, flags int) (int, Errno)     { return 0, EISDIR }
func (f *treeDirectory) pread(p []byte, offset int64) (int, Errno) { return 0, EISDIR }
func (f *treeDirectory) write(p []byte, flags int) (int, Errno)    { return 0, EBADF }
func (f *treeDirectory) sync() Errno                               { return 0 }
func (f *treeDirectory) stat(st *Stat_t)                           { f.node.statLocked(st) }
func (f *treeDirectory) treeNode() *node                           { return f.node }

func (f *treeDirectory) close(access int) Errno {
	lockTree()
	defer tree.Unlock()
	f.node.notify(&location{}, closingEvent(access))
	return 0
}

func (f *treeDirectory) seek(offset int64, whence int) (int64, Errno) {
	return f.position.seek(f.node, offset, whence)
}

// readDirents makes of each entry a Dirent shortened to its name and a NUL and padded to eight
// bytes. It leaves out the entries "." and "..", because no caller wants them.
func (f *treeDirectory) readDirents(p []byte) (n int, err Errno) {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	lockTree()
	defer tree.Unlock()
	for _, e := range f.node.after(f.position.offset) {
		if e.node == nil {
			continue
		}
		length := e.direntLength()
		if length > len(p)-n {
			if n == 0 {
				return 0, EINVAL
			}
			break
		}
		e.putDirent(p[n : n+length])
		n += length
		f.position.offset = e.cookie
	}
	if n > 0 {
		f.node.notify(&location{}, inAccess)
	}
	return n, 0
}

const direntHead = int(unsafe.Offsetof(Dirent{}.Name))

func (e *entry) direntLength() int { return (direntHead + len(e.name) + 1 + 7) &^ 7 }

func (e *entry) putDirent(record []byte) {
	clear(record)
	putInt(record[unsafe.Offsetof(Dirent{}.Ino):], e.node.ino, 8)
	putInt(record[unsafe.Offsetof(Dirent{}.Off):], uint64(e.cookie), 8)
	putInt(record[unsafe.Offsetof(Dirent{}.Reclen):], uint64(len(record)), 2)
	record[unsafe.Offsetof(Dirent{}.Type)] = byte(e.node.mode >> 12)
	copy(record[direntHead:], e.name)
}

func putInt(b []byte, value uint64, size int) {
	for i := range size {
		b[i] = byte(value >> (8 * i))
	}
}

func direntIno(buf []byte) (uint64, bool) {
	return readInt(buf, unsafe.Offsetof(Dirent{}.Ino), unsafe.Sizeof(Dirent{}.Ino))
}

func direntReclen(buf []byte) (uint64, bool) {
	return readInt(buf, unsafe.Offsetof(Dirent{}.Reclen), unsafe.Sizeof(Dirent{}.Reclen))
}

func direntNamlen(buf []byte) (uint64, bool) {
	length, ok := direntReclen(buf)
	if !ok || length < uint64(direntHead) {
		return 0, false
	}
	return length - uint64(direntHead), true
}
