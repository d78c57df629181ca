// Calls that take a path. Each exists relative to a directory, and the plain forms start from the
// current one.

//go:build capos

package syscall

import _ "unsafe" // for linkname

// ---- opening
// ------------------------------------------------------------------------------------------

func Open(path string, mode int, perm uint32) (fd int, err error) {
	return Openat(AT_FDCWD, path, mode, perm)
}

func Openat(dirfd int, path string, flags int, perm uint32) (fd int, err error) {
	f, e := openNode(dirfd, path, flags, perm)
	if e != 0 {
		return -1, result(e)
	}
	if again, ok := f.(descriptorFile); ok {
		return again.open(flags)
	}
	if end, ok := f.(*pipeEnd); ok {
		if e := end.open(flags&O_ACCMODE, flags&O_NONBLOCK == 0); e != 0 {
			return -1, e
		}
	}
	d := &description{file: f, flags: flags & (O_ACCMODE | O_APPEND | O_NONBLOCK)}
	return installNew(d, flags&O_CLOEXEC != 0)
}

func openNode(dirfd int, path string, flags int, perm uint32) (openFile, Errno) {
	lockTree()
	defer tree.Unlock()
	creating := flags&O_CREAT != 0
	p, err := walkAt(dirfd, path, flags&O_NOFOLLOW == 0 && !(creating && flags&O_EXCL != 0))
	if err != 0 {
		return nil, err
	}
	created := p.node == nil
	if created {
		if err := p.create(flags, perm); err != 0 {
			return nil, err
		}
	} else if err := p.node.mayOpen(flags); err != 0 {
		return nil, err
	}
	switch n := p.node; {
	case n.isDir():
		p.notify(inOpen)
		return &treeDirectory{node: n}, 0
	case n.pipe != nil:
		return &pipeEnd{pipe: n.pipe, node: n}, 0
	case n.device != 0:
		return &deviceFile{node: n}, 0
	case n.descriptor != 0:
		return descriptorFile{fd: n.descriptor - 1}, 0
	case n.made != nil:
		return &madeFile{node: n, text: n.made()}, 0
	}
	return p.openContent(flags, created), 0
}

// openContent opens a regular file.
func (p *place) openContent(flags int, created bool) *treeFile {
	f := &treeFile{node: p.node, at: location{p.dir, p.name}}
	p.node.opens++
	p.notify(inOpen)
	if flags&O_ACCMODE == O_RDONLY {
		return f
	}
	f.exportAs(*p)
	f.dirty = created
	if flags&O_TRUNC != 0 && !created {
		p.node.setSize(0)
		p.node.touch()
		p.notify(inModify)
		f.dirty = true
	}
	return f
}

// create makes the file that open did not find.
func (p *place) create(flags int, perm uint32) Errno {
	switch {
	case flags&O_CREAT == 0:
		return ENOENT
	case p.slash:
		return EISDIR
	case flags&O_DIRECTORY != 0:
		return EINVAL
	}
	if err := p.dir.mayChange(); err != 0 {
		return err
	}
	n, err := addNode(S_IFREG | perm&0o7777)
	if err != 0 {
		return err
	}
	p.node = n
	p.dir.add(p.name, p.node)
	p.dir.touch()
	p.dir.tellName(inCreate, p.name, p.node, 0)
	return 0
}

// mayOpen returns an error if a node that exists cannot be opened that way.
func (n *node) mayOpen(flags int) Errno {
	writing := flags&O_ACCMODE != O_RDONLY
	wanted := uint32(mayRead)
	switch flags & O_ACCMODE {
	case O_WRONLY:
		wanted = mayWrite
	case O_RDWR:
		wanted = mayRead | mayWrite
	}
	switch {
	case flags&O_CREAT != 0 && flags&O_EXCL != 0:
		return EEXIST
	case n.isLink() && flags&O_DIRECTORY != 0:
		return ENOTDIR
	case n.isLink():
		return ELOOP
	case flags&O_DIRECTORY != 0 && !n.isDir():
		return ENOTDIR
	case n.isDir() && (writing || flags&(O_CREAT|O_TRUNC) != 0):
		return EISDIR
	case n.mode&S_IFMT == S_IFSOCK, n.device == deviceTerminal:
		return ENXIO
	case !n.allows(wanted):
		return EACCES
	case n.fixed && n.content != nil && (writing || flags&O_TRUNC != 0):
		return EROFS
	}
	return 0
}

// ---- asking
// ------------------------------------------------------------------------------------------

func Stat(path string, st *Stat_t) error { return Fstatat(AT_FDCWD, path, st, 0) }
func Lstat(path string, st *Stat_t) error {
	return Fstatat(AT_FDCWD, path, st,
		AT_SYMLINK_NOFOLLOW)
}

