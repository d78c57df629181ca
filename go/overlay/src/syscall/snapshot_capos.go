// What a child sees of the files that its parent has in memory: a copy, as they are when it starts.
//
// A snapshot lists how the tree differs from the boot image. The list and the bytes of the files
// are in one MemoryObject, which the child maps. It reads the bytes in place, as it does those of
// the boot image. Devices, named pipes and sockets are not in it.

//go:build capos

package syscall

import "unsafe"

const snapshotGrant = "files"

// An entry of the list is its kind, the metadata of the node, its path and what the kind needs.
const (
	snapshotRemoved   = 'r'
	snapshotDirectory = 'd'
	snapshotFile      = 'f' // size, number of extents, each with offset, length and place
	snapshotLink      = 'l' // target
	snapshotSame      = 's' // path of an earlier entry, which is another name of the node
)

type snapshot struct {
	list   []byte
	pieces []snapshotPiece
	size   int64 // of all pieces
	names  map[*node]string
}

// A snapshotPiece is bytes of a file that the child is to get.
type snapshotPiece struct {
	content        *content
	offset, length int64
}

// ---- in the parent
// ------------------------------------------------------------------------------------------

// snapshotFiles gives the child what the tree has that the boot image has not. The tree is locked.
func (s *starting) snapshotFiles() Errno {
	writeBackShared()
	shot := snapshot{names: map[*node]string{}}
	shot.directory(tree.root, "/", false)
	if len(shot.list) == 0 {
		return 0
	}
	listed := int64(len(shot.list)+7) &^ 7
	object, err := makeObject(listed+shot.size, func(into []byte) {
		into = into[copy(into, shot.list):]
		into = into[listed-int64(len(shot.list)):]
		for _, piece := range shot.pieces {
			piece.content.readAt(into[:piece.length], piece.offset)
			into = into[piece.length:]
		}
	})
	if err != 0 {
		return err
	}
	s.theirs = append(s.theirs, object)
	s.grant(snapshotGrant, object)
	s.recordNumber("FILES", len(shot.list))
	return 0
}

// makeObject returns a MemoryObject with contents.
func makeObject(length int64, fill func(into []byte)) (capability, Errno) {
	answer := call(granted.memoryAllocator, abiMemoryAllocatorCreate, uintptr(length), 0, 0, 0,
		0)
	if number := failure(answer); number != 0 {
		return 0, errnoOf(number)
	}
	object := capability(answer)
	size := (uintptr(length) + abiPageSize - 1) &^ (abiPageSize - 1)
	address := call(object, abiMemoryObjectMap, 0, 0, size, abiProtRead|abiProtWrite, 0)
	if number := failure(address); number != 0 {
		runtime_release(object)
		return 0, errnoOf(number)
	}
	fill(unsafe.Slice((*byte)(unsafe.Pointer(address)), length))
	call(object, abiMemoryObjectUnmap, address, size, 0, 0, 0)
	return object, 0
}

// directory lists what differs below a directory. Everything does if it was moved.
func (s *snapshot) directory(n *node, path string, moved bool) {
	if !moved && n.dir.pending.count != 0 || n.dir.refresh != nil {
		return // was never read, or is made by the child as well
	}
	d := n.loaded()
	own := tree.boot.children(n)
	if !moved {
		for i := range own.count {
			name := tree.boot.nameOf(own.first + i)
			if there := n.lookup(name); there == nil ||
				there.source != own.first+i+1 {
				s.entry(snapshotRemoved, n, join(path, name))
			}
		}
	}
	for _, e := range d.entries {
		if e.node == nil {
			continue
		}
		index := e.node.source - 1
		inPlace := !moved && e.node.source != 0 && index-own.first < own.count &&
			tree.boot.nameOf(index) == e.name
		s.node(e.node, join(path, e.name), inPlace)
	}
}

// node lists a node, which is in its place of the boot image or not.
func (s *snapshot) node(n *node, path string, inPlace bool) {
	changed := !inPlace || n.changed != tree.boot.files[n.source-1].mtimeNs
	made := n.added || n.source != 0 // not by buildTree, which the child has too
	switch {
	case n.isDir():
		if changed && made {
			s.entry(snapshotDirectory, n, path)
		}
		s.directory(n, path, !inPlace && n.source != 0)
	case !changed || !made:
	case n.isLink():
		s.entry(snapshotLink, n, path)
		s.text(n.target)
	case n.content != nil && s.names[n] != "":
		s.entry(snapshotSame, n, path)
		s.text(s.names[n])
	case n.content != nil:
		s.names[n] = path
		s.entry(snapshotFile, n, path)
		s.file(n.content)
	}
}

