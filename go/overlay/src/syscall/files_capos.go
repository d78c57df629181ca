// Reading and writing by descriptor.

//go:build capos

package syscall

// access returns the open file and its flags if it was opened for reading (O_RDONLY) or writing
// (O_WRONLY), whichever is wanted.
func access(fd, wanted int) (openFile, int, Errno) {
	d, flags := descriptor(fd)
	if d == nil {
		return nil, 0, EBADF
	}
	if mode := flags & O_ACCMODE; mode != wanted && mode != O_RDWR {
		return nil, 0, EBADF
	}
	return d.file, flags, 0
}

// counted makes the result of a call that counts bytes, which is -1 when there is an error.
func counted(n int, e Errno) (int, error) {
	if e != 0 {
		return -1, result(e)
	}
	return n, nil
}

func Read(fd int, p []byte) (n int, err error) {
	f, flags, e := access(fd, O_RDONLY)
	switch {
	case e != 0:
		return -1, e
	case len(p) != 0:
		return counted(f.read(p, flags))
	}
	if n := f.treeNode(); n != nil && n.isDir() {
		return -1, EISDIR
	}
	return 0, nil
}

func Write(fd int, p []byte) (n int, err error) {
	f, flags, e := access(fd, O_WRONLY)
	if e != 0 {
		return -1, e
	}
	n, e = f.write(p, flags)
	if e == EPIPE {
		runtime_brokenPipe()
	}
	return counted(n, e)
}

func Pread(fd int, p []byte, offset int64) (n int, err error) {
	f, _, e := access(fd, O_RDONLY)
	switch {
	case e != 0:
		return -1, e
	case offset < 0:
		return -1, EINVAL
	}
	return counted(f.pread(p, offset))
}

func Pwrite(fd int, p []byte, offset int64) (n int, err error) {
	f, flags, e := access(fd, O_WRONLY)
	switch {
	case e != 0:
		return -1, e
	case offset < 0:
		return -1, EINVAL
	}
	return counted(f.pwrite(p, offset, flags))
}

func Seek(fd int, offset int64, whence int) (int64, error) {
	d, _ := descriptor(fd)
	if d == nil {
		return -1, EBADF
	}
	offset, e := d.file.seek(offset, whence)
	if e != 0 {
		return -1, e
	}
	return offset, nil
}

func Fsync(fd int) error {
	d, _ := descriptor(fd)
	if d == nil {
		return EBADF
	}
	return result(d.file.sync())
}

func Ftruncate(fd int, length int64) error {
	d, flags := descriptor(fd)
	switch {
	case d == nil:
		return EBADF
	case length < 0 || flags&O_ACCMODE == O_RDONLY:
		return EINVAL
	}
	return result(d.file.truncate(length))
}

func Fstat(fd int, st *Stat_t) error {
	d, _ := descriptor(fd)
	if d == nil {
		return EBADF
	}
	d.file.stat(st)
	return nil
}

// ReadDirent fills the buffer with entries of a directory.
func ReadDirent(fd int, buf []byte) (n int, err error) {
	d, _ := descriptor(fd)
	if d == nil {
		return -1, EBADF
	}
	return counted(d.file.readDirents(buf))
}
