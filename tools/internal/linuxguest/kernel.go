// Package linuxguest makes the Linux guest with which capOS is compared: its kernel, its first file
// system, and its QEMU command, which is that of a machine for capOS with these in it.
package linuxguest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/repo"
)

// The Linux kernel with which capOS is compared. It is one release of Debian 12's kernel for
// virtual machines, so that figures of different days can be compared.
const (
	pinnedPackage = "linux-image-6.1.0-50-cloud-amd64"
	pinnedVersion = "6.1.176-1"
	pinnedSHA256  = "efe19f605b6f54a8352e68d85a629abb2d30b72a085faef603a9152590baa791"

	// followPackage depends on the newest release. That one is used, with a message, when the
	// archive has dropped the pinned one.
	followPackage = "linux-image-cloud-amd64"
)

// Kernel is an unpacked kernel.
type Kernel struct {
	Name, Version string
	Image         string
}

// fetcher says what it does.
type fetcher struct {
	cache string
	say   func(format string, args ...any)
}

// Fetch finds the kernel in the cache or gets it from Debian with apt-get, which checks the
// archive's signatures.
func Fetch(say func(format string, args ...any)) (*Kernel, error) {
	cache, err := repo.CacheDir()
	if err != nil {
		return nil, err
	}
	f := &fetcher{filepath.Join(cache, "linux"), say}
	if err := os.MkdirAll(f.cache, 0o755); err != nil {
		return nil, err
	}
	return f.fetch()
}

func (f *fetcher) fetch() (*Kernel, error) {
	pinned := &Kernel{Name: pinnedPackage, Version: pinnedVersion}
	err := f.fetchKernel(pinned, pinnedSHA256)
	if err == nil {
		return pinned, nil
	}
	other, followErr := newestKernel()
	if followErr == nil {
		f.say("%s %s is not to be had; using %s %s: figures differ a little from release "+
			"to release", pinned.Name, pinned.Version, other.Name, other.Version)
		followErr = f.fetchKernel(other, "")
	}
	if followErr != nil {
		return nil, fmt.Errorf("no Linux kernel to compare with: %w; then: %w\n"+
			"it comes from Debian 12's package archive: is that configured and "+
			"reachable, and are the lists fresh (apt-get update)?",
			err, followErr)
	}
	return other, nil
}

// fetchKernel downloads and unpacks one package unless the cache has it, and sets kernel.Image. An
// empty digest checks nothing beyond what apt-get did.
func (f *fetcher) fetchKernel(kernel *Kernel, digest string) error {
	dir := filepath.Join(f.cache, kernel.Name+"_"+kernel.Version)
	kernel.Image = filepath.Join(dir, "boot", "vmlinuz-"+strings.TrimPrefix(kernel.Name,
		"linux-image-"))
	if _, err := os.Stat(kernel.Image); err == nil {
		return nil
	}
	f.say("downloading %s %s from Debian (27 MB)", kernel.Name, kernel.Version)
	work, err := os.MkdirTemp(f.cache, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	os.Chmod(work, 0o777) // apt-get downloads as a user of its own
	get := exec.Command("apt-get", "-q", "download", kernel.Name+"="+kernel.Version)
	get.Dir = work
	if said, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", get, err, said)
	}
	found, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s left %d packages", get, len(found))
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); digest != "" && hex.EncodeToString(sum[:]) != digest {
		return fmt.Errorf("%s %s is not the file it was: its SHA-256 is %x", kernel.Name,
			kernel.Version, sum)
	}
	unpacked := filepath.Join(work, "unpacked")
	if said, err := exec.Command("dpkg-deb", "-x", found[0],
		unpacked).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot unpack %s: %w\n%s", kernel.Name, err, said)
	}
	// Modules are not used, so the kernel alone is kept.
	if err := os.RemoveAll(filepath.Join(unpacked, "lib")); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(unpacked, "boot",
		filepath.Base(kernel.Image))); err != nil {
		return fmt.Errorf("%s has no kernel: %w", kernel.Name, err)
	}
	os.RemoveAll(dir)
	return os.Rename(unpacked, dir)
}

// newestKernel looks up in the package lists what followPackage depends on.
func newestKernel() (*Kernel, error) {
	text, err := exec.Command("apt-cache", "show", "--no-all-versions", followPackage).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-cache knows no %s: %w", followPackage, err)
	}
	return parseDependency(string(text))
}

// parseDependency finds "Depends: NAME (= VERSION)" in a package's description.
func parseDependency(text string) (*Kernel, error) {
	for line := range strings.Lines(text) {
		depends, is := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if !is {
			continue
		}
		for dependency := range strings.SplitSeq(depends, ", ") {
			name, rest, _ := strings.Cut(dependency, " ")
			version, exact := strings.CutPrefix(rest, "(= ")
			if exact && strings.HasPrefix(name, "linux-image-") {
				return &Kernel{Name: name, Version: strings.TrimSuffix(version,
					")")}, nil
			}
		}
	}
	return nil, fmt.Errorf("%s names no kernel in its dependencies", followPackage)
}
