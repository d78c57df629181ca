package bootimage

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"capos.dev/tools/internal/repo"
)

// memoryDir is a file system in memory on most Linux systems: images live for one machine run.
const memoryDir = "/dev/shm"

// memoryReserve is what must stay free in memoryDir for an image to be put there: containers often
// have very little.
const memoryReserve = 1 << 30

// bootImageDir chooses where temporary images go.
func bootImageDir() string {
	var fs syscall.Statfs_t
	if syscall.Statfs(memoryDir, &fs) == nil &&
		uint64(fs.Bavail)*uint64(fs.Bsize) > memoryReserve {
		return memoryDir
	}
	return os.TempDir()
}

// Temporary writes a boot image to a file without a name.
func Temporary(tree *Tree, programs []Program) (*os.File, error) {
	f, err := repo.UnnamedFile(bootImageDir(), "capos-*.img")
	if err != nil {
		return nil, err
	}
	if _, err := Write(f, tree, programs); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Save writes a boot image under a name, replacing an older one in one step.
func Save(name string, tree *Tree, programs []Program) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	defer f.Close()
	if _, err := Write(f, tree, programs); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// Home is the home directory of every program.
const Home = "/tmp/home"

// LastWins keeps the last value of each variable: not every program looks at a list the same way
// round.
func LastWins(env []string) []string {
	last := map[string]int{}
	for i, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		last[name] = i
	}
	var kept []string
	for i, entry := range env {
		if name, _, _ := strings.Cut(entry, "="); last[name] == i {
			kept = append(kept, entry)
		}
	}
	return kept
}
