package main

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

	"capos.dev/tools/capos/internal/bootpack"
	"capos.dev/tools/capos/internal/machine"
	"capos.dev/tools/capos/internal/repo"
)

// probeLimit bounds how long KVM has to boot a kernel and end one small program. Where KVM is nested in another
// machine it may be there and hang, or be slower than emulation.
const probeLimit = 2 * time.Second

// accelerator is an answer to what machines are run with, and what it holds for.
type accelerator struct{ key, name, why string }

// bestAccelerator says whether KVM works here. The answer of a probe is remembered for as long as host, emulator and
// kernel stay the same; without permission to probe only a remembered answer counts.
func bestAccelerator(c *machine.Config, mayProbe bool) accelerator {
	f, err := os.OpenFile(kvmDevice, os.O_RDWR, 0)
	if err != nil {
		return accelerator{"no-kvm", "tcg", err.Error()}
	}
	f.Close()
	key, err := probeKey(c)
	if err != nil {
		return accelerator{"", "tcg", err.Error()}
	}
	if text, err := os.ReadFile(rememberedFile("accelerator")); err == nil {
		words := strings.SplitN(strings.TrimSpace(string(text)), " ", 3)
		if len(words) > 1 && words[0] == key {
			return accelerator{key, words[1], strings.Join(words[2:], "")}
		}
	}
	if !mayProbe {
		return accelerator{"", "tcg", ""}
	}
	answer := accelerator{key, "kvm", ""}
	if err := probeKVM(c); err != nil {
		answer.name, answer.why = "tcg", fmt.Sprintf("KVM does not work here: %v", err)
	}
	os.WriteFile(rememberedFile("accelerator"), []byte(fmt.Sprintf("%s %s %s\n", answer.key, answer.name, answer.why)), 0o644)
	return answer
}

// kvmDevice is a variable for tests.
var kvmDevice = "/dev/kvm"

// rememberedFile is empty, which is no file, where there is no cache.
func rememberedFile(name string) string {
	cache, err := repo.CacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, name)
}

// sayOnce tells what machines are run with, when that has not been told before.
func (a accelerator) sayOnce(out io.Writer) {
	said := rememberedFile("accelerator-said")
	if text, err := os.ReadFile(said); a.key == "" || err == nil && string(text) == a.key {
		return
	}
	why := ""
	if a.why != "" {
		why = " (" + a.why + ")"
	}
	fmt.Fprintf(out, "capos: machines run with %s%s\n", strings.ToUpper(a.name), why)
	os.WriteFile(said, []byte(a.key), 0o644)
}

// probeKey identifies what the answer depends on.
func probeKey(c *machine.Config) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
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
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s %d %d %s\n", boot, qemu, info.Size(), info.ModTime().UnixNano(), c.Machine)
	hash.Write(kernel)
	return fmt.Sprintf("%x", hash.Sum(nil)[:16]), nil
}

func probeKVM(c *machine.Config) error {
	tree := bootpack.NewTree()
	if err := tree.AddData("/probe", exitProgram(), 0o755, time.Time{}); err != nil {
		return err
	}
	pkg, err := writePackage(tree, []bootpack.Program{{Path: "/probe", Args: []string{"/probe"}}})
	if err != nil {
		return err
	}
	defer pkg.Close()
	probe := machine.Config{Machine: c.Machine, CPU: "max", Accel: "kvm", MemoryMiB: 64, CPUs: 1, Kernel: c.Kernel}
	tooSlow := fmt.Errorf("it takes more than %v to run an empty program", probeLimit)
	ctx, cancel := context.WithTimeoutCause(context.Background(), probeLimit, tooSlow)
	defer cancel()
	outcome, err := machine.Run(ctx, &probe, pkg, machine.Guest{})
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

// exitProgram is the smallest capOS program: exit(0, process), one page, assembled by hand. A machine that runs it has
// booted, entered user mode and come back.
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
	put(uint16(2), uint16(62), uint32(1), uint64(base+headers), uint64(64), uint64(0), uint32(0)) // type .. flags
	put(uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0))                       // sizes and counts
	size := uint64(headers + len(code))
	put(uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000)) // PT_LOAD, R X
	b.Write(code)
	return b.Bytes()
}
