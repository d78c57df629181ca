package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"capos.dev/tools/capos/internal/hostchannel"
)

// exports writes files that a program hands out to the host. The guest is hostile: only names under a mapping are
// written, and below a mapped directory nothing outside of it can be reached, by ".." or by a link.
type exports struct {
	mappings []mapping
	refused  bool // one message is enough for a program that keeps trying
}

type mapping struct{ guest, host string }

// exportLimit bounds the size of one exported file.
const exportLimit = 16 << 30

// add makes guest, a file or a directory, come back as host.
func (e *exports) add(guest, host string) {
	e.mappings = append(e.mappings, mapping{path.Clean(guest), filepath.Clean(host)})
}

// addFlag reads a flag of the form GUEST[:HOST]; relative names are below the working directories.
func (e *exports) addFlag(text, guestDir string) error {
	guest, host, both := strings.Cut(text, ":")
	if guest == "" || both && host == "" {
		return fmt.Errorf("%q is not of the form GUEST[:HOST]", text)
	}
	if !both {
		host = guest
	}
	host, err := filepath.Abs(host)
	if err != nil {
		return err
	}
	if !path.IsAbs(guest) {
		guest = path.Join(guestDir, guest)
	}
	e.add(guest, host)
	return nil
}

// env gives the variables that tell the program which files it may write and which are handed to the host.
func (e *exports) env() []string {
	if len(e.mappings) == 0 {
		return nil
	}
	var prefixes []string
	for _, m := range e.mappings {
		prefixes = append(prefixes, m.guest)
	}
	joined := strings.Join(prefixes, ":")
	return []string{"CAPOS_EXPORT=" + joined, "CAPOS_WRITABLE=" + joined}
}

// receive stores one piece of a file.
func (e *exports) receive(w hostchannel.FileWrite) {
	if err := e.store(w); err != nil && !e.refused {
		e.refused = true
		fmt.Fprintf(os.Stderr, "capos: a file of the program's was not written: %v\n", err)
	}
}

func (e *exports) store(w hostchannel.FileWrite) error {
	name := path.Clean("/" + w.Name)
	if w.Offset > exportLimit {
		return fmt.Errorf("%s: more than %d bytes", name, int64(exportLimit))
	}
	for _, m := range e.mappings {
		if name == m.guest {
			f, err := os.OpenFile(m.host, openFlags(w), 0o666)
			if err != nil {
				return err
			}
			return writeAt(f, w)
		}
		if rel, below := strings.CutPrefix(name, strings.TrimSuffix(m.guest, "/")+"/"); below {
			return storeBelow(m.host, rel, w)
		}
	}
	return fmt.Errorf("%s is not among what -o names", name)
}

func storeBelow(dir, rel string, w hostchannel.FileWrite) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(rel), 0o777); err != nil {
		return err
	}
	f, err := root.OpenFile(rel, openFlags(w), 0o666)
	if err != nil {
		return err
	}
	return writeAt(f, w)
}

func openFlags(w hostchannel.FileWrite) int {
	flags := os.O_WRONLY | os.O_CREATE
	if w.Offset == 0 {
		flags |= os.O_TRUNC // data at offset 0 begins the file anew
	}
	return flags
}

func writeAt(f *os.File, w hostchannel.FileWrite) error {
	info, err := f.Stat()
	if err == nil && info.Mode()&fs.ModeType != 0 {
		err = fmt.Errorf("%s is not a regular file", f.Name())
	}
	if err == nil {
		_, err = f.WriteAt(w.Data, int64(w.Offset))
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
