// What package os needs of capOS besides package syscall.

//go:build capos

package os

import (
	"errors"
	"internal/filepathlite"
	"syscall"
	"time"
	"unsafe"
)

func hostname() (name string, err error) { return "capos", nil }

//go:linkname startExecutable syscall.startExecutable
func startExecutable() string

// executable returns the path that the starter of the program tells. For a program of the boot
// image that is its first argument, which is absolute.
func executable() (string, error) {
	if path := startExecutable(); path != "" {
		return path, nil
	}
	if len(Args) == 0 || Args[0] == "" || Args[0][0] != '/' {
		return "",
			errors.New("os: the program was started without its absolute path as " +
				"first argument")
	}
	return Args[0], nil
}

// Pipe returns a connected pair of Files. Bytes written to w are read from r.
func Pipe() (r *File, w *File, err error) {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
		return nil, nil, NewSyscallError("pipe2", err)
	}
	return newFile(p[0], "|0", kindPipe, false), newFile(p[1], "|1", kindPipe, false), nil
}

var modeOfType = map[uint32]FileMode{
	syscall.S_IFBLK:  ModeDevice,
	syscall.S_IFCHR:  ModeDevice | ModeCharDevice,
	syscall.S_IFDIR:  ModeDir,
	syscall.S_IFIFO:  ModeNamedPipe,
	syscall.S_IFLNK:  ModeSymlink,
	syscall.S_IFREG:  0,
	syscall.S_IFSOCK: ModeSocket,
}

func fillFileStatFromSys(fs *fileStat, name string) {
	fs.name = filepathlite.Base(name)
	fs.size = fs.sys.Size
	fs.modTime = time.Unix(fs.sys.Mtim.Unix())
	fs.mode = FileMode(fs.sys.Mode&0o777) | modeOfType[fs.sys.Mode&syscall.S_IFMT]
	for _, bit := range [...]struct {
		sys  uint32
		mode FileMode
	}{{syscall.S_ISUID, ModeSetuid}, {syscall.S_ISGID, ModeSetgid}, {syscall.S_ISVTX,
		ModeSticky}} {
		if fs.sys.Mode&bit.sys != 0 {
			fs.mode |= bit.mode
		}
	}
}

func atime(fi FileInfo) time.Time {
	return time.Unix(fi.Sys().(*syscall.Stat_t).Atim.Unix())
}

// ---- directory records
// ------------------------------------------------------------------------------------------

func direntIno(buf []byte) (uint64, bool) {
	return readInt(buf, unsafe.Offsetof(syscall.Dirent{}.Ino),
		unsafe.Sizeof(syscall.Dirent{}.Ino))
}

func direntReclen(buf []byte) (uint64, bool) {
	return readInt(buf, unsafe.Offsetof(syscall.Dirent{}.Reclen),
		unsafe.Sizeof(syscall.Dirent{}.Reclen))
}

func direntNamlen(buf []byte) (uint64, bool) {
	const head = uint64(unsafe.Offsetof(syscall.Dirent{}.Name))
	length, ok := direntReclen(buf)
	if !ok || length < head {
		return 0, false
	}
	return length - head, true
}

func direntType(buf []byte) FileMode {
	const unknown = ^FileMode(0)
	offset := unsafe.Offsetof(syscall.Dirent{}.Type)
	if offset >= uintptr(len(buf)) {
		return unknown
	}
	if mode, ok := modeOfType[uint32(buf[offset])<<12]; ok {
		return mode
	}
	return unknown
}
