// Files that the host gets.
//
// The host gets the whole of a file below a prefix in $CAPOS_EXPORT when the file is closed, when
// it gets a name there, and when the program ends.

//go:build capos

package syscall

import (
	"internal/runtime/exithook"
	"unsafe"
)

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

// exportNow hands the whole file to the host if it was written since the last time. at.use is held.
func (f *treeFile) exportNow() Errno {
	if f.export == "" || !f.dirty || granted.host == 0 {
		return 0
	}
	f.dirty = false
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
