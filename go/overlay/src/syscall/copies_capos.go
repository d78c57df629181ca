// Calls that move bytes from one open file to another: splice, tee, copy_file_range.

//go:build capos

package syscall

const spliceFlags = 15 // SPLICE_F_MOVE, NONBLOCK, MORE, GIFT

const spliceNonblock = 2

// An end of a move is an open file, with an offset of its own or the file's position.
type copyEnd struct {
	file   openFile
	flags  int
	offset *int64
}

func (e *copyEnd) isPipe() bool {
	switch e.file.(type) {
	case *pipeEnd, *kernelPipe:
		return true
	}
	return false
}

func (e *copyEnd) isFile() bool { _, ok := e.file.(*treeFile); return ok }

func endOf(fd, wanted int, offset *int64) (e copyEnd, err Errno) {
	e.offset = offset
	e.file, e.flags, err = access(fd, wanted)
	return e, err
}

func endsOf(rfd int, roff *int64, wfd int, woff *int64) (from, to copyEnd, err Errno) {
	if from, err = endOf(rfd, O_RDONLY, roff); err == 0 {
		to, err = endOf(wfd, O_WRONLY, woff)
	}
	return from, to, err
}

// read and write use the offset, if there is one.
func (e *copyEnd) read(b []byte) (n int, err Errno) {
	if e.offset == nil {
		return e.file.read(b, e.flags)
	}
	n, err = e.file.pread(b, *e.offset)
	*e.offset += int64(n)
	return n, err
}

func (e *copyEnd) write(b []byte) (n int, err Errno) {
	if e.offset == nil {
		return e.file.write(b, e.flags)
	}
	n, err = e.file.pwrite(b, *e.offset, e.flags)
	*e.offset += int64(n)
	return n, err
}

// Splice moves what there is, at most size bytes, to or from a pipe. The pipe that is written to
// takes all of it, because only as much is read as it has room for.
func Splice(rfd int, roff *int64, wfd int, woff *int64, size int, flags int) (n int64, err error) {
	if size == 0 {
		return 0, nil
	}
	if flags&^spliceFlags != 0 || size < 0 {
		return -1, EINVAL
	}
	from, to, e := endsOf(rfd, roff, wfd, woff)
	if e != 0 {
		return -1, e
	}
	if e := maySplice(&from, &to); e != 0 {
		return -1, e
	}
	if flags&spliceNonblock != 0 { // on the pipes alone
		if from.isPipe() {
			from.flags |= O_NONBLOCK
		}
		if to.isPipe() {
			to.flags |= O_NONBLOCK
		}
	}
	moved, e := move(&from, &to, size)
	if e == EPIPE {
		runtime_brokenPipe()
	}
	count, err := counted(moved, e)
	return int64(count), err
}

func maySplice(from, to *copyEnd) Errno {
	switch {
	case !from.isPipe() && !to.isPipe():
		return EINVAL
	case from.isPipe() && from.offset != nil, to.isPipe() && to.offset != nil:
		return ESPIPE
	case from.isPipe() && to.isPipe() && samePipe(from, to):
		return EINVAL
	case to.flags&O_APPEND != 0 && to.isFile():
		return EINVAL
	case from.offset != nil && !from.isFile(), to.offset != nil && !to.isFile():
		return EINVAL
	}
	for _, end := range [...]*copyEnd{from, to} {
		_, socket := end.file.(*socket)
		_, device := end.file.(*deviceFile)
		if !end.isPipe() && !end.isFile() && !socket && !device {
			return EINVAL
		}
	}
	return 0
}

func samePipe(from, to *copyEnd) bool {
	a, ok := from.file.(*pipeEnd)
	b, also := to.file.(*pipeEnd)
	return ok && also && a.pipe == b.pipe
}

// move waits for room in a pipe of this process before it takes bytes.
func move(from, to *copyEnd, size int) (int, Errno) {
	size = min(size, pipeSize)
	if end, ok := to.file.(*pipeEnd); ok {
		room, err := end.pipe.awaitRoom(blocks(to.flags))
		if err != 0 {
			return 0, err
		}
		size = min(size, room)
	}
	b := make([]byte, size)
	n, err := from.read(b)
	if err != 0 || n == 0 {
		return 0, err
	}
	done := 0
	for done < n {
		put, err := to.write(b[done:n])
		if err == EAGAIN { // others filled it meanwhile: what was taken must not be lost
			to.flags &^= O_NONBLOCK
			continue
		}
		if err != 0 {
			return done, err
		}
		done += put
	}
	return done, 0
}

// awaitRoom returns how many bytes fit, and waits for room for some if it may.
func (p *pipe) awaitRoom(block bool) (int, Errno) {
	p.Lock()
	defer p.Unlock()
	for {
		switch room := p.size - p.queue.count; {
		case p.broken():
			return 0, EPIPE
		case room > 0:
			return room, 0
		case !block:
			return 0, EAGAIN
		}
		p.changed.Wait()
	}
}

// Tee copies what is in a pipe to another one, and leaves it there.
func Tee(rfd int, wfd int, size int, flags int) (n int64, err error) {
	if flags&^spliceFlags != 0 || size < 0 {
		return -1, EINVAL
	}
	if size == 0 {
		return 0, nil
	}
	from, to, e := endsOf(rfd, nil, wfd, nil)
	if e != 0 {
		return -1, e
	}
	source, ok := from.file.(*pipeEnd)
	sink, also := to.file.(*pipeEnd)
	if !ok || !also || source.pipe == sink.pipe {
		return -1, EINVAL
	}
	block := flags&spliceNonblock == 0
	room, e := sink.pipe.awaitRoom(block && blocks(to.flags))
	if e != 0 {
		return -1, e
	}
	b := make([]byte, min(size, room))
	got, _, e := source.pipe.receive(b, true, block && blocks(from.flags))
	if e != 0 {
		return -1, e
	}
	count, err := counted(sink.pipe.write(b[:got], true))
	return int64(count), err
}

