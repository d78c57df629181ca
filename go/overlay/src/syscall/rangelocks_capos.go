// Locks of ranges of bytes, by fcntl.
//
// A lock of F_SETLK belongs to the process, one of F_OFD_SETLK to an open file description. Locks
// of one owner never conflict. No other process shares the files, so a lock of the process can only
// conflict with one of a description.

//go:build capos

package syscall

import (
	"sync"
	"sync/atomic"
)

const (
	fOfdGetLock     = 36
	fOfdSetLock     = 37
	fOfdSetLockWait = 38

	endOfFile = 1<<63 - 1 // however long the file becomes
)

// A rangeLock is held by a description, or by the process (nil).
type rangeLock struct {
	first, last int64
	exclusive   bool
	owner       *description
}

// rangeLocks has the locks of each file. A goroutine that waits for one is woken for each change.
var rangeLocks struct {
	sync.Mutex
	changed sync.Cond
	files   map[*node][]rangeLock
	any     atomic.Bool // there have been locks
}

func init() { rangeLocks.changed.L = &rangeLocks.Mutex }

func (l *rangeLock) meets(first, last int64) bool { return l.first <= last && first <= l.last }

// FcntlFlock takes, gives back and asks for locks. A file without a node has no other opening whose
// lock could conflict.
func FcntlFlock(fd uintptr, cmd int, lk *Flock_t) error {
	d := hold(int(fd))
	if d == nil {
		return EBADF
	}
	defer letGo(d)
	wanted := rangeLock{exclusive: lk.Type == F_WRLCK}
	switch cmd {
	case F_GETLK, F_SETLK, F_SETLKW:
	case fOfdGetLock, fOfdSetLock, fOfdSetLockWait:
		if lk.Pid != 0 {
			return EINVAL
		}
		wanted.owner = d
	default:
		return EINVAL
	}
	n := d.file.treeNode()
	var e Errno
	if wanted.first, wanted.last, e = d.rangeOf(lk); e != 0 {
		return e
	}
	asks := cmd == F_GETLK || cmd == fOfdGetLock
	switch _, flags := descriptor(int(fd)); {
	case lk.Type != F_RDLCK && lk.Type != F_WRLCK && lk.Type != F_UNLCK,
		asks && lk.Type == F_UNLCK:
		return EINVAL
	case asks:
		n.findConflict(&wanted, lk)
		return nil
	case lk.Type == F_RDLCK && flags&O_ACCMODE == O_WRONLY,
		lk.Type == F_WRLCK && flags&O_ACCMODE == O_RDONLY:
		return EBADF
	}
	wait := cmd == F_SETLKW || cmd == fOfdSetLockWait
	return result(n.setRange(&wanted, lk.Type == F_UNLCK, wait))
}

// rangeOf gives the bytes that a lock is for.
func (d *description) rangeOf(lk *Flock_t) (first, last int64, err Errno) {
	first = lk.Start
	switch lk.Whence {
	case 0:
	case 1:
		at, _ := d.file.seek(0, 1)
		first += max(at, 0)
	case 2:
		st := new(Stat_t)
		d.file.stat(st)
		first += st.Size
	default:
		return 0, 0, EINVAL
	}
	last = endOfFile
	if lk.Len > 0 && first <= endOfFile-lk.Len {
		last = first + lk.Len - 1
	} else if lk.Len > 0 {
		return 0, 0, EOVERFLOW
	} else if lk.Len < 0 {
		first, last = first+lk.Len, first-1
	}
	if first < 0 {
		return 0, 0, EINVAL
	}
	return first, last, 0
}

// conflict returns a lock of another owner that excludes this one.
func (n *node) conflict(wanted *rangeLock) *rangeLock {
	for i := range rangeLocks.files[n] {
		l := &rangeLocks.files[n][i]
		if l.owner != wanted.owner && l.meets(wanted.first, wanted.last) &&
			(l.exclusive || wanted.exclusive) {
			return l
		}
	}
	return nil
}

// findConflict says which lock would conflict.
func (n *node) findConflict(wanted *rangeLock, lk *Flock_t) {
	rangeLocks.Lock()
	defer rangeLocks.Unlock()
	l := n.conflict(wanted)
	if l == nil {
		lk.Type = F_UNLCK
		return
	}
	*lk = Flock_t{Type: F_RDLCK, Start: l.first, Pid: int32(Getpid())}
	if l.exclusive {
		lk.Type = F_WRLCK
	}
	if l.last != endOfFile {
		lk.Len = l.last - l.first + 1
	}
	if l.owner != nil {
		lk.Pid = -1
	}
}

// setRange replaces what the owner has of the range.
func (n *node) setRange(wanted *rangeLock, unlock, wait bool) Errno {
	if n == nil {
		return 0
	}
	r := &rangeLocks
	r.Lock()
	defer r.Unlock()
	for !unlock && n.conflict(wanted) != nil {
		if !wait {
			return EAGAIN
		}
		r.changed.Wait()
	}
	if !unlock {
		n.join(wanted)
	}
	kept := n.without(wanted)
	if !unlock {
		kept = append(kept, *wanted)
		r.any.Store(true)
	}
	n.keepRanges(kept)
	return 0
}

// join makes the range one with the neighbours of the same kind that the owner has.
func (n *node) join(wanted *rangeLock) {
	first, last := wanted.first, wanted.last
	for _, l := range rangeLocks.files[n] {
		touches := l.first-1 <= last && (l.last == endOfFile || first <= l.last+1)
		if l.owner == wanted.owner && l.exclusive == wanted.exclusive && touches {
			wanted.first = min(wanted.first, l.first)
			wanted.last = max(wanted.last, l.last)
		}
	}
}

// without gives the locks of the file with the range cut out of those of its owner.
func (n *node) without(wanted *rangeLock) (kept []rangeLock) {
	for _, l := range rangeLocks.files[n] {
		if l.owner != wanted.owner || !l.meets(wanted.first, wanted.last) {
			kept = append(kept, l)
			continue
		}
		if l.first < wanted.first {
			before := l
			before.last = wanted.first - 1
			kept = append(kept, before)
		}
		if l.last > wanted.last {
			l.first = wanted.last + 1
			kept = append(kept, l)
		}
	}
	return kept
}

func (n *node) keepRanges(kept []rangeLock) {
	r := &rangeLocks
	if r.files == nil {
		r.files = map[*node][]rangeLock{}
	}
	if r.files[n] = kept; len(kept) == 0 {
		delete(r.files, n)
	}
	r.changed.Broadcast()
}

// unlockRanges gives back all that a description has of a file.
func (n *node) unlockRanges(owner *description) {
	if n == nil || !rangeLocks.any.Load() {
		return
	}
	rangeLocks.Lock()
	defer rangeLocks.Unlock()
	if rangeLocks.files[n] != nil {
		n.keepRanges(n.without(&rangeLock{last: endOfFile, owner: owner}))
	}
}

// unlockProcess gives back all that the process has of a file, because it closed some descriptor of
// it.
func (n *node) unlockProcess() { n.unlockRanges(nil) }
