package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/report"
	"capos.dev/tools/internal/rewind"
)

// failingPoints are the functions by which a failure of a kind shows first. All others show when
// the program ends.
var failingPoints = map[string][]string{
	explore.KindDeadlock: {"runtime.exploreLeaks", "runtime.fatal"},
	explore.KindFatal:    {"runtime.throw", "runtime.fatal"},
	explore.KindPanic:    {"runtime.fatalpanic"},
	explore.KindRace:     {"runtime.raceTell"},
	explore.KindTest:     {"testing.(*common).Fail"},
	explore.KindTimeout:  {"runtime.exploreTimedOut"},
}

// programEnds is called last.
const programEnds = "runtime.exploreEnd"

// debugger is a failure that is looked at with gdb.
type debugger struct {
	*session
	file *explore.File
	dir  string // for the log and sockets
	at   uint64 // where to begin, in instructions; 0: where it fails
}

// debugFile has gdb look at a failure that is kept in a file, in both directions of time.
func debugFile(root, path string, timeout time.Duration, at uint64) int {
	return withDebugger(root, path, timeout, func(d *debugger, a attempt,
		run *explore.Run) int {
		if !d.file.Fails(run, d.source) {
			return report.StatusFailed
		}
		d.at = at
		if err := d.serve(a); err != nil {
			return cli.Fail(err)
		}
		return 0
	})
}

// withDebugger does something with the run of a failure that is kept in a file. It says before
// whether the run fails.
func withDebugger(root, path string, timeout time.Duration,
	do func(*debugger, attempt, *explore.Run) int) int {
	file, err := explore.ReadFile(path)
	if err != nil {
		return cli.Fail(err)
	}
	s, err := openFailure(root, path, file, timeout)
	if err != nil {
		return cli.Fail(err)
	}
	dir, err := os.MkdirTemp("", "capos-debug-*")
	if err != nil {
		return cli.Fail(err)
	}
	defer os.RemoveAll(dir)
	d := &debugger{session: s, file: file, dir: dir}
	a, run, err := d.record()
	if err != nil {
		return cli.Fail(err)
	}
	fmt.Fprintf(os.Stderr, "capos: %s\n", file.Verdict(run, s.source))
	return do(d, a, run)
}

// record makes the run that fails with QEMU's log of it.
func (d *debugger) record() (a attempt, run *explore.Run, err error) {
	list, err := d.variants(d.file)
	if err != nil {
		return a, nil, err
	}
	d.x.config.Log = &machine.Log{Path: filepath.Join(d.dir, "events")}
	for _, a = range list {
		err := d.machine(context.Background(), []attempt{a},
			func(r *explore.Run) { run = r })
		if err = errors.Join(err, d.broken); err != nil || d.file.Fails(run, d.source) {
			return a, run, err
		}
	}
	return a, run, nil
}

// recorded makes the machine of a run that was recorded.
func (d *debugger) recorded(a attempt) (*rewind.Machine, error) {
	config := *d.x.config
	config.Seed = &machine.Seed{Number: a.seed, Date: config.Seed.Date}
	config.Log = &machine.Log{Path: config.Log.Path, Replay: true}
	image, err := bootimage.Temporary(d.launch.tree,
		[]bootimage.Program{d.x.instance(d.t, a)})
	if err != nil {
		return nil, err
	}
	nowhere, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &rewind.Machine{Dir: d.dir, Command: func(extra ...string) *exec.Cmd {
		cmd := exec.Command(machine.DefaultQEMU,
			slices.Concat(config.Args("/dev/fd/3"), extra)...)
		cmd.ExtraFiles = []*os.File{image, nowhere}
		return cmd
	}}, nil
}

// serve waits for gdb and lets it work.
func (d *debugger) serve(a attempt) error {
	m, err := d.recorded(a)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := d.begin(m); err != nil {
		return err
	}
	address, err := machine.GDBAddress()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	config := *d.x.config
	config.GDB = address
	d.launch.config, d.launch.host = &config, d.t.elf
	d.launch.printDebugger()
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	return m.Serve(conn)
}

// begin puts the machine where the failure shows, or where it was asked for.
func (d *debugger) begin(m *rewind.Machine) error {
	count, err := d.at, error(nil)
	if count != 0 {
		err = m.GoTo(count)
	} else {
		var addresses []uint64
		if addresses, err = d.addresses(); err == nil {
			count, err = m.Find(addresses...)
		}
	}
	if err != nil {
		return fmt.Errorf("looking for the failing point: %w", err)
	}
	fmt.Fprintf(os.Stderr, "capos: the machine stands at instruction %d\n", count)
	return nil
}

// addresses are where the failure may show first.
func (d *debugger) addresses() (list []uint64, err error) {
	f, err := elf.Open(d.t.elf)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	wanted := failingPoints[d.file.Failure.Kind]
	if wanted == nil {
		wanted = []string{programEnds}
	}
	for _, symbol := range symbols {
		if slices.Contains(wanted, symbol.Name) {
			list = append(list, symbol.Value)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has none of %q", d.t.elf, wanted)
	}
	return list, nil
}
