// epoll: sets of open files, and waiting for events of any of them.
//
// A set has an item for each descriptor and the file that it referred to when it was added. The
// file tells the item of changes, with the file's lock held. The item then goes to the end of the
// set's list of those that may be ready. A wait takes the list, asks each file for its events, and
// puts back what goes on being reported (level-triggered). This is also how Linux does it, so the
// order of events and the fairness between waiters are the same.
//
// Locks: scan, then those of the files, then that of the set. A set that holds another set takes
// its locks first. No set holds itself, directly or through others, because adding one looks.

//go:build capos

package syscall

import "sync"

const (
	epollExclusive uint32 = 1 << 28
	epollWakeup    uint32 = 1 << 29
	epollOneShot   uint32 = 1 << 30
	epollEdge      uint32 = 1 << 31
	epollPrivate          = epollExclusive | epollWakeup | epollOneShot | epollEdge

	epollNestsMax = 4
	epollWaitMax  = 1<<31 - 1
)

type epollSet struct {
	eventFile // its lock guards what follows
	ready     []*epollItem
	sleepers  []*sleeper

	own   *description
	scan  sync.Mutex // held while items are looked at, added and removed
	items map[epollKey]*epollItem
}

type epollKey struct {
	fd   int
	file *description
}

// An epollItem is a file in a set.
type epollItem struct {
	set     *epollSet
	key     epollKey
	target  pollTarget
	access  int
	user    [2]int32 // what the program wants to get back
	removed bool     // guarded by the set's scan, as user

	wanted uint32 // written with both locks held
	queued bool   // guarded by the set
}

func EpollCreate1(flag int) (fd int, err error) {
	if flag&^O_CLOEXEC != 0 {
		return -1, EINVAL
	}
	e := &epollSet{items: map[epollKey]*epollItem{}}
	e.own = e.description(e, "[eventpoll]", 0)
	return installNew(e.own, flag&O_CLOEXEC != 0)
}

func EpollCreate(size int) (fd int, err error) {
	if size <= 0 {
		return -1, EINVAL
	}
	return EpollCreate1(0)
}

// ---- adding and removing
// ------------------------------------------------------------------------------------------

// epollAdding makes it one step to look for a circle and to add a set to another.
var epollAdding sync.Mutex

func EpollCtl(epfd int, op int, fd int, event *EpollEvent) error {
	if op != EPOLL_CTL_DEL && event == nil {
		return EFAULT
	}
	own := hold(epfd)
	if own == nil {
		return EBADF
	}
	defer letGo(own)
	d := hold(fd)
	if d == nil {
		return EBADF
	}
	defer letGo(d)
	e, isSet := own.file.(*epollSet)
	inner, nested := d.file.(*epollSet)
	switch {
	case !d.file.pollable():
		return EPERM
	case !isSet || own == d:
		return EINVAL
	case op != EPOLL_CTL_DEL && event.Events&epollExclusive != 0 && (nested ||
		op == EPOLL_CTL_MOD || event.Events&^epollExclusiveAllowed != 0):
		return EINVAL
	case op == EPOLL_CTL_ADD && nested:
		epollAdding.Lock()
		defer epollAdding.Unlock()
		if down := inner.below(e); down+1+own.above() > epollNestsMax {
			return ELOOP
		}
	}
	e.scan.Lock()
	defer e.scan.Unlock()
	return result(e.control(op, epollKey{fd, d}, event))
}

const epollExclusiveAllowed = evIn | evOut | evErr | evHup | epollWakeup | epollEdge |
	epollExclusive

// below returns how many sets are inside each other below this one, or too many if the other one
// is among them.
func (e *epollSet) below(other *epollSet) (depth int) {
	if e == other {
		return epollNestsMax + 1
	}
	e.scan.Lock()
	var inner []*epollSet
	for key := range e.items {
		if set, ok := key.file.file.(*epollSet); ok {
			inner = append(inner, set)
		}
	}
	e.scan.Unlock()
	for _, set := range inner {
		depth = max(depth, 1+set.below(other))
	}
	return depth
}

// above returns how many sets the file of a set is in that are inside each other.
func (d *description) above() (depth int) {
	descriptors.RLock()
	items := append([]*epollItem(nil), d.items...)
	descriptors.RUnlock()
	for _, it := range items {
		depth = max(depth, 1+it.set.own.above())
	}
	return depth
}

func (e *epollSet) control(op int, key epollKey, event *EpollEvent) Errno {
	it := e.items[key]
	switch {
	case op == EPOLL_CTL_ADD && it != nil:
		return EEXIST
	case op == EPOLL_CTL_ADD:
		return e.add(key, event)
	case op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL:
		return EINVAL
	case it == nil:
		return ENOENT
	case op == EPOLL_CTL_DEL:
		e.drop(it)
		return 0
	case it.wanted&epollExclusive != 0:
		return EINVAL
	}
	e.Lock()
	it.wanted = event.Events | evErr | evHup
	e.Unlock()
	it.user = [2]int32{event.Fd, event.Pad}
	it.notice(evAll) // it may be ready for what is new
	return 0
}

func (e *epollSet) add(key epollKey, event *EpollEvent) Errno {
	_, flags := descriptor(key.fd)
	it := &epollItem{set: e, key: key, access: flags & O_ACCMODE,
		wanted: event.Events | evErr | evHup, user: [2]int32{event.Fd, event.Pad}}
	it.target = targetOf(it)
	e.items[key] = it
	key.file.join(it)
	if !key.file.file.watch(it.access, it.target) {
		e.drop(it)
		return EPERM
	}
	return 0
}

