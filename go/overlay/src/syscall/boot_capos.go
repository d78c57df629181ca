// The file tree at the start: the boot image and the directories that memory adds to it.
//
// The image is mapped into the address space and read in place. A directory's entries become nodes
// when it is first read. Files can be changed only below the directories for temporary files
// ($TMPDIR, $GOTMPDIR, /tmp), $HOME and the prefixes in $CAPOS_WRITABLE, and a change stays in
// memory. /tmp, /dev and the current directory always exist.

//go:build capos

package syscall

import (
	"sync"
	"unsafe"
)

// bootImage is the image as mapped; nil without one.
type bootImage struct {
	bytes []byte
	files []abiBootFile
}

// bootRange names consecutive files of the image: the children of a directory.
type bootRange struct{ first, count uint64 }

// mapBootImage returns the image the process was given, after checking that its tables lie
// within it.
func mapBootImage() (b bootImage) {
	if granted.boot == 0 {
		return b
	}
	address := call(granted.boot, abiBootImageMap, 0, 0, 0, 0, 0)
	if failure(address) != 0 {
		return b
	}
	header := (*abiBootImageHeader)(unsafe.Pointer(address))
	if header.magic != abiBootImageMagic || header.fileCount == 0 ||
		header.filesOffset > header.totalSize ||
		header.fileCount > (header.totalSize-header.filesOffset)/uint64(
			unsafe.Sizeof(abiBootFile{})) {
		return b
	}
	b.bytes = unsafe.Slice((*byte)(unsafe.Pointer(address)), header.totalSize)
	b.files = unsafe.Slice((*abiBootFile)(unsafe.Pointer(address+uintptr(header.filesOffset))),
		header.fileCount)
	return b
}

// part returns bytes of the image, or none when they are not inside it.
func (b *bootImage) part(offset, size uint64) []byte {
	if offset > uint64(len(b.bytes)) || size > uint64(len(b.bytes))-offset {
		return nil
	}
	return b.bytes[offset : offset+size : offset+size]
}

// load makes the nodes of a directory's entries. The image's strings need no copy, because it stays
// mapped.
func (b *bootImage) load(parent *node, r bootRange) {
	if r.first > uint64(len(b.files)) || r.count > uint64(len(b.files))-r.first {
		return
	}
	path, _ := parent.path()
	for i := range b.files[r.first : r.first+r.count] {
		file := &b.files[r.first+uint64(i)]
		name := b.part(file.nameOffset, uint64(file.nameSize))
		if len(name) == 0 {
			continue
		}
		text := unsafe.String(&name[0], len(name))
		child := b.makeNode(file)
		child.source = r.first + uint64(i) + 1
		child.fixed = parent.fixed && !(child.isDir() && isListed(join(path, text),
			tree.writable))
		parent.add(text, child)
	}
}

func (b *bootImage) makeNode(file *abiBootFile) *node {
	n := newNode(file.mode & (S_IFMT | 0o7777))
	n.accessed, n.modified, n.changed = file.mtimeNs, file.mtimeNs, file.mtimeNs
	switch file.mode & S_IFMT {
	case S_IFDIR:
		n.dir.pending = bootRange{file.dataOffset, file.size}
	case S_IFREG:
		n.content.backing = b.part(file.dataOffset, file.size)
		n.content.size = int64(len(n.content.backing))
	case S_IFLNK:
		n.target = string(b.part(file.dataOffset, file.size))
	}
	return n
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// isListed reports whether the path is one of the prefixes or below one.
func isListed(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if len(path) >= len(prefix) && path[:len(prefix)] == prefix &&
			(len(path) == len(prefix) || path[len(prefix)] == '/' || prefix == "/") {
			return true
		}
	}
	return false
}

// startEnvironment looks a variable up in the environment with which the program was started. Later
// changes do not count.
func startEnvironment(name string) string {
	for _, variable := range runtime_envs() {
		if len(variable) > len(name) && variable[:len(name)] == name &&
			variable[len(name)] == '=' {
			return variable[len(name)+1:]
		}
	}
	return ""
}

