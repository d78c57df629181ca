package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/report"
	"capos.dev/tools/internal/rewind"
	"capos.dev/tools/internal/symbols"
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

// group is the attempts that share a machine, of which the last is the one to look at. It is one
// alone but for a failure that only a machine shows that has run other seeds before.
type group []attempt

func (g group) before() int { return len(g) - 1 }

// debugFile has gdb look at a failure that is kept in a file, in both directions of time.
func debugFile(root, path string, timeout time.Duration, at uint64) int {
	return withDebugger(root, path, timeout, func(d *debugger, g group,
		run *explore.Run) int {
		if !d.file.Fails(run, d.source) {
			return report.StatusFailed
		}
		d.at = at
		if err := d.serve(g); err != nil {
			return cli.Fail(err)
		}
		return 0
	})
}

// withDebugger does something with the run of a failure that is kept in a file. It says before
// whether the run fails.
func withDebugger(root, path string, timeout time.Duration,
	do func(*debugger, group, *explore.Run) int) int {
	file, err := explore.ReadFile(path)
	if err != nil {
		return cli.Fail(err)
	}
	s, err := openFailure(root, path, file, timeout)
	if err != nil {
		return cli.Fail(err)
	}
	dir, err := newLog(s.x.config)
	if err != nil {
		return cli.Fail(err)
	}
	defer os.RemoveAll(dir)
	d := &debugger{session: s, file: file, dir: dir}
	g, run, err := d.record()
	if err != nil {
		return cli.Fail(err)
	}
	fmt.Fprintf(os.Stderr, "capos: %s\n", file.Verdict(run, s.source))
	return do(d, g, run)
}

// record makes the run that fails with QEMU's log of it.
func (d *debugger) record() (g group, run *explore.Run, err error) {
	groups, err := d.variants(d.file)
	if err != nil {
		return nil, nil, err
	}
	for _, g = range groups {
		err := d.machine(context.Background(), g, func(r *explore.Run) { run = r })
		if err = errors.Join(err, d.broken); err != nil || d.file.Fails(run, d.source) {
			return g, run, err
		}
	}
	return g, run, nil
}

// recorded makes the machine of a run that was recorded.
func (d *debugger) recorded(g group) (*rewind.Machine, error) {
	config := *d.x.config
	config.Seed = &machine.Seed{Number: g[0].seed, Date: config.Seed.Date}
	tree, programs, err := d.image(g)
	if err != nil {
		return nil, err
	}
	image, err := bootimage.Temporary(tree, programs)
	if err != nil {
		return nil, err
	}
	return (&logged{dir: d.dir, config: config, image: image}).again()
}

// serve waits for gdb and lets it work.
func (d *debugger) serve(g group) error {
	m, err := d.recorded(g)
	if err != nil {
		return err
	}
	defer m.Close()
	count, err := d.begin(m, g)
	if err != nil {
		return fmt.Errorf("looking for the failing point: %w", err)
	}
	d.launch.config, d.launch.host = d.x.config, d.t.elf
	return d.launch.serve(m, count)
}

// begin puts the machine where the failure shows, or where it was asked for.
func (d *debugger) begin(m *rewind.Machine, g group) (count uint64, err error) {
	if d.at != 0 {
		return d.at, m.GoTo(d.at)
	}
	addresses, err := d.addresses()
	if err != nil {
		return 0, err
	}
	entry, err := symbols.Entry(d.t.elf)
	if err != nil {
		return 0, err
	}
	return m.FindAfter(entry, g.before(), addresses...)
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
