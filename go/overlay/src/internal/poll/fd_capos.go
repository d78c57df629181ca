// What internal/poll needs of capOS.

//go:build capos

package poll

import (
	"syscall"
	"unsafe"
)

func accept(s int) (int, syscall.Sockaddr, string, error) {
	ns, sa, err := syscall.Accept4(s, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	if err != nil {
		return -1, nil, "accept4", err
	}
	return ns, sa, "", nil
}

func newIovecWithBase(base *byte) syscall.Iovec { return syscall.Iovec{Base: base} }

// writev writes the pieces one by one until one is not taken completely. An error after the first
// byte comes again with the next call.
func writev(fd int, iovecs []syscall.Iovec) (uintptr, error) {
	var written uintptr
	for _, v := range iovecs {
		n, err := syscall.Write(fd, unsafe.Slice(v.Base, v.Len))
		if n > 0 {
			written += uintptr(n)
		}
		if err != nil && written == 0 {
			return 0, err
		}
		if err != nil || uint64(n) < v.Len {
			break
		}
	}
	return written, nil
}

// Fsync has nothing to do, because memory is the storage of files.
func (fd *FD) Fsync() error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	return syscall.Fsync(fd.Sysfd)
}
