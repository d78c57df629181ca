// Reading and writing open files.

//go:build capos

package syscall

import (
	"internal/runtime/exithook"
	"unsafe"
)

// access returns the open file if it was opened for what is wanted: O_RDONLY to read, O_WRONLY to
// write.
func access(fd, wanted int) (*file, Errno) {
	f := descriptor(fd)
	if f == nil {
		return nil, EBADF
	}
	if mode := f.flagsNow() & O_ACCMODE; mode != wanted && mode != O_RDWR {
		return nil, EBADF
	}
	return f, 0
}

func Read(fd int, p []byte) (n int, err error) {
	f, e := access(fd, O_RDONLY)
	if e != 0 {
		return -1, e
	}
	switch {
	case f.node != nil && f.node.isDir():
		return -1, EISDIR
	case len(p) == 0:
		return 0, nil
	case f.console != 0:
		n, e = f.readConsole(p)
	case f.pipe != nil:
		n, e = f.pipe.read(p, f.blocks())
	case f.socket != nil:
		var m message
		m, e = f.socket.receive(p, false, f.blocks())
		n = m.n
		letGoAll(m.files)
	case f.node.device != 0:
		n, e = f.node.device.read(p)
	default:
		f.use.Lock()
		defer f.use.Unlock()
		lockTree()
		defer tree.Unlock()
		n = f.node.content.readAt(p, f.offset)
		f.offset += int64(n)
	}
	if e != 0 {
		return -1, result(e)
	}
	return n, nil
}

func Write(fd int, p []byte) (n int, err error) {
	f, e := access(fd, O_WRONLY)
	if e != 0 {
		return -1, e
	}
	switch {
	case f.console != 0:
		n, e = f.writeConsole(p)
	case f.pipe != nil:
		n, e = f.pipe.write(p, f.blocks())
	case f.socket != nil:
		n, e = f.socket.send(p, nil, endpoint{}, false, f.blocks())
	case f.node.device != 0:
		n = len(p)
	default:
		f.use.Lock()
		defer f.use.Unlock()
		n, e = f.writeContent(p, f.offset)
		f.offset += int64(n)
	}
	if e != 0 {
		return -1, result(e)
	}
	return n, nil
}

// writeContent writes at the offset, or with O_APPEND at the end, which becomes the offset. f.use
// is held.
func (f *file) writeContent(p []byte, offset int64) (int, Errno) {
	appending := f.flagsNow()&O_APPEND != 0
	lockTree()
	defer tree.Unlock()
	if appending {
		offset = f.node.content.size
		f.offset = offset
	}
	if offset > fileSizeMax-int64(len(p)) {
		return 0, EFBIG
	}
	if len(p) != 0 {
		f.node.content.writeAt(p, offset)
		f.node.touch()
		f.dirty = true
	}
	return len(p), 0
}

// readConsole waits for at least one byte; none is the end of the stream.
func (f *file) readConsole(p []byte) (int, Errno) {
	size := uintptr(min(len(p), 1<<20))
	for {
		got := callBlocking(f.console, abiConsoleRead, size, uintptr(unsafe.Pointer(&p[0])),
			size, 0, 0)
		switch refused := refusal(got); refused {
		case 0:
			return int(got), 0
		case abiErrorBase + abiErrorInterrupted:
		default:
			return 0, errnoOf(refused)
		}
	}
}

func (f *file) writeConsole(p []byte) (int, Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	answer := callBlocking(f.console, abiConsoleWrite, uintptr(unsafe.Pointer(&p[0])),
		uintptr(len(p)), 0, 0, 0)
	if refused := refusal(answer); refused != 0 {
		return 0, errnoOf(refused)
	}
	return len(p), 0
}

func Pread(fd int, p []byte, offset int64) (n int, err error) {
	f, e := access(fd, O_RDONLY)
	switch {
	case e != 0:
		return -1, e
	case offset < 0:
		return -1, EINVAL
	case f.node == nil || f.pipe != nil:
		return -1, ESPIPE
	case f.node.isDir():
		return -1, EISDIR
	case f.node.device != 0:
		n, e = f.node.device.read(p)
		return n, result(e)
	}
	lockTree()
	defer tree.Unlock()
	return f.node.content.readAt(p, offset), nil
}

func Pwrite(fd int, p []byte, offset int64) (n int, err error) {
	f, e := access(fd, O_WRONLY)
	switch {
	case e != 0:
		return -1, e
	case offset < 0:
		return -1, EINVAL
	case f.node == nil || f.pipe != nil:
		return -1, ESPIPE
	case f.node.device != 0:
		return len(p), nil
	}
	f.use.Lock()
	defer f.use.Unlock()
	before := f.offset
	n, e = f.writeContent(p, offset)
	f.offset = before
	if e != 0 {
		return -1, e
	}
	return n, nil
}

func Seek(fd int, offset int64, whence int) (int64, error) {
	f := descriptor(fd)
	switch {
	case f == nil:
		return -1, EBADF
	case f.node == nil || f.pipe != nil:
		return -1, ESPIPE
	case f.node.device != 0:
		return 0, nil
	}
	f.use.Lock()
	defer f.use.Unlock()
	switch whence {
	case 0:
	case 1:
		offset += f.offset
	case 2:
		lockTree()
		offset += f.node.size()
		tree.Unlock()
	default:
		return -1, EINVAL
	}
	if offset < 0 {
		return -1, EINVAL
	}
	f.offset = offset
	return offset, nil
}

