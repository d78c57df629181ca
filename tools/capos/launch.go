package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
	"capos.dev/tools/internal/symbols"
)

// launch is one program about to get a machine of its own, connected to this process's standard
// streams.
type launch struct {
	root    string
	config  *machine.Config
	flags   *machineFlags
	tree    *bootimage.Tree
	program bootimage.Program
	host    string   // the program's ELF file here
	image   *os.File // the boot image; nil: it is made of tree and program
	// the run that is repeated; nil: none
	recorded *recordedRun
	exports  *exports
	system   bool // of several services
	// kernel parameters of a manifest
	parameters []string
	// patience is how long a terminated machine may go on; 0: as long as that of a program
	patience time.Duration
	// counted says that a benchmark's nanoseconds are instructions
	counted bool
}

var (
	errTimeout    = errors.New("timeout")
	errInterrupt  = errors.New("interrupted")
	errTerminated = errors.New("terminated")
)

// programPatience is how long an interrupted machine may go on when it is asked again, and that of
// a terminated program at all.
const programPatience = 2 * time.Second

// run boots the machine and gives the exit status.
func (l *launch) run() int {
	if l.flags.dryRun {
		return l.printCommand()
	}
	if err := l.config.CheckKernel(); err != nil {
		return cli.Fail(err)
	}
	if err := l.config.CheckMemory(); err != nil {
		return cli.Fail(cli.WithStatus(report.StatusNoBoot, err))
	}
	if err := errors.Join(machine.CheckQEMU(), l.seed()); err != nil {
		return cli.Fail(err)
	}
	save, err := l.record()
	if err != nil {
		return cli.Fail(err)
	}
	sum := newDigest()
	summed := l.config.Seed != nil && l.flags.stats
	guest := l.guest()
	if l.counted {
		out := &instructionWriter{out: os.Stdout}
		defer out.Flush()
		guest.Stdout = out
	}
	if summed {
		guest.Message = sum.add
	}
	image, err := l.bootImage()
	if err != nil {
		return cli.Fail(err)
	}
	defer image.Close()
	l.tellSize(image)
	outcome, err := l.bootFrom(image, guest)
	if err == nil {
		err = save(image, outcome)
	}
	if err != nil {
		return cli.Fail(err)
	}
	status := l.explain(outcome)
	if summed {
		fmt.Fprintf(os.Stderr, "capos: seed %d, digest of the run %s\n",
			l.config.Seed.Number, sum)
	}
	return status
}

// tellSize is a part of --stats: the package is in the machine's memory from the start.
func (l *launch) tellSize(image *os.File) {
	if info, err := image.Stat(); err == nil && l.config.Stats {
		fmt.Fprintf(os.Stderr, "capos: the package takes %.1f of %d MiB of memory\n",
			float64(info.Size())/(1<<20), l.config.MemoryMiB)
	}
}

// guest connects the machine to this process, as far as it is connected to anything.
func (l *launch) guest() machine.Guest {
	if l.config.GDB != "" {
		l.printDebugger()
	}
	guest := machine.Guest{Stdout: os.Stdout, Stderr: os.Stderr, Notes: os.Stderr}
	if l.config.IsLive() {
		guest.Stdin = os.Stdin
	}
	if l.exports != nil {
		guest.File = l.exports.receive
		guest.FileGone = l.exports.gone
	}
	if l.flags.verbose || l.system {
		guest.ChildFault = l.reportChild
	}
	if l.flags.verbose || l.config.GDB != "" {
		guest.Log = os.Stderr
	}
	return guest
}

// reportChild prints where a process was that another one started, when it was ended by a fault. Of
// a program the parent learns of it, and may expect it; in a system it is told in any case.
func (l *launch) reportChild(f *hostchannel.Fault) {
	var table *symbols.Table
	if l.tree != nil && f.ImageOffset != 0 {
		file := bootimage.SourceAt(l.tree, []bootimage.Program{l.program}, f.ImageOffset)
		table, _ = symbols.Open(file) // without symbols the report has addresses
	}
	io.WriteString(os.Stderr, report.ChildFault(f, table))
}

// bootImage is given, or made for this machine.
func (l *launch) bootImage() (*os.File, error) {
	if l.image != nil {
		return l.image, nil
	}
	return bootimage.Temporary(l.tree, []bootimage.Program{l.program})
}

// boot runs the machine to its end.
func (l *launch) boot(guest machine.Guest) (*machine.Outcome, error) {
	image, err := l.bootImage()
	if err != nil {
		return nil, err
	}
	if l.image == nil {
		defer image.Close()
	}
	return l.bootFrom(image, guest)
}

func (l *launch) bootFrom(image *os.File, guest machine.Guest) (*machine.Outcome, error) {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	if l.flags.timeout > 0 {
		timer := time.AfterFunc(l.flags.timeout, func() { stop(errTimeout) })
		defer timer.Stop()
	}
	if l.config.IsLive() {
		guest.Keys = signalKeys(stop, max(l.patience, programPatience))
	} else {
		endOnSignal(stop)
	}
	defer l.lookable(&guest)()
	outcome, err := machine.Run(ctx, l.config, image, guest)
	if err != nil {
		return nil, fmt.Errorf("cannot start QEMU: %w", err)
	}
	return outcome, nil
}