func (s *snapshot) entry(kind byte, n *node, path string) {
	s.list = append(s.list, kind)
	s.number(int64(n.mode))
	s.number(n.accessed)
	s.number(n.modified)
	s.number(n.changed)
	s.text(path)
}

func (s *snapshot) file(c *content) {
	var extents []snapshotPiece
	for at := c.nextData(0); at < c.size; {
		end := c.nextHole(at)
		extents = append(extents, snapshotPiece{c, at, end - at})
		at = c.nextData(end)
	}
	s.number(c.size)
	s.number(int64(len(extents)))
	for _, e := range extents {
		s.number(e.offset)
		s.number(e.length)
		s.number(s.size)
		s.size += e.length
	}
	s.pieces = append(s.pieces, extents...)
}

func (s *snapshot) number(n int64) {
	var b [8]byte
	putInt(b[:], uint64(n), len(b))
	s.list = append(s.list, b[:]...)
}

func (s *snapshot) text(text string) {
	s.number(int64(len(text)))
	s.list = append(s.list, text...)
}

// children returns where the entries of a directory are in the image, none if it is not of it.
func (b *bootImage) children(n *node) (r bootRange) {
	if n.source != 0 {
		file := &b.files[n.source-1]
		r = bootRange{file.dataOffset, file.size}
	}
	if r.first > uint64(len(b.files)) || r.count > uint64(len(b.files))-r.first {
		return bootRange{}
	}
	return r
}

func (b *bootImage) nameOf(index uint64) string {
	file := &b.files[index]
	return string(b.part(file.nameOffset, uint64(file.nameSize)))
}

// ---- in the child
// ------------------------------------------------------------------------------------------

// A snapshotReader takes the list apart. The parent wrote it, and what this process may do does not
// depend on it, so it is not checked.
type snapshotReader struct {
	list, data []byte
}

// useSnapshot makes the tree like that of the parent. The tree is locked.
func useSnapshot() {
	if start.filesList == 0 {
		return
	}
	object := capability(Capability(snapshotGrant))
	pages := call(object, abiMemoryObjectInfo, 0, 0, 0, 0, 0)
	if failure(pages) != 0 {
		return
	}
	size := pages * abiPageSize
	address := call(object, abiMemoryObjectMap, 0, 0, size, abiProtRead, 0)
	if failure(address) != 0 {
		return
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(address)), size)
	r := snapshotReader{bytes[:start.filesList], bytes[(start.filesList+7)&^7:]}
	for len(r.list) > 0 {
		r.use()
	}
}

// use makes one entry.
func (r *snapshotReader) use() {
	kind := r.list[0]
	r.list = r.list[1:]
	mode := uint32(r.number())
	accessed, modified, changed := r.number(), r.number(), r.number()
	path := r.text()
	dir, name := splitPath(path)
	parent := makePath(dir)
	n := parent.lookup(name)
	if n != nil && !(kind == snapshotDirectory && n.isDir()) {
		parent.remove(name)
		n = nil
	}
	switch kind {
	case snapshotRemoved:
		return
	case snapshotSame:
		inDir, in := splitPath(r.text())
		n = makePath(inDir).lookup(in)
		n.links++
		parent.add(name, n)
		return
	}
	if n == nil {
		n = newNode(mode)
		n.added = true
		fileMemory.nodes++
		parent.add(name, n)
	}
	n.fixed = !isListed(path, tree.writable)
	n.mode, n.accessed, n.modified, n.changed = mode, accessed, modified, changed
	switch kind {
	case snapshotLink:
		n.target = r.text()
	case snapshotFile:
		r.file(n.content)
	}
}

// file takes the first bytes where they are, and copies those behind holes.
func (r *snapshotReader) file(c *content) {
	size, extents := r.number(), r.number()
	for range extents {
		offset, length, place := r.number(), r.number(), r.number()
		bytes := r.data[place : place+length]
		if offset == 0 {
			c.backing = bytes[:length:length]
			c.size = length
		} else {
			c.writeAt(bytes, offset)
		}
	}
	c.size = size
}

func (r *snapshotReader) number() (n int64) {
	for i := range 8 {
		n |= int64(r.list[i]) << (8 * i)
	}
	r.list = r.list[8:]
	return n
}

func (r *snapshotReader) text() string {
	size := r.number()
	text := string(r.list[:size])
	r.list = r.list[size:]
	return text
}

func splitPath(path string) (dir, name string) {
	i := len(path) - 1
	for path[i] != '/' {
		i--
	}
	return path[:i], path[i+1:]
}
