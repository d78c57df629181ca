// Pipes between processes, and what joins them to the files of this one.
//
// Pipes, files and sockets of this process are in its memory, where a child cannot reach them. So a
// child gets an end of a pipe of the kernel, and a goroutine here carries the bytes between its
// other end and the file. For a child, such a file is a pipe, to read from or to write to.

//go:build capos

package syscall

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// A kernelPipe is an end of a pipe that processes share.
type kernelPipe struct {
	fileDefaults
	capability capability

	// For what waits without a thread (pipe_ready_capos.go); guarded by readiness.
	ready    chan struct{} // nil: the kernel tells nothing
	bit      int
	mode     int32
	watchers []pollTarget
	blocked  bool // a write found no room, and there was none since

	// What poll has found by reading it. Later reads begin with it.
	ahead struct {
		sync.Mutex
		data  []byte
		ended bool
	}
}

// read waits for at least one byte. It returns none at the end of the stream.
func (p *kernelPipe) read(b []byte, flags int) (int, Errno) {
	if n := p.readAhead(b); n > 0 {
		return n, 0
	}
	if !blocks(flags) {
		return p.tryRead(b)
	}
	return readPipe(p.capability, b)
}

func readPipe(from capability, b []byte) (int, Errno) {
	size := uintptr(min(len(b), 1<<20))
	for {
		got := callBlocking(from, abiPipeReaderRead, size, abiWaitForever,
			uintptr(unsafe.Pointer(&b[0])), size, 0)
		switch number := failure(got); number {
		case 0:
			return int(got), 0
		case abiErrorBase + abiErrorInterrupted:
		default:
			return 0, errnoOf(number)
		}
	}
}

func (p *kernelPipe) write(b []byte, flags int) (int, Errno) {
	if !blocks(flags) && len(b) > 0 {
		n, err := p.tryWrite(b)
		if err == EAGAIN {
			readiness.Lock()
			p.blocked = true
			readiness.Unlock()
		}
		return n, err
	}
	return writePipe(p.capability, b)
}

// writePipe writes all, unless there is no reader any more.
func writePipe(into capability, b []byte) (n int, err Errno) {
	for n < len(b) {
		put := callBlocking(into, abiPipeWriterWrite, uintptr(unsafe.Pointer(&b[n])),
			uintptr(len(b)-n), abiWaitForever, 0, 0)
		switch number := failure(put); number {
		case 0:
			n += int(put)
		case abiErrorBase + abiErrorInterrupted:
		case abiErrorBase + abiErrorDisconnected:
			return n, EPIPE
		default:
			return n, errnoOf(number)
		}
	}
	return n, 0
}

// settable leaves O_NONBLOCK out where nothing tells the poller when the pipe is ready.
func (p *kernelPipe) settable() int {
	if granted.eventFactory == 0 {
		return O_APPEND
	}
	return O_APPEND | O_NONBLOCK
}

// stat makes each end a file of its own. Inode numbers of other pipes never get this high.
func (p *kernelPipe) stat(st *Stat_t) {
	*st = Stat_t{Dev: 3, Ino: 1<<63 | uint64(p.capability), Nlink: 1, Mode: S_IFIFO | 0o600,
		Uid: ownerUid, Gid: ownerGid, Blksize: pipeAtomic}
}

func (p *kernelPipe) close(access int) Errno {
	p.unnotice()
	runtime_release(p.capability)
	return 0
}

func (p *kernelPipe) handOn(s *starting, fd, flags int) (kind string, err Errno) {
	if p.isAhead() {
		return s.relay(fd, flags) // which begins with what was read
	}
	s.grant(pipeGrant(fd), p.capability)
	if flags&O_ACCMODE == O_RDONLY {
		return "reader", 0
	}
	return "writer", 0
}

// ---- relays
// ------------------------------------------------------------------------------------------

// A relay carries the bytes that a child reads from a file of this process, or writes to it.
type relay struct {
	file    *description // held
	ours    *kernelPipe  // the end of the pipe that this process has
	reads   bool         // the child reads
	stopped atomic.Bool  // the child has ended
	done    chan struct{}
}