// splitPrefixes splits a list of absolute directories at colons, without trailing slashes.
func splitPrefixes(list string) (prefixes []string) {
	for len(list) > 0 {
		end := 0
		for end < len(list) && list[end] != ':' {
			end++
		}
		prefix := list[:end]
		list = list[min(end+1, len(list)):]
		for len(prefix) > 1 && prefix[len(prefix)-1] == '/' {
			prefix = prefix[:len(prefix)-1]
		}
		if len(prefix) > 0 && prefix[0] == '/' {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

// lockTree locks the tree and builds it at first use, because most programs never open a file.
func lockTree() {
	buildTree()
	tree.Lock()
}

var buildTree = sync.OnceFunc(func() {
	tree.Lock()
	defer tree.Unlock()
	tree.boot = mapBootImage()
	tree.writable = []string{"/tmp", "/dev"}
	for _, name := range [...]string{"TMPDIR", "GOTMPDIR", "HOME", "CAPOS_WRITABLE"} {
		tree.writable = append(tree.writable, splitPrefixes(startEnvironment(name))...)
	}
	tree.writable = append(tree.writable, start.writable...)
	tree.exported = splitPrefixes(startEnvironment("CAPOS_EXPORT"))
	if len(tree.boot.files) != 0 && tree.boot.files[0].mode&S_IFMT == S_IFDIR {
		tree.root = tree.boot.makeNode(&tree.boot.files[0])
		tree.root.source = 1
	} else {
		tree.root = newNode(S_IFDIR | 0o755)
	}
	tree.root.dir.parent = tree.root
	tree.root.fixed = !isListed("/", tree.writable)
	for _, prefix := range tree.writable {
		makePath(prefix).fixed = false
	}
	tree.root.lookup("tmp").mode |= 0o777 | S_ISVTX
	addDevices(tree.root.lookup("dev"))
	addProcess(tree.root.lookup("dev"))
	addDatabases()
	useSnapshot()
	tree.cwd = startDirectory()
})

// startDirectory is $PWD for a program of the boot image, and for another one what its starter
// says. A directory that the starter has in its memory is empty here.
func startDirectory() *node {
	if start.told {
		return makePath(start.directory)
	}
	p, err := walk(tree.root, startEnvironment("PWD"), true)
	if err == 0 && p.node != nil && p.node.isDir() {
		return p.node
	}
	return tree.root
}

// makePath returns the directory at an absolute path and makes those that the boot image lacks. It
// does not follow symbolic links, and it replaces files in the way, because the starter of the
// program chose these paths.
func makePath(path string) *node {
	dir, sofar := tree.root, "/"
	for len(path) > 0 {
		var name string
		name, path = cutName(path)
		if name == "" || name == "." || name == ".." {
			continue
		}
		sofar = join(sofar, name)
		next := dir.lookup(name)
		if next == nil || !next.isDir() {
			if next != nil {
				dir.remove(name)
			}
			next = newNode(S_IFDIR | 0o755)
			next.fixed = !isListed(sofar, tree.writable)
			dir.add(name, next)
		}
		dir = next
	}
	return dir
}

// addDatabases adds the files in which programs look up users and the names of the machine, where
// the image has none. They agree with the answers of this package.
func addDatabases() {
	etc := makePath("/etc")
	for name, text := range map[string]string{
		"passwd": "capos:x:1000:1000:capos:/:/\n",
		"group":  "capos:x:1000:\n",
		"hosts":  "127.0.0.1 localhost capos\n::1 localhost\n",
	} {
		if etc.lookup(name) == nil {
			n := newNode(S_IFREG | 0o644)
			n.content.backing, n.content.size, n.fixed = []byte(text), int64(
				len(text)), true
			etc.add(name, n)
		}
	}
}
