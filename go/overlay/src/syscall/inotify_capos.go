// inotify: what happens to files of the tree, told to those that watch them.
//
// The calls on the tree say what they did, with the tree locked: notify for a file and the
// directory that it is in, tell for one of the two. Nothing is done while there are no watches. The
// order of events is that of Linux.

//go:build capos

package syscall

import "unsafe"

const (
	inAccess       uint32 = 0x1
	inModify       uint32 = 0x2
	inAttrib       uint32 = 0x4
	inCloseWrite   uint32 = 0x8
	inCloseNoWrite uint32 = 0x10
	inOpen         uint32 = 0x20
	inMovedFrom    uint32 = 0x40
	inMovedTo      uint32 = 0x80
	inCreate       uint32 = 0x100
	inDelete       uint32 = 0x200
	inDeleteSelf   uint32 = 0x400
	inMoveSelf     uint32 = 0x800
	inAllEvents    uint32 = 0xfff
	inOverflow     uint32 = 0x4000
	inIgnored      uint32 = 0x8000
	inOnlyDir      uint32 = 0x0100_0000
	inDontFollow   uint32 = 0x0200_0000
	inExclUnlink   uint32 = 0x0400_0000
	inMaskCreate   uint32 = 0x1000_0000
	inMaskAdd      uint32 = 0x2000_0000
	inIsDir        uint32 = 0x4000_0000
	inOneShot      uint32 = 0x8000_0000

	inUnmount = 0x2000 // never happens

	inAllBits = inAllEvents | inUnmount | inOverflow | inIgnored | inIsDir | inOnlyDir |
		inDontFollow | inExclUnlink | inMaskCreate | inMaskAdd | inOneShot

	inotifyQueueMax   = 16384 // events that wait
	inotifyWatchesMax = 65536 // of one descriptor
	inotifyRecord     = int(unsafe.Sizeof(notedHead{}))
)

// inotify is guarded by the lock of the tree.
var inotify struct {
	watches map[*node][]*inotifyWatch
	cookie  uint32
}

// An inotifyFile is guarded by the tree, but for its queue, which its own lock guards.
type inotifyFile struct {
	eventFile
	queue []notedEvent

	watches map[int32]*inotifyWatch
	last    int32
}

type inotifyWatch struct {
	file   *inotifyFile
	number int32
	node   *node
	mask   uint32
}

// A notedHead has the layout of Linux's struct inotify_event.
type notedHead struct {
	watch  int32
	mask   uint32
	cookie uint32
	length uint32
}

type notedEvent struct {
	watch  int32
	mask   uint32
	cookie uint32
	name   string
}

// size is that of the record: the name has a NUL and fills whole heads.
func (e *notedEvent) size() int {
	if e.name == "" {
		return inotifyRecord
	}
	return inotifyRecord + alignTo(len(e.name)+1, inotifyRecord)
}

func InotifyInit() (fd int, err error) { return InotifyInit1(0) }

func InotifyInit1(flags int) (fd int, err error) {
	if flags&^(O_CLOEXEC|O_NONBLOCK) != 0 {
		return -1, EINVAL
	}
	f := &inotifyFile{watches: map[int32]*inotifyWatch{}}
	d := f.description(f, "inotify", flags)
	d.flags = O_RDONLY | flags&O_NONBLOCK
	return installNew(d, flags&O_CLOEXEC != 0)
}

func InotifyAddWatch(fd int, path string, mask uint32) (watch int, err error) {
	if mask&inAllBits == 0 || mask&inMaskAdd != 0 && mask&inMaskCreate != 0 {
		return -1, EINVAL
	}
	f, d, e := holdAs[*inotifyFile](fd)
	if e != 0 {
		return -1, e
	}
	defer letGo(d)
	lockTree()
	defer tree.Unlock()
	p, e := walkExistingAt(AT_FDCWD, path, mask&inDontFollow == 0)
	switch {
	case e != 0:
		return -1, e
	case mask&inOnlyDir != 0 && !p.node.isDir():
		return -1, ENOTDIR
	case !p.node.allows(mayRead):
		return -1, EACCES
	}
	number, e := f.follow(p.node, mask)
	return int(number), result(e)
}

// follow adds a watch of a node, or changes the one that there is.
func (f *inotifyFile) follow(n *node, mask uint32) (int32, Errno) {
	for _, w := range inotify.watches[n] {
		switch {
		case w.file != f:
		case mask&inMaskCreate != 0:
			return -1, EEXIST
		case mask&inMaskAdd != 0:
			w.mask |= mask
			return w.number, 0
		default:
			w.mask = mask
			return w.number, 0
		}
	}
	if len(f.watches) >= inotifyWatchesMax {
		return -1, ENOSPC
	}
	f.last++
	w := &inotifyWatch{f, f.last, n, mask}
	f.watches[w.number] = w
	if inotify.watches == nil {
		inotify.watches = map[*node][]*inotifyWatch{}
	}
	inotify.watches[n] = append(inotify.watches[n], w)
	return w.number, 0
}

func InotifyRmWatch(fd int, watch uint32) (success int, err error) {
	f, d, e := holdAs[*inotifyFile](fd)
	if e != 0 {
		return -1, e
	}
	defer letGo(d)
	lockTree()
	defer tree.Unlock()
	w := f.watches[int32(watch)]
	if w == nil {
		return -1, EINVAL
	}
	w.drop()
	return 0, nil
}