func Fstatat(dirfd int, path string, st *Stat_t, flags int) error {
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(dirfd, path, flags&AT_SYMLINK_NOFOLLOW == 0)
	if err == 0 {
		p.node.stat(st)
	}
	return result(err)
}

func Readlink(path string, buf []byte) (n int, err error) { return Readlinkat(AT_FDCWD, path, buf) }

func Readlinkat(dirfd int, path string, buf []byte) (n int, err error) {
	lockTree()
	defer tree.Unlock()
	p, e := walkExistingAt(dirfd, path, false)
	switch {
	case e != 0:
		return -1, result(e)
	case !p.node.isLink():
		return -1, EINVAL
	}
	return copy(buf, p.node.target), nil
}

func Access(path string, mode uint32) error { return Faccessat(AT_FDCWD, path, mode, 0) }

func Faccessat(dirfd int, path string, mode uint32, flags int) error {
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(dirfd, path, flags&AT_SYMLINK_NOFOLLOW == 0)
	switch {
	case err != 0:
	case !p.node.allows(mode & 7):
		err = EACCES
	case mode&mayWrite != 0 && p.node.fixed:
		err = EROFS
	}
	return result(err)
}

const ImplementsGetwd = true

func Getwd() (string, error) {
	lockTree()
	defer tree.Unlock()
	path, err := tree.cwd.path()
	return path, result(err)
}

func Chdir(path string) error {
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(AT_FDCWD, path, true)
	if err == 0 {
		err = p.node.enter()
	}
	return result(err)
}

func Fchdir(fd int) error {
	d, _ := descriptor(fd)
	if d == nil {
		return EBADF
	}
	n := d.file.treeNode()
	if n == nil {
		return ENOTDIR
	}
	lockTree()
	defer tree.Unlock()
	return result(n.enter())
}

// enter makes a directory the current one.
func (n *node) enter() Errno {
	switch {
	case !n.isDir():
		return ENOTDIR
	case !n.allows(mayExecute):
		return EACCES
	}
	tree.cwd = n
	return 0
}

// ---- making and removing
// ------------------------------------------------------------------------------------------

func Mkdir(path string, mode uint32) error { return Mkdirat(AT_FDCWD, path, mode) }
func Mkfifo(path string, mode uint32) error {
	return makeEntry(AT_FDCWD, path, S_IFIFO|mode&0o7777, "")
}

func Mkdirat(dirfd int, path string, mode uint32) error {
	return makeEntry(dirfd, path, S_IFDIR|mode&0o7777, "")
}

func Symlink(path, link string) error { return Symlinkat(path, AT_FDCWD, link) }

func Symlinkat(path string, dirfd int, link string) error {
	switch {
	case path == "":
		return ENOENT
	case len(path) >= pathMax:
		return ENAMETOOLONG
	}
	return makeEntry(dirfd, link, S_IFLNK|0o777, path)
}

// makeEntry makes a node where the path leads, which must be free. Only the path of a directory may
// end in a slash.
func makeEntry(dirfd int, path string, mode uint32, target string) error {
	lockTree()
	defer tree.Unlock()
	p, err := walkAt(dirfd, path, false)
	switch {
	case err != 0:
		return result(err)
	case p.node != nil:
		return EEXIST
	case p.slash && mode&S_IFMT != S_IFDIR:
		return ENOENT
	}
	if err := p.dir.mayChange(); err != 0 {
		return result(err)
	}
	n, err := addNode(mode)
	if err != 0 {
		return result(err)
	}
	n.target = target
	p.dir.add(p.name, n)
	p.dir.touch()
	p.dir.tellName(inCreate, p.name, n, 0)
	return nil
}

func Link(path, link string) error { return Linkat(AT_FDCWD, path, AT_FDCWD, link, 0) }

func Linkat(olddirfd int, oldpath string, newdirfd int, newpath string, flags int) error {
	exported, err := link(olddirfd, oldpath, newdirfd, newpath)
	if err == 0 {
		err = exportAll(exported)
	}
	return result(err)
}

// link makes the entry and returns what the host is to get now.
func link(olddirfd int, oldpath string, newdirfd int, newpath string) ([]*treeFile, Errno) {
	lockTree()
	defer tree.Unlock()
	from, err := walkExistingAt(olddirfd, oldpath, false)
	if err != 0 {
		return nil, err
	}
	to, err := walkAt(newdirfd, newpath, false)
	switch {
	case err != 0:
		return nil, err
	case to.node != nil:
		return nil, EEXIST
	case to.slash:
		return nil, ENOENT
	case from.node.isDir():
		return nil, EPERM
	case from.node.fixed:
		return nil, EXDEV
	}
	if err := to.dir.mayChange(); err != 0 {
		return nil, err
	}
	to.node = from.node
	to.dir.add(to.name, to.node)
	to.dir.touch()
	to.node.links++
	to.node.changed = nowNs()
	to.node.tellSelf(inAttrib)
	to.dir.tellName(inCreate, to.name, to.node, 0)
	return to.exported(), 0
}

