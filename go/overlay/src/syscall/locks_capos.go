// Advisory locks.
//
// Locks of Flock belong to a description, and two of one file conflict. Locks of bytes are in
// rangelocks_capos.go.

//go:build capos

package syscall

import "sync"

// fileLocks guards the locks of all files. A description that waits for one is woken for each.
var fileLocks struct {
	sync.Mutex
	changed sync.Cond
	files   map[*node]*fileLock
}

type fileLock struct {
	shared    int
	exclusive bool
}

func init() { fileLocks.changed.L = &fileLocks.Mutex }

// Flock locks or unlocks a file. A file without a node cannot be opened twice, so its lock never
// conflicts.
func Flock(fd int, how int) error {
	d := hold(fd)
	if d == nil {
		return EBADF
	}
	defer letGo(d)
	switch how &^ LOCK_NB {
	case LOCK_SH, LOCK_EX:
		return result(d.lock(how&^LOCK_NB, how&LOCK_NB == 0))
	case LOCK_UN:
		d.unlock()
		return nil
	}
	return EINVAL
}

// lock gives the description the lock, instead of one that it may have.
func (d *description) lock(how int, block bool) Errno {
	n := d.file.treeNode()
	if n == nil {
		return 0
	}
	fileLocks.Lock()
	defer fileLocks.Unlock()
	if d.locked == how {
		return 0
	}
	d.unlockLocked()
	for !take(n, how) {
		if !block {
			return EWOULDBLOCK
		}
		fileLocks.changed.Wait()
	}
	d.locked = how
	return 0
}

// take adds a lock to those of a file, if they allow it.
func take(n *node, how int) bool {
	held := fileLocks.files[n]
	switch {
	case held != nil && (held.exclusive || how == LOCK_EX):
		return false
	case fileLocks.files == nil:
		fileLocks.files = map[*node]*fileLock{}
		fallthrough
	case held == nil:
		held = new(fileLock)
		fileLocks.files[n] = held
	}
	if how == LOCK_EX {
		held.exclusive = true
	} else {
		held.shared++
	}
	return true
}

func (d *description) unlock() {
	fileLocks.Lock()
	defer fileLocks.Unlock()
	d.unlockLocked()
}

func (d *description) unlockLocked() {
	if d.locked == 0 {
		return
	}
	n := d.file.treeNode()
	held := fileLocks.files[n]
	if d.locked == LOCK_EX {
		held.exclusive = false
	} else {
		held.shared--
	}
	if d.locked = 0; held.shared == 0 {
		delete(fileLocks.files, n)
	}
	fileLocks.changed.Broadcast()
}
