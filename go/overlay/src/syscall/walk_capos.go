// Finding a node by path, with the rules of POSIX for symbolic links, "..", trailing slashes and
// search permission.

//go:build capos

package syscall

const linksMax = 40

// A place is where a path led: an entry of a directory that exists (node) or could (node nil).
type place struct {
	dir   *node
	name  string
	node  *node
	slash bool // the path ended in a slash, so it can only mean a directory
}

// special reports whether the last component cannot be made or removed.
func (p *place) special() bool { return p.name == "" || p.name == "." || p.name == ".." }

// walk follows a path from a directory. It follows a symbolic link at the end if the caller asks
// for that, or if a slash comes after it. It is no error if only the last component is missing. The
// tree must be locked.
func walk(dir *node, path string, follow bool) (place, Errno) {
	if path == "" {
		return place{}, ENOENT
	}
	if len(path) >= pathMax {
		return place{}, ENAMETOOLONG
	}
	if path[0] == '/' {
		dir = tree.root
	}
	for links := 0; ; {
		path = trimSlashes(path)
		if path == "" {
			return place{dir: dir, node: dir, slash: true}, 0
		}
		name, rest := cutName(path)
		last := trimSlashes(rest) == ""
		next, err := step(dir, name)
		if err != 0 {
			return place{}, err
		}
		slash := last && rest != ""
		if next != nil && next.descriptor != 0 && (!last || follow || slash) {
			next = next.opened()
		}
		found := place{dir: dir, name: name, node: next, slash: slash}
		switch {
		case next == nil && last:
			return found, 0
		case next == nil:
			return place{}, ENOENT
		case next.isLink() && (!last || follow || found.slash):
			if links++; links > linksMax {
				return place{}, ELOOP
			}
			if next.target == "" {
				return place{}, ENOENT
			}
			if path = next.target + rest; path[0] == '/' {
				dir = tree.root
			}
			continue
		case last && found.slash && !next.isDir():
			return place{}, ENOTDIR
		case last:
			return found, 0
		}
		dir, path = next, rest
	}
}

// step returns the entry of a directory, nil if there is none.
func step(dir *node, name string) (*node, Errno) {
	switch {
	case !dir.isDir():
		return nil, ENOTDIR
	case !dir.allows(mayExecute):
		return nil, EACCES
	case len(name) > nameMax:
		return nil, ENAMETOOLONG
	case name == ".":
		return dir, 0
	case name != "..":
		return dir.lookup(name), 0
	case dir.dir.parent == nil:
		return nil, ENOENT
	}
	return dir.dir.parent, 0
}

func trimSlashes(path string) string {
	for len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	return path
}

// cutName splits the first component off. The rest begins with a slash or is empty.
func cutName(path string) (name, rest string) {
	i := 0
	for i < len(path) && path[i] != '/' {
		i++
	}
	if i == 0 && len(path) > 0 {
		return "", path[1:]
	}
	return path[:i], path[i:]
}

// startOf returns the directory from which a path relative to a descriptor starts.
func startOf(dirfd int, path string) (*node, Errno) {
	if dirfd == AT_FDCWD || len(path) > 0 && path[0] == '/' {
		return tree.cwd, 0
	}
	d, _ := entryOf(dirfd) // the tree is locked, so it may not take the writes of the runtime
	if d == nil {
		return nil, EBADF
	}
	n := d.file.treeNode()
	if n == nil || !n.isDir() {
		return nil, ENOTDIR
	}
	return n, 0
}

// walkAt combines the two. It fails for a path with a NUL, which a string may hold and a path may
// not.
func walkAt(dirfd int, path string, follow bool) (place, Errno) {
	for i := 0; i < len(path); i++ {
		if path[i] == 0 {
			return place{}, EINVAL
		}
	}
	dir, err := startOf(dirfd, path)
	if err != 0 {
		return place{}, err
	}
	return walk(dir, path, follow)
}

// walkExistingAt is walkAt for a path that must exist.
func walkExistingAt(dirfd int, path string, follow bool) (place, Errno) {
	p, err := walkAt(dirfd, path, follow)
	if err == 0 && p.node == nil {
		err = ENOENT
	}
	return p, err
}
