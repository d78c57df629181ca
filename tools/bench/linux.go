package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// linuxKernel is an unpacked kernel.
type linuxKernel struct {
	name, version string
	image         string
}

// fetchLinux finds the kernel in the cache or gets it from Debian with apt-get, which checks the
// archive's signatures.
func (s *session) fetchLinux() (*linuxKernel, error) {
	pinned := &linuxKernel{name: pinnedPackage, version: pinnedVersion}
	err := s.fetchKernel(pinned, pinnedSHA256)
	if err == nil {
		return pinned, nil
	}
	other, followErr := newestKernel()
	if followErr == nil {
		say("%s %s is not to be had; using %s %s: figures differ a little from release to "+
			"release", pinned.name, pinned.version,
			other.name, other.version)
		followErr = s.fetchKernel(other, "")
	}
	if followErr != nil {
		return nil, fmt.Errorf("no Linux kernel to compare with: %w; then: %w\n"+
			"it comes from Debian 12's package archive: is that configured and "+
			"reachable, and are the lists fresh (apt-get update)?",
			err, followErr)
	}
	return other, nil
}

// fetchKernel downloads and unpacks one package unless the cache has it, and sets kernel.image. An
// empty digest checks nothing beyond what apt-get did.
func (s *session) fetchKernel(kernel *linuxKernel, digest string) error {
	dir := filepath.Join(s.cache, kernel.name+"_"+kernel.version)
	kernel.image = filepath.Join(dir, "boot", "vmlinuz-"+strings.TrimPrefix(kernel.name,
		"linux-image-"))
	if _, err := os.Stat(kernel.image); err == nil {
		return nil
	}
	say("downloading %s %s from Debian (27 MB)", kernel.name, kernel.version)
	work, err := os.MkdirTemp(s.cache, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	os.Chmod(work, 0o777) // apt-get downloads as a user of its own
	get := exec.Command("apt-get", "-q", "download", kernel.name+"="+kernel.version)
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
		return fmt.Errorf("%s %s is not the file it was: its SHA-256 is %x", kernel.name,
			kernel.version, sum)
	}
	unpacked := filepath.Join(work, "unpacked")
	if said, err := exec.Command("dpkg-deb", "-x", found[0],
		unpacked).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot unpack %s: %w\n%s", kernel.name, err, said)
	}
	// Modules are not used, so the kernel alone is kept.
	if err := os.RemoveAll(filepath.Join(unpacked, "lib")); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(unpacked, "boot",
		filepath.Base(kernel.image))); err != nil {
		return fmt.Errorf("%s has no kernel: %w", kernel.name, err)
	}
	os.RemoveAll(dir)
	return os.Rename(unpacked, dir)
}

// newestKernel looks up in the package lists what followPackage depends on.
func newestKernel() (*linuxKernel, error) {
	text, err := exec.Command("apt-cache", "show", "--no-all-versions", followPackage).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-cache knows no %s: %w", followPackage, err)
	}
	return parseDependency(string(text))
}

// parseDependency finds "Depends: NAME (= VERSION)" in a package's description.
func parseDependency(text string) (*linuxKernel, error) {
	for line := range strings.Lines(text) {
		depends, is := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if !is {
			continue
		}
		for dependency := range strings.SplitSeq(depends, ", ") {
			name, rest, _ := strings.Cut(dependency, " ")
			version, exact := strings.CutPrefix(rest, "(= ")
			if exact && strings.HasPrefix(name, "linux-image-") {
				return &linuxKernel{name: name, version: strings.TrimSuffix(version,
					")")}, nil
			}
		}
	}
	return nil, fmt.Errorf("%s names no kernel in its dependencies", followPackage)
}
