// The descriptor table, which gives the open files of the process small integers.
//
// The kernel has no descriptors, so the table is here. An entry is an open file description, which
// duplicates share.

//go:build capos

package syscall

import (
	"math/bits"
	"sync"
	"unsafe"
)

// A description is one opening of a file, the open file description of POSIX.
type description struct {
	file    openFile
	flags   int // access mode, O_APPEND, O_NONBLOCK; guarded by descriptors
	holders int // descriptors and messages that refer to it; guarded by descriptors
	locked  int // LOCK_SH or LOCK_EX, by Flock; guarded by fileLocks

	items []*epollItem // of the sets that hold it; guarded by descriptors
}

// descriptorsMax bounds the numbers, because the table is as long as the largest. A program may
// lower the limit.
const descriptorsMax = 1 << 20

var descriptors struct {
	sync.RWMutex
	table []descriptorEntry
	used  numberSet
	limit Rlimit
}

type descriptorEntry struct {
	description *description // nil: the number is free
	closeOnExec bool
}

// A program of the boot image and a service begin with the console's streams, or pipes that stand
// for them, as far as they were given them, another one with what its starter gave it.
func init() {
	d := &descriptors
	d.table = make([]descriptorEntry, 3, 16)
	d.limit = Rlimit{Cur: descriptorsMax, Max: descriptorsMax}
	if !start.told {
		openConsoles()
	}
	runtime_setPollOpenHook(pollOpen)
	runtime_setCrashOutputHook(setCrashOutput)
	openStartFiles()
}

func openConsoles() {
	d := &descriptors
	for fd, stream := range [...]capability{granted.stdin, granted.stdout, granted.stderr} {
		if stream == 0 {
			continue
		}
		flags := O_WRONLY
		if fd == Stdin {
			flags = O_RDONLY
		}
		var file openFile = &console{capability: stream}
		_, id := runtime_startCapability(consoleGrant(fd))
		isPipe := id == abiInterfacePipeReader || id == abiInterfacePipeWriter
		if isPipe {
			file = &kernelPipe{capability: stream}
		}
		d.table[fd].description = &description{file: file, flags: flags, holders: 1}
		d.used.add(fd)
		if isPipe {
			publishText(fd)
		}
	}
}

// descriptor returns the description and its flags, or nil when there is none. Another descriptor
// of the description may change the flags at any time.
func descriptor(fd int) (*description, int) {
	if runtime_hasWrites() {
		takeRuntimeWrites()
	}
	return entryOf(fd)
}

func entryOf(fd int) (*description, int) {
	d := &descriptors
	d.RLock()
	defer d.RUnlock()
	if uint(fd) >= uint(len(d.table)) || d.table[fd].description == nil {
		return nil, 0
	}
	return d.table[fd].description, d.table[fd].description.flags
}

// takeRuntimeWrites writes the text to files that the runtime put aside, because the runtime may
// not wait for locks.
func takeRuntimeWrites() {
	runtime_takeWrites(func(fd int, data []byte) {
		d, flags := entryOf(fd)
		if d != nil && flags&O_ACCMODE != O_RDONLY {
			d.file.write(data, flags|O_NONBLOCK)
		}
	})
}

// install gives the file the lowest free descriptor that is not below least.
func install(f *description, least int, closeOnExec bool) (int, Errno) {
	fd, err := enter(f, least, closeOnExec)
	if takesText(fd) {
		publishText(fd)
	}
	return fd, err
}

func enter(f *description, least int, closeOnExec bool) (int, Errno) {
	d := &descriptors
	d.Lock()
	defer d.Unlock()
	fd := d.used.firstMissing(least)
	if uint64(fd) >= d.limit.Cur {
		return -1, EMFILE
	}
	for fd >= len(d.table) {
		d.table = append(d.table, descriptorEntry{})
	}
	d.table[fd] = descriptorEntry{f, closeOnExec}
	d.used.add(fd)
	f.holders++
	return fd, 0
}

// installNew is install for a description that nothing refers to yet. The description ends when
// there is no free number.
func installNew(f *description, closeOnExec bool) (int, error) {
	fd, err := install(f, 0, closeOnExec)
	if err != 0 {
		f.end()
	}
	return fd, result(err)
}

// uninstall frees the descriptor and reports whether it was the last of its file.
func uninstall(fd int) (f *description, last bool) {
	d := &descriptors
	d.Lock()
	defer d.Unlock()
	if fd < 0 || fd >= len(d.table) || d.table[fd].description == nil {
		return nil, false
	}
	f = d.table[fd].description
	d.table[fd] = descriptorEntry{}
	d.used.remove(fd)
	f.holders--
	return f, f.holders == 0
}

func Close(fd int) error {
	f, _ := descriptor(fd) // takes what the runtime wrote to it
	if f == nil {
		return EBADF
	}
	// This comes before the number is free, because the next opening that gets it may be one of
	// the same pipe or socket.
	f.file.forget(fd)
	f, last := uninstall(fd)
	if takesText(fd) {
		publishText(fd)
	}
	if f == nil {
		return EBADF
	}
	f.file.treeNode().unlockProcess()
	if !last {
		return nil
	}
	return result(f.end())
}

// end is for a description that nothing refers to any more.
func (f *description) end() Errno {
	if f.locked != 0 {
		f.unlock()
	}
	f.file.treeNode().unlockRanges(f)
	f.leaveAll()
	return f.file.close(f.flags & O_ACCMODE)
}

// hold keeps the description of a descriptor open without the descriptor. It returns nil when there
// is none. letGo is its opposite.
func hold(fd int) *description {
	f, _ := descriptor(fd)
	descriptors.Lock()
	defer descriptors.Unlock()
	if f == nil || f.holders == 0 { // closed meanwhile
		return nil
	}
	f.holders++
	return f
}

