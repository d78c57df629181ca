// The nodes of the file tree: files, directories, symbolic links, devices, named pipes.

//go:build capos

package syscall

import "sync"

// tree is the one file tree of the process.
var tree struct {
	sync.Mutex // guards everything reachable from root, and cwd
	root       *node
	cwd        *node
	inodes     uint64 // given out so far
	boot       bootImage
	writable   []string // path prefixes under which the boot image may be changed
	exported   []string // path prefixes whose files go to the host
}

// A node is a file of any type. Only the pointer of its type is set.
type node struct {
	ino   uint64
	mode  uint32 // S_IF type and permissions
	links uint32
	opens uint32 // openings of a regular file
	fixed bool   // of the boot image and not to be changed
	added bool   // counted by fileMemory
	seals uint8  // S_IFREG of memfd_create: what is forbidden

	source uint64 // index in the boot image plus 1; 0: not of it

	accessed, modified, changed int64 // ns since 1970

	content *content   // S_IFREG
	text    *textFile  // S_IFREG that the runtime writes to
	dir     *directory // S_IFDIR
	target  string     // S_IFLNK; what the link of a file of memfd_create says
	device  device     // S_IFCHR
	pipe    *pipe      // S_IFIFO
	socket  *socket    // S_IFSOCK

	made       func() string // S_IFREG: makes its text for each opening
	descriptor int           // and one: a link of /proc/self/fd, or what such a link leads to
}

func newNode(mode uint32) *node {
	tree.inodes++
	now := nowNs()
	n := &node{ino: tree.inodes, mode: mode, links: 1, accessed: now, modified: now,
		changed: now}
	switch mode & S_IFMT {
	case S_IFREG:
		n.content = new(content)
	case S_IFDIR:
		n.dir = new(directory)
		n.links = 2
	case S_IFIFO:
		n.pipe = newPipe()
	}
	return n
}

// addNode makes a node for the program, if there may be another.
func addNode(mode uint32) (*node, Errno) {
	if !allowNode() {
		return nil, ENOSPC
	}
	n := newNode(mode)
	n.added = true
	return n, 0
}

// dropIfUnused frees the memory of a node that has neither a name nor an opening.
func (n *node) dropIfUnused() {
	if n.links != 0 || n.opens != 0 {
		return
	}
	n.tellGone()
	if n.content != nil {
		n.content.truncate(0)
	}
	if n.added {
		n.added = false
		fileMemory.nodes--
	}
}

func (n *node) isDir() bool  { return n.dir != nil }
func (n *node) isLink() bool { return n.mode&S_IFMT == S_IFLNK }

// Permissions wanted of a node, as the low three bits of a mode.
const (
	mayExecute = 1 << iota
	mayWrite
	mayRead
)

// allows reports whether the owner, the only user here, has all of the permissions.
func (n *node) allows(wanted uint32) bool { return n.mode>>6&wanted == wanted }

func (n *node) touch() {
	n.modified = nowNs()
	n.changed = n.modified
}

func (n *node) size() int64 {
	switch {
	case n.content != nil:
		return n.content.size
	case n.isLink():
		return int64(len(n.target))
	case n.isDir():
		return int64(len(n.dir.index)) * 64
	}
	return 0
}

func (n *node) stat(st *Stat_t) {
	if n.isDir() {
		n.loaded() // size and links count its entries, also when it was never read
	}
	*st = Stat_t{
		Dev: 1, Ino: n.ino, Nlink: uint64(
			n.links), Mode: n.mode, Uid: ownerUid, Gid: ownerGid,
		Rdev: uint64(n.device), Size: n.size(), Blksize: abiPageSize,
		Atim: NsecToTimespec(n.accessed), Mtim: NsecToTimespec(
			n.modified), Ctim: NsecToTimespec(n.changed),
	}
	if st.Blocks = (st.Size + 511) / 512; n.content != nil {
		st.Blocks = (n.content.stored() + 511) / 512
	}
}

// ---- directories
// ------------------------------------------------------------------------------------------

// A directory keeps its entries in the order in which they were made. Each has a cookie that never
// changes. A reader that stopped in the middle goes on after the cookie it read last, whatever
// changed meanwhile.
type directory struct {
	parent  *node // nil once removed; the root's is the root
	name    string
	entries []entry // ascending cookies; a removed entry has no node
	index   map[string]int
	cookies int64

	pending bootRange   // entries of the boot image that are not here yet
	refresh func(*node) // brings the entries up to date before each use
}

type entry struct {
	name   string
	node   *node
	cookie int64
}

// lookup returns the entry's node, or nil.
func (n *node) lookup(name string) *node {
	d := n.loaded()
	if i, ok := d.index[name]; ok {
		return d.entries[i].node
	}
	return nil
}

// loaded returns the directory after taking its entries from the boot image when it is first
// used.
func (n *node) loaded() *directory {
	d := n.dir
	if d.pending.count != 0 {
		pending := d.pending
		d.pending = bootRange{}
		tree.boot.load(n, pending)
	}
	if d.refresh != nil {
		d.refresh(n)
	}
	return d
}

// add puts a node into the directory. The name must be free.
func (n *node) add(name string, child *node) {
	d := n.loaded()
	if d.index == nil {
		d.index = map[string]int{}
	}
	d.cookies++
	d.index[name] = len(d.entries)
	d.entries = append(d.entries, entry{name, child, d.cookies})
	if child.isDir() {
		child.dir.parent, child.dir.name = n, name
		n.links++
	}
}

// remove takes the entry out and leaves the node's link count to the caller.
func (n *node) remove(name string) {
	d := n.dir
	i := d.index[name]
	if d.entries[i].node.isDir() {
		n.links--
	}
	delete(d.index, name)
	d.entries[i].node = nil
	if len(d.entries) > 32 && len(d.index) < len(d.entries)/2 {
		d.compact()
	}
}

func (d *directory) compact() {
	kept := d.entries[:0]
	for _, e := range d.entries {
		if e.node != nil {
			d.index[e.name] = len(kept)
			kept = append(kept, e)
		}
	}
	clear(d.entries[len(kept):])
	d.entries = kept
}

// after returns the entries whose cookies are above the given one.
func (n *node) after(cookie int64) []entry {
	entries := n.loaded().entries
	low, high := 0, len(entries)
	for low < high {
		middle := int(uint(low+high) / 2)
		if entries[middle].cookie > cookie {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return entries[low:]
}

// path returns the absolute path of a directory, unless it was removed or its path is longer than
// one may be.
func (n *node) path() (string, Errno) {
	if n == tree.root {
		return "/", 0
	}
	size := 0
	for ancestor := n; ancestor != tree.root; ancestor = ancestor.dir.parent {
		if ancestor.dir.parent == nil {
			return "", ENOENT
		}
		if size += 1 + len(ancestor.dir.name); size >= pathMax {
			return "", ENAMETOOLONG
		}
	}
	text := make([]byte, size)
	for ancestor := n; ancestor != tree.root; ancestor = ancestor.dir.parent {
		size -= len(ancestor.dir.name)
		copy(text[size:], ancestor.dir.name)
		size--
		text[size] = '/'
	}
	return string(text), 0
}

// mayChange fails if entries of the directory cannot be made and removed.
func (n *node) mayChange() Errno {
	switch {
	case n.dir.parent == nil:
		return ENOENT
	case n.fixed:
		return EROFS
	case !n.allows(mayWrite | mayExecute):
		return EACCES
	}
	return 0
}