// signalKeys turns signals to this process into keys of the machine's console. A second interrupt
// soon after the first, and a terminate that has no effect, end the machine.
func signalKeys(stop context.CancelCauseFunc, patience time.Duration) <-chan uint8 {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	keys := make(chan uint8, 4)
	press := func(kind uint8) {
		select {
		case keys <- kind:
		default: // the machine takes no keys any more
		}
	}
	go func() {
		var interrupted time.Time
		for s := range signals {
			switch s {
			case syscall.SIGQUIT:
				press(uint8(abi.NotificationKindQuit))
			case syscall.SIGTERM:
				press(uint8(abi.NotificationKindTerminate))
				time.AfterFunc(patience, func() { stop(errTerminated) })
			default:
				if time.Since(interrupted) < programPatience {
					stop(errInterrupt)
				}
				interrupted = time.Now()
				press(uint8(abi.NotificationKindInterrupt))
			}
		}
	}()
	return keys
}

// endOnSignal ends a machine that takes no keys.
func endOnSignal(stop context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	go func() {
		if s := <-signals; s == syscall.SIGTERM {
			stop(errTerminated)
		} else {
			stop(errInterrupt)
		}
	}()
}

// explain prints why the program or the machine ended, unless the program simply exited, and gives
// the status.
func (l *launch) explain(o *machine.Outcome) int {
	name := filepath.Base(l.program.Path)
	if len(o.Programs) > 0 {
		end := o.Programs[0]
		var table *symbols.Table
		if end.Fault != nil {
			table, _ = symbols.Open(l.host) // without symbols the report has addresses
		}
		status, text := report.Program(&end, name, table, report.Memory{
			MachineMiB: l.config.MemoryMiB, LimitPages: l.flags.limits.memory})
		if int(end.Kind) == abi.ExitKindNotStarted && !l.flags.verbose {
			text += report.LastLog(o.Log)
		}
		leak := report.LeakText(&end, name)
		if l.exports != nil {
			text += l.exports.neverWritten()
		}
		io.WriteString(os.Stderr, text+leak)
		if status == 0 && leak != "" && os.Getenv(repo.StrictVar) != "" {
			return report.StatusFailed
		}
		return status
	}
	if status, text, stopped := l.stopped(o); stopped {
		if status == report.StatusTimeout || l.recorded != nil {
			fmt.Fprintf(os.Stderr, "capos: %s\n", text)
		}
		return status
	}
	kernel, _ := symbols.Open(l.config.Kernel)
	status, text := report.Machine(o, l.config, kernel)
	io.WriteString(os.Stderr, text)
	return status
}

// stopped tells a machine that this process ended, now or when it was recorded, with the status and
// why.
func (l *launch) stopped(o *machine.Outcome) (status int, text string, stopped bool) {
	switch {
	case o.Stopped == nil && !o.Panicked && l.recorded != nil && l.recorded.StoppedText != "":
		return l.recorded.StoppedStatus, "the recording ends here: " +
			l.recorded.StoppedText, true
	case errors.Is(o.Stopped, errTimeout):
		return report.StatusTimeout, fmt.Sprintf("%s did not end within %v",
			filepath.Base(l.program.Path), l.flags.timeout), true
	case errors.Is(o.Stopped, errInterrupt):
		return 130, errInterrupt.Error(), true
	case errors.Is(o.Stopped, errTerminated):
		return 143, errTerminated.Error(), true
	}
	return 0, "", false
}

// printCommand is --dry-run: the boot image stays in build/run, so that the printed command works.
func (l *launch) printCommand() int {
	boot := filepath.Join(l.root, "build", "run", filepath.Base(l.program.Path)+".img")
	if err := bootimage.Save(boot, l.tree, []bootimage.Program{l.program}); err != nil {
		return cli.Fail(err)
	}
	fmt.Println(machine.ShellCommand(machine.DefaultQEMU, l.config.Args(boot)))
	return 0
}

// printDebugger tells how to connect gdb to the waiting machine.
func (l *launch) printDebugger() {
	args := []string{l.config.Kernel}
	helpers, _ := filepath.Glob(filepath.Join(l.root, "tools", "gdb", "*.py"))
	for _, file := range helpers {
		args = append(args, "-x", file)
	}
	program := l.host
	if abs, err := filepath.Abs(program); err == nil {
		program = abs // the other terminal may be elsewhere
	}
	args = append(args, "-ex", "add-symbol-file "+program, "-ex", "target remote "+l.config.GDB)
	fmt.Fprintf(os.Stderr,
		"capos: the machine waits for a debugger; in another terminal:\n  %s\n",
		machine.ShellCommand("gdb", args))
}