// drop ends a watch and says so.
func (w *inotifyWatch) drop() {
	w.remove()
	w.file.note(notedEvent{watch: w.number, mask: inIgnored})
}

func (w *inotifyWatch) remove() {
	delete(w.file.watches, w.number)
	var kept []*inotifyWatch
	for _, other := range inotify.watches[w.node] {
		if other != w {
			kept = append(kept, other)
		}
	}
	if len(kept) == 0 {
		delete(inotify.watches, w.node)
	} else {
		inotify.watches[w.node] = kept
	}
}

func (f *inotifyFile) close(int) Errno {
	lockTree()
	defer tree.Unlock()
	for _, w := range f.watches {
		w.remove()
	}
	return 0
}

// ---- the queue
// ------------------------------------------------------------------------------------------

// note queues an event. One that is as the last is not told twice.
func (f *inotifyFile) note(e notedEvent) {
	f.Lock()
	defer f.Unlock()
	if last := len(f.queue) - 1; last >= 0 {
		q := &f.queue[last]
		if q.watch == e.watch && q.mask == e.mask && q.name == e.name &&
			e.mask&inIgnored == 0 {
			return
		}
	}
	if len(f.queue) > inotifyQueueMax {
		return
	}
	if len(f.queue) == inotifyQueueMax {
		e = notedEvent{watch: -1, mask: inOverflow}
	}
	f.queue = append(f.queue, e)
	f.report(evReadable)
}

func (f *inotifyFile) events(int) uint32 {
	f.Lock()
	defer f.Unlock()
	if len(f.queue) > 0 {
		return evReadable
	}
	return 0
}

func (f *inotifyFile) read(p []byte, flags int) (n int, err Errno) {
	f.Lock()
	defer f.Unlock()
	for len(f.queue) == 0 {
		if !blocks(flags) {
			return 0, EAGAIN
		}
		f.changed.Wait()
	}
	taken := 0
	for i := range f.queue {
		e := &f.queue[i]
		size := e.size()
		if size > len(p)-n {
			break
		}
		record := p[n : n+size]
		clear(record)
		putInt(record, uint64(uint32(e.watch)), 4)
		putInt(record[4:], uint64(e.mask), 4)
		putInt(record[8:], uint64(e.cookie), 4)
		putInt(record[12:], uint64(size-inotifyRecord), 4)
		copy(record[inotifyRecord:], e.name)
		n += size
		taken++
	}
	if taken == 0 {
		return 0, EINVAL
	}
	f.queue = append([]notedEvent(nil), f.queue[taken:]...)
	return n, 0
}

// unread is how many bytes reads would give.
func (f *inotifyFile) unread() (n int) {
	f.Lock()
	defer f.Unlock()
	for i := range f.queue {
		n += f.queue[i].size()
	}
	return n
}

// ---- what happens
// ------------------------------------------------------------------------------------------

// tell says what happened to a node, or below that name in it if it is a directory.
func (n *node) tell(event notedEvent, unlinked bool) {
	if len(inotify.watches) == 0 {
		return
	}
	for _, w := range inotify.watches[n] {
		if w.mask&event.mask&inAllEvents == 0 || unlinked && w.mask&inExclUnlink != 0 {
			continue
		}
		event.watch = w.number
		w.file.note(event)
		if w.mask&inOneShot != 0 {
			w.drop()
		}
	}
}

// tellSelf is tell for what is no news for the directory.
func (n *node) tellSelf(mask uint32) {
	if n.isDir() && mask&(inDeleteSelf|inMoveSelf) == 0 {
		mask |= inIsDir
	}
	n.tell(notedEvent{mask: mask}, false)
}

// tellName says what happened to a name in a directory.
func (n *node) tellName(mask uint32, name string, child *node, cookie uint32) {
	if child.isDir() {
		mask |= inIsDir
	}
	n.tell(notedEvent{mask: mask, cookie: cookie, name: name}, false)
}

// A location is where a file was opened. A name may lead to another file by now.
type location struct {
	dir  *node
	name string
}

// notify says what happened to a file, first to those that watch its directory.
func (n *node) notify(at *location, mask uint32) {
	if len(inotify.watches) == 0 {
		return
	}
	event := notedEvent{mask: mask}
	if n.isDir() {
		event.mask |= inIsDir
		at = &location{n.dir.parent, n.dir.name}
	}
	if at.find(n); at.dir != nil && at.dir != n {
		event.name = at.name
		at.dir.tell(event, n.links == 0)
		event.name = ""
	}
	n.tell(event, false)
}

// find looks for the file in the directories that are watched, if it was renamed.
func (at *location) find(n *node) {
	if at.dir == nil || n.links == 0 || n.isDir() || at.dir.lookup(at.name) == n {
		return
	}
	for dir := range inotify.watches {
		if !dir.isDir() {
			continue
		}
		for _, e := range dir.dir.entries {
			if e.node == n {
				*at = location{dir, e.name}
				return
			}
		}
	}
}

// notify is the same for a file at a path.
func (p *place) notify(mask uint32) { p.node.notify(&location{p.dir, p.name}, mask) }

// tellGone ends the watches of a node that has neither a name nor an opening.
func (n *node) tellGone() {
	n.tellSelf(inDeleteSelf)
	for _, w := range inotify.watches[n] {
		w.drop()
	}
}
