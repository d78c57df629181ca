// Package bootimage builds boot images: one file with the programs a machine runs and the
// read-only tree they see.
//
// A Tree is collected first, in memory and without reading file contents; Write then lays
// everything out and copies each file's bytes once, page-aligned, so that the kernel can map them
// where they lie. Layouts are those of abi/schema/boot.capnp (BootImageHeader, BootProgram,
// BootFile).
package bootimage

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

// File type bits of BootFile.Mode; the low nine bits are permissions.
const (
	ModeDir     = 0o040000
	ModeRegular = 0o100000
	ModeLink    = 0o120000
)

// node is one entry of the tree. Exactly one of children, source, data is meaningful, by mode.
type node struct {
	name     string
	mode     uint32
	mtime    time.Time
	children map[string]*node
	source   string // host file whose bytes this is; empty: data
	size     int64  // of source
	data     []byte // contents, or a link's target
	origin   string // what it is a copy of on the host, if it is one

	// Set while laying out.
	dataOffset uint64
	nameOffset uint64
}

// Tree is the file tree of a boot image. Paths are absolute, slash-separated and cleaned by every
// method.
type Tree struct {
	root *node

	// arranging is held while an image is laid out, because its places are kept in the nodes
	// until its records have them.
	arranging sync.Mutex

	// Input is what the host says to the machine, as messages of the host channel; nil: it says
	// it while the machine runs.
	Input []byte

	// Date, when it is not zero, is the time of all files, so that a package depends on what
	// they hold and not on when they were written.
	Date time.Time

	// LeftOut, when it is not nil, is told of each FIFO, socket or device that AddHostTree
	// leaves out.
	LeftOut func(host, kind string)
}

// NewTree gives a tree with nothing but its root directory.
func NewTree() *Tree {
	return &Tree{root: newDir("", 0o755, time.Time{})}
}

func newDir(name string, perm uint32, mtime time.Time) *node {
	return &node{name: name, mode: ModeDir | perm, mtime: mtime, children: map[string]*node{}}
}

func (n *node) isDir() bool { return n.children != nil }

// bytes is the length of what follows at dataOffset.
func (n *node) bytes() int64 {
	if n.source != "" {
		return n.size
	}
	return int64(len(n.data))
}

// place puts n at the absolute path p, making missing parents. An entry already there is replaced,
// except that a directory keeps its children and takes only the new attributes.
func (t *Tree) place(p string, n *node) error {
	p = path.Clean("/" + p)
	if strings.ContainsRune(p, 0) {
		return fmt.Errorf("file name with a zero byte: %q", p)
	}
	if p == "/" {
		if !n.isDir() {
			return fmt.Errorf("the root of the tree must be a directory")
		}
		t.root.mode, t.root.mtime, t.root.origin = n.mode, n.mtime, n.origin
		return nil
	}
	dir, name := path.Split(p)
	parent, err := t.makeDirs(dir)
	if err != nil {
		return err
	}
	n.name = name
	if old := parent.children[name]; old != nil && old.isDir() {
		if !n.isDir() {
			return fmt.Errorf("%s is a directory and a file at once", p)
		}
		old.mode, old.mtime, old.origin = n.mode, n.mtime, n.origin
		return nil
	}
	parent.children[name] = n
	return nil
}

func (t *Tree) makeDirs(p string) (*node, error) {
	dir := t.root
	for _, name := range strings.Split(p, "/") {
		if name == "" {
			continue
		}
		next := dir.children[name]
		if next == nil {
			next = newDir(name, 0o755, time.Time{})
			dir.children[name] = next
		}
		if !next.isDir() {
			return nil, fmt.Errorf("%s: %s is not a directory", p, name)
		}
		dir = next
	}
	return dir, nil
}

// lookup gives the node at an absolute path, nil when there is none. Links are not followed.
func (t *Tree) lookup(p string) *node {
	found := t.root
	for _, name := range strings.Split(path.Clean("/"+p), "/") {
		if name == "" {
			continue
		}
		if found = found.children[name]; found == nil {
			return nil
		}
	}
	return found
}

// Origin gives the name on the host of what p is a copy of: a file, a link or a directory, as
// AddHostTree or AddHostFile found it. It is empty for what is not there or came from elsewhere.
func (t *Tree) Origin(p string) string {
	if n := t.lookup(p); n != nil {
		return n.origin
	}
	return ""
}

// AddDir makes a directory and its parents; one that exists is left as it is.
func (t *Tree) AddDir(p string) error {
	_, err := t.makeDirs(path.Clean("/" + p))
	return err
}

// AddData makes a file with the given contents.
func (t *Tree) AddData(p string, data []byte, perm uint32, mtime time.Time) error {
	return t.place(p, &node{mode: ModeRegular | perm&0o777, mtime: mtime, data: data})
}

// AddHostFile makes p a copy of one host file; symbolic links on the host are followed.
func (t *Tree) AddHostFile(host, p string) error {
	info, err := os.Stat(host)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", host)
	}
	return t.place(p, hostFile(host, info))
}

func hostFile(host string, info fs.FileInfo) *node {
	return &node{mode: ModeRegular | uint32(info.Mode().Perm()), mtime: info.ModTime(),
		source: host, size: info.Size(), origin: host}
}

func copiedDir(host string, info fs.FileInfo) *node {
	dir := newDir("", uint32(info.Mode().Perm()), info.ModTime())
	dir.origin = host
	return dir
}

// AddHostTree makes p a copy of a host file or, recursively, of a host directory. Links stay links;
// devices, sockets and version control directories are left out. skip, when given, is asked about
// each entry below the top.
func (t *Tree) AddHostTree(host, p string, skip func(rel string, d fs.DirEntry) bool) error {
	if info, err := os.Stat(host); err != nil {
		return err
	} else if !info.IsDir() {
		return t.AddHostFile(host, p)
	}
	return filepath.WalkDir(host, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, file)
		if err != nil {
			return err
		}
		if rel != "." && (d.IsDir() && isVersionControl(d.Name()) || skip != nil &&
			skip(rel, d)) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return t.addEntry(file, path.Join(p, filepath.ToSlash(rel)), d, rel == ".")
	})
}

func isVersionControl(name string) bool { return name == ".git" || name == ".hg" || name == ".svn" }

func (t *Tree) addEntry(host, p string, d fs.DirEntry, top bool) error {
	if top {
		info, err := os.Stat(host) // the top may be reached through a link
		if err != nil {
			return err
		}
		return t.place(p, copiedDir(host, info))
	}
	info, err := d.Info()
	if err != nil {
		if os.IsNotExist(err) {
			return nil // vanished between listing and looking: a build's temporary file
		}
		return err
	}
	switch {
	case info.IsDir():
		return t.place(p, copiedDir(host, info))
	case info.Mode().IsRegular():
		return t.place(p, hostFile(host, info))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(host)
		if err != nil {
			return err
		}
		return t.place(p, &node{mode: ModeLink | 0o777, mtime: info.ModTime(),
			data: []byte(target), origin: host})
	}
	if t.LeftOut != nil {
		t.LeftOut(host, specialKind(info.Mode()))
	}
	return nil
}

// specialKind names what is no file, directory or link.
func specialKind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// sorted lists a directory's children in the order the image needs: by name, bytewise.
func (n *node) sorted() []*node {
	list := make([]*node, 0, len(n.children))
	for _, child := range n.children {
		list = append(list, child)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
}