func Unlink(path string) error { return unlinkat(AT_FDCWD, path, 0) }
func Rmdir(path string) error  { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR) }

func Unlinkat(dirfd int, path string) error { return unlinkat(dirfd, path, 0) }

//go:linkname unlinkat
func unlinkat(dirfd int, path string, flags int) error {
	gone, err := unlink(dirfd, path, flags)
	if err == 0 {
		err = removeExported(gone)
	}
	return result(err)
}

// unlink removes the entry and returns what the host is to remove.
func unlink(dirfd int, path string, flags int) ([]string, Errno) {
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(dirfd, path, false)
	if err != 0 {
		return nil, err
	}
	if err := p.mayRemove(flags&AT_REMOVEDIR != 0); err != 0 {
		return nil, err
	}
	p.detach()
	if !p.node.isDir() {
		p.node.tellSelf(inAttrib)
	}
	p.node.dropIfUnused()
	p.dir.tellName(inDelete, p.name, p.node, 0)
	return p.exportedPath(), 0
}

func (p *place) mayRemove(directory bool) Errno {
	switch {
	case directory && p.name == ".":
		return EINVAL
	case directory && p.name == "..":
		return ENOTEMPTY
	case p.name == "":
		return EBUSY
	case directory && !p.node.isDir():
		return ENOTDIR
	case !directory && p.node.isDir():
		return EISDIR
	}
	if err := p.dir.mayChange(); err != 0 {
		return err
	}
	if directory && len(p.node.loaded().index) != 0 {
		return ENOTEMPTY
	}
	return 0
}

// detach takes the node out of its directory. An opening keeps it.
func (p *place) detach() {
	p.dir.remove(p.name)
	p.dir.touch()
	p.node.changed = nowNs()
	p.node.links--
	if p.node.isDir() {
		p.node.links = 0
		p.node.dir.parent = nil
	}
}

// ---- renaming
// ------------------------------------------------------------------------------------------

func Rename(from, to string) error { return Renameat(AT_FDCWD, from, AT_FDCWD, to) }

func Renameat(olddirfd int, oldpath string, newdirfd int, newpath string) error {
	exported, gone, err := rename(olddirfd, oldpath, newdirfd, newpath)
	if err == 0 {
		err = exportAll(exported)
	}
	if err == 0 {
		err = removeExported(gone)
	}
	return result(err)
}

// rename moves the entry and returns what the host is to get and to remove.
func rename(olddirfd int, oldpath string, newdirfd int, newpath string) (exported []*treeFile,
	gone []string, err Errno) {
	lockTree()
	defer tree.Unlock()
	from, err := walkExistingAt(olddirfd, oldpath, false)
	if err != 0 {
		return nil, nil, err
	}
	to, err := walkAt(newdirfd, newpath, false)
	if err != 0 {
		return nil, nil, err
	}
	if err := mayRename(&from, &to); err != 0 {
		return nil, nil, err
	}
	if to.node == from.node {
		return nil, nil, 0
	}
	replaced := to.node
	if replaced != nil {
		to.detach()
	}
	from.dir.remove(from.name)
	from.dir.touch()
	to.node = from.node
	to.dir.add(to.name, to.node)
	to.dir.touch()
	to.node.changed = nowNs()
	tellMoved(&from, &to, replaced)
	if replaced != nil {
		replaced.dropIfUnused()
		gone = to.exportedPath() // unless a file is there again
	}
	return to.exported(), append(gone, from.exportedPaths()...), 0
}

// tellMoved tells of a rename. The two names have the same cookie.
func tellMoved(from, to *place, replaced *node) {
	inotify.cookie++
	from.dir.tellName(inMovedFrom, from.name, to.node, inotify.cookie)
	to.dir.tellName(inMovedTo, to.name, to.node, inotify.cookie)
	if replaced != nil {
		replaced.tellSelf(inAttrib)
	}
	to.node.tellSelf(inMoveSelf)
}

func mayRename(from, to *place) Errno {
	if from.special() || to.special() {
		return EBUSY
	}
	if err := from.dir.mayChange(); err != 0 {
		return err
	}
	if err := to.dir.mayChange(); err != 0 {
		return err
	}
	if !from.node.isDir() {
		switch {
		case to.slash:
			return ENOTDIR
		case to.node != nil && to.node.isDir():
			return EISDIR
		}
		return 0
	}
	for n := to.dir; n != tree.root; n = n.dir.parent {
		if n == from.node {
			return EINVAL
		}
	}
	switch {
	case to.node == nil || to.node == from.node:
		return 0
	case !to.node.isDir():
		return ENOTDIR
	case len(to.node.loaded().index) != 0:
		return ENOTEMPTY
	}
	return 0
}

