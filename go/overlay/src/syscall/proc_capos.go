// The part of /proc that programs read, and the names of open files in /dev.
//
// Everything here tells of the process itself and is made, when it is looked at, of what the
// process holds. What else Linux has there is missing, because a program that finds nothing knows
// what to do. The texts that say nothing of single files are in proc_texts_capos.go.

//go:build capos

package syscall

import (
	"internal/strconv"
	"unsafe"
)

//go:linkname runtime_args os.runtime_args
func runtime_args() []string

// procIno numbers the links of descriptors. The tree's own numbers never get this high.
const procIno = 1 << 62

// addProcess adds /proc, whose entries are made at its first use, and what leads there from /dev.
func addProcess(dev *node) {
	if tree.root.lookup("proc") == nil {
		proc := newNode(S_IFDIR | 0o555)
		proc.fixed = true
		proc.dir.refresh = fillProc
		tree.root.add("proc", proc)
	}
	if tree.root.lookup("sys") == nil {
		sys := newNode(S_IFDIR | 0o555)
		sys.fixed = true
		sys.dir.refresh = fillControlGroup
		tree.root.add("sys", sys)
	}
	for name, target := range map[string]string{"stdin": "fd/0", "stdout": "fd/1",
		"stderr": "fd/2", "fd": "fd"} {
		if dev.lookup(name) == nil {
			dev.add(name, fixedLink("/proc/self/"+target))
		}
	}
}

func fixedLink(target string) *node {
	n := newNode(S_IFLNK | 0o777)
	n.target, n.fixed = target, true
	return n
}

// fillProc adds the entries of /proc. It is run once.
func fillProc(proc *node) {
	proc.dir.refresh = nil
	self := newNode(S_IFDIR | 0o555)
	files := newNode(S_IFDIR | 0o500)
	self.fixed, files.fixed = true, true
	files.dir.refresh = listDescriptors
	pid := strconv.Itoa(Getpid())
	proc.add("self", fixedLink(pid))
	proc.add(pid, self)
	proc.addMade("meminfo", memoryText)
	proc.addMade("stat", machineText)
	proc.addMade("uptime", uptimeText)
	self.add("exe", fixedLink(ownExecutable()))
	self.add("fd", files)
	self.addMade("cmdline", commandLine)
	self.addMade("stat", statusText)
	self.addMade("status", namedStatusText)
	self.addMade("comm", func() string { return programName() + "\n" })
	self.addMade("cgroup", func() string { return "0::/\n" })
	self.addMade("mountinfo", mountsText)
	self.addMade("limits", limitsText)
	self.addMade("maps", mapsText)
}

// addMade adds a file whose text is made at each opening. Like on Linux its size is said to be 0.
func (n *node) addMade(name string, text func() string) {
	made := newNode(S_IFREG | 0o444)
	made.made, made.fixed = text, true
	n.add(name, made)
}

// ownExecutable is the path of the program: what its starter says, or its first argument.
func ownExecutable() string {
	if start.executable != "" {
		return start.executable
	}
	if args := runtime_args(); len(args) > 0 {
		return args[0]
	}
	return ""
}

// programName is the last part of it, as short as a thread's name.
func programName() string {
	name := ownExecutable()
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			name = name[i+1:]
			break
		}
	}
	return name[:min(len(name), threadNameSize-1)]
}

func commandLine() (text string) {
	for _, arg := range runtime_args() {
		text += arg + "\x00"
	}
	return text
}

func memoryText() (text string) {
	usage := memoryUsage()
	for _, line := range [...]struct {
		name  string
		pages uint64
	}{{"MemTotal", usage.machinePages}, {"MemFree", usage.machineFreePages},
		{"MemAvailable", usage.machineFreePages}, {"Buffers", 0}, {"Cached", 0},
		{"SwapTotal", 0}, {"SwapFree", 0}} {
		kib := strconv.Itoa(int(line.pages * (abiPageSize / 1024)))
		text += line.name + ": " + kib + " kB\n"
	}
	return text
}

// statFields are how many /proc/self/stat has. Those that are not set below are 0.
const statFields = 52

// statusText is /proc/self/stat. Times are in hundredths of a second.
func statusText() string {
	const tick = 1e9 / 100
	info := processInfo()
	usage := memoryUsage()
	name := programName()
	fields := map[int]uint64{4: uint64(Getppid()), 5: uint64(Getpgrp()),
		14: info.cpuTimeNs / tick, 20: uint64(info.threads), 22: info.startedNs / tick,
		23: usage.reservedPages * abiPageSize, 24: usage.residentPages}
	text := strconv.Itoa(Getpid()) + " (" + name + ") R"
	for i := 4; i <= statFields; i++ {
		text += " " + strconv.FormatUint(fields[i], 10)
	}
	return text + "\n"
}

