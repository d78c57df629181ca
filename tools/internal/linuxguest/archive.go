package linuxguest

import (
	"fmt"
	"io"
)

// Archive writes the "newc" cpio format, which the Linux kernel unpacks into its first file system.
// A file is a header, the name and the data, each padded to four bytes. The header is a magic and
// thirteen hexadecimal numbers of 8 digits.
type Archive struct {
	w      io.Writer
	inode  int
	offset int64
	err    error
}

const (
	archiveMagic   = "070701"
	archiveTrailer = "TRAILER!!!"
	regularFile    = 0o100000
	directory      = 0o040000
)

// NewArchive gives an empty one.
func NewArchive(w io.Writer) *Archive { return &Archive{w: w} }

// Add appends a file with mode 0755. Its directory has to be there.
func (a *Archive) Add(name string, data []byte) {
	a.inode++
	a.entry(name, data, a.inode, regularFile|0o755)
}

// AddDir appends an empty directory with mode 0755.
func (a *Archive) AddDir(name string) {
	a.inode++
	a.entry(name, nil, a.inode, directory|0o755)
}

// Close ends the archive and reports the first error of all its writes.
func (a *Archive) Close() error {
	a.entry(archiveTrailer, nil, 0, 0)
	return a.err
}

func (a *Archive) entry(name string, data []byte, inode, mode int) {
	const links, nameEnd = 1, 1
	fields := []int{inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name) + nameEnd, 0}
	header := archiveMagic
	for _, field := range fields {
		header += fmt.Sprintf("%08x", field)
	}
	a.write([]byte(header + name + "\x00"))
	a.pad()
	a.write(data)
	a.pad()
}

func (a *Archive) pad() {
	a.write(make([]byte, (4-a.offset%4)%4))
}

func (a *Archive) write(data []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(data)
		a.offset += int64(len(data))
	}
}
