// What open files tell of their readiness, and how a goroutine waits for it.
//
// An open file has events: what a call on it would find now. Whoever wants to hear of changes
// registers a pollTarget with it: the runtime's poller, a set of epoll_create, or a call of poll or
// select. The values are those of Linux, where poll and epoll share them.

//go:build capos

package syscall

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	evIn      uint32 = 0x1
	evPri     uint32 = 0x2
	evOut     uint32 = 0x4
	evErr     uint32 = 0x8
	evHup     uint32 = 0x10
	evInvalid uint32 = 0x20
	evInNorm  uint32 = 0x40
	evInBand  uint32 = 0x80
	evOutNorm uint32 = 0x100
	evOutBand uint32 = 0x200
	evReadHup uint32 = 0x2000

	evReadable = evIn | evInNorm
	evWritable = evOut | evOutNorm
	evAlways   = evReadable | evWritable // of a file that never makes a caller wait
	evAll      = 0xffff                  // a change of which any event may be the result
)

// A watcher hears of changes. It may not wait, because the caller holds the lock of the file. The
// events are those that may have become true, and the watcher asks the file for those that are.
type watcher interface{ notice(events uint32) }

// A pollTarget is registered with an open file. It stands for a descriptor that the runtime's
// poller knows, or for a watcher, whose number is negative and its own.
type pollTarget struct {
	fd      int
	pd      unsafe.Pointer
	tag     uintptr
	watcher watcher
}

var lastWatcher atomic.Int64

func targetOf(w watcher) pollTarget {
	return pollTarget{fd: int(-1 - lastWatcher.Add(1)), watcher: w}
}

// tell reports a change: for the poller the direction of it ('r', 'w' or both), for a watcher the
// events. No events are a change that is news for the poller only.
func (t *pollTarget) tell(mode int32, events uint32) {
	switch {
	case t.watcher == nil:
		runtime_pollEvent(t.pd, t.tag, mode)
	case events != 0:
		t.watcher.notice(events)
	}
}

// tellAll begins with the youngest, as Linux does.
func tellAll(targets []pollTarget, mode int32, events uint32) {
	for i := len(targets) - 1; i >= 0; i-- {
		targets[i].tell(mode, events)
	}
}

func without(targets []pollTarget, fd int) (kept []pollTarget) {
	for _, t := range targets {
		if t.fd != fd {
			kept = append(kept, t)
		}
	}
	return kept
}

// ---- waiting
// ------------------------------------------------------------------------------------------

// A sleeper is a goroutine that waits to be woken, once, or for a time.
type sleeper struct{ woken chan struct{} }

func newSleeper() *sleeper { return &sleeper{make(chan struct{}, 1)} }

func (s *sleeper) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *sleeper) notice(uint32) { s.wake() }

// sleep waits to be woken, and no longer than to the deadline. There may be none (forever).
func (s *sleeper) sleep(deadline int64) {
	if deadline == forever {
		<-s.woken
		return
	}
	timer := runtime_startTimer(deadline, s.wake)
	<-s.woken
	runtime_stopTimer(timer)
}

const forever = 1<<63 - 1

// deadlineAfter is the time of runtime_nanotime so far from now, forever if that is negative.
func deadlineAfter(ns int64) int64 {
	if now := runtime_nanotime(); ns >= 0 && ns < forever-now {
		return now + ns
	}
	return forever
}

// ---- files without bytes of their own
// ------------------------------------------------------------------------------------------

// An eventFile is what the files have in common that Linux gives an anonymous inode. Its kind holds
// the lock while it looks at its state or changes it.
type eventFile struct {
	fileDefaults
	sync.Mutex
	changed sync.Cond
	targets []pollTarget
	name    string // behind anon_inode: in /proc/self/fd
}

func (f *eventFile) watch(_ int, target pollTarget) bool {
	f.Lock()
	defer f.Unlock()
	f.targets = append(f.targets, target)
	target.tell('r'+'w', evAll) // it may be ready already
	return true
}

func (f *eventFile) forget(fd int) {
	f.Lock()
	defer f.Unlock()
	f.targets = without(f.targets, fd)
}

// report tells all that wait of a change. The lock is held.
func (f *eventFile) report(events uint32) {
	f.changed.Broadcast()
	tellAll(f.targets, 'r'+'w', events)
}

func (f *eventFile) stat(st *Stat_t) {
	*st = Stat_t{Dev: 5, Ino: 1, Nlink: 1, Mode: 0o600, Uid: ownerUid, Gid: ownerGid,
		Blksize: abiPageSize}
}

func (f *eventFile) seek(int64, int) (int64, Errno) { return 0, 0 }
func (f *eventFile) pollable() bool                 { return true }
func (f *eventFile) anonymous() string              { return f.name }
func (f *eventFile) read([]byte, int) (int, Errno)  { return 0, EINVAL }
func (f *eventFile) write([]byte, int) (int, Errno) { return 0, EINVAL }

// install gives the file a descriptor.
func (f *eventFile) install(file openFile, name string, flags int) (int, error) {
	return installNew(f.description(file, name, flags), flags&O_CLOEXEC != 0)
}

func (f *eventFile) description(file openFile, name string, flags int) *description {
	f.changed.L, f.name = &f.Mutex, name
	return &description{file: file, flags: O_RDWR | flags&O_NONBLOCK}
}