func processInfo() *abiProcessInfo {
	info := new(abiProcessInfo)
	call(granted.system, abiSystemInfoProcess, uintptr(unsafe.Pointer(info)),
		unsafe.Sizeof(*info), 0, 0, 0)
	return info
}

// ---- descriptors as names
// ------------------------------------------------------------------------------------------

// listDescriptors makes the entries of /proc/self/fd those of the table. A descriptor's cookie is
// its number and one, so that a reader goes on where it stopped.
func listDescriptors(n *node) {
	d := n.dir
	d.entries, d.index = nil, map[string]int{}
	descriptors.RLock()
	defer descriptors.RUnlock()
	for fd := range descriptors.table {
		f := descriptors.table[fd].description
		if f == nil {
			continue
		}
		link := &node{ino: procIno + uint64(fd), mode: S_IFLNK | 0o777, links: 1,
			fixed: true, descriptor: fd + 1, target: nameOf(f.file)}
		name := strconv.Itoa(fd)
		d.index[name] = len(d.entries)
		d.entries = append(d.entries, entry{name, link, int64(fd) + 1})
		d.cookies = int64(fd) + 1
	}
}

// nameOf is what the link of a descriptor says: the path of a directory, and of other files their
// kind and number, because a file does not know its names.
func nameOf(f openFile) string {
	st := new(Stat_t)
	kind := "file"
	if n := f.treeNode(); n != nil {
		if n.isDir() {
			if path, err := n.path(); err == 0 {
				return path
			}
		}
		if n.seals != 0 {
			return n.target
		}
		st.Ino = n.ino
	} else if a, ok := f.(interface{ anonymous() string }); ok {
		return "anon_inode:" + a.anonymous()
	} else {
		f.stat(st)
		switch st.Mode & S_IFMT {
		case S_IFIFO:
			kind = "pipe"
		case S_IFSOCK:
			kind = "socket"
		case S_IFCHR:
			kind = "console"
		}
	}
	return kind + ":[" + strconv.FormatUint(st.Ino, 10) + "]"
}

// opened is what following the link of a descriptor leads to: the node that is open, or a node that
// stands for an open file without one. It is nil if the descriptor is closed by now.
func (n *node) opened() *node {
	f, _ := entryOf(n.descriptor - 1)
	if f == nil {
		return nil
	}
	if there := f.file.treeNode(); there != nil {
		return there
	}
	st := new(Stat_t)
	f.file.stat(st)
	return &node{ino: st.Ino, mode: st.Mode, links: 1, descriptor: n.descriptor}
}

// A descriptorFile is in the place of an open file that has no node. It is never installed: opening
// it duplicates the descriptor.
type descriptorFile struct {
	openFile
	fd int
}

// open duplicates the descriptor, if it allows what is asked for.
func (f descriptorFile) open(flags int) (int, error) {
	d := hold(f.fd)
	if d == nil {
		return -1, ENOENT
	}
	defer letGo(d)
	_, access := entryOf(f.fd)
	access &= O_ACCMODE
	if wanted := flags & O_ACCMODE; access != O_RDWR && access != wanted {
		return -1, EACCES
	}
	fd, err := install(d, 0, flags&O_CLOEXEC != 0)
	return fd, result(err)
}

// ---- made files
// ------------------------------------------------------------------------------------------

// A madeFile is an opening of a file that was made for it.
type madeFile struct {
	fileDefaults
	node     *node
	text     string
	position position
}

func (f *madeFile) read(p []byte, flags int) (int, Errno) {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	n, err := f.pread(p, f.position.offset)
	f.position.offset += int64(n)
	return n, err
}

func (f *madeFile) pread(p []byte, offset int64) (int, Errno) {
	return copy(p, f.text[min(offset, int64(len(f.text))):]), 0
}

func (f *madeFile) write(p []byte, flags int) (int, Errno) { return 0, EBADF }
func (f *madeFile) stat(st *Stat_t)                        { f.node.statLocked(st) }
func (f *madeFile) treeNode() *node                        { return f.node }

func (f *madeFile) seek(offset int64, whence int) (int64, Errno) {
	return f.position.seek(f.node, offset, whence)
}
