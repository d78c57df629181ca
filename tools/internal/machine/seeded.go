package machine

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// A seeded machine repeats exactly: the same kernel, boot image, seed and start date give the same
// channel bytes, whatever the host does meanwhile.
//
// Three things of the host could reach a guest, and each is taken away. Time counts instructions
// (-icount, and the wall clock follows it). Random bytes come from QEMU's own generator with the
// seed (RDRAND and RDSEED). The entropy device takes its bytes from there too, but answers whenever
// QEMU's main loop runs, so it is left out. Only a kernel that halts until that has run has it
// (kernel/sched/explore.h). Device completions depend on the host where a stream can be full or has
// something to read, so the channel is a regular file, which takes every write at once, and
// standard input is part of the boot image.

// Seed makes a machine repeat.
type Seed struct {
	Number uint64
	Date   time.Time // of power-on; UTC is what the guest's clock shows
}

// args gives what a seeded machine has beside -icount.
func (s *Seed) args() []string {
	return []string{"-seed", strconv.FormatUint(s.Number, 10),
		"-rtc", "base=" + s.Date.UTC().Format("2006-01-02T15:04:05") + ",clock=vm"}
}

// Log is QEMU's log of a seeded machine. A machine that replays it is the same, and QEMU can stop
// it at an instruction. Nothing of the outside is in the log, so the machine need not sleep.
type Log struct {
	Path   string
	Replay bool
}

func (l *Log) icountArgs() []string {
	mode := "record"
	if l.Replay {
		mode = "replay"
	}
	return []string{"-icount", "shift=0,sleep=off,rr=" + mode + ",rrfile=" + l.Path}
}

// inTurns tells a seeded machine for which QEMU makes a log that nobody reads. Only while it logs
// do its main loop and the CPU take turns. Otherwise the main loop may let time jump once more when
// the CPU has just halted again and what it executed in between is not counted yet
// (docs/decisions/0032). QEMU logs one CPU only, and delivers what an entropy device answers only
// if it may sleep.
func (c *Config) inTurns() bool { return c.Seed != nil && c.CPUs == 1 && !c.Entropy }

// validateSeed finds what would let the host in.
func (c *Config) validateSeed() error {
	switch {
	case c.Seed == nil:
		return nil
	case !c.ICount:
		return fmt.Errorf("--seed needs instruction-exact time (--icount)")
	case c.CPUs != 1:
		return fmt.Errorf("--seed runs on one CPU, not on %d: QEMU would run them in "+
			"turns of a fixed length, and two that wait for each other can stay in "+
			"step for ever (GOMAXPROCS may be as large as wanted)", c.CPUs)
	case c.Serial:
		return fmt.Errorf("--seed needs the virtio channel: a serial port works at the " +
			"host's speed")
	case c.GDB != "":
		return fmt.Errorf("--seed does not go with -d: a stop in the debugger is not " +
			"part of the seed")
	}
	return nil
}

const (
	tailPoll = 2 * time.Millisecond

	// A machine that is further ahead of its reader than backlogMax is stopped until the reader
	// has caught up to backlogLow. A stopped process does not notice: its time does not pass.
	backlogMax = 64 << 20
	backlogLow = 16 << 20
)

// tail reads a file that QEMU writes, as it grows, until ended is set and all is read.
type tail struct {
	file    *os.File
	offset  int64
	ended   atomic.Bool
	process *os.Process // nil before QEMU has started
	stopped bool
}

func (t *tail) Read(buffer []byte) (int, error) {
	for {
		ended := t.ended.Load() // before the read: what was written last is seen by it
		n, err := t.file.ReadAt(buffer, t.offset)
		if n > 0 {
			t.advance(int64(n))
			return n, nil
		}
		if err != nil && err != io.EOF || ended {
			return 0, err
		}
		t.hold(false)
		time.Sleep(tailPoll)
	}
}

// fallocate's modes: <linux/falloc.h>.
const (
	keepSize  = 0x01
	punchHole = 0x02
	holeBytes = 1 << 20
)

// advance gives back to the host's file system what has been read, and holds the machine when it
// is too far ahead.
func (t *tail) advance(n int64) {
	before := t.offset / holeBytes
	t.offset += n
	if t.offset/holeBytes == before {
		return
	}
	// A file system that cannot do it keeps the bytes until the end: no reason to fail.
	_ = syscall.Fallocate(int(t.file.Fd()), keepSize|punchHole, 0,
		t.offset/holeBytes*holeBytes)
	if info, err := t.file.Stat(); err == nil {
		switch backlog := info.Size() - t.offset; {
		case backlog > backlogMax:
			t.hold(true)
		case backlog < backlogLow:
			t.hold(false)
		}
	}
}

func (t *tail) hold(stop bool) {
	if t.process == nil || t.stopped == stop {
		return
	}
	t.stopped = stop
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	_ = t.process.Signal(signal) // an error says that it has ended
}
