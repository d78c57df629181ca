package main

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/machine"
)

// defaultDate is when a seeded machine is switched on, unless --date says otherwise.
const defaultDate = "2026-01-01T00:00:00Z"

// seedInputMax bounds the standard input that is read before a seeded machine starts.
const seedInputMax = 64 << 20

// seedConfig turns --seed and --date into a machine's seed; nil without --seed.
func (m *machineFlags) seedConfig() (*machine.Seed, error) {
	if m.seed == "" {
		if m.date != defaultDate {
			return nil, fmt.Errorf("--date goes with --seed")
		}
		return nil, nil
	}
	number, err := strconv.ParseUint(m.seed, 0, 64)
	if err != nil {
		return nil, fmt.Errorf("--seed takes a number of 64 bits, not %q", m.seed)
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime,
		time.DateOnly} {
		if date, err := time.Parse(form, m.date); err == nil {
			return &machine.Seed{Number: number, Date: date}, nil
		}
	}
	return nil, fmt.Errorf("--date takes a date like %s or 2026-01-01, not %q", defaultDate,
		m.date)
}

// digest sums up everything that a machine said. With statistics on that includes the order of its
// calls and the instructions it took.
type digest struct{ hash.Hash }

func newDigest() digest { return digest{sha256.New()} }

func (d digest) add(m hostchannel.Message) {
	d.Write([]byte{m.Type})
	d.Write(m.Payload)
}

// String is short enough to be compared by eye and long enough not to collide by chance.
func (d digest) String() string { return fmt.Sprintf("%x", d.Sum(nil)[:16]) }

// readSeedInput reads standard input to its end, because what arrives while a machine runs arrives
// at a time that no seed decides.
func readSeedInput(stdin *os.File) ([]byte, error) {
	if isTerminal(stdin) {
		return nil, fmt.Errorf("--seed reads standard input before the machine starts, " +
			"and it is a terminal here: give it a file or /dev/null, or keep the " +
			"run with --record FILE")
	}
	input, err := io.ReadAll(io.LimitReader(stdin, seedInputMax+1))
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	if len(input) > seedInputMax {
		return nil, fmt.Errorf("--seed takes a standard input of at most %d MiB; --record "+
			"FILE keeps a run with more", seedInputMax>>20)
	}
	return hostchannel.Input(input), nil
}

func isTerminal(f *os.File) bool {
	var settings syscall.Termios
	_, _, err := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TCGETS,
		uintptr(unsafe.Pointer(&settings)))
	return err == 0
}

// seed makes a launch repeat: what it would get from the host while it runs, it gets now.
func (l *launch) seed() error {
	if l.config.Seed == nil {
		return nil
	}
	input, err := readSeedInput(os.Stdin)
	if err != nil {
		return err
	}
	l.tree.Input, l.tree.Date = input, l.config.Seed.Date
	return nil
}
