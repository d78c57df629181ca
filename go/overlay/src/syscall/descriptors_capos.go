// The descriptor table: small integers for the open files of the process.
//
// Descriptors are a notion of Go's os package, not of the kernel, so the table lives here. An entry
// names an open file, which duplicates share: a node of the tree with an offset, an end of a pipe,
// a socket, or a console capability.

//go:build capos

package syscall

import (
	"sync"
	"unsafe"
)

// A file is one opening of something.
type file struct {
	flags   int        // access mode, O_APPEND, O_NONBLOCK; guarded by descriptors
	holders int        // descriptors that refer to it; guarded by descriptors
	console capability // a console, or
	node    *node      // a node of the tree, perhaps
	pipe    *pipe      // a pipe
	socket  *socket    // a socket

	use    sync.Mutex // guards what follows, and makes a read or write at the offset one step
	offset int64      // of a directory: the cookie of the entry read last
	export string     // path under which the host gets the file
	dirty  bool       // the host has not got what was written
}

// descriptorsMax bounds the numbers a program may ask for: the table is as long as the largest.
const descriptorsMax = 1 << 20

var descriptors struct {
	sync.RWMutex
	table       []*file
	closeOnExec map[int]bool
}

// The console's streams are open from the start, as far as the process was given them.
func init() {
	d := &descriptors
	d.table = make([]*file, 3, 16)
	d.closeOnExec = map[int]bool{}
	for fd, console := range [...]capability{granted.stdin, granted.stdout, granted.stderr} {
		if console == 0 {
			continue
		}
		flags := O_WRONLY
		if fd == Stdin {
			flags = O_RDONLY
		}
		d.table[fd] = &file{console: console, flags: flags, holders: 1}
	}
	runtime_setPollOpenHook(pollOpen)
}

// descriptor returns the open file, nil when there is none.
func descriptor(fd int) *file {
	if runtime_hasWrites() {
		takeRuntimeWrites()
	}
	return entryOf(fd)
}

func entryOf(fd int) *file {
	d := &descriptors
	d.RLock()
	defer d.RUnlock()
	if fd < 0 || fd >= len(d.table) {
		return nil
	}
	return d.table[fd]
}

// takeRuntimeWrites does what the runtime could not when it wrote to a file: it may not wait for
// locks.
func takeRuntimeWrites() {
	runtime_takeWrites(func(fd int, data []byte) {
		f := entryOf(fd)
		switch {
		case f == nil || f.flagsNow()&O_ACCMODE == O_RDONLY:
		case f.pipe != nil:
			f.pipe.write(data, false)
		case f.node != nil && f.node.content != nil:
			f.use.Lock()
			n, _ := f.writeContent(data, f.offset)
			f.offset += int64(n)
			f.use.Unlock()
		}
	})
}

// install gives the file the lowest free descriptor that is not below least.
func install(f *file, least int, closeOnExec bool) int {
	d := &descriptors
	d.Lock()
	defer d.Unlock()
	fd := least
	for fd < len(d.table) && d.table[fd] != nil {
		fd++
	}
	for fd >= len(d.table) {
		d.table = append(d.table, nil)
	}
	d.table[fd] = f
	f.holders++
	if closeOnExec {
		d.closeOnExec[fd] = true
	}
	return fd
}

// uninstall frees the descriptor and reports whether it was the last of its file.
func uninstall(fd int) (f *file, last bool) {
	d := &descriptors
	d.Lock()
	defer d.Unlock()
	if fd < 0 || fd >= len(d.table) || d.table[fd] == nil {
		return nil, false
	}
	f = d.table[fd]
	d.table[fd] = nil
	delete(d.closeOnExec, fd)
	f.holders--
	return f, f.holders == 0
}

func Close(fd int) error {
	f := descriptor(fd) // takes what the runtime wrote to it
	if f == nil {
		return EBADF
	}
	// Before the number is free: whoever gets it next may be a descriptor of the same pipe or
	// socket.
	switch {
	case f.pipe != nil:
		f.pipe.forget(fd)
	case f.socket != nil:
		f.socket.forget(fd)
	}
	f, last := uninstall(fd)
	switch {
	case f == nil:
		return EBADF
	case !last:
		return nil
	}
	return result(f.end())
}

