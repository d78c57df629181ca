// Pipes inside the process.
//
// A pipe is a queue of bytes with a reading and a writing end. Readers and writers that may block
// wait on a condition. The others get EAGAIN and wait in the runtime's poller, to which every
// change of state is reported.

//go:build capos

package syscall

import (
	"sync"
	"sync/atomic"
)

const (
	pipeSize   = 64 << 10
	pipeAtomic = 4 << 10 // writes up to this size happen completely or not at all
)

const (
	pipeAlone = iota
	pipeOfTCP
	pipeOfUnix
)

type pipe struct {
	sync.Mutex
	changed sync.Cond

	queue    byteQueue
	size     int    // bytes that may wait
	atomic   int    // writes up to this size happen completely or not at all
	borrowed int    // of bufferMemory
	written  uint64 // bytes ever
	ino      uint64

	files    []sentFiles // oldest first
	ignoring bool        // the reader wants no more, so bytes are accepted and dropped

	reset                    bool          // the end of the bytes is that of a connection
	readerError, writerError *pendingError // of the sockets whose connection this is part of

	kind int // what it is part of

	readers, writers             int // open ends
	readersOpened, writersOpened int // ever, for one that waits for the other end
	readWatch, writeWatch        []pollTarget
}

// sentFiles are open files that go with the bytes [first, end) of all that was ever written. Each
// counts as held.
type sentFiles struct {
	first, end uint64
	files      []*description
}

// lastInode numbers pipes and sockets, so that programs can tell one from another.
var lastInode atomic.Uint64

func newPipe() *pipe {
	p := &pipe{ino: lastInode.Add(1), size: pipeSize, atomic: pipeAtomic}
	p.changed.L = &p.Mutex
	return p
}

func Pipe(p []int) error { return Pipe2(p, 0) }

func Pipe2(p []int, flags int) error {
	if len(p) != 2 || flags&^(O_CLOEXEC|O_NONBLOCK) != 0 {
		return EINVAL
	}
	shared := newPipe()
	shared.readers, shared.writers = 1, 1
	nonblocking := flags & O_NONBLOCK
	for i, access := range [...]int{O_RDONLY, O_WRONLY} {
		end := &description{file: &pipeEnd{pipe: shared}, flags: access | nonblocking}
		fd, err := installNew(end, flags&O_CLOEXEC != 0)
		if err != nil {
			if i == 1 {
				Close(p[0])
			}
			return err
		}
		p[i] = fd
	}
	return nil
}

func (p *pipe) stat(st *Stat_t) {
	*st = Stat_t{Dev: 3, Ino: p.ino, Nlink: 1, Mode: S_IFIFO | 0o600, Uid: ownerUid,
		Gid: ownerGid, Blksize: pipeAtomic}
}

// read returns the bytes that wait, and waits for some if it may block. Without bytes and writers
// it is at the end.
func (p *pipe) read(b []byte, block bool) (int, Errno) {
	n, _, err := p.receive(b, false, block)
	return n, err
}

// receive is read that also takes the files that came with these bytes. With peek it copies what
// read would return and takes nothing. Bytes that files came with are the last that one call
// returns, so that the files of two messages are not mixed up.
func (p *pipe) receive(b []byte, peek, block bool) (n int, files []*description, err Errno) {
	p.Lock()
	for p.queue.count == 0 && !p.ended() && block {
		p.changed.Wait()
	}
	n = min(len(b), p.queue.count)
	if p.queue.count == 0 {
		defer p.Unlock()
		switch {
		case !p.ended():
			return 0, nil, EAGAIN
		case p.reset:
			return 0, nil, p.readerError.take()
		}
		return 0, nil, 0
	}
	first := p.written - uint64(p.queue.count)
	if len(p.files) > 0 {
		n = min(n, int(p.files[0].end-first))
	}
	p.queue.look(b[:n])
	if peek {
		p.Unlock()
		return n, nil, 0
	}
	if len(p.files) > 0 && p.files[0].first < first+uint64(n) {
		files, p.files = p.files[0].files, p.files[1:]
	}
	had := p.hasRoom()
	p.queue.drop(n)
	p.settle()
	news := uint32(0)
	if !had && p.hasRoom() {
		news = evWritable
	}
	p.reportAndUnlock(nil, p.writeWatch, news)
	return n, files, 0
}

