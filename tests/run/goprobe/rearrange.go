package main

import (
	"errors"
	"os"
	"path/filepath"
)

// rearrange removes and renames files of a directory in each way that the host is to follow. What
// is left has the file's name at the end as its contents, or what the test put there.
func rearrange(args []string) error {
	at := func(name string) string { return filepath.Join(args[0], name) }
	write := func(name, text string) error {
		return errors.Join(os.MkdirAll(filepath.Dir(at(name)), 0o755),
			os.WriteFile(at(name), []byte(text), 0o644))
	}
	rename := func(from, to string) error { return os.Rename(at(from), at(to)) }
	open, err := os.Create(at("removed-while-open"))
	if err != nil {
		return err
	}
	open.WriteString("nobody sees it")
	return errors.Join(
		os.Remove(at("removed-while-open")), open.Close(),
		os.Remove(at("given-removed")), os.Remove(at("link")),
		rename("given-renamed", "renamed"), rename("given-tree", "tree"),
		write("new", "new"), os.Remove(at("new")),
		write("again", "first"), os.Remove(at("again")), write("again", "again"),
		write("part", "final"), rename("part", "final"),
		write("a/b/c", "c"), write("a/b/d", "d"), rename("a", "moved"),
		write("all/x/y", "y"), write("all/z", "z"), os.RemoveAll(at("all")),
		write("out", "out"), os.Rename(at("out"), "/tmp/out"),
		write("shorter", "shorter than before"), os.Truncate(at("shorter"), 7),
		write("covered", "covered"), os.Symlink("final", at("cover")),
		rename("cover", "covered"))
}
