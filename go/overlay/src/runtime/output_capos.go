// Where the text of the runtime goes: the output of print, heap dumps, the report of a crash.
//
// The runtime writes by descriptor, and descriptors belong to package syscall. For standard output,
// standard error and the crash output, that package tells the runtime whether they are a console, a
// file that the host gets, or something else. The runtime puts text for a file aside in memory of
// its own, and package syscall takes it when it next looks at its table. After a crash no other Go
// code runs, so the runtime writes the report itself. It writes to the host if the host gets the
// file. Otherwise it writes to the console, because the file ends with the program.

//go:build capos

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

// textConsoles are the consoles that text for descriptors 0 to 2 goes to, 0 for none.
var textConsoles [3]uint32

// A textFile is a descriptor whose file the host gets. The other fields are constant while fd is
// set.
type textFile struct {
	fd       atomic.Int32 // plus 1; 0: none
	stream   uint32       // a console or a pipe to another process instead
	isPipe   bool
	name     *byte // under which the host has the file
	nameSize int
	offset   *uint64 // of what is written next
}

// textFiles are those of standard output and error and of debug.SetCrashOutput, in any order.
var textFiles [4]textFile

// syscall_setText sets where text for a descriptor goes: to a stream, which is a console or a pipe,
// or to a file of the host. With neither, only package syscall takes it.
//
//go:linkname syscall_setText syscall.runtime_setText
func syscall_setText(fd int, stream uint32, isPipe bool, name *byte, nameSize int,
	offset *uint64) {
	if uint(fd) < uint(len(textConsoles)) {
		console := stream
		if isPipe {
			console = 0
		}
		atomic.Store(&textConsoles[fd], console)
	}
	var free *textFile
	for i := range textFiles {
		f := &textFiles[i]
		if f.fd.Load() == int32(fd)+1 {
			f.fd.Store(0)
		}
		if f.fd.Load() == 0 {
			free = f
		}
	}
	if free != nil && (name != nil || stream != 0) {
		free.stream, free.isPipe, free.offset = stream, isPipe, offset
		free.name, free.nameSize = name, nameSize
		free.fd.Store(int32(fd) + 1)
	}
}

//go:linkname syscall_setCrashOutputHook syscall.runtime_setCrashOutputHook
func syscall_setCrashOutputHook(hook func(fd uintptr)) { crashOutputHook = hook }

// A pendingWrite is followed by its bytes, in memory mapped for it.
type pendingWrite struct {
	next uintptr
	fd   int32
	size int32
}

var pendingWrites atomic.Uintptr // the newest

//go:nosplit
func setAside(fd int32, buf unsafe.Pointer, n int32) int32 {
	w := (*pendingWrite)(sysAllocOS(unsafe.Sizeof(pendingWrite{})+uintptr(n), ""))
	if w == nil {
		return -_ENOMEM
	}
	w.fd, w.size = fd, n
	memmove(add(unsafe.Pointer(w), unsafe.Sizeof(*w)), buf, uintptr(n))
	for {
		w.next = pendingWrites.Load()
		if pendingWrites.CompareAndSwap(w.next, uintptr(unsafe.Pointer(w))) {
			return n
		}
	}
}

// takePending returns what was put aside, oldest first.
//
//go:nosplit
func takePending() *pendingWrite {
	var oldest uintptr
	for newest := pendingWrites.Swap(0); newest != 0; {
		w := (*pendingWrite)(unsafe.Pointer(newest))
		newest, w.next, oldest = w.next, oldest, newest
	}
	return (*pendingWrite)(unsafe.Pointer(oldest))
}

// syscall_takeWrites gives away what was put aside, oldest first.
//
//go:linkname syscall_takeWrites syscall.runtime_takeWrites
func syscall_takeWrites(take func(fd int, data []byte)) {
	for w := takePending(); w != nil; {
		next := (*pendingWrite)(unsafe.Pointer(w.next))
		take(int(w.fd), unsafe.Slice((*byte)(add(unsafe.Pointer(w), unsafe.Sizeof(*w))),
			w.size))
		sysFreeOS(unsafe.Pointer(w), unsafe.Sizeof(*w)+uintptr(w.size))
		w = next
	}
}

//go:linkname syscall_hasWrites syscall.runtime_hasWrites
func syscall_hasWrites() bool { return pendingWrites.Load() != 0 }

// writeReport writes a part of the report of a crash, after what was put aside before.
//
//go:nosplit
func writeReport(fd int32, buf unsafe.Pointer, n int32) int32 {
	if pendingWrites.Load() != 0 {
		flushText()
	}
	if !writeAtEnd(fd, buf, n) {
		return -_EBADF
	}
	return n
}

// flushText writes what was put aside, because the process ends.
//
//go:nosplit
func flushText() {
	for w := takePending(); w != nil; w = (*pendingWrite)(unsafe.Pointer(w.next)) {
		writeAtEnd(w.fd, add(unsafe.Pointer(w), unsafe.Sizeof(*w)), w.size)
	}
}

// isTextPipe reports whether text for a descriptor goes to another process.
//
//go:nosplit
func isTextPipe(fd int32) bool {
	for i := range textFiles {
		if f := &textFiles[i]; f.fd.Load() == fd+1 {
			return f.isPipe
		}
	}
	return false
}

// writeAtEnd writes text to the stream or the file of the host that belongs to a descriptor, and
// reports whether there is one. It calls the kernel without capCall, because it is at the end of a
// chain of nosplit functions. That chain has no room for another frame in programs built without
// optimisation (-N -l).
//
//go:nosplit
func writeAtEnd(fd int32, buf unsafe.Pointer, n int32) bool {
	const compact = abiSysCapEnter | abiOpcodeCompact<<8
	stream, method, timeout := uint32(0), uintptr(abiConsoleWrite), uintptr(0)
	if fd == 1 || fd == 2 {
		stream = caps.stderr
	}
	for i := range textFiles {
		f := &textFiles[i]
		if f.fd.Load() != fd+1 {
			continue
		}
		if stream = f.stream; f.isPipe {
			method, timeout = abiPipeWriterWrite, abiWaitForever
		}
		if stream == 0 {
			offset := *f.offset
			*f.offset += uint64(n)
			enterKernel(compact, uintptr(caps.host)|abiHostShareWrite<<32,
				uintptr(unsafe.Pointer(f.name)), uintptr(f.nameSize),
				uintptr(offset), uintptr(buf), uintptr(n))
			return true
		}
	}
	if stream != 0 {
		enterKernel(compact, uintptr(stream)|method<<32, uintptr(buf), uintptr(n), timeout,
			0, 0)
	}
	return stream != 0
}
