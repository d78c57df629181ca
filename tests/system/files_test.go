//go:build capos

package system

import (
	"os"
	"syscall"
	"testing"
)

// The results of stat for a directory of the boot image do not depend on whether it was read
// before.
func TestDirectoriesAreWholeAtOnce(t *testing.T) {
	const unseen = "testdata/unseen" // which no other test touches
	what := func() (size int64, links uint64) {
		info, err := os.Lstat(unseen)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size(), info.Sys().(*syscall.Stat_t).Nlink
	}
	size, links := what()
	if entries, err := os.ReadDir(unseen); err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	if s, l := what(); s != size || l != links || size == 0 || links != 3 {
		t.Errorf("size %d and %d links at first, %d and %d afterwards", size, links, s, l)
	}
}
