// The devices of the file tree.

//go:build capos

package syscall

// A device is a file whose bytes are made when they are read. Bytes written to it are discarded, or
// refused by deviceFull. The one terminal cannot be opened.
type device uint32

const (
	deviceNull device = iota + 1
	deviceZero
	deviceRandom
	deviceConsole
	deviceFull
	deviceTerminal // that controls the process: there is none
)

func addDevices(dev *node) {
	devices := map[string]device{"null": deviceNull, "zero": deviceZero,
		"urandom": deviceRandom, "random": deviceRandom, "full": deviceFull,
		"tty": deviceTerminal}
	for name, kind := range devices {
		if dev.lookup(name) != nil {
			dev.remove(name)
		}
		n := newNode(S_IFCHR | 0o666)
		n.device = kind
		dev.add(name, n)
	}
}

func (d device) read(b []byte) (int, Errno) {
	switch d {
	case deviceZero, deviceFull:
		clear(b)
		return len(b), 0
	case deviceRandom:
		const pieceMax = 64 << 10 // between two pieces the goroutine can be preempted
		for done := 0; done < len(b); done += pieceMax {
			if !runtime_fillRandom(b[done:min(done+pieceMax, len(b))]) {
				return 0, EIO
			}
		}
		return len(b), 0
	}
	return 0, 0
}

func (d device) write(b []byte) (int, Errno) {
	if d == deviceFull {
		return 0, ENOSPC
	}
	return len(b), 0
}

// A deviceFile is an open device.
type deviceFile struct {
	fileDefaults
	node *node
}

func (f *deviceFile) read(p []byte, flags int) (int, Errno)        { return f.node.device.read(p) }
func (f *deviceFile) pread(p []byte, offset int64) (int, Errno)    { return f.node.device.read(p) }
func (f *deviceFile) write(p []byte, flags int) (int, Errno)       { return f.node.device.write(p) }
func (f *deviceFile) pwrite(p []byte, _ int64, _ int) (int, Errno) { return f.node.device.write(p) }
func (f *deviceFile) seek(int64, int) (int64, Errno)               { return 0, 0 }
func (f *deviceFile) sync() Errno                                  { return 0 }
func (f *deviceFile) stat(st *Stat_t)                              { f.node.statLocked(st) }
func (f *deviceFile) treeNode() *node                              { return f.node }
