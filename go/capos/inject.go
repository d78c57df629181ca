package capos

import "sync/atomic"

// notExplored says that no seed has faults happen, so that it is asked once.
var notExplored atomic.Bool

// Inject tells which of so many faults happens now, counted from 1; 0: none. Code that stands for
// the outside calls it where a read may be short, a flush may fail, a message may be lost or a peer
// be gone:
//
//	switch capos.Inject(2) {
//	case 1:
//		p = p[:len(p)/2]
//	case 2:
//		return 0, syscall.EIO
//	}
//
// Only the seed of ./capos explore has any happen. In an ordinary program it is the load of a
// variable.
func Inject(ways int) int {
	if ways <= 0 || notExplored.Load() {
		return 0
	}
	var r registers
	r.Words[0] = uint64(ways)
	if operate(abiOpcodeRelease, &r) != 0 {
		notExplored.Store(true)
		return 0
	}
	return int(r.RAX)
}
