// The calls that wait for events, by Linux's numbers.

//go:build capos

package syscall

import "unsafe"

// Numbers that linux/amd64's list in this package is too old for.
const (
	sysMemfdCreate = 319
	sysEpollPwait2 = 441
)

var numberedEvents = [numbersEnd]numberedCall{
	SYS_EPOLL_CREATE: func(a *numberArgs) (uintptr, error) {
		return number(EpollCreate(int(int32(a[0]))))
	},
	SYS_EPOLL_CREATE1: func(a *numberArgs) (uintptr, error) {
		return number(EpollCreate1(int(int32(a[0]))))
	},
	SYS_EPOLL_CTL: func(a *numberArgs) (uintptr, error) {
		return nothing(EpollCtl(a.fd(0), a.fd(1), a.fd(2), argument[EpollEvent](a, 3)))
	},
	SYS_EPOLL_WAIT:  numberedEpollWait,
	SYS_EPOLL_PWAIT: numberedEpollWait, // no signal ends a wait, with any mask
	sysEpollPwait2: func(a *numberArgs) (uintptr, error) {
		ns, err := argument[Timespec](a, 3).interval()
		if err != nil {
			return 0, err
		}
		to, err := a.epollEvents()
		if err != nil {
			return 0, err
		}
		return number(epollWait(a.fd(0), to, ns))
	},
	SYS_EVENTFD:  func(a *numberArgs) (uintptr, error) { return numberedEventFd(a, 0) },
	SYS_EVENTFD2: func(a *numberArgs) (uintptr, error) { return numberedEventFd(a, a.fd(1)) },
	SYS_TIMERFD_CREATE: func(a *numberArgs) (uintptr, error) {
		return number(timerFd(a.fd(0), a.fd(1)))
	},
	SYS_TIMERFD_SETTIME: func(a *numberArgs) (uintptr, error) {
		return with(a, 2, func(to *timerSpec) error {
			return setTimer(a.fd(0), a.fd(1), to, argument[timerSpec](a, 3))
		})
	},
	SYS_TIMERFD_GETTIME: func(a *numberArgs) (uintptr, error) {
		return with(a, 1, func(to *timerSpec) error { return getTimer(a.fd(0), to) })
	},
	sysMemfdCreate: func(a *numberArgs) (uintptr, error) {
		if a[0] == 0 {
			return 0, EFAULT
		}
		return number(memfdCreate(a.text(0), uint32(a[1])))
	},
	SYS_INOTIFY_INIT: func(a *numberArgs) (uintptr, error) { return number(InotifyInit()) },
	SYS_INOTIFY_INIT1: func(a *numberArgs) (uintptr, error) {
		return number(InotifyInit1(a.fd(0)))
	},
	SYS_INOTIFY_ADD_WATCH: func(a *numberArgs) (uintptr, error) {
		return number(InotifyAddWatch(a.fd(0), a.text(1), uint32(a[2])))
	},
	SYS_INOTIFY_RM_WATCH: func(a *numberArgs) (uintptr, error) {
		return number(InotifyRmWatch(a.fd(0), uint32(a[1])))
	},
	SYS_FUTEX:    numberedFutex,
	SYS_POLL:     numberedPoll,
	SYS_PPOLL:    numberedPpoll,
	SYS_SELECT:   numberedSelect,
	SYS_PSELECT6: numberedPselect6,
}

func numberedEventFd(a *numberArgs, flags int) (uintptr, error) {
	return number(eventFd(uint64(uint32(a[0])), flags))
}

// epollEvents is the memory for the events of a wait.
func (a *numberArgs) epollEvents() ([]EpollEvent, error) {
	count := int32(a[2])
	switch {
	case count <= 0 || count > (1<<31-1)/int32(unsafe.Sizeof(EpollEvent{})):
		return nil, EINVAL
	case a[1] == 0:
		return nil, EFAULT
	}
	return unsafe.Slice((*EpollEvent)(pointerTo(a[1])), int(count)), nil
}

func numberedEpollWait(a *numberArgs) (uintptr, error) {
	to, err := a.epollEvents()
	if err != nil {
		return 0, err
	}
	return number(EpollWait(a.fd(0), to, int(int32(a[3]))))
}
