// eventfd: a counter that is a file.

//go:build capos

package syscall

import "internal/byteorder"

const (
	eventSemaphore = 1
	counterMax     = ^uint64(0) - 1
	counterSize    = 8 // of what is read and written
)

type counterFile struct {
	eventFile
	count     uint64
	semaphore bool
}

func eventFd(initial uint64, flags int) (int, error) {
	if flags&^(eventSemaphore|O_CLOEXEC|O_NONBLOCK) != 0 {
		return -1, EINVAL
	}
	f := &counterFile{count: initial, semaphore: flags&eventSemaphore != 0}
	return f.install(f, "[eventfd]", flags)
}

func (f *counterFile) events(int) (ready uint32) {
	f.Lock()
	defer f.Unlock()
	if f.count > 0 {
		ready = evIn
	}
	if f.count < counterMax {
		ready |= evOut
	}
	return ready
}

func (f *counterFile) read(p []byte, flags int) (int, Errno) {
	if len(p) < counterSize {
		return 0, EINVAL
	}
	f.Lock()
	defer f.Unlock()
	for f.count == 0 {
		if !blocks(flags) {
			return 0, EAGAIN
		}
		f.changed.Wait()
	}
	taken := f.count
	if f.semaphore {
		taken = 1
	}
	f.count -= taken
	byteorder.LEPutUint64(p, taken)
	f.report(evOut)
	return counterSize, 0
}

func (f *counterFile) write(p []byte, flags int) (int, Errno) {
	if len(p) != counterSize {
		return 0, EINVAL
	}
	added := byteorder.LEUint64(p)
	if added > counterMax {
		return 0, EINVAL
	}
	f.Lock()
	defer f.Unlock()
	for added > counterMax-f.count {
		if !blocks(flags) {
			return 0, EAGAIN
		}
		f.changed.Wait()
	}
	f.count += added
	f.report(evIn)
	return counterSize, 0
}
