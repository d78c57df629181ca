// Package machine starts QEMU with a kernel and a boot image, speaks the host channel with the
// guest and reports how the machine ended. It knows nothing of where images come from or how
// results are shown.
package machine

import (
	"debug/elf"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// Config describes one virtual machine.
type Config struct {
	QEMU      string // program; empty: DefaultQEMU
	Machine   string // microvm, q35 or pc
	CPU       string // QEMU's model name
	Accel     string // kvm or tcg; "auto" must have been resolved
	MemoryMiB int
	CPUs      int
	ICount    bool       // one nanosecond is one instruction; needs one CPU and tcg
	Seed      *Seed      // nil: time, random bytes and the channel are the host's
	Entropy   bool       // a machine with a seed has the device too, and an explore kernel
	Recording *Recording // nil: nothing is logged
	Log       *Log       // of a seeded machine; nil: there is none
	// the host channel is the second serial port, and there is no virtio device: slow, but any
	// machine has one
	Serial bool

	Kernel string
	// address on which a debugger is awaited before the first instruction; "": none
	GDB              string
	Trace            bool
	Stats            bool
	KernelParameters []string // appended to the kernel's command line
	Extra            []string // appended to QEMU's arguments
}

// DefaultQEMU is the emulator looked up on PATH.
const DefaultQEMU = "qemu-system-x86_64"

// GDBAddress gives a free address for a debugger to connect to: the usual one, or any when another
// machine waits there.
func GDBAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:1234")
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// Types are the machine types that can be asked for.
var Types = []string{"microvm", "q35", "pc"}

// Validate finds settings that QEMU would reject with a message of its own, or silently do
// something else about.
func (c *Config) Validate() error {
	if err := c.validateSeed(); err != nil {
		return err
	}
	if err := c.validateRecording(); err != nil {
		return err
	}
	switch {
	case !slices.Contains(Types, c.Machine):
		return fmt.Errorf("no machine type %q; there are %s", c.Machine, strings.Join(Types,
			", "))
	case c.CPUs < 1 || c.CPUs > 64:
		return fmt.Errorf("%d CPUs: 1 to 64 are possible", c.CPUs)
	case c.MemoryMiB < 1:
		return fmt.Errorf("a machine needs at least 1M of memory")
	case c.ICount && c.CPUs != 1:
		return fmt.Errorf("--icount runs on one CPU, not on %d", c.CPUs)
	case c.ICount && c.Accel == "kvm":
		return fmt.Errorf("--icount needs --accel tcg")
	}
	return nil
}

// ParseSize reads a number of bytes as QEMU writes them: digits and an optional K, M, G or T; plain
// digits are MiB.
func ParseSize(text string) (bytes uint64, err error) {
	digits, unit := strings.TrimRight(text, "kKmMgGtTbBi"), float64(1<<20)
	switch suffix := strings.ToUpper(text[len(digits):]); suffix {
	case "", "M", "MB", "MIB":
	case "K", "KB", "KIB":
		unit = 1 << 10
	case "G", "GB", "GIB":
		unit = 1 << 30
	case "T", "TB", "TIB":
		unit = 1 << 40
	default:
		return 0, fmt.Errorf("%q is not a size", text)
	}
	value, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(value > 0) || value*unit >= 1<<62 {
		return 0, fmt.Errorf("%q is not a size (512M, 2G)", text)
	}
	return uint64(value * unit), nil
}

// ParseMemory reads the size of a machine's memory.
func ParseMemory(text string) (mib int, err error) {
	bytes, err := ParseSize(text)
	if err != nil {
		return 0, err
	}
	if bytes%(1<<20) != 0 {
		return 0, fmt.Errorf("%q is not a size in whole MiB (512M, 2G)", text)
	}
	return int(bytes >> 20), nil
}

// Args gives QEMU's arguments. The host channel is QEMU's standard input and output, the kernel's
// log its standard error, so that the same command also works when typed by hand.
func (c *Config) Args(bootImage string) []string {
	args := []string{"-machine", machineOption(c.Machine), "-accel", c.Accel, "-cpu", c.CPU,
		"-m", fmt.Sprintf("%dM", c.MemoryMiB), "-smp", strconv.Itoa(c.CPUs),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", c.Kernel, "-initrd", bootImage, "-append", c.commandLine(),
		"-device", "isa-debug-exit,iobase=0xf4,iosize=4",
		"-chardev", "file,id=log,path=/dev/stderr", "-serial", "chardev:log"}
	channel, name := c.channel()
	args = append(args, channel...)
	if c.Serial {
		args = append(args, "-serial", "chardev:"+name)
	} else {
		args = append(args, "-device", "virtio-serial-"+c.bus()+",max_ports=1"+
			c.deviceOptions(), "-device", "virtconsole,chardev="+name)
		if !c.repeats() || c.Entropy {
			args = append(args, "-object", "rng-builtin,id=rng",
				"-device", "virtio-rng-"+c.bus()+",rng=rng"+c.deviceOptions())
		}
	}
	if c.ICount {
		args = append(args, c.icountArgs()...)
	}
	if c.Seed != nil {
		args = append(args, c.Seed.args()...)
	}
	if c.GDB != "" {
		args = append(args, "-gdb", "tcp:"+c.GDB, "-S")
	}
	return append(args, c.Extra...)
}

// channel is where the host channel goes, and its name: to this process by pipes, or to a file that
// this process reads as it grows.
func (c *Config) channel() (args []string, name string) {
	switch {
	case c.Recording != nil:
		return c.recordedChannel()
	case c.Seed != nil:
		return []string{"-chardev", "file,id=host,path=/dev/fd/4"}, "host"
	}
	return []string{"-chardev", "stdio,id=host,signal=off"}, "host"
}

// IsLive tells a machine that input and keys can reach while it runs.
func (c *Config) IsLive() bool {
	return c.Seed == nil && (c.Recording == nil || !c.Recording.Replay)
}

// repeats tells a machine that another run must be able to repeat.
func (c *Config) repeats() bool { return c.Seed != nil || c.Recording != nil }

// deviceOptions keep the work of a device on the thread that runs the guest: over PCI, QEMU would
// pass it to its main loop instead, which answers when the host lets it.
func (c *Config) deviceOptions() string {
	if c.repeats() && c.bus() == "pci" {
		return ",ioeventfd=off"
	}
	return ""
}

// bus ends the names of QEMU's virtio devices: on microvm they are plain registers.
func (c *Config) bus() string {
	if c.Machine == "microvm" {
		return "device"
	}
	return "pci"
}

func machineOption(name string) string {
	if name == "microvm" {
		return "microvm,acpi=off,rtc=on,pit=on,pic=on,auto-kernel-cmdline=on"
	}
	return name
}

func (c *Config) commandLine() string {
	words := []string{"channel=virtio"}
	if c.Serial {
		words[0] = "channel=com2"
	}
	for _, option := range []struct {
		on        bool
		parameter string
	}{{c.Trace, "trace"}, {c.Stats, "stats"}} {
		if option.on {
			words = append(words, option.parameter)
		}
	}
	return strings.Join(append(words, c.KernelParameters...), " ")
}

// ShellCommand renders a command so that a shell takes it back word for word.
func ShellCommand(program string, args []string) string {
	words := []string{quote(program)}
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

func quote(word string) string {
	plain := word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("-_=,./:+@%", r))
	}) < 0
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// GoMemory is the memory of machines that Go's own tests run on: they are made for some.
const GoMemory = "1G"

