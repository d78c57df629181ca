package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"capos.dev/tools/capos/internal/machine"
	"capos.dev/tools/capos/internal/repo"
	"capos.dev/tools/capos/internal/screenfont"
)

// An ISO image is made by grub-mkrescue: GRUB for BIOS and for UEFI, in a hybrid file system that
// boots from CDs and from disks. GRUB loads the kernel by Multiboot2, with the boot package and a
// font for the screen as modules.

const (
	fontName    = "font"
	grubFont    = "/usr/share/grub/unicode.pf2"
	grubModules = "/usr/lib/grub"

	// UEFIFirmware is where Debian's package ovmf has UEFI for QEMU, in one file.
	uefiFirmware = "/usr/share/ovmf/OVMF.fd"
)

// imagePackages says for each Debian package how to see that it is there.
var imagePackages = []struct {
	name  string
	there func() bool
}{
	{"grub-common", func() bool { return onPath(grubMkrescue) && exists(grubFont) }},
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

// checkImageTools says what to do when something is missing.
func checkImageTools() error {
	var missing []string
	for _, p := range imagePackages {
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
if multiboot2 /boot/` + kernelName + ` %s; then
	if module2 --nounzip /boot/` + bootPackageName + ` package; then
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

func (i *imageFlags) kernelWords() string {
	words := []string{"channel=plain", fmt.Sprintf("linger=%.0f", i.linger.Seconds())}
	return strings.Join(append(words, i.kernelArgs...), " ")
}

func (i *imageFlags) writeISO(l *launch) error {
	dir, err := os.MkdirTemp("", "capos-iso-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	boot := filepath.Join(dir, "boot")
	if err := writeBootFiles(l, repo.Kernel(l.root, i.kernel), boot); err != nil {
		return err
	}
	file, err := os.ReadFile(grubFont)
	if err != nil {
		return err
	}
	font, err := screenfont.FromPFF2(file)
	if err != nil {
		return fmt.Errorf("%s: %w", grubFont, err)
	}
	if err := os.MkdirAll(filepath.Join(boot, "grub"), 0o755); err != nil {
		return err
	}
	configuration := fmt.Sprintf(grubConfiguration, i.kernelWords())
	if err := errors.Join(os.WriteFile(filepath.Join(boot, fontName), font, 0o644),
		os.WriteFile(filepath.Join(boot, "grub", "grub.cfg"), []byte(configuration),
			0o644)); err != nil {
		return err
	}
	if err := makeISO(dir, i.output); err != nil {
		return err
	}
	return printISO(i.output)
}

// makeISO replaces an older image in one step. The tools are heard only when they fail.
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
		return fmt.Errorf("%s failed: %w\n%s", grubMkrescue, err, lastLines(string(out),
			10))
	}
	return os.Rename(temporary, output)
}

func printISO(output string) error {
	info, err := os.Stat(output)
	if err != nil {
		return err
	}
	qemu := isoMachine{machine: "q35", iso: output, memoryMiB: 512, cpus: 2}
	bios := machine.ShellCommand(machine.DefaultQEMU, append(qemu.args(), "-serial",
		"mon:stdio"))
	fmt.Printf(`%s is written, %.1f MiB. To start it in QEMU, with the serial port here (Ctrl-A X ends QEMU):
  %s
by UEFI (package ovmf):
  %s -bios %s
Without -display none QEMU shows the screen. To start it on a PC, write it to a USB stick, which loses what it holds:
  dd if=%s of=/dev/sdX bs=4M conv=fsync
and boot from that; with UEFI, Secure Boot must be off.
`, output, float64(info.Size())/(1<<20), bios, bios, uefiFirmware, output)
	return nil
}

// isoMachine is a machine that boots from an image, as little like a machine of ./capos run as
// possible: no host channel, no device that ends it.
type isoMachine struct {
	machine, iso    string
	memoryMiB, cpus int
	uefi            bool
}

func (m *isoMachine) args() []string {
	args := []string{"-machine", m.machine, "-cpu", "max", "-m", fmt.Sprintf("%dM",
		m.memoryMiB), "-smp", fmt.Sprint(m.cpus),
		"-nodefaults", "-vga", "std", "-display", "none", "-cdrom", m.iso}
	if m.uefi {
		args = append(args, "-bios", uefiFirmware)
	}
	return args
}
