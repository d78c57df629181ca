// File locks among the goroutines of one process, because files are not shared with other
// processes.

//go:build capos

package filelock

import (
	"io/fs"
	"sync"
	"syscall"
)

type lockType int16

const (
	readLock lockType = iota
	writeLock
)

// A holder says how many readers a file has, or that it has a writer.
type holder struct {
	readers int
	writer  bool
}

var table = struct {
	sync.Mutex
	changed sync.Cond
	holders map[uint64]holder // by inode
	locked  map[File]heldLock
}{holders: map[uint64]holder{}, locked: map[File]heldLock{}}

type heldLock struct {
	inode uint64
	how   lockType
}

func init() {
	table.changed.L = &table.Mutex
}

func lock(f File, how lockType) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	table.Lock()
	defer table.Unlock()
	release(f)
	for {
		h := table.holders[inode]
		if !h.writer && (how == readLock || h.readers == 0) {
			break
		}
		table.changed.Wait()
	}
	h := table.holders[inode]
	if how == writeLock {
		h.writer = true
	} else {
		h.readers++
	}
	table.holders[inode] = h
	table.locked[f] = heldLock{inode, how}
	return nil
}

func unlock(f File) error {
	table.Lock()
	defer table.Unlock()
	if _, held := table.locked[f]; !held {
		return &fs.PathError{Op: "Unlock", Path: f.Name(), Err: fs.ErrInvalid}
	}
	release(f)
	return nil
}

// release gives back the lock of the file, if it has one. The table is locked.
func release(f File) {
	held, ok := table.locked[f]
	if !ok {
		return
	}
	delete(table.locked, f)
	h := table.holders[held.inode]
	if held.how == writeLock {
		h.writer = false
	} else {
		h.readers--
	}
	table.holders[held.inode] = h
	if h == (holder{}) {
		delete(table.holders, held.inode)
	}
	table.changed.Broadcast()
}
