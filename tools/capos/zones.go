package main

import (
	"bytes"
	"os"
	"path/filepath"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/repo"
)

// addZones gives a Go program the time zones of the toolchain that built it: package time looks for
// them in the GOROOT whose name the program has, unless it was built with -trimpath.
func addZones(tree *bootimage.Tree, elf string) error {
	cache, err := repo.CacheDir()
	if err != nil {
		return nil // then no toolchain of ours has built it
	}
	files, _ := filepath.Glob(filepath.Join(cache, "go-*", "lib", "time", "zoneinfo.zip"))
	if len(files) == 0 {
		return nil
	}
	program, err := os.ReadFile(elf)
	if err != nil {
		return err
	}
	for _, file := range files {
		goroot := filepath.Dir(filepath.Dir(filepath.Dir(file)))
		if bytes.Contains(program, []byte(goroot)) {
			return tree.AddHostTree(file, file, nil)
		}
	}
	return nil
}