// copyFileRange copies between regular files.
func copyFileRange(rfd int, roff *int64, wfd int, woff *int64, size, flags int) (int, error) {
	if flags != 0 {
		return -1, EINVAL
	}
	from, to, e := endsOf(rfd, roff, wfd, woff)
	if e != 0 {
		return -1, e
	}
	for _, end := range [...]*copyEnd{&from, &to} {
		if n := end.file.treeNode(); n != nil && n.isDir() {
			return -1, EISDIR
		}
		if !end.isFile() {
			return -1, EINVAL
		}
	}
	if to.flags&O_APPEND != 0 {
		return -1, EBADF
	}
	if from.start() < 0 || to.start() < 0 || size < 0 {
		return -1, EINVAL
	}
	if from.file.treeNode() == to.file.treeNode() && overlap(from.start(), to.start(), size) {
		return -1, EINVAL
	}
	b := make([]byte, min(size, chunkSize))
	done := 0
	for done < size {
		n, _ := from.read(b[:min(len(b), size-done)])
		if n == 0 {
			break
		}
		put, e := to.write(b[:n])
		if done += put; e != 0 && done == 0 {
			return -1, e
		}
		if put < n {
			break
		}
	}
	return done, nil
}

// start is where the end begins.
func (e *copyEnd) start() int64 {
	if e.offset != nil {
		return *e.offset
	}
	at, _ := e.file.seek(0, 1)
	return at
}

func overlap(a, b int64, size int) bool { return a < b+int64(size) && b < a+int64(size) }

// ---- room for a file
// ------------------------------------------------------------------------------------------

const (
	fallocateKeepSize  = 1
	fallocatePunchHole = 2
)

// Fallocate gives a file room, or takes it. Room is memory that is written to, so that a later
// write does not fail. Files in memory can do what Linux's can, which is this.
func Fallocate(fd int, mode uint32, off int64, size int64) error {
	f, _, e := access(fd, O_WRONLY)
	switch {
	case e != 0:
		return e
	case off < 0 || size <= 0:
		return EINVAL
	case mode&^(fallocateKeepSize|fallocatePunchHole) != 0:
		return EOPNOTSUPP
	case mode == fallocatePunchHole:
		return EOPNOTSUPP // a hole never changes the size, and has to say so
	}
	file, ok := f.(*treeFile)
	if _, isPipe := f.(*pipeEnd); isPipe {
		return ESPIPE
	}
	if !ok {
		return ENODEV
	}
	if off > fileSizeMax-size {
		return EFBIG
	}
	return result(file.allocate(mode, off, size))
}

func (f *treeFile) allocate(mode uint32, off, size int64) Errno {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	lockTree()
	defer tree.Unlock()
	c := f.node.content
	punch, keep := mode&fallocatePunchHole != 0, mode&fallocateKeepSize != 0
	switch {
	case punch && f.node.seals&(sealWrite|sealFutureWrite) != 0:
		return EPERM
	case !punch && !keep && f.node.maySize(max(c.size, off+size)) != 0:
		return EPERM
	}
	if punch {
		c.punch(off, size)
		f.node.zeroMapped(off, min(off+size, c.size))
	} else if err := c.reserve(off, size, keep); err != 0 {
		return err
	}
	f.node.touch()
	f.node.notify(&f.at, inModify)
	f.dirty = true
	return 0
}

// punch makes bytes zero. Whole pages that are not of the boot image are given back.
func (c *content) punch(off, size int64) {
	end := min(off+size, c.size)
	for off < end {
		within := int(off % chunkSize)
		piece := int(min(end-off, int64(chunkSize-within)))
		if i, found := c.find(off / chunkSize); found {
			c.chunks[i].punch(within, piece, off < int64(len(c.backing)))
		}
		if off < int64(len(c.backing)) {
			c.writeAt(make([]byte, piece), off)
		}
		off += int64(piece)
	}
}

func (c *chunk) punch(within, size int, backed bool) {
	for page := within / abiPageSize; page*abiPageSize < within+size; page++ {
		if c.present>>page&1 == 0 {
			continue
		}
		first, end := max(within, page*abiPageSize), min(within+size, (page+1)*abiPageSize)
		if end-first < abiPageSize || backed {
			clear(c.bytes()[first:end])
			continue
		}
		decommit(c.address+uintptr(page)*abiPageSize, 1)
		c.present &^= 1 << page
		fileMemory.pages--
	}
}

// reserve takes the memory of the bytes. Those behind the end of the file stay there only as long
// as the file does not become shorter.
func (c *content) reserve(off, size int64, keep bool) Errno {
	old := c.size
	buf := make([]byte, min(size, chunkSize))
	for at := off; at < off+size; {
		part := buf[:min(off+size-at, chunkSize-at%chunkSize)]
		clear(part[c.readAt(part, at):]) // what is there stays
		if c.writeAt(part, at) < len(part) {
			c.truncate(old)
			return ENOSPC
		}
		at += int64(len(part))
	}
	if keep {
		c.size = old
	}
	return 0
}
