package accel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/machine"
)

// fakeQEMU puts a shell script in the emulator's place.
func fakeQEMU(t *testing.T, dir, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, machine.DefaultQEMU),
		[]byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// workingMachine writes what a machine says that has run its one program, and gives the script that
// plays it.
func workingMachine(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	out := hostchannel.NewWriter(&b)
	record, err := binary.Append(nil, binary.LittleEndian, &abi.ExitRecord{Last: 1})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(uint8(abi.HostMessageNone), nil)
	out.Write(uint8(abi.HostMessageExit), record)
	said := filepath.Join(dir, "said")
	if err := os.WriteFile(said, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("echo started >>'%s'; cat '%s'", filepath.Join(dir, "starts"), said)
}

// accelCase is a host: what QEMU does there, and the answer.
type accelCase struct {
	name, script string // "": a machine that works
	noDevice     bool
	answer, says string
}

func TestAccelerator(t *testing.T) {
	for _, c := range []accelCase{
		{name: "works", answer: "kvm", says: "machines run with KVM\n"},
		{name: "hangs", script: "exec sleep 60", answer: "tcg", says: "more than 300ms"},
		{name: "fails", script: "echo 'failed to initialize kvm' >&2; exit 1",
			answer: "tcg", says: "failed to initialize kvm"},
		{name: "ends at once", script: "exit 0", answer: "tcg", says: "ended at once"},
		{name: "no device", noDevice: true, answer: "tcg", says: "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			if c.script == "" {
				c.script = workingMachine(t, dir)
			}
			fakeQEMU(t, dir, c.script)
			kernel, device := filepath.Join(dir, "kernel"), filepath.Join(dir, "kvm")
			os.WriteFile(kernel, []byte("one"), 0o644)
			if !c.noDevice {
				os.WriteFile(device, nil, 0o644)
			}
			var said strings.Builder
			a := accelerators{device: device, cache: dir, say: &said,
				limit: 300 * time.Millisecond}
			if c.answer == "kvm" {
				a.limit = time.Minute
			}
			config := &machine.Config{Machine: "microvm", Kernel: kernel}
			c.checkFirst(t, &a, config, &said)
			c.checkLater(t, &a, config, &said)
		})
	}
}

// checkFirst asks when nothing is known: without a probe, quietly, and aloud.
func (c *accelCase) checkFirst(t *testing.T, a *accelerators, config *machine.Config,
	said *strings.Builder) {
	if answer := a.best(config, false); answer != "tcg" || said.Len() > 0 {
		t.Errorf("without a probe: %s, %q", answer, said)
	}
	// A quiet asker leaves it to the next one to say the answer.
	quiet := *a
	quiet.say = nil
	if answer := quiet.best(config, true); answer != c.answer || said.Len() > 0 {
		t.Errorf("quietly: %s, %q", answer, said)
	}
	if answer := a.best(config, true); answer != c.answer ||
		!strings.Contains(said.String(), c.says) {
		t.Errorf("%s, %q", answer, said)
	}
}

// checkLater asks again: the answer is remembered, for each kernel one.
func (c *accelCase) checkLater(t *testing.T, a *accelerators, config *machine.Config,
	said *strings.Builder) {
	once := said.String()
	for _, mayProbe := range []bool{true, false} {
		if answer := a.best(config, mayProbe); answer != c.answer || said.String() != once {
			t.Errorf("later: %s, %q", answer, said)
		}
	}
	// Another kernel is another question, unless there is no KVM at all; the first answer
	// stays known.
	os.WriteFile(config.Kernel, []byte("two"), 0o644)
	a.best(config, true)
	if again := said.String() != once; again == c.noDevice {
		t.Errorf("with another kernel: %q", said)
	}
	once = said.String()
	os.WriteFile(config.Kernel, []byte("one"), 0o644)
	if answer := a.best(config, false); answer != c.answer || said.String() != once {
		t.Errorf("with the first kernel: %s, %q", answer, said)
	}
}

func TestAcceleratorMemory(t *testing.T) {
	a := accelerators{cache: t.TempDir()}
	os.WriteFile(a.file(), []byte("old kvm\nnonsense maybe said\n\nkey kvm unsaid\n"), 0o644)
	for key, want := range map[string]bool{"key": true, "nonsense": false, "old": false} {
		if answer, known := a.remembered(key); known != want ||
			known && answer != (accelerator{name: "kvm"}) {
			t.Errorf("%s: %+v", key, answer)
		}
	}
	for i := range 3 * answersKept {
		a.remember(fmt.Sprint("key", i), accelerator{"tcg", "why\nand how", true})
	}
	text, _ := os.ReadFile(a.file())
	if n := strings.Count(string(text), "\n"); n != answersKept {
		t.Errorf("%d lines", n)
	}
	last, known := a.remembered(fmt.Sprint("key", 3*answersKept-1))
	if _, first := a.remembered("key"); first || !known ||
		last != (accelerator{"tcg", "why and how", true}) {
		t.Errorf("%+v", last)
	}
	if entries, _ := os.ReadDir(a.cache); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
}
