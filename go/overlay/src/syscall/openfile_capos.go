// What an open file can do.
//
// The calls on descriptors know open files only by the interface openFile. Consoles, pipes,
// sockets, devices, files and directories of the tree implement it here. The files of a service
// outside the process would be another implementation.

//go:build capos

package syscall

// An openFile is a file of any kind, as one opening of it sees it. The kinds that have a position
// keep it. Flags are those of the description at the time of the call: access mode, O_APPEND,
// O_NONBLOCK. The caller has checked that the access mode allows the call. An implementation may
// be called by several threads at once.
type openFile interface {
	// read and write start at the position and move it. p of read is not empty.
	read(p []byte, flags int) (int, Errno)
	write(p []byte, flags int) (int, Errno)
	// pread and pwrite leave the position alone. The offset is not negative.
	pread(p []byte, offset int64) (int, Errno)
	pwrite(p []byte, offset int64, flags int) (int, Errno)
	seek(offset int64, whence int) (int64, Errno)
	truncate(length int64) Errno
	sync() Errno
	stat(st *Stat_t)
	// readDirents fills p with records of a directory and returns their length.
	readDirents(p []byte) (int, Errno)

	// treeNode returns the node of the file tree that was opened, nil if it was none.
	treeNode() *node
	// settable returns which flags can be changed while the file is open.
	settable() int
	// events returns what a call would find now, for an opening with that access mode. A file
	// that is not pollable never makes a caller wait, as far as is known.
	events(access int) uint32
	pollable() bool
	// watch registers a target, which hears of changes, and reports whether the file has
	// events. forget is its opposite and comes before the number is free.
	watch(access int, target pollTarget) bool
	forget(fd int)
	// handOn gives the file to a child, and returns the words by which it learns what its
	// descriptor fd refers to (started_capos.go).
	handOn(s *starting, fd, flags int) (kind string, err Errno)
	// close is the end of the opening, which no descriptor refers to any more.
	close(access int) Errno
}

// fileDefaults holds the answers of most kinds of file: bytes without a position, no directory, not
// of the tree, no events.
type fileDefaults struct{}

func (fileDefaults) pread([]byte, int64) (int, Errno)       { return 0, ESPIPE }
func (fileDefaults) pwrite([]byte, int64, int) (int, Errno) { return 0, ESPIPE }
func (fileDefaults) seek(int64, int) (int64, Errno)         { return 0, ESPIPE }
func (fileDefaults) truncate(int64) Errno                   { return EINVAL }
func (fileDefaults) sync() Errno                            { return EINVAL }
func (fileDefaults) readDirents([]byte) (int, Errno)        { return 0, ENOTDIR }
func (fileDefaults) treeNode() *node                        { return nil }
func (fileDefaults) settable() int                          { return O_APPEND | O_NONBLOCK }
func (fileDefaults) events(int) uint32                      { return evAlways }
func (fileDefaults) pollable() bool                         { return false }
func (fileDefaults) watch(int, pollTarget) bool             { return false }
func (fileDefaults) forget(int)                             {}
func (fileDefaults) close(int) Errno                        { return 0 }

// blocks reports whether a call with these flags may wait.
func blocks(flags int) bool { return flags&O_NONBLOCK == 0 }
