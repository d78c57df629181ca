package suite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
)

// rearranged has a program remove and rename what is in a directory that it has a copy of, and sees
// that the host's directory becomes like it. What the program cannot know of stays.
func (s *suite) rearranged(ctx context.Context, scratch string,
	build func(context.Context) (string, error)) []check {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	dir := filepath.Join(scratch, "rearranged")
	err := writeTexts(dir, map[string]string{"given-removed": "x", "given-renamed": "renamed",
		"given-tree/in/it": "it", "stays": "stays", ".git/config": "not copied in"})
	err = errors.Join(err, os.Symlink("stays", filepath.Join(dir, "link")))
	probe, buildErr := build(ctx)
	if err = errors.Join(err, buildErr); err != nil {
		return single("rearranged", err, "")
	}
	out, err := s.tool(ctx, "run", "--accel", "tcg", "--files", dir+":/d", "-o", "/d/:"+dir,
		probe, "rearrange", "/d").CombinedOutput()
	checks := single("rearranged", err, string(out))
	want := map[string]string{"renamed": "renamed", "tree/in/it": "it", "stays": "stays",
		".git/config": "not copied in", "again": "again", "final": "final",
		"moved/b/c": "c", "moved/b/d": "d", "shorter": "shorter"}
	got, err := filesBelow(dir)
	if err == nil && !maps.Equal(got, want) {
		err = fmt.Errorf("the host has %q, want %q", got, want)
	}
	return append(checks, single("rearranged-as-on-the-machine", err, "")...)
}

// filesBelow gives the contents of regular files, and the kind of what else is in a directory apart
// from directories with something in them.
func filesBelow(dir string) (map[string]string, error) {
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if d.Type().IsRegular() && err == nil {
			var text []byte
			text, err = os.ReadFile(file)
			got[name] = string(text)
		} else if left, _ := os.ReadDir(file); len(left) == 0 {
			got[name] = d.Type().String()
		}
		return err
	})
	return got, err
}
