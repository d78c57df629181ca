// Files that the host gets.
//
// The host gets the whole of a file below a prefix in $CAPOS_EXPORT when the file is closed, when
// it gets a name there, and when the program ends. It is told when such a name goes. What it is
// told is always what the tree was like at a moment while exporting was held.

//go:build capos

package syscall

import (
	"internal/runtime/exithook"
	"sync"
	"unsafe"
)

// exporting is held from a look at the tree until the host was told what it showed. So of a file
// that is removed and made anew, or renamed while it is closed, the host is told in that order.
var exporting sync.Mutex

// exportAs notes the path under which the host is to get the file, if it is below an exported
// prefix.
func (f *treeFile) exportAs(p place) {
	if len(tree.exported) == 0 || granted.host == 0 {
		return
	}
	dir, err := p.dir.path()
	if path := join(dir, p.name); err == 0 && isListed(path, tree.exported) {
		f.export = path
		exportAtExit()
	}
}

// exportNow hands the whole file to the host if it was written since the last time, and has its
// name still. at.use is held.
func (f *treeFile) exportNow() Errno {
	if f.export == "" || !f.dirty || granted.host == 0 {
		return 0
	}
	f.dirty = false
	exporting.Lock()
	defer exporting.Unlock()
	if nodeAt(f.export) != f.node {
		return 0
	}
	buf := make([]byte, chunkSize)
	for offset := int64(0); ; {
		lockTree()
		n := f.node.content.readAt(buf, offset)
		f.node.fromMappings(buf[:n], offset)
		tree.Unlock()
		if n == 0 && offset != 0 {
			return 0
		}
		if err := writeToHost(f.export[1:], buf[:n], offset); err != 0 {
			return err
		}
		offset += int64(n)
		if n < len(buf) {
			return 0
		}
	}
}

// writeToHost writes a piece, at most chunkSize bytes, of a file on the host. At offset 0 the file
// begins anew.
func writeToHost(name string, p []byte, offset int64) Errno {
	answer := callBlocking(granted.host, abiHostShareWrite,
		uintptr(unsafe.Pointer(unsafe.StringData(name))), uintptr(len(name)),
		uintptr(offset), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return errnoOf(failure(answer))
}

// Files that are open when the program ends go to the host then.
var exportAtExit = func() (add func()) {
	added := false
	return func() {
		if !added {
			added = true
			exithook.Add(exithook.Hook{F: exportOpenFiles, RunOnFailure: true})
		}
	}
}()

func exportOpenFiles() {
	if runtime_hasWrites() {
		takeRuntimeWrites()
	}
	writeBackMappings()
	for _, f := range openTreeFiles(0) {
		if f.position.use.TryLock() {
			f.exportNow()
			f.position.use.Unlock()
		}
	}
}

// openTreeFiles returns the open files of the tree whose access mode is at least that.
func openTreeFiles(access int) (files []*treeFile) {
	descriptors.RLock()
	defer descriptors.RUnlock()
	for _, entry := range descriptors.table {
		d := entry.description
		if d == nil || d.flags&O_ACCMODE < access {
			continue
		}
		if f, ok := d.file.(*treeFile); ok {
			files = append(files, f)
		}
	}
	return files
}

// exported returns the files that the host is to get of an entry that was moved or linked to the
// place, which are the file itself or those below it.
func (p *place) exported() []*treeFile {
	if len(tree.exported) == 0 || granted.host == 0 {
		return nil
	}
	dir, err := p.dir.path()
	if err != 0 {
		return nil
	}
	exportAtExit()
	return p.node.exportedBelow(join(dir, p.name), nil)
}

// exportedAt is that for a path that may lead through links.
func exportedAt(path string) []*treeFile {
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(AT_FDCWD, path, true)
	if err != 0 {
		return nil
	}
	return p.exported()
}

func (n *node) exportedBelow(path string, found []*treeFile) []*treeFile {
	switch {
	case n.content != nil && isListed(path, tree.exported):
		n.opens++ // until exportAll has done with it
		found = append(found, &treeFile{node: n, export: path, dirty: true})
	case n.isDir():
		for _, e := range n.loaded().entries {
			if e.node != nil {
				found = e.node.exportedBelow(join(path, e.name), found)
			}
		}
	}
	return found
}

// exportAll hands files to the host that got their names just now, and closes them. An opening for
// writing goes on under that name.
func exportAll(files []*treeFile) (first Errno) {
	for _, named := range files {
		for _, f := range openTreeFiles(O_WRONLY) {
			if f.node == named.node {
				f.position.use.Lock()
				f.export = named.export
				f.position.use.Unlock()
				republishText(f)
			}
		}
		if first != 0 {
			named.dirty = false
		}
		if err := named.close(0); first == 0 {
			first = err
		}
	}
	return first
}

// ---- names that go
// ------------------------------------------------------------------------------------------

// hostNameMax is the most that HostShare takes.
const hostNameMax = 255

// nodeAt returns what has that path, which leads through no link. It is nil if nothing has.
func nodeAt(path string) *node {
	lockTree()
	defer tree.Unlock()
	n := tree.root
	for path = trimSlashes(path); path != "" && n != nil; path = trimSlashes(path) {
		var name string
		name, path = cutName(path)
		if !n.isDir() {
			return nil
		}
		n = n.lookup(name)
	}
	return n
}

// exportedPath is the path of a place if the host may have a file of that name, or nothing.
func (p *place) exportedPath() (paths []string) {
	if len(tree.exported) == 0 || granted.host == 0 {
		return nil
	}
	if dir, err := p.dir.path(); err == 0 && isListed(join(dir, p.name), tree.exported) {
		paths = append(paths, join(dir, p.name))
	}
	return paths
}

// exportedPaths are the paths that what has moved from a place, and what is below it, had on the
// host. Those in a directory come before its own. Links are not among them, because the host does
// not get them at the new place.
func (p *place) exportedPaths() []string {
	dir, err := p.dir.path()
	if err != 0 || len(tree.exported) == 0 || granted.host == 0 {
		return nil
	}
	return p.node.pathsBelow(join(dir, p.name), nil)
}

func (n *node) pathsBelow(path string, found []string) []string {
	if n.isDir() {
		for _, e := range n.loaded().entries {
			if e.node != nil {
				found = e.node.pathsBelow(join(path, e.name), found)
			}
		}
	}
	if (n.isDir() || n.content != nil) && isListed(path, tree.exported) {
		found = append(found, path)
	}
	return found
}

// removeExported tells the host of paths that lead to no file any more.
func removeExported(paths []string) (first Errno) {
	for _, path := range paths {
		exporting.Lock()
		n := nodeAt(path)
		if n == nil || !n.isDir() && n.content == nil {
			if err := removeFromHost(path[1:]); first == 0 {
				first = err
			}
		}
		exporting.Unlock()
	}
	if paths != nil {
		republishTexts()
	}
	return first
}

// removeFromHost does nothing for a name that is too long for the host ever to have got the file.
func removeFromHost(name string) Errno {
	if len(name) > hostNameMax {
		return 0
	}
	answer := callBlocking(granted.host, abiHostShareRemove,
		uintptr(unsafe.Pointer(unsafe.StringData(name))), uintptr(len(name)), 0, 0, 0)
	return errnoOf(failure(answer))
}
