package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/hostchannel"
)

// exports writes files that a program hands out to the host, and removes those that it removes. The
// guest is hostile: only names under a mapping are written, and below a mapped directory nothing
// outside of it can be reached, by ".." or by a link. Only what this run has written there, or has
// copied from there, is removed, because the program could have overwritten that as well.
type exports struct {
	mappings []mapping
	tree     *bootimage.Tree // what was copied in; nil: nothing
	made     map[string]bool // what this run has written, by the guest's names
	writable []string        // directories that the program may write in for itself
	failed   bool            // one message is enough for a program that keeps trying
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
	var exported []string
	writable := slices.Clone(e.writable)
	for _, m := range e.mappings {
		exported = append(exported, m.guest)
		if m.dir {
			writable = append(writable, m.guest)
		} else {
			writable = append(writable, path.Dir(m.guest))
		}
	}
	var env []string
	if len(exported) > 0 {
		env = append(env, "CAPOS_EXPORT="+strings.Join(exported, ":"))
	}
	if len(writable) > 0 {
		env = append(env, "CAPOS_WRITABLE="+strings.Join(writable, ":"))
	}
	return env
}

// receive stores one piece of a file.
func (e *exports) receive(w hostchannel.FileWrite) { e.report("written", e.store(w)) }

// gone removes a file or an empty directory.
func (e *exports) gone(name string) { e.report("removed", e.remove(name)) }

func (e *exports) report(what string, err error) {
	if err != nil && !e.failed {
		e.failed = true
		fmt.Fprintf(os.Stderr, "capos: a file of the program's was not %s: %v\n", what,
			err)
	}
}

func (e *exports) store(w hostchannel.FileWrite) error {
	name := path.Clean("/" + w.Name)
	if w.Offset > exportLimit {
		return fmt.Errorf("%s: more than %d bytes", name, int64(exportLimit))
	}
	m, rel := e.find(name)
	switch {
	case m == nil:
		return fmt.Errorf("%s is not among what -o names", name)
	case m.dir:
		return e.storeBelow(m, rel, w)
	}
	m.written = true
	f, err := os.OpenFile(m.host, openFlags(w), 0o666)
	if err != nil {
		return err
	}
	e.note(name)
	return writeAt(f, w)
}

// find gives the mapping that a clean name is of. rel is the name below a mapped directory.
func (e *exports) find(name string) (m *mapping, rel string) {
	for i := range e.mappings {
		m := &e.mappings[i]
		if name == m.guest && !m.dir {
			return m, ""
		}
		if rel, below := strings.CutPrefix(name, strings.TrimSuffix(m.guest,
			"/")+"/"); below && m.dir {
			return m, rel
		}
	}
	return nil, ""
}

// note remembers that this run has made what has the name.
func (e *exports) note(name string) {
	if e.made == nil {
		e.made = map[string]bool{}
	}
	e.made[name] = true
}

func (e *exports) storeBelow(m *mapping, rel string, w hostchannel.FileWrite) error {
	if err := os.MkdirAll(m.host, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(m.host)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := e.makeDirs(root, m, path.Dir(rel)); err != nil {
		return err
	}
	f, err := root.OpenFile(rel, openFlags(w), 0o666)
	if err != nil {
		return err
	}
	e.note(path.Join(m.guest, rel))
	return writeAt(f, w)
}

// makeDirs makes those directories of a path below a mapped one that are missing.
func (e *exports) makeDirs(root *os.Root, m *mapping, rel string) error {
	for at := 0; at < len(rel); at++ {
		if n := strings.IndexByte(rel[at:], '/'); n >= 0 {
			at += n
		} else {
			at = len(rel)
		}
		switch err := root.Mkdir(rel[:at], 0o777); {
		case err == nil:
			e.note(path.Join(m.guest, rel[:at]))
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return nil
}

// remove does nothing about what the run has neither written nor copied from there, a directory
// with something in it, and what is gone already: the program cannot know of these.
func (e *exports) remove(name string) error {
	name = path.Clean("/" + name)
	m, rel := e.find(name)
	if m == nil {
		return fmt.Errorf("%s is not among what -o names", name)
	}
	host := filepath.Join(m.host, rel)
	if !e.made[name] && !e.copiedFrom(name, host) {
		return nil
	}
	err := m.remove(host, rel)
	if err == nil {
		delete(e.made, name)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return err
}

func (m *mapping) remove(host, rel string) error {
	if !m.dir {
		if info, err := os.Lstat(host); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return os.Remove(host)
	}
	root, err := os.OpenRoot(m.host)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.Remove(rel)
}

// copiedFrom reports whether what has a name in the machine is a copy of that file of the host.
func (e *exports) copiedFrom(name, host string) bool {
	if e.tree == nil {
		return false
	}
	origin := e.tree.Origin(name)
	if origin == "" {
		return false
	}
	origin, err := filepath.Abs(origin)
	return err == nil && origin == host
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