// CheckQEMU says what to do when the emulator is missing.
func CheckQEMU() error {
	if _, err := exec.LookPath(DefaultQEMU); err != nil {
		return fmt.Errorf("%s is not installed (Debian: apt-get install qemu-system-x86)",
			DefaultQEMU)
	}
	return nil
}

// QEMUVersion is the first line that the emulator says of itself; "": there is none.
func QEMUVersion() string {
	out, _ := exec.Command(DefaultQEMU, "--version").Output()
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// CheckKernel tells a missing kernel from everything else that can go wrong later.
func (c *Config) CheckKernel() error {
	if _, err := os.Stat(c.Kernel); err != nil {
		return fmt.Errorf("there is no kernel at %s; make kernel builds it", c.Kernel)
	}
	return nil
}

// CheckMemory tells a machine that has no memory where the kernel goes: what its firmware does then
// is not defined, and it may hang.
func (c *Config) CheckMemory() error {
	kernel, err := elf.Open(c.Kernel)
	if err != nil {
		return err
	}
	defer kernel.Close()
	for _, segment := range kernel.Progs {
		end := segment.Paddr + segment.Memsz
		if segment.Type == elf.PT_LOAD && end > uint64(c.MemoryMiB)<<20 {
			return fmt.Errorf("a machine of %d MiB has no memory for the kernel; -m "+
				"gives it more", c.MemoryMiB)
		}
	}
	return nil
}
