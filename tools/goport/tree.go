package main

// File trees: hashing what goes into a layer, copying and linking trees, replacing one atomically.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// hasher sums named contents. The name and the length keep neighbouring contents apart.
type hasher struct{ sum hash.Hash }

func newHasher() hasher { return hasher{sha256.New()} }

func (h hasher) add(name string, data []byte) {
	fmt.Fprintf(h.sum, "%s %d\n", name, len(data))
	h.sum.Write(data)
}

func (h hasher) addFile(name, path string) error {
	data, err := os.ReadFile(path)
	if err == nil {
		h.add(name, data)
	}
	return err
}

// addOverlay adds the contents of an overlay's files.
func (h hasher) addOverlay(overlay map[string]string) error {
	for _, name := range sortedKeys(overlay) {
		if err := h.addFile(name, overlay[name]); err != nil {
			return err
		}
	}
	return nil
}

func (h hasher) addEdit(e edit) {
	h.add(e.file, fmt.Appendf(nil, "%s %s %s %s", e.within, e.anchor, e.action, e.text))
}

func (h hasher) String() string { return hex.EncodeToString(h.sum.Sum(nil))[:16] }

// listFiles returns the regular files below dir, relative, in lexical order.
func listFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		files = append(files, relative)
		return err
	})
	return files, err
}

// placeFile puts the file source at target, in one of the two ways a tree is copied.
type placeFile func(source, target string, info fs.FileInfo) error

func copyFile(source, target string, info fs.FileInfo) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}

// linkFile makes a hard link, which costs nothing. A change of a file in the new tree must replace
// it.
func linkFile(source, target string, _ fs.FileInfo) error { return os.Link(source, target) }

// copyTree recreates source at target. skip says which relative paths to leave out.
func copyTree(source, target string, place placeFile, skip func(relative string) bool) error {
	return filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		switch {
		case skip != nil && skip(relative):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(target, relative), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return place(path, filepath.Join(target, relative), info)
	})
}

// replaceFile writes data at path as a new file, keeping the permissions of what was there.
func replaceFile(path string, data []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, mode)
}

// replaceTree puts a full copy of source at target, which may exist only if it is a toolchain this
// program made.
func replaceTree(source, target string) error {
	target, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(target); err == nil && len(entries) != 0 {
		if _, err := os.Stat(filepath.Join(target, stampName)); err != nil {
			return fmt.Errorf("%s exists and is not a toolchain made by goport", target)
		}
		if err := os.RemoveAll(target); err != nil {
			return err
		}
	}
	if err := copyTree(source, target, copyFile, nil); err != nil {
		return err
	}
	progress("made %s", target)
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
