// poll and select: waiting for any of some descriptors, once.

//go:build capos

package syscall

import "unsafe"

// A pollFd has the layout of Linux's struct pollfd.
type pollFd struct {
	fd      int32
	events  uint16
	revents uint16
}

// An asked file is one that a call of poll or select waits for.
type askedFile struct {
	held   *description
	access int
	wanted uint32
	found  uint32
	target pollTarget
}

// ask holds a descriptor's file. It returns false if there is none.
func (f *askedFile) ask(fd int, wanted uint32) bool {
	if f.held = hold(fd); f.held == nil {
		return false
	}
	_, flags := descriptor(fd)
	f.access, f.wanted = flags&O_ACCMODE, wanted
	return true
}

// awaitAny waits until a file has an event that is wanted, and returns how many have. It lets go of
// the files.
func awaitAny(files []askedFile, deadline int64) (ready int) {
	s := newSleeper()
	registered := false
	for {
		for i := range files {
			if f := &files[i]; f.held != nil {
				if f.found = f.held.file.events(f.access) & f.wanted; f.found != 0 {
					ready++
				}
			}
		}
		if ready > 0 || runtime_nanotime() >= deadline {
			break
		}
		if !registered {
			registered = true
			for i := range files {
				if f := &files[i]; f.held != nil {
					f.target = targetOf(s)
					f.held.file.watch(f.access, f.target)
				}
			}
			continue // what changed before was not told
		}
		s.sleep(deadline)
	}
	for i := range files {
		if f := &files[i]; f.held != nil {
			if registered {
				f.held.file.forget(f.target.fd)
			}
			letGo(f.held)
		}
	}
	return ready
}

func poll(fds []pollFd, ns int64) (uintptr, error) {
	deadline := deadlineAfter(ns)
	files := make([]askedFile, len(fds))
	invalid := 0
	for i := range fds {
		fds[i].revents = 0
		wanted := uint32(fds[i].events) | evErr | evHup
		if fds[i].fd >= 0 && !files[i].ask(int(fds[i].fd), wanted) {
			fds[i].revents = uint16(evInvalid)
			invalid++
		}
	}
	if invalid > 0 {
		deadline = 0
	}
	ready := awaitAny(files, deadline)
	for i := range fds {
		fds[i].revents |= uint16(files[i].found)
	}
	return uintptr(ready + invalid), nil
}

func (a *numberArgs) pollFds() ([]pollFd, error) {
	switch {
	case a[1] > uintptr(descriptorsLimit().Cur):
		return nil, EINVAL
	case a[0] == 0 && a[1] > 0:
		return nil, EFAULT
	case a[1] == 0:
		return nil, nil
	}
	return unsafe.Slice((*pollFd)(pointerTo(a[0])), int(a[1])), nil
}

func numberedPoll(a *numberArgs) (uintptr, error) {
	fds, err := a.pollFds()
	if err != nil {
		return 0, err
	}
	ns := int64(-1)
	if ms := int32(a[2]); ms >= 0 {
		ns = int64(ms) * 1e6
	}
	return poll(fds, ns)
}

// numberedPpoll takes a mask of signals for the time of the call. No signal ends a wait anyway.
func numberedPpoll(a *numberArgs) (uintptr, error) {
	limit := argument[Timespec](a, 2)
	ns, err := limit.interval()
	if err != nil {
		return 0, err
	}
	fds, err := a.pollFds()
	if err != nil {
		return 0, err
	}
	defer limit.spend(runtime_nanotime())
	return poll(fds, ns)
}

// interval returns the nanoseconds of a time-out, -1 if there is none.
func (t *Timespec) interval() (int64, error) {
	switch {
	case t == nil:
		return -1, nil
	case t.Sec < 0 || t.Nsec < 0 || t.Nsec >= 1e9:
		return 0, EINVAL
	case t.Sec >= forever/1_000_000_000:
		return -1, nil
	}
	return t.Nano(), nil
}