// ended reports whether no more bytes will come than wait now.
func (p *pipe) ended() bool { return p.writers == 0 || p.readers == 0 || p.ignoring }

// write stores all of b if it may block, and otherwise as much as there is room for.
func (p *pipe) write(b []byte, block bool) (n int, err Errno) { return p.send(b, nil, block) }

// send is write with files, which belong to the pipe if there is no error. They go with the first
// bytes that there was room for.
func (p *pipe) send(b []byte, files []*description, block bool) (n int, err Errno) {
	for {
		p.Lock()
		room := p.room(len(b) - n)
		for room == 0 && block && !p.broken() && n < len(b) {
			p.changed.Wait()
			room = p.room(len(b) - n)
		}
		switch {
		case p.broken():
			err = p.brokenError()
		case room == 0 && n < len(b):
			err = EAGAIN
		}
		if err != 0 || n == len(b) {
			p.Unlock()
			if n > 0 {
				err = 0
			}
			return n, err
		}
		p.put(b[n : n+room])
		if n == 0 && len(files) > 0 {
			p.files = append(p.files, sentFiles{p.written - uint64(room), p.written,
				files})
		}
		n += room
		p.reportAndUnlock(p.readWatch, nil, evReadable)
		if n == len(b) {
			return n, 0
		}
	}
}

// broken reports whether no more bytes can be written.
func (p *pipe) broken() bool { return p.readers == 0 || p.writers == 0 }

func (p *pipe) brokenError() Errno {
	if p.writerError != nil {
		if err := p.writerError.take(); err != 0 {
			return err
		}
	}
	return EPIPE
}

// room returns how many of some bytes can be put now. A write of p.atomic bytes or less is not
// split.
func (p *pipe) room(size int) int {
	all := p.queue.count + size
	if all <= p.size && all <= pipeSize {
		return size
	}
	room := max(0, min(size, p.size-p.queue.count))
	if missing := p.queue.count + room - pipeSize - p.borrowed; missing > 0 {
		got := borrow(missing)
		p.borrowed += got
		room -= missing - got
	}
	if room < size && size <= p.atomic {
		return 0
	}
	return room
}

// hasRoom reports whether the pipe counts as writable. It needs more room than for a byte, so that
// a writer is not woken for each. These are Linux's bounds: a page of a pipe, a third of a TCP
// buffer, three quarters of one inside AF_UNIX.
func (p *pipe) hasRoom() bool {
	switch p.kind {
	case pipeOfTCP:
		return p.queue.count <= p.size-p.size/3 && p.room(1) > 0
	case pipeOfUnix:
		return p.queue.count <= p.size/4 && p.room(1) > 0
	}
	return p.queue.count+pipeAtomic <= p.size
}

// settle gives back the part that was borrowed for bytes that have gone.
func (p *pipe) settle() {
	if p.borrowed == 0 {
		return
	}
	needed := max(0, p.queue.count-pipeSize)
	giveBack(p.borrowed - needed)
	p.borrowed = needed
}

func (p *pipe) put(b []byte) {
	if !p.ignoring {
		p.queue.put(b)
		p.written += uint64(len(b))
	}
}

// empty forgets the bytes that wait.
func (p *pipe) empty() {
	p.queue = byteQueue{}
	p.settle()
}

// resize sets how many bytes may wait, for a pipe that is part of a connection.
func (p *pipe) resize(size int) {
	p.Lock()
	p.size, p.atomic = size, 0
	p.reportAndUnlock(nil, p.writeWatch, evAll)
}

// reportAndUnlock wakes the waiting and tells what watches the descriptors that they became
// readable or writable.
func (p *pipe) reportAndUnlock(readable, writable []pollTarget, events uint32) {
	p.changed.Broadcast()
	tellAll(readable, 'r', events)
	tellAll(writable, 'w', events)
	p.Unlock()
}

// ---- ends
// ------------------------------------------------------------------------------------------