func Fsync(fd int) error {
	f := descriptor(fd)
	switch {
	case f == nil:
		return EBADF
	case f.node == nil || f.pipe != nil:
		return EINVAL
	}
	return nil
}

func Ftruncate(fd int, length int64) error {
	f := descriptor(fd)
	switch {
	case f == nil:
		return EBADF
	case length < 0 || f.node == nil || f.node.content == nil ||
		f.flagsNow()&O_ACCMODE == O_RDONLY:
		return EINVAL
	case length > fileSizeMax:
		return EFBIG
	}
	f.use.Lock()
	defer f.use.Unlock()
	lockTree()
	defer tree.Unlock()
	f.node.content.truncate(length)
	f.node.touch()
	f.dirty = true
	return nil
}

func Fstat(fd int, st *Stat_t) error {
	f := descriptor(fd)
	switch {
	case f == nil:
		return EBADF
	case f.console != 0:
		// Each stream is a device of its own; inode numbers of the tree never get this
		// high.
		*st = Stat_t{Dev: 2, Ino: 1<<63 | uint64(f.console), Nlink: 1, Mode: S_IFCHR |
			0o620, Uid: ownerUid, Gid: ownerGid,
			Rdev: uint64(deviceConsole), Blksize: 1024}
	case f.socket != nil:
		f.socket.stat(st)
	case f.node == nil:
		f.pipe.stat(st)
	default:
		lockTree()
		defer tree.Unlock()
		f.node.stat(st)
	}
	return nil
}

// ---- directories
// ------------------------------------------------------------------------------------------

// ReadDirent fills the buffer with entries, each a Dirent shortened to its name and a NUL and
// padded to eight bytes. The entries "." and ".." are left out: nobody wants them.
func ReadDirent(fd int, buf []byte) (n int, err error) {
	f := descriptor(fd)
	switch {
	case f == nil:
		return -1, EBADF
	case f.node == nil || !f.node.isDir():
		return -1, ENOTDIR
	}
	f.use.Lock()
	defer f.use.Unlock()
	lockTree()
	defer tree.Unlock()
	const head = int(unsafe.Offsetof(Dirent{}.Name))
	for _, e := range f.node.after(f.offset) {
		if e.node == nil {
			continue
		}
		length := (head + len(e.name) + 1 + 7) &^ 7
		if length > len(buf)-n {
			if n == 0 {
				return -1, EINVAL
			}
			break
		}
		record := buf[n : n+length]
		clear(record)
		putInt(record[unsafe.Offsetof(Dirent{}.Ino):], e.node.ino, 8)
		putInt(record[unsafe.Offsetof(Dirent{}.Off):], uint64(e.cookie), 8)
		putInt(record[unsafe.Offsetof(Dirent{}.Reclen):], uint64(length), 2)
		record[unsafe.Offsetof(Dirent{}.Type)] = byte(e.node.mode >> 12)
		copy(record[head:], e.name)
		n += length
		f.offset = e.cookie
	}
	return n, nil
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
	if !ok || length < uint64(unsafe.Offsetof(Dirent{}.Name)) {
		return 0, false
	}
	return length - uint64(unsafe.Offsetof(Dirent{}.Name)), true
}

// ---- files for the host
// ------------------------------------------------------------------------------------------

// exportNow hands the whole file to the host if it was written since the last time. f.use is held.
func (f *file) exportNow() Errno {
	if f.export == "" || !f.dirty || granted.host == 0 {
		return 0
	}
	f.dirty = false
	name := []byte(f.export[1:])
	buf := make([]byte, chunkSize)
	for offset := int64(0); ; {
		lockTree()
		n := f.node.content.readAt(buf, offset)
		tree.Unlock()
		if n == 0 && offset != 0 {
			return 0
		}
		answer := callBlocking(granted.host, abiHostShareWrite,
			uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), uintptr(offset),
			uintptr(unsafe.Pointer(&buf[0])), uintptr(n))
		if refused := refusal(answer); refused != 0 {
			return errnoOf(refused)
		}
		offset += int64(n)
		if n < len(buf) {
			return 0
		}
	}
}

// Files still open when the program ends go to the host then.
var exportAtExit = func() (add func()) {
	added := false
	return func() {
		if !added {
			added = true
			exithook.Add(exithook.Hook{F: exportOpenFiles, RunOnFailure: true})
		}
	}
}()

func exportOpenFiles() {
	if runtime_hasWrites() {
		takeRuntimeWrites()
	}
	writeBackMappings()
	for _, f := range openFiles() {
		if f.use.TryLock() {
			f.exportNow()
			f.use.Unlock()
		}
	}
}

func openFiles() (files []*file) {
	descriptors.RLock()
	defer descriptors.RUnlock()
	for _, f := range descriptors.table {
		if f != nil {
			files = append(files, f)
		}
	}
	return files
}

// exportAll hands files to the host that just got their names. Whoever has one of them open for
// writing goes on under that name.
func exportAll(files []*file) Errno {
	for _, named := range files {
		for _, f := range openFiles() {
			if f.node == named.node && f.flagsNow()&O_ACCMODE != O_RDONLY {
				f.use.Lock()
				f.export = named.export
				f.use.Unlock()
			}
		}
		named.use.Lock()
		err := named.exportNow()
		named.use.Unlock()
		if err != 0 {
			return err
		}
	}
	return 0
}
