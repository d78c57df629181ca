// Package accel knows what machines run with on this host, KVM or emulation.
package accel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
)

// probeLimit bounds how long KVM has to boot a kernel and end one small program, probeBoots times,
// one after the other. Where KVM is nested in another machine it may be there and hang, or be
// slower than emulation, and yet come through once. A KVM that works takes a tenth of the limit.
const (
	probeLimit = 2 * time.Second
	probeBoots = 3
)

// accelerators knows what machines run with here.
type accelerators struct {
	device string        // KVM's
	cache  string        // directory in which answers are remembered
	say    io.Writer     // nil: nothing is said for now
	limit  time.Duration // for the probe
}

// Best says whether KVM works here, and why not the first time that it need not be
// quiet. Without permission to probe only a remembered answer counts.
func Best(c *machine.Config, mayProbe, quiet bool) string {
	cache, err := repo.CacheDir()
	if err != nil {
		return "tcg"
	}
	a := accelerators{device: "/dev/kvm", cache: cache, limit: probeLimit}
	if !quiet {
		a.say = os.Stderr
	}
	return a.best(c, mayProbe)
}

// best gives the answer that is remembered for host, emulator, kernel and machine type as they are,
// or finds one, says it and remembers it.
func (a *accelerators) best(c *machine.Config, mayProbe bool) string {
	f, unusable := os.OpenFile(a.device, os.O_RDWR, 0)
	if unusable == nil {
		f.Close()
	}
	key, err := probeKey(c, unusable)
	if err != nil {
		return "tcg"
	}
	answer, known := a.remembered(key)
	switch {
	case known && (answer.said || a.say == nil || !mayProbe):
		return answer.name
	case known:
	case !mayProbe:
		return "tcg"
	case unusable != nil:
		answer = accelerator{name: "tcg", why: fmt.Sprintf("KVM cannot be used: %v",
			unusable)}
	default:
		answer.name = "kvm"
		if err := a.probeKVM(c); err != nil {
			answer = accelerator{name: "tcg",
				why: fmt.Sprintf("KVM does not work here: %v", err)}
		}
	}
	if a.say != nil {
		fmt.Fprintf(a.say, "capos: machines run with %s\n", answer)
		answer.said = true
	}
	a.remember(key, answer)
	return answer.name
}

// accelerator is an answer.
type accelerator struct {
	name, why string
	said      bool
}

func (a accelerator) String() string {
	if a.why == "" {
		return strings.ToUpper(a.name)
	}
	return strings.ToUpper(a.name) + " (" + a.why + ")"
}

// answersKept is for how many kernels, machine types and work trees in turn the answer is not
// looked for again.
const answersKept = 32

func (a *accelerators) file() string { return filepath.Join(a.cache, "accelerator") }

// remembered finds the answer among lines "KEY ANSWER said|unsaid WHY".
func (a *accelerators) remembered(key string) (answer accelerator, known bool) {
	text, _ := os.ReadFile(a.file())
	for line := range strings.Lines(string(text)) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(words) >= 3 && words[0] == key && (words[1] == "kvm" || words[1] == "tcg") {
			return accelerator{words[1], strings.Join(words[3:], ""),
				words[2] == "said"}, true
		}
	}
	return accelerator{}, false
}

// remember replaces the file as a whole: others may be reading it. Without it the answer is found
// once more, no worse.
func (a *accelerators) remember(key string, answer accelerator) {
	text, _ := os.ReadFile(a.file())
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, key+" ") {
			lines = append(lines, line)
		}
	}
	said := "unsaid"
	if answer.said {
		said = "said"
	}
	why := strings.Join(strings.Fields(answer.why), " ") // on one line
	lines = append(lines, strings.TrimSpace(key+" "+answer.name+" "+said+" "+why))
	lines = lines[max(0, len(lines)-answersKept):]
	temporary, err := os.CreateTemp(a.cache, "accelerator-")
	if err != nil {
		return
	}
	_, err = temporary.WriteString(strings.Join(lines, "\n") + "\n")
	if temporary.Close() != nil || err != nil || os.Rename(temporary.Name(), a.file()) != nil {
		os.Remove(temporary.Name())
	}
}

// probeKey identifies what the answer depends on. Where there is no KVM that is the host alone.
func probeKey(c *machine.Config, unusable error) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	if unusable != nil {
		fmt.Fprintf(hash, "%s %v\n", boot, unusable)
		return fmt.Sprintf("%x", hash.Sum(nil)[:16]), nil
	}
	qemu, err := exec.LookPath(machine.DefaultQEMU)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(qemu)
	if err != nil {
		return "", err
	}
	kernel, err := os.ReadFile(c.Kernel)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(hash, "%d %s %s %d %d %s\n", probeBoots, boot, qemu, info.Size(),
		info.ModTime().UnixNano(), c.Machine)
	hash.Write(kernel)
	return fmt.Sprintf("%x", hash.Sum(nil)[:16]), nil
}

func (a *accelerators) probeKVM(c *machine.Config) error {
	tree := bootimage.NewTree()
	if err := tree.AddData("/probe", exitProgram(), 0o755, time.Time{}); err != nil {
		return err
	}
	boot, err := bootimage.Temporary(tree,
		[]bootimage.Program{{Path: "/probe", Args: []string{"/probe"}}})
	if err != nil {
		return err
	}
	defer boot.Close()
	probe := machine.Config{Machine: c.Machine, CPU: "max", Accel: "kvm", MemoryMiB: 64,
		CPUs: 2, Kernel: c.Kernel}
	tooSlow := fmt.Errorf("it takes more than %v to run an empty program", a.limit)
	ctx, cancel := context.WithTimeoutCause(context.Background(), a.limit, tooSlow)
	defer cancel()
	for range probeBoots {
		if err := probeOnce(ctx, &probe, boot); err != nil {
			return err
		}
	}
	return nil
}

func probeOnce(ctx context.Context, probe *machine.Config, boot *os.File) error {
	outcome, err := machine.Run(ctx, probe, boot, machine.Guest{})
	switch {
	case err != nil:
		return err
	case outcome.Finished():
		return nil
	case outcome.Stopped != nil:
		return outcome.Stopped
	case len(outcome.Log) > 0:
		return fmt.Errorf("%s", outcome.Log[len(outcome.Log)-1])
	default:
		return fmt.Errorf("the machine ended at once")
	}
}

// exitProgram is the smallest capOS program: exit(0, process), one page, assembled by hand. A
// machine that runs it has booted, entered user mode and come back.
func exitProgram() []byte {
	const base, headers = 0x400000, 64 + 56
	code := []byte{
		0x31, 0xc0, // xor eax, eax: exit
		0x31, 0xff, // xor edi, edi: code 0
		0xbe, 1, 0, 0, 0, // mov esi, 1: the whole process
		0x0f, 0x05, // syscall
	}
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01")
	b.Write(make([]byte, 9))
	put := func(values ...any) {
		for _, v := range values {
			binary.Write(&b, binary.LittleEndian, v)
		}
	}
	// type .. flags
	put(uint16(2), uint16(62), uint32(1), uint64(base+headers), uint64(64), uint64(0),
		uint32(0))
	// sizes and counts
	put(uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0))
	size := uint64(headers + len(code))
	// PT_LOAD, R X
	put(uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000))
	b.Write(code)
	return b.Bytes()
}