// end is for a file that no descriptor refers to any more.
func (f *file) end() Errno {
	switch {
	case f.pipe != nil:
		f.pipe.close(f.flags & O_ACCMODE)
	case f.socket != nil:
		f.socket.close()
	}
	f.use.Lock()
	defer f.use.Unlock()
	return f.exportNow()
}

// hold keeps the file of a descriptor open without it and returns the file, nil when there is none;
// letGo is its opposite.
func hold(fd int) *file {
	f := descriptor(fd)
	descriptors.Lock()
	defer descriptors.Unlock()
	if f == nil || f.holders == 0 { // closed meanwhile
		return nil
	}
	f.holders++
	return f
}

func letGo(f *file) Errno {
	descriptors.Lock()
	f.holders--
	last := f.holders == 0
	descriptors.Unlock()
	if last {
		return f.end()
	}
	return 0
}

// letGoAll must not be called with a lock held that the end of a file takes: of the network, the
// tree, a pipe.
func letGoAll(files []*file) {
	for _, f := range files {
		letGo(f)
	}
}

func Dup(fd int) (int, error) {
	return duplicate(fd, 0, false)
}

func duplicate(fd, least int, closeOnExec bool) (int, error) {
	f := descriptor(fd)
	if f == nil {
		return -1, EBADF
	}
	return install(f, least, closeOnExec), nil
}

func Dup2(oldfd, newfd int) error {
	f := descriptor(oldfd)
	if f == nil || newfd < 0 || newfd >= descriptorsMax {
		return EBADF
	}
	if oldfd != newfd {
		Close(newfd)
		if got := install(f, newfd, false); got != newfd {
			Close(got)
			return EBUSY
		}
	}
	return nil
}

func CloseOnExec(fd int) {
	control(fd, F_SETFD, FD_CLOEXEC)
}

func SetNonblock(fd int, nonblocking bool) error {
	flags, err := control(fd, F_GETFL, 0)
	if err != 0 {
		return err
	}
	flags &^= O_NONBLOCK
	if nonblocking {
		flags |= O_NONBLOCK
	}
	_, err = control(fd, F_SETFL, flags)
	return result(err)
}

// control is fcntl.
//
//go:linkname control
func control(fd, command, argument int) (int, Errno) {
	f := descriptor(fd)
	if f == nil {
		return -1, EBADF
	}
	d := &descriptors
	switch command {
	case F_DUPFD, F_DUPFD_CLOEXEC:
		if argument < 0 || argument >= descriptorsMax {
			return -1, EINVAL
		}
		return install(f, argument, command == F_DUPFD_CLOEXEC), 0
	case F_GETFD:
		d.RLock()
		defer d.RUnlock()
		if d.closeOnExec[fd] {
			return FD_CLOEXEC, 0
		}
		return 0, 0
	case F_SETFD:
		d.Lock()
		defer d.Unlock()
		delete(d.closeOnExec, fd)
		if argument&FD_CLOEXEC != 0 {
			d.closeOnExec[fd] = true
		}
		return 0, 0
	case F_GETFL:
		d.RLock()
		defer d.RUnlock()
		return f.flags, 0
	case F_SETFL:
		// A console always blocks; whoever believes otherwise would wait for events that
		// never come.
		changeable := O_APPEND | O_NONBLOCK
		if f.console != 0 {
			changeable = O_APPEND
		}
		d.Lock()
		defer d.Unlock()
		f.flags = f.flags&^changeable | argument&changeable
		return 0, 0
	}
	return -1, EINVAL
}

// flagsNow returns the flags, which another descriptor of the file may change at any time.
func (f *file) flagsNow() int {
	descriptors.RLock()
	defer descriptors.RUnlock()
	return f.flags
}

// pollOpen registers a descriptor with the runtime's poller.
func pollOpen(fd uintptr, pd unsafe.Pointer, tag uintptr) uintptr {
	f := descriptor(int(fd))
	switch {
	case f == nil:
		return uintptr(EBADF)
	case f.pipe != nil:
		f.pipe.watch(f.flags&O_ACCMODE, pollTarget{int(fd), pd, tag})
	case f.socket != nil:
		f.socket.watch(pollTarget{int(fd), pd, tag})
	default:
		return uintptr(EPERM)
	}
	return 0
}