func (e *pipeEnd) handOn(s *starting, fd, flags int) (kind string, err Errno) {
	return s.relay(fd, flags)
}

func (f *madeFile) handOn(s *starting, fd, flags int) (kind string, err Errno) {
	return s.relay(fd, flags)
}

// relay makes the pipe for the description that is held last. A file that is open for both is for
// reading as standard input, and for writing as any other descriptor.
func (s *starting) relay(fd, flags int) (kind string, err Errno) {
	if granted.pipeFactory == 0 {
		return "", EPERM
	}
	ends := new(abiPipeEnds)
	answer := call(granted.pipeFactory, abiPipeFactoryCreate, pipeSize,
		uintptr(unsafe.Pointer(ends)), unsafe.Sizeof(*ends), 0, 0)
	if number := failure(answer); number != 0 {
		return "", errnoOf(number)
	}
	r := &relay{file: s.files[len(s.files)-1], done: make(chan struct{})}
	access := flags & O_ACCMODE
	r.reads = access == O_RDONLY || access == O_RDWR && fd == Stdin
	theirs := capability(ends.writer)
	ours := capability(ends.reader)
	kind = "writer"
	if r.reads {
		theirs, ours, kind = ours, theirs, "reader"
	}
	r.ours = &kernelPipe{capability: ours}
	if e, isPipe := r.file.file.(*pipeEnd); isPipe && !r.reads && e.pipe.isBroken() {
		r.ours.close(access) // so that the child finds it broken, too
	} else {
		s.relays = append(s.relays, r)
	}
	s.theirs = append(s.theirs, theirs)
	s.grant(pipeGrant(fd), theirs)
	return kind, 0
}

// start lets the relay run once the child does.
func (r *relay) start() {
	descriptors.Lock()
	r.file.holders++
	descriptors.Unlock()
	go r.run()
}

func (r *relay) run() {
	const atOnce = 16 << 10
	buf := make([]byte, atOnce)
	for {
		n, err := r.next(buf)
		if n == 0 || err != 0 || r.put(buf[:n]) != 0 {
			break
		}
	}
	r.ours.close(0)
	letGo(r.file)
	close(r.done)
}

// next returns bytes that the child is to get, or has written.
func (r *relay) next(buf []byte) (int, Errno) {
	if !r.reads {
		return r.ours.readAwaited(buf)
	}
	if e, ok := r.file.file.(*pipeEnd); ok {
		return e.pipe.readUnless(&r.stopped, buf)
	}
	return r.file.file.read(buf, 0)
}

func (r *relay) put(b []byte) (err Errno) {
	if r.reads {
		_, err = r.ours.writeAwaited(b)
		return err
	}
	descriptors.RLock()
	flags := r.file.flags &^ O_NONBLOCK
	descriptors.RUnlock()
	_, err = r.file.file.write(b, flags)
	return err
}

// finish is for the time when the child has ended. Then it reads no more, and what it wrote to a
// file is there. Bytes for a pipe may still be on their way, because their reader may come later.
func (r *relay) finish() {
	e, isPipe := r.file.file.(*pipeEnd)
	if isPipe && !r.reads {
		return
	}
	if isPipe {
		e.pipe.stop(&r.stopped)
	}
	<-r.done
}

// readUnless is read that ends when its reader wants no more.
func (p *pipe) readUnless(stopped *atomic.Bool, b []byte) (int, Errno) {
	p.Lock()
	for p.queue.count == 0 && !p.ended() && !stopped.Load() {
		p.changed.Wait()
	}
	p.Unlock()
	if stopped.Load() {
		return 0, 0
	}
	n, err := p.read(b, false)
	if err == EAGAIN { // another reader was first
		return p.readUnless(stopped, b)
	}
	return n, err
}

func (p *pipe) isBroken() bool {
	p.Lock()
	defer p.Unlock()
	return p.broken()
}

func (p *pipe) stop(stopped *atomic.Bool) {
	p.Lock()
	defer p.Unlock()
	stopped.Store(true)
	p.changed.Broadcast()
}
