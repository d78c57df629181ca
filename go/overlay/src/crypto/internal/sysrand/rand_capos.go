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

func read(b []byte) error {
	if !runtime_fill(b) {
		return errors.New("the program has no entropy source")
	}
	return nil
}
