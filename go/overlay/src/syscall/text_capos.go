// Files to which the runtime's own text goes: the output of print, when standard output or standard
// error was made another file, and the report of a crash.
//
// No Go code runs after a crash, so the host must have all of such a file before. Writes to it are
// passed on at once, and the runtime knows its name and offset.

//go:build capos

package syscall

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// A textFile is a file that the host gets and the runtime may write to.
type textFile struct {
	name   string // on the host
	offset uint64 // of what is written next; the runtime moves it, too
}

// crashOutput is the descriptor given to debug.SetCrashOutput, 0 for none.
var crashOutput atomic.Int64

// publishing orders the calls that tell the runtime of files.
var publishing sync.Mutex

// takesText reports whether the runtime writes to the descriptor.
func takesText(fd int) bool {
	return fd == Stdout || fd == Stderr || fd > Stderr && int64(fd) == crashOutput.Load()
}

// setCrashOutput is called with the descriptor for reports of crashes, or with all ones for none.
func setCrashOutput(fd uintptr) {
	last := crashOutput.Swap(max(0, int64(fd)))
	publishText(int(last))
	publishText(int(fd))
}

// publishText tells the runtime where text for a descriptor goes.
func publishText(fd int) {
	if fd <= 0 {
		return
	}
	publishing.Lock()
	defer publishing.Unlock()
	d, flags := entryOf(fd)
	if d != nil && takesText(fd) {
		switch f := d.file.(type) {
		case *console:
			runtime_setText(fd, f.capability, false, nil, 0, nil)
			return
		case *kernelPipe:
			runtime_setText(fd, f.capability, true, nil, 0, nil)
			return
		case *treeFile:
			if text := f.passOnAll(flags); text != nil {
				runtime_setText(fd, 0, false, unsafe.StringData(text.name),
					len(text.name), &text.offset)
				return
			}
		}
	}
	runtime_setText(fd, 0, false, nil, 0, nil)
}

// republishText is for a file that the host gets under another name now.
func republishText(f *treeFile) {
	for fd, file := range textFiles() {
		if file == f {
			publishText(fd)
		}
	}
}

// republishTexts is for files whose name on the host is gone.
func republishTexts() {
	for fd, f := range textFiles() {
		if f.node.text != nil && nodeAt(f.export) != f.node {
			publishText(fd)
		}
	}
}

// textFiles are the files of the tree to which the runtime writes, by descriptors.
func textFiles() map[int]*treeFile {
	files := map[int]*treeFile{}
	for _, fd := range [...]int{Stdout, Stderr, int(crashOutput.Load())} {
		if d, _ := entryOf(fd); d != nil && takesText(fd) {
			if f, ok := d.file.(*treeFile); ok {
				files[fd] = f
			}
		}
	}
	return files
}

// passOnAll hands the file to the host, if it is one that the host gets. Every later write is then
// passed on.
func (f *treeFile) passOnAll(flags int) *textFile {
	f.position.use.Lock()
	defer f.position.use.Unlock()
	if f.export == "" || granted.host == 0 || flags&O_ACCMODE == O_RDONLY {
		return nil
	}
	if nodeAt(f.export) != f.node {
		f.node.text = nil
		return nil
	}
	text := &textFile{name: f.export[1:], offset: uint64(f.position.offset)}
	lockTree()
	if flags&O_APPEND != 0 {
		text.offset = uint64(f.node.content.size)
	}
	f.node.text = text
	tree.Unlock()
	f.dirty = true
	f.exportNow()
	return text
}

// passOn gives the host the bytes up to an offset, if it must have them at once. at.use is held.
func (f *treeFile) passOn(p []byte, end int64) Errno {
	text := f.node.text
	if text == nil {
		return 0
	}
	exporting.Lock()
	defer exporting.Unlock()
	if nodeAt(text.name) != f.node {
		f.node.text = nil // the name is gone
		return 0
	}
	start := end - int64(len(p))
	for done := 0; done < len(p); done += chunkSize {
		piece := p[done:min(done+chunkSize, len(p))]
		if err := writeToHost(text.name, piece, start+int64(done)); err != 0 {
			return err
		}
	}
	text.offset = uint64(end)
	return 0
}
