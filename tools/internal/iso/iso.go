// Package iso makes images that boot PCs and virtual machines, and describes the machines that boot
// from them.
//
// An image is made by grub-mkrescue: GRUB for BIOS and for UEFI, in a hybrid file system that boots
// from CDs and from disks. GRUB loads the kernel by Multiboot2, with the boot image and a font
// for the screen as modules.
package iso

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
	"capos.dev/tools/internal/screenfont"
)

const (
	// KernelName and BootImageName are the two files that every loader wants.
	KernelName    = "capos.elf"
	BootImageName = "boot.img"

	// GrubFont is the font that the one for the screen is made of.
	GrubFont = "/usr/share/grub/unicode.pf2"

	// UEFIFirmware is where Debian's package ovmf has UEFI for QEMU, in one file.
	UEFIFirmware = "/usr/share/ovmf/OVMF.fd"

	fontName    = "font"
	grubModules = "/usr/lib/grub"
)

// packages says for each Debian package how to see that it is there.
var packages = []struct {
	name  string
	there func() bool
}{
	{"grub-common", func() bool { return onPath(grubMkrescue) && exists(GrubFont) }},
	{"grub-pc-bin", func() bool { return exists(grubModules + "/i386-pc/multiboot2.mod") }},
	{"grub-efi-amd64-bin",
		func() bool { return exists(grubModules + "/x86_64-efi/multiboot2.mod") }},
	{"xorriso", func() bool { return onPath("xorriso") }},
	{"mtools", func() bool { return onPath("mformat") }},
}

const grubMkrescue = "grub-mkrescue"

func onPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// CheckTools says what to do when something is missing.
func CheckTools() error {
	var missing []string
	for _, p := range packages {
		if !p.there() {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("an ISO image needs what is in these packages (Debian: apt-get install "+
		"%s)", strings.Join(missing, " "))
}

// grubConfiguration boots at once. On BIOS the screen stays in text mode; UEFI has none, there GRUB
// chooses a mode of pixels. If anything fails, GRUB says so and stays at its prompt.
const grubConfiguration = `# Written by ./capos image.
if [ "$grub_platform" = efi ]; then
	insmod all_video
fi
echo "Loading capOS ..."
if multiboot2 /boot/` + KernelName + ` %s; then
	if module2 --nounzip /boot/` + BootImageName + ` boot-image; then
		module2 --nounzip /boot/` + fontName + ` font
		if [ "$grub_platform" = efi ]; then
			set gfxpayload=auto
		else
			set gfxpayload=text
		fi
		boot
	fi
fi
`

// Write makes the image output, replacing an older one in one step. files puts the kernel and the
// boot image into a directory; parameters are the kernel's.
func Write(output, parameters string, files func(dir string) error) error {
	dir, err := os.MkdirTemp("", "capos-iso-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	boot := filepath.Join(dir, "boot")
	if err := files(boot); err != nil {
		return err
	}
	file, err := os.ReadFile(GrubFont)
	if err != nil {
		return err
	}
	font, err := screenfont.FromPFF2(file)
	if err != nil {
		return fmt.Errorf("%s: %w", GrubFont, err)
	}
	if err := os.MkdirAll(filepath.Join(boot, "grub"), 0o755); err != nil {
		return err
	}
	configuration := fmt.Sprintf(grubConfiguration, parameters)
	if err := errors.Join(os.WriteFile(filepath.Join(boot, fontName), font, 0o644),
		os.WriteFile(filepath.Join(boot, "grub", "grub.cfg"), []byte(configuration),
			0o644)); err != nil {
		return err
	}
	return makeISO(dir, output)
}

// makeISO runs the tools, which are heard only when they fail.
func makeISO(dir, output string) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	temporary := output + ".new"
	defer os.Remove(temporary) // fails after the rename, as it should
	defer repo.Progress("making " + output)()
	cmd := exec.Command(grubMkrescue, "--fonts=", "--locales=", "--themes=", "-o", temporary,
		dir, "--", "-volid", "CAPOS")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s failed: %w\n%s", grubMkrescue, err,
			report.LastLines(string(out), 10))
	}
	return os.Rename(temporary, output)
}

// Machine is a machine that boots from an image, as little like a machine of ./capos run as
// possible: no host channel, no device that ends it.
type Machine struct {
	Type, Image     string
	MemoryMiB, CPUs int
	UEFI            bool
}

// Args are QEMU's arguments.
func (m *Machine) Args() []string {
	args := []string{"-machine", m.Type, "-cpu", "max", "-m", fmt.Sprintf("%dM", m.MemoryMiB),
		"-smp", fmt.Sprint(m.CPUs), "-nodefaults", "-vga", "std", "-display", "none",
		"-cdrom", m.Image}
	if m.UEFI {
		args = append(args, "-bios", UEFIFirmware)
	}
	return args
}
