// Pipes inside the process.
//
// A pipe is a ring of bytes with a reading and a writing end. Readers and writers that may block wait on a condition; the
// others are told EAGAIN and wait in the runtime's poller, which every change of state is reported to.

//go:build capos

package syscall

import (
	"sync"
	"unsafe"
)

const (
	pipeSize   = 64 << 10
	pipeAtomic = 4 << 10 // writes up to this size happen completely or not at all
)

type pipe struct {
	sync.Mutex
	changed sync.Cond

	ring         []byte // grows up to pipeSize; a power of two
	start, count int
	ino          uint64

	fault                        Errno // the connection this is part of was reset
	readers, writers             int   // open ends
	readersOpened, writersOpened int   // openings ever, for whoever waits for the other end
	readWatch, writeWatch        []pollTarget
}

// A pollTarget is a descriptor of the pipe that the runtime's poller knows.
type pollTarget struct {
	fd  int
	pd  unsafe.Pointer
	tag uintptr
}

var pipeInodes struct {
	sync.Mutex
	last uint64
}

func newPipe() *pipe {
	p := new(pipe)
	p.changed.L = &p.Mutex
	pipeInodes.Lock()
	pipeInodes.last++
	p.ino = pipeInodes.last
	pipeInodes.Unlock()
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
	p[0] = install(&file{pipe: shared, flags: O_RDONLY | nonblocking}, 0, flags&O_CLOEXEC != 0)
	p[1] = install(&file{pipe: shared, flags: O_WRONLY | nonblocking}, 0, flags&O_CLOEXEC != 0)
	return nil
}

func (p *pipe) stat(st *Stat_t) {
	*st = Stat_t{Dev: 3, Ino: p.ino, Nlink: 1, Mode: S_IFIFO | 0o600, Uid: ownerUid, Gid: ownerGid, Blksize: pipeAtomic}
}

// read returns what there is, and waits for some if it may block. Nothing and no writer is the end.
func (p *pipe) read(b []byte, block bool) (int, Errno) { return p.receive(b, false, block) }

// receive is read, or with peek a look at what read would return.
func (p *pipe) receive(b []byte, peek, block bool) (int, Errno) {
	p.Lock()
	for p.count == 0 && p.writers > 0 && p.readers > 0 && block {
		p.changed.Wait()
	}
	n := min(len(b), p.count)
	if p.fault != 0 || n == 0 {
		defer p.Unlock()
		if p.fault == 0 && p.writers > 0 && p.readers > 0 {
			return 0, EAGAIN
		}
		return 0, p.fault
	}
	first := copy(b[:n], p.ring[p.start:])
	copy(b[first:n], p.ring)
	if peek {
		p.Unlock()
		return n, 0
	}
	p.start = (p.start + n) & (len(p.ring) - 1)
	p.count -= n
	p.reportAndUnlock(nil, p.writeWatch)
	return n, 0
}

// write stores all of b if it may block, else as much as there is room for.
func (p *pipe) write(b []byte, block bool) (n int, err Errno) {
	for {
		p.Lock()
		for p.readers > 0 && block && !p.hasRoom(len(b)-n) {
			p.changed.Wait()
		}
		switch {
		case p.readers == 0:
			p.Unlock()
			if n > 0 {
				return n, 0
			}
			return 0, EPIPE
		case len(b) == n:
			p.Unlock()
			return n, 0
		case !p.hasRoom(len(b) - n):
			p.Unlock()
			if n > 0 {
				return n, 0
			}
			return 0, EAGAIN
		}
		n += p.put(b[n:])
		p.reportAndUnlock(p.readWatch, nil)
		if n == len(b) {
			return n, 0
		}
	}
}

// hasRoom reports whether a write of that size can begin.
func (p *pipe) hasRoom(size int) bool {
	room := pipeSize - p.count
	if size <= pipeAtomic {
		return room >= size
	}
	return room > 0
}

func (p *pipe) put(b []byte) int {
	n := min(len(b), pipeSize-p.count)
	if p.count+n > len(p.ring) {
		p.grow(p.count + n)
	}
	end := (p.start + p.count) & (len(p.ring) - 1)
	first := copy(p.ring[end:], b[:n])
	copy(p.ring, b[first:n])
	p.count += n
	return n
}

func (p *pipe) grow(size int) {
	space := max(512, len(p.ring))
	for space < size {
		space *= 2
	}
	ring := make([]byte, space)
	first := copy(ring[:p.count], p.ring[min(p.start, len(p.ring)):])
	copy(ring[first:p.count], p.ring)
	p.ring, p.start = ring, 0
}

// reportAndUnlock wakes the waiting and tells the poller that the watched descriptors became readable or writable.
func (p *pipe) reportAndUnlock(readable, writable []pollTarget) {
	p.changed.Broadcast()
	for _, target := range readable {
		runtime_pollEvent(target.pd, target.tag, 'r')
	}
	for _, target := range writable {
		runtime_pollEvent(target.pd, target.tag, 'w')
	}
	p.Unlock()
}

// ---- ends ---------------------------------------------------------------------------------------------------------------

// open adds an end of a named pipe, and waits for the other end unless told not to.
func (p *pipe) open(access int, block bool) Errno {
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
		p.ring, p.start, p.count = nil, 0, 0
	}
	p.reportAndUnlock(p.readWatch, p.writeWatch)
}

// watch registers a descriptor with the poller. Its state now counts as an event: it may have changed before.
func (p *pipe) watch(access int, target pollTarget) {
	p.Lock()
	var readable, writable []pollTarget
	if access != O_WRONLY {
		p.readWatch = append(p.readWatch, target)
		if p.count > 0 || p.writers == 0 {
			readable = []pollTarget{target}
		}
	}
	if access != O_RDONLY {
		p.writeWatch = append(p.writeWatch, target)
		writable = []pollTarget{target}
	}
	p.reportAndUnlock(readable, writable)
}

// forget drops a descriptor that is being closed.
func (p *pipe) forget(fd int) {
	p.Lock()
	defer p.Unlock()
	p.readWatch, p.writeWatch = without(p.readWatch, fd), without(p.writeWatch, fd)
}

func without(targets []pollTarget, fd int) (kept []pollTarget) {
	for _, t := range targets {
		if t.fd != fd {
			kept = append(kept, t)
		}
	}
	return kept
}

// fail has all further reads answered with the error.
func (p *pipe) fail(fault Errno) {
	p.Lock()
	p.fault = fault
	p.reportAndUnlock(p.readWatch, p.writeWatch)
}