// open adds an end of a named pipe, and waits for the other end if it may block.
func (e *pipeEnd) open(access int, block bool) Errno {
	p := e.pipe
	p.Lock()
	reads, writes := access != O_WRONLY, access != O_RDONLY
	if access == O_WRONLY && !block && p.readers == 0 {
		p.Unlock()
		return ENXIO
	}
	if reads {
		p.readers++
		p.readersOpened++
	}
	if writes {
		p.writers++
		p.writersOpened++
	}
	if p.writers == 0 {
		e.before = p.writersOpened + 1
	}
	p.changed.Broadcast()
	seenReaders, seenWriters := p.readersOpened, p.writersOpened
	for block && (!writes && p.writers == 0 && p.writersOpened == seenWriters ||
		!reads && p.readers == 0 && p.readersOpened == seenReaders) {
		p.changed.Wait()
	}
	p.Unlock()
	return 0
}

func (p *pipe) close(access int) {
	p.Lock()
	if access != O_WRONLY {
		p.readers--
	}
	if access != O_RDONLY {
		p.writers--
	}
	if p.readers == 0 && p.writers == 0 {
		p.empty()
	}
	p.reportAndUnlock(p.readWatch, p.writeWatch, evAll)
}

// watch registers a descriptor with the poller. The present state counts as an event, because it
// may have changed before.
func (p *pipe) watch(access int, target pollTarget) {
	p.Lock()
	var readable, writable []pollTarget
	if access != O_WRONLY {
		p.readWatch = append(p.readWatch, target)
		if p.queue.count > 0 || p.ended() {
			readable = []pollTarget{target}
		}
	}
	if access != O_RDONLY {
		p.writeWatch = append(p.writeWatch, target)
		writable = []pollTarget{target}
	}
	p.reportAndUnlock(readable, writable, evAll)
}

// forget drops a descriptor that is being closed.
func (p *pipe) forget(fd int) {
	p.Lock()
	defer p.Unlock()
	p.readWatch, p.writeWatch = without(p.readWatch, fd), without(p.writeWatch, fd)
}

// ignore makes readers find the end, and writers go on as if there were a reader.
func (p *pipe) ignore() {
	p.Lock()
	p.ignoring = true
	p.empty()
	p.reportAndUnlock(p.readWatch, p.writeWatch, evAll)
}

// takeFiles returns the files that will not be received any more.
func (p *pipe) takeFiles() (left []*description) {
	p.Lock()
	defer p.Unlock()
	for _, sent := range p.files {
		left = append(left, sent.files...)
	}
	p.files = nil
	return left
}

// unread reports whether bytes wait that will not be read.
func (p *pipe) unread() bool {
	p.Lock()
	defer p.Unlock()
	return p.queue.count > 0
}

// endByReset makes readers get the error of the connection after the last byte.
func (p *pipe) endByReset() {
	p.Lock()
	p.reset = true
	p.Unlock()
}

// ---- open files
// ------------------------------------------------------------------------------------------

// A pipeEnd is an open pipe: one end of it, or both.
type pipeEnd struct {
	fileDefaults
	pipe *pipe
	node *node // of a named pipe

	// For a reader that came first: how many writers had come, and 1. It is not at the end
	// before there was another.
	before int
}

func (e *pipeEnd) read(p []byte, flags int) (int, Errno)  { return e.pipe.read(p, blocks(flags)) }
func (e *pipeEnd) write(p []byte, flags int) (int, Errno) { return e.pipe.write(p, blocks(flags)) }
func (e *pipeEnd) treeNode() *node                        { return e.node }
func (e *pipeEnd) forget(fd int)                          { e.pipe.forget(fd) }
func (e *pipeEnd) pollable() bool                         { return true }

func (e *pipeEnd) stat(st *Stat_t) {
	if e.node != nil {
		e.node.statLocked(st)
	} else {
		e.pipe.stat(st)
	}
}

func (e *pipeEnd) events(access int) (ready uint32) {
	p := e.pipe
	p.Lock()
	defer p.Unlock()
	if access != O_WRONLY {
		if p.queue.count > 0 {
			ready = evReadable
		}
		if p.writers == 0 && e.before != p.writersOpened+1 {
			ready |= evHup
		}
	}
	if access != O_RDONLY {
		if p.hasRoom() {
			ready |= evWritable
		}
		if p.readers == 0 {
			ready |= evErr
		}
	}
	return ready
}

func (e *pipeEnd) watch(access int, target pollTarget) bool {
	e.pipe.watch(access, target)
	return true
}

func (e *pipeEnd) close(access int) Errno {
	e.pipe.close(access)
	return 0
}