// spend leaves what is left of a time-out that began at a time.
func (t *Timespec) spend(began int64) {
	if t != nil {
		if ns, _ := t.interval(); ns >= 0 {
			*t = NsecToTimespec(max(0, ns-(runtime_nanotime()-began)))
		}
	}
}

// ---- select
// ------------------------------------------------------------------------------------------

// What the three sets of select stand for.
var selectEvents = [3]uint32{
	evInNorm | evInBand | evIn | evHup | evErr,
	evOutBand | evOutNorm | evOut | evErr,
	evPri,
}

const wordBits = 64

// selectSets waits for the descriptors below n whose bits are set, and leaves the bits of those
// that are ready.
func selectSets(n int, sets [3][]int64, deadline int64) (int, error) {
	files := make([]askedFile, n)
	for fd := range n {
		wanted := uint32(0)
		for i, set := range sets {
			if set != nil && set[fd/wordBits]>>(fd%wordBits)&1 != 0 {
				wanted |= selectEvents[i]
			}
		}
		if wanted != 0 && !files[fd].ask(fd, wanted) {
			for _, f := range files[:fd] {
				if f.held != nil {
					letGo(f.held)
				}
			}
			return -1, EBADF
		}
	}
	awaitAny(files, deadline)
	count := 0
	for i, set := range sets {
		for fd := 0; set != nil && fd < n; fd++ {
			bit := int64(1) << (fd % wordBits)
			switch {
			case set[fd/wordBits]&bit == 0:
			case files[fd].found&selectEvents[i] == 0:
				set[fd/wordBits] &^= bit
			default:
				count++
			}
		}
	}
	return count, nil
}

func Select(nfd int, r, w, e *FdSet, timeout *Timeval) (n int, err error) {
	if nfd < 0 || nfd > len(FdSet{}.Bits)*wordBits {
		return -1, EINVAL
	}
	var sets [3][]int64
	for i, set := range [3]*FdSet{r, w, e} {
		if set != nil {
			sets[i] = set.Bits[:]
		}
	}
	return selectFor(nfd, sets, timeout)
}

func selectFor(n int, sets [3][]int64, timeout *Timeval) (int, error) {
	if timeout == nil {
		return selectSets(n, sets, forever)
	}
	if timeout.Sec < 0 || timeout.Usec < 0 {
		return -1, EINVAL
	}
	limit := NsecToTimespec(timeout.Nano())
	defer func(began int64) {
		limit.spend(began)
		*timeout = NsecToTimeval(limit.Nano())
	}(runtime_nanotime())
	return selectSets(n, sets, deadlineAfter(limit.Nano()))
}

// selectArgs returns the number of descriptors and the sets, each as long as that many need.
func (a *numberArgs) selectArgs() (n int, sets [3][]int64, err error) {
	if int32(a[0]) < 0 {
		return 0, sets, EINVAL
	}
	n = int(int32(a[0]))
	descriptors.RLock()
	n = min(n, (len(descriptors.table)+wordBits-1)&^(wordBits-1))
	descriptors.RUnlock()
	for i := range sets {
		if a[i+1] != 0 {
			sets[i] = unsafe.Slice((*int64)(pointerTo(a[i+1])), (n+wordBits-1)/wordBits)
		}
	}
	return n, sets, nil
}

func numberedSelect(a *numberArgs) (uintptr, error) {
	n, sets, err := a.selectArgs()
	if err != nil {
		return 0, err
	}
	return number(selectFor(n, sets, argument[Timeval](a, 4)))
}

func numberedPselect6(a *numberArgs) (uintptr, error) {
	limit := argument[Timespec](a, 4)
	ns, err := limit.interval()
	if err != nil {
		return 0, err
	}
	n, sets, err := a.selectArgs()
	if err != nil {
		return 0, err
	}
	defer limit.spend(runtime_nanotime())
	return number(selectSets(n, sets, deadlineAfter(ns)))
}
