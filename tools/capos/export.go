package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/hostchannel"
)

// exports writes files that a program hands out to the host. The guest is hostile: only names under
// a mapping are written, and below a mapped directory nothing outside of it can be reached, by ".."
// or by a link.
type exports struct {
	mappings []mapping
	failed   bool // one message is enough for a program that keeps trying
}

// mapping takes a file, or a directory with everything below it, from the guest's tree to the
// host's.
type mapping struct {
	guest, host string
	dir         bool
	asked       string // the value of the flag that asked for it; "" when none did
	written     bool   // something has come
}

// exportLimit bounds the size of one exported file.
const exportLimit = 16 << 30

// add makes guest come back as host.
func (e *exports) add(guest, host string, dir bool) {
	e.mappings = append(e.mappings, mapping{guest: path.Clean(guest),
		host: filepath.Clean(host), dir: dir})
}

// addFlag reads a flag of the form GUEST[:HOST]; relative names are below the working directories.
// A directory is meant when either name ends in a slash or the host's is one already.
func (e *exports) addFlag(text, guestDir string) error {
	guest, host, both := strings.Cut(text, ":")
	if !both {
		host = guest
	}
	dir := strings.HasSuffix(guest, "/") || strings.HasSuffix(host, "/")
	if info, err := os.Stat(host); err == nil && info.IsDir() {
		dir = true
	}
	host, err := filepath.Abs(host)
	if err != nil {
		return err
	}
	if !path.IsAbs(guest) {
		guest = path.Join(guestDir, guest)
	}
	e.add(guest, host, dir)
	e.mappings[len(e.mappings)-1].asked = text
	return nil
}

// neverWritten says which files a flag asked for in vain. A directory may stay empty.
func (e *exports) neverWritten() (text string) {
	for _, m := range e.mappings {
		if m.asked != "" && !m.dir && !m.written {
			text += fmt.Sprintf("capos: the program never wrote %s, which -o %s asks "+
				"for\n", m.guest, m.asked)
		}
	}
	return text
}

// env gives the variables that tell the program in which directories it may write, and what is
// handed to the host.
func (e *exports) env() []string {
	if len(e.mappings) == 0 {
		return nil
	}
	var exported, writable []string
	for _, m := range e.mappings {
		exported = append(exported, m.guest)
		if m.dir {
			writable = append(writable, m.guest)
		} else {
			writable = append(writable, path.Dir(m.guest))
		}
	}
	return []string{"CAPOS_EXPORT=" + strings.Join(exported, ":"), "CAPOS_WRITABLE=" +
		strings.Join(writable, ":")}
}

// receive stores one piece of a file.
func (e *exports) receive(w hostchannel.FileWrite) {
	if err := e.store(w); err != nil && !e.failed {
		e.failed = true
		fmt.Fprintf(os.Stderr, "capos: a file of the program's was not written: %v\n", err)
	}
}

func (e *exports) store(w hostchannel.FileWrite) error {
	name := path.Clean("/" + w.Name)
	if w.Offset > exportLimit {
		return fmt.Errorf("%s: more than %d bytes", name, int64(exportLimit))
	}
	for i := range e.mappings {
		m := &e.mappings[i]
		if name == m.guest && !m.dir {
			m.written = true
			f, err := os.OpenFile(m.host, openFlags(w), 0o666)
			if err != nil {
				return err
			}
			return writeAt(f, w)
		}
		if rel, below := strings.CutPrefix(name, strings.TrimSuffix(m.guest,
			"/")+"/"); below && m.dir {
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
