// What a process learns of its start from the one that started it.
//
// The starter puts records into the environment, strings that begin with recordPrefix. The runtime
// takes them out before the program sees the environment. A program of the boot image has none.
//
//	EXE=path         the executable
//	DIR=path         the current directory
//	PARENT=id        the process id of the starter
//	WRITABLE=list    prefixes of paths that the starter may change in its own memory
//	FILES=n          bytes of the list in the snapshot of its files (snapshot_capos.go)
//	FD=n flags kind  a descriptor, with the flags of the description, and the kind of file:
//	   console             a Console, under the name that consoleGrant gives
//	   reader, writer      an end of a pipe, under the name that pipeGrant gives
//	   device k            a device of the tree
//	   image p m t o s     a file of the boot image: position, mode, time, offset and size there
//	   same k              what the descriptor k, which came before, refers to

//go:build capos

package syscall

import (
	"internal/strconv"
	_ "unsafe" // for linkname
)

const recordPrefix = "CAPOS_START_"

func isRecord(variable string) bool {
	return len(variable) >= len(recordPrefix) && variable[:len(recordPrefix)] == recordPrefix
}

var start = readStart()

type startRecords struct {
	executable string
	directory  string
	parent     int
	writable   []string
	filesList  int
	files      []string
	told       bool // there are records
}

func readStart() (s startRecords) {
	for _, record := range runtime_startRecords() {
		name, value := cutAt(record[len(recordPrefix):], '=')
		s.told = true
		switch name {
		case "EXE":
			s.executable = value
		case "DIR":
			s.directory = value
		case "PARENT":
			s.parent, _ = strconv.Atoi(value)
		case "WRITABLE":
			s.writable = splitPrefixes(value)
		case "FILES":
			s.filesList, _ = strconv.Atoi(value)
		case "FD":
			s.files = append(s.files, value)
		}
	}
	return s
}

// startExecutable is for package os.
//
//go:linkname startExecutable
func startExecutable() string { return start.executable }

func cutAt(text string, separator byte) (before, after string) {
	for i := 0; i < len(text); i++ {
		if text[i] == separator {
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// takeNumber cuts a number off the front of the words.
func takeNumber(words *string) (n int64) {
	var word string
	word, *words = cutAt(*words, ' ')
	n, _ = strconv.ParseInt(word, 10, 64)
	return n
}

// consoleGrant is the name under which a child finds the console that a descriptor refers to.
func consoleGrant(fd int) string {
	if names := [...]string{"stdin", "stdout", "stderr"}; fd < len(names) {
		return names[fd]
	}
	return pipeGrant(fd)
}

// pipeGrant is the same for an end of a pipe.
func pipeGrant(fd int) string { return "fd" + strconv.Itoa(fd) }

// openStartFiles opens the descriptors that the starter told of.
func openStartFiles() {
	for _, words := range start.files {
		fd, flags := int(takeNumber(&words)), int(takeNumber(&words))
		kind, words := cutAt(words, ' ')
		var file openFile
		switch kind {
		case "console":
			file = &console{capability: capability(Capability(consoleGrant(fd)))}
		case "reader", "writer":
			file = &kernelPipe{capability: capability(Capability(pipeGrant(fd)))}
			flags = O_RDONLY
			if kind == "writer" {
				flags = O_WRONLY
			}
		case "device":
			file = openStartDevice(device(takeNumber(&words)))
		case "image":
			file = openStartImage(words)
		case "same":
			if d, _ := entryOf(int(takeNumber(&words))); d != nil {
				install(d, fd, false)
			}
			continue
		default:
			continue
		}
		install(&description{file: file, flags: flags}, fd, false)
	}
}

func openStartDevice(kind device) openFile {
	lockTree()
	defer tree.Unlock()
	n := newNode(S_IFCHR | 0o666)
	n.device = kind
	return &deviceFile{node: n}
}

func openStartImage(words string) openFile {
	lockTree()
	defer tree.Unlock()
	position := takeNumber(&words)
	file := abiBootFile{mode: uint32(takeNumber(&words)), mtimeNs: takeNumber(&words),
		dataOffset: uint64(takeNumber(&words)), size: uint64(takeNumber(&words))}
	f := &treeFile{node: tree.boot.makeNode(&file)}
	f.node.fixed, f.node.opens = true, 1
	f.position.offset = position
	return f
}

// ---- the same for a child
// ------------------------------------------------------------------------------------------

// writablePrefixes is for the record WRITABLE. The tree is locked.
func writablePrefixes() (list string) {
	for i, prefix := range tree.writable {
		if i > 0 {
			list += ":"
		}
		list += prefix
	}
	return list
}

func (fileDefaults) handOn(*starting, int, int) (kind string, err Errno) { return "", EOPNOTSUPP }

func (c *console) handOn(s *starting, fd, flags int) (kind string, err Errno) {
	s.grant(consoleGrant(fd), c.capability)
	return "console", 0
}

func (f *deviceFile) handOn(s *starting, fd, flags int) (kind string, err Errno) {
	return "device " + strconv.Itoa(int(f.node.device)), 0
}

// handOn gives a file that is as in the boot image, for reading, with a position of its own. The
// bytes of another file go through a pipe.
func (f *treeFile) handOn(s *starting, fd, flags int) (kind string, err Errno) {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	lockTree()
	defer tree.Unlock()
	offset, ok := tree.boot.offsetOf(f.node.content)
	if !ok || flags&O_ACCMODE != O_RDONLY {
		return s.relay(fd, flags)
	}
	for _, n := range [...]int64{f.position.offset, int64(f.node.mode), f.node.modified,
		int64(offset), f.node.content.size} {
		kind += " " + strconv.FormatInt(n, 10)
	}
	return "image" + kind, 0
}