// holdAs is hold, with the descriptor's file, which has to be of that kind.
func holdAs[F openFile](fd int) (f F, d *description, err Errno) {
	if d = hold(fd); d == nil {
		return f, nil, EBADF
	}
	f, ok := d.file.(F)
	if !ok {
		letGo(d)
		return f, nil, EINVAL
	}
	return f, d, 0
}

func letGo(f *description) Errno {
	descriptors.Lock()
	f.holders--
	last := f.holders == 0
	descriptors.Unlock()
	if last {
		return f.end()
	}
	return 0
}

// letGoAll must not be called with a lock held that the end of a file takes. Those are the locks of
// the network, of the tree and of pipes.
func letGoAll(files []*description) {
	for _, f := range files {
		letGo(f)
	}
}

func Dup(fd int) (int, error) {
	return duplicate(fd, 0, false)
}

func duplicate(fd, least int, closeOnExec bool) (int, error) {
	f, _ := descriptor(fd)
	if f == nil {
		return -1, EBADF
	}
	fd, err := install(f, least, closeOnExec)
	return fd, result(err)
}

func Dup2(oldfd, newfd int) error {
	f, _ := descriptor(oldfd)
	if f == nil || newfd < 0 || uint64(newfd) >= descriptorsLimit().Cur {
		return EBADF
	}
	if oldfd != newfd {
		Close(newfd)
		got, err := install(f, newfd, false)
		if err == 0 && got != newfd {
			Close(got)
			err = EBUSY
		}
		return result(err)
	}
	return nil
}

func CloseOnExec(fd int) {
	control(fd, F_SETFD, FD_CLOEXEC)
}

func SetNonblock(fd int, nonblocking bool) error {
	flags, err := control(fd, F_GETFL, 0)
	if err != 0 {
		return err
	}
	flags &^= O_NONBLOCK
	if nonblocking {
		flags |= O_NONBLOCK
	}
	_, err = control(fd, F_SETFL, flags)
	return result(err)
}

// control is fcntl.
//
//go:linkname control
func control(fd, command, argument int) (int, Errno) {
	f, flags := descriptor(fd)
	if f == nil {
		return -1, EBADF
	}
	d := &descriptors
	switch command {
	case F_DUPFD, F_DUPFD_CLOEXEC:
		if argument < 0 || uint64(argument) >= descriptorsLimit().Cur {
			return -1, EINVAL
		}
		return install(f, argument, command == F_DUPFD_CLOEXEC)
	case F_GETFD:
		d.RLock()
		defer d.RUnlock()
		if d.table[fd].closeOnExec {
			return FD_CLOEXEC, 0
		}
		return 0, 0
	case F_SETFD:
		d.Lock()
		defer d.Unlock()
		d.table[fd].closeOnExec = argument&FD_CLOEXEC != 0
		return 0, 0
	case F_GETFL:
		return flags, 0
	case fAddSeals, fGetSeals:
		return f.seals(command, argument, flags&O_ACCMODE)
	case F_SETFL:
		settable := f.file.settable()
		d.Lock()
		defer d.Unlock()
		f.flags = f.flags&^settable | argument&settable
		return 0, 0
	}
	return -1, EINVAL
}

// pollOpen registers a descriptor with the runtime's poller.
func pollOpen(fd uintptr, pd unsafe.Pointer, tag uintptr) uintptr {
	f, flags := descriptor(int(fd))
	switch {
	case f == nil:
		return uintptr(EBADF)
	case !f.file.watch(flags&O_ACCMODE, pollTarget{fd: int(fd), pd: pd, tag: tag}):
		return uintptr(EPERM)
	}
	return 0
}

func descriptorsLimit() Rlimit {
	descriptors.RLock()
	defer descriptors.RUnlock()
	return descriptors.limit
}

// limitDescriptors sets the limit. A hard one is never raised again.
func limitDescriptors(limit Rlimit) Errno {
	d := &descriptors
	d.Lock()
	defer d.Unlock()
	switch {
	case limit.Cur > limit.Max:
		return EINVAL
	case limit.Max > d.limit.Max:
		return EPERM
	}
	d.limit = limit
	return 0
}

// ---- free numbers
// ------------------------------------------------------------------------------------------

// A numberSet is a set of small numbers in which the next missing one is found fast.
type numberSet struct {
	words []uint64 // a bit for each number
	full  []uint64 // a bit for each word that has all bits
}

func (s *numberSet) add(n int) {
	for n/64 >= len(s.words) {
		if len(s.words)%64 == 0 {
			s.full = append(s.full, 0)
		}
		s.words = append(s.words, 0)
	}
	word := n / 64
	s.words[word] |= 1 << (n % 64)
	if s.words[word] == ^uint64(0) {
		s.full[word/64] |= 1 << (word % 64)
	}
}

func (s *numberSet) remove(n int) {
	word := n / 64
	s.words[word] &^= 1 << (n % 64)
	s.full[word/64] &^= 1 << (word % 64)
}

// firstMissing returns the lowest number from n on that is not in the set.
func (s *numberSet) firstMissing(n int) int {
	word := n / 64
	if word >= len(s.words) {
		return n
	}
	if missing := ^s.words[word] >> (n % 64); missing != 0 {
		return n + bits.TrailingZeros64(missing)
	}
	for word++; word < len(s.words); {
		if notFull := ^s.full[word/64] >> (word % 64); notFull != 0 {
			word += bits.TrailingZeros64(notFull)
			break
		}
		word = (word/64 + 1) * 64
	}
	if word >= len(s.words) {
		return len(s.words) * 64
	}
	return word*64 + bits.TrailingZeros64(^s.words[word])
}