// drop takes an item out. scan is held.
func (e *epollSet) drop(it *epollItem) {
	it.removed = true
	delete(e.items, it.key)
	it.key.file.file.forget(it.target.fd)
	it.key.file.leave(it)
}

// join and leave keep the items of a description, which end with it.
func (d *description) join(it *epollItem) {
	descriptors.Lock()
	d.items = append(d.items, it)
	descriptors.Unlock()
}

func (d *description) leave(it *epollItem) {
	descriptors.Lock()
	defer descriptors.Unlock()
	for i, other := range d.items {
		if other == it {
			last := len(d.items) - 1
			d.items[i], d.items[last] = d.items[last], nil
			d.items = d.items[:last]
			return
		}
	}
}

// leaveAll takes a file that ends out of all sets.
func (d *description) leaveAll() {
	descriptors.RLock()
	items := append([]*epollItem(nil), d.items...)
	descriptors.RUnlock()
	for _, it := range items {
		it.set.scan.Lock()
		if !it.removed {
			it.set.drop(it)
		}
		it.set.scan.Unlock()
	}
}

func (e *epollSet) close(int) Errno {
	e.scan.Lock()
	defer e.scan.Unlock()
	for _, it := range e.items {
		e.drop(it)
	}
	return 0
}

// ---- events
// ------------------------------------------------------------------------------------------

// notice puts the item into the list, if one of the events is wanted. An item that was reported
// once and wants no more (EPOLLONESHOT) has no events left.
func (it *epollItem) notice(events uint32) {
	e := it.set
	e.Lock()
	defer e.Unlock()
	if it.wanted&events == 0 {
		return
	}
	if !it.queued {
		it.queued = true
		e.ready = append(e.ready, it)
	}
	e.wakeOne()
	e.report(evReadable) // a set is a file, too
}

// wakeOne wakes one waiter, because one event is for one.
func (e *epollSet) wakeOne() {
	if len(e.sleepers) > 0 {
		e.sleepers[0].wake()
		e.sleepers = e.sleepers[1:]
	}
}

// take empties the list of ready items. scan is held.
func (e *epollSet) take() []*epollItem {
	e.Lock()
	defer e.Unlock()
	list := e.ready
	e.ready = nil
	for _, it := range list {
		it.queued = false
	}
	return list
}

// putBack makes the list of what was not looked at, what came meanwhile, and what is reported again
// because its level counts.
func (e *epollSet) putBack(first, again []*epollItem) {
	e.Lock()
	defer e.Unlock()
	came := e.ready
	e.ready = make([]*epollItem, 0, len(first)+len(came)+len(again))
	for _, it := range came {
		it.queued = false
	}
	for _, part := range [...][]*epollItem{first, came, again} {
		for _, it := range part {
			if !it.queued && !it.removed {
				it.queued = true
				e.ready = append(e.ready, it)
			}
		}
	}
	if len(e.ready) > 0 {
		e.wakeOne()
	}
}

// collect reports what is ready now.
func (e *epollSet) collect(to []EpollEvent) (n int) {
	e.scan.Lock()
	defer e.scan.Unlock()
	list := e.take()
	var again []*epollItem
	looked := 0
	for ; looked < len(list) && n < len(to); looked++ {
		it := list[looked]
		if it.removed {
			continue
		}
		ready := it.key.file.file.events(it.access) & it.wanted
		if ready == 0 {
			continue
		}
		to[n] = EpollEvent{Events: ready, Fd: it.user[0], Pad: it.user[1]}
		n++
		switch {
		case it.wanted&epollOneShot != 0:
			e.Lock()
			it.wanted &= epollPrivate
			e.Unlock()
		case it.wanted&epollEdge == 0:
			again = append(again, it)
		}
	}
	e.putBack(list[looked:], again)
	return n
}

// events of a set are those of a file that can be read when one of its files is ready.
func (e *epollSet) events(int) (ready uint32) {
	e.scan.Lock()
	defer e.scan.Unlock()
	list := e.take()
	for len(list) > 0 {
		it := list[0]
		if !it.removed && it.key.file.file.events(it.access)&it.wanted != 0 {
			ready = evReadable
			break
		}
		list = list[1:]
	}
	e.putBack(list, nil)
	return ready
}

func EpollWait(epfd int, events []EpollEvent, msec int) (n int, err error) {
	ns := int64(-1)
	if msec >= 0 {
		ns = int64(msec) * 1e6
	}
	return epollWait(epfd, events, ns)
}

func epollWait(epfd int, events []EpollEvent, ns int64) (n int, err error) {
	if len(events) == 0 {
		return -1, EINVAL
	}
	d := hold(epfd)
	if d == nil {
		return -1, EBADF
	}
	defer letGo(d)
	e, ok := d.file.(*epollSet)
	if !ok {
		return -1, EINVAL
	}
	deadline := deadlineAfter(ns)
	for {
		if n = e.collect(events); n > 0 || runtime_nanotime() >= deadline {
			return n, nil
		}
		e.await(deadline)
	}
}

// await waits until an item may be ready.
func (e *epollSet) await(deadline int64) {
	s := newSleeper()
	e.Lock()
	if len(e.ready) > 0 {
		e.Unlock()
		return
	}
	e.sleepers = append(e.sleepers, s)
	e.Unlock()
	s.sleep(deadline)
	e.Lock()
	defer e.Unlock()
	for i, other := range e.sleepers {
		if other == s {
			e.sleepers = append(e.sleepers[:i:i], e.sleepers[i+1:]...)
			break
		}
	}
}
