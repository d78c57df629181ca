// Calls relative to a directory, which package syscall implements.

//go:build capos

package unix

import (
	"syscall"
	_ "unsafe" // for linkname
)

const (
	AT_EACCESS          = 0x200
	AT_FDCWD            = syscall.AT_FDCWD
	AT_REMOVEDIR        = syscall.AT_REMOVEDIR
	AT_SYMLINK_NOFOLLOW = syscall.AT_SYMLINK_NOFOLLOW

	UTIME_OMIT = 1<<30 - 2
)

func Openat(dirfd int, path string, flags int, perm uint32) (int, error) {
	return syscall.Openat(dirfd, path, flags, perm)
}

func Unlinkat(dirfd int, path string, flags int) error { return unlinkat(dirfd, path, flags) }

//go:linkname unlinkat syscall.unlinkat
func unlinkat(dirfd int, path string, flags int) error

func Fstatat(dirfd int, path string, stat *syscall.Stat_t, flags int) error {
	return syscall.Fstatat(dirfd, path, stat, flags)
}

func Readlinkat(dirfd int, path string, buf []byte) (int, error) {
	return syscall.Readlinkat(dirfd, path, buf)
}

func Mkdirat(dirfd int, path string, mode uint32) error {
	return syscall.Mkdirat(dirfd, path, mode)
}

func Fchmodat(dirfd int, path string, mode uint32, flags int) error {
	return syscall.Fchmodat(dirfd, path, mode, flags)
}

func Fchownat(dirfd int, path string, uid, gid int, flags int) error {
	return syscall.Fchownat(dirfd, path, uid, gid, flags)
}

func Renameat(olddirfd int, oldpath string, newdirfd int, newpath string) error {
	return syscall.Renameat(olddirfd, oldpath, newdirfd, newpath)
}

func Linkat(olddirfd int, oldpath string, newdirfd int, newpath string, flags int) error {
	return syscall.Linkat(olddirfd, oldpath, newdirfd, newpath, flags)
}

func Symlinkat(oldpath string, newdirfd int, newpath string) error {
	return syscall.Symlinkat(oldpath, newdirfd, newpath)
}

func faccessat(dirfd int, path string, mode uint32, flags int) error {
	return syscall.Faccessat(dirfd, path, mode, flags&^AT_EACCESS)
}
