// Random bytes from the capability "entropy".

//go:build capos

package sysrand

import (
	"errors"
	_ "unsafe" // for linkname
)

//go:noescape
//go:linkname runtime_fill
func runtime_fill(b []byte) bool

// read fills pieces, so that the goroutine can be preempted between two of them.
func read(b []byte) error {
	const pieceMax = 64 << 10
	for len(b) > 0 {
		n := min(len(b), pieceMax)
		if !runtime_fill(b[:n]) {
			return errors.New("the program has no entropy source")
		}
		b = b[n:]
	}
	return nil
}