// ---- attributes
// ------------------------------------------------------------------------------------------

// change applies a function to the node at a path, which must not be fixed. The event is for those
// that watch the file.
func change(dirfd int, path string, flags int, event uint32, apply func(*node) Errno) error {
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(dirfd, path, flags&AT_SYMLINK_NOFOLLOW == 0)
	if err == 0 {
		if err = p.node.change(apply); err == 0 {
			p.notify(event)
		}
	}
	return result(err)
}

func (n *node) change(apply func(*node) Errno) Errno {
	if n.fixed {
		return EROFS
	}
	err := apply(n)
	if err == 0 {
		n.changed = nowNs()
	}
	return err
}

// changeOpen is change for an open file. Consoles and pipes without a name have nothing to change.
func changeOpen(fd int, apply func(*node) Errno) error {
	d, _ := descriptor(fd)
	if d == nil {
		return EBADF
	}
	n := d.file.treeNode()
	if n == nil {
		return EPERM
	}
	lockTree()
	defer tree.Unlock()
	err := n.change(apply)
	if err == 0 {
		at := new(location)
		if f, ok := d.file.(*treeFile); ok {
			at = &f.at
		}
		n.notify(at, inAttrib)
	}
	return result(err)
}

func setMode(mode uint32) func(*node) Errno {
	return func(n *node) Errno {
		if n.isLink() {
			return EOPNOTSUPP
		}
		n.mode = n.mode&S_IFMT | mode&0o7777
		return 0
	}
}

func Chmod(path string, mode uint32) error { return Fchmodat(AT_FDCWD, path, mode, 0) }
func Fchmod(fd int, mode uint32) error     { return changeOpen(fd, setMode(mode)) }

func Fchmodat(dirfd int, path string, mode uint32, flags int) error {
	return change(dirfd, path, flags, inAttrib, setMode(mode))
}

// setOwner accepts the owner that every file has. -1 leaves one of the two alone.
func setOwner(uid, gid int) func(*node) Errno {
	return func(n *node) Errno {
		if uid != -1 && uid != ownerUid || gid != -1 && gid != ownerGid {
			return EPERM
		}
		return 0
	}
}

func Chown(path string, uid, gid int) error { return Fchownat(AT_FDCWD, path, uid, gid, 0) }
func Lchown(path string, uid, gid int) error {
	return Fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW)
}
func Fchown(fd int, uid, gid int) error { return changeOpen(fd, setOwner(uid, gid)) }

func Fchownat(dirfd int, path string, uid, gid int, flags int) error {
	return change(dirfd, path, flags, inAttrib, setOwner(uid, gid))
}

func Truncate(path string, length int64) error {
	switch {
	case length < 0:
		return EINVAL
	case length > fileSizeMax:
		return EFBIG
	}
	err := change(AT_FDCWD, path, 0, inModify, func(n *node) Errno {
		switch {
		case n.isDir():
			return EISDIR
		case n.content == nil:
			return EINVAL
		case !n.allows(mayWrite):
			return EACCES
		}
		if err := n.maySize(length); err != 0 {
			return err
		}
		n.setSize(length)
		n.touch()
		return 0
	})
	if err == nil {
		err = result(exportAll(exportedAt(path)))
	}
	return err
}

const (
	_UTIME_NOW  = 1<<30 - 1
	_UTIME_OMIT = 1<<30 - 2
)

func UtimesNano(path string, ts []Timespec) error {
	if len(ts) != 2 {
		return EINVAL
	}
	return utimensat(AT_FDCWD, path, (*[2]Timespec)(ts), 0)
}

func Utimes(path string, tv []Timeval) error { return Futimesat(AT_FDCWD, path, tv) }

//go:linkname utimensat
func utimensat(dirfd int, path string, times *[2]Timespec, flags int) error {
	return change(dirfd, path, flags, inAttrib, setTimes(times))
}

// setTimes sets the time of the last access and that of the last change.
func setTimes(times *[2]Timespec) func(*node) Errno {
	return func(n *node) Errno {
		setTime(&n.accessed, times[0])
		setTime(&n.modified, times[1])
		return 0
	}
}

func setTime(stamp *int64, ts Timespec) {
	switch ts.Nsec {
	case _UTIME_OMIT:
	case _UTIME_NOW:
		*stamp = nowNs()
	default:
		*stamp = ts.Nano()
	}
}
