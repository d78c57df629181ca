// timerfd: a timer that is a file.
//
// Times are those of runtime_nanotime, which only goes forward. As on Linux a timer with an
// interval rings once and begins again when it is read. The read counts what has passed.

//go:build capos

package syscall

import (
	"internal/byteorder"
	"unsafe"
)

const (
	clockRealtime      = 0
	clockMonotonic     = 1
	clockBoottime      = 7
	clockRealtimeAlarm = 8
	clockBoottimeAlarm = 9

	timerAbsolute    = 1
	timerCancelOnSet = 2
)

// A timerSpec has the layout of Linux's struct itimerspec.
type timerSpec struct{ interval, value Timespec }

type timerFile struct {
	eventFile
	realtime bool
	next     int64 // when it rings; 0: not set
	interval int64
	rang     bool   // it has, and begins again when it is read
	ticks    uint64 // not read yet

	timer unsafe.Pointer // of the runtime, for next
}

func timerFd(clock, flags int) (int, error) {
	switch clock {
	case clockRealtime, clockMonotonic, clockBoottime:
	case clockRealtimeAlarm, clockBoottimeAlarm:
		return -1, EPERM
	default:
		return -1, EINVAL
	}
	if flags&^(O_CLOEXEC|O_NONBLOCK) != 0 {
		return -1, EINVAL
	}
	f := &timerFile{realtime: clock == clockRealtime}
	return f.install(f, "[timerfd]", flags)
}

func setTimer(fd, flags int, to, old *timerSpec) error {
	value, err := to.value.interval()
	if err != nil {
		return err
	}
	interval, err := to.interval.interval()
	if err != nil || flags&^(timerAbsolute|timerCancelOnSet) != 0 {
		return EINVAL
	}
	f, d, e := holdAs[*timerFile](fd)
	if e != 0 {
		return e
	}
	defer letGo(d)
	f.Lock()
	defer f.Unlock()
	if old != nil {
		*old = f.left()
	}
	if value < 0 {
		value = forever // a time that no clock reaches
	}
	f.next, f.interval, f.rang, f.ticks = 0, max(interval, 0), false, 0
	if value != 0 {
		if flags&timerAbsolute == 0 {
			value = deadlineAfter(value)
		} else if f.realtime {
			value -= nowNs() - runtime_nanotime()
		}
		f.next = max(value, 1)
	}
	f.start()
	return nil
}

// start sets the runtime's timer.
func (f *timerFile) start() {
	if f.timer != nil {
		runtime_stopTimer(f.timer)
		f.timer = nil
	}
	if f.next != 0 && f.next < forever && !f.rang {
		next := f.next
		f.timer = runtime_startTimer(next, func() { f.ring(next) })
	}
}

// ring is called when a time has come, for which the timer may not be set any more.
func (f *timerFile) ring(next int64) {
	f.Lock()
	defer f.Unlock()
	if f.next == next && !f.rang {
		f.look()
		f.report(evIn)
	}
}

// look lets the timer ring if its time has come.
func (f *timerFile) look() {
	if f.next != 0 && !f.rang && runtime_nanotime() >= f.next {
		f.rang = true
		f.ticks++
	}
}

// again lets a timer with an interval begin again, after counting what has passed.
func (f *timerFile) again() {
	if !f.rang {
		return
	}
	if f.interval == 0 {
		f.next = 0
	} else {
		passed := 1 + (runtime_nanotime()-f.next)/f.interval
		f.ticks += uint64(passed - 1)
		f.next += passed * f.interval
	}
	f.rang = false
	f.start()
}

// left is the setting, with the time that is left.
func (f *timerFile) left() (spec timerSpec) {
	f.look()
	f.again()
	spec.interval = NsecToTimespec(f.interval)
	if f.next != 0 {
		spec.value = NsecToTimespec(max(1, f.next-runtime_nanotime()))
	}
	return spec
}

func getTimer(fd int, to *timerSpec) error {
	f, d, e := holdAs[*timerFile](fd)
	if e != 0 {
		return e
	}
	defer letGo(d)
	f.Lock()
	defer f.Unlock()
	*to = f.left()
	return nil
}

func (f *timerFile) events(int) uint32 {
	f.Lock()
	defer f.Unlock()
	if f.look(); f.ticks > 0 {
		return evIn
	}
	return 0
}

func (f *timerFile) read(p []byte, flags int) (int, Errno) {
	if len(p) < counterSize {
		return 0, EINVAL
	}
	f.Lock()
	defer f.Unlock()
	for f.look(); f.ticks == 0; f.look() {
		if !blocks(flags) {
			return 0, EAGAIN
		}
		f.changed.Wait()
	}
	f.again()
	byteorder.LEPutUint64(p, f.ticks)
	f.ticks = 0
	return counterSize, 0
}

func (f *timerFile) close(int) Errno {
	f.Lock()
	defer f.Unlock()
	f.next = 0
	f.start()
	return 0
}
