package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
)

// A recording is a zip file that holds all of a run: what it was (runEntry), and the files it was
// made of. So it can be repeated after the program and the kernel have been built anew, and on
// another host.
const (
	runEntry     = "run.json"
	kernelEntry  = "kernel"
	programEntry = "program"
	imageEntry   = "image"
	eventsEntry  = "events" // QEMU's log
)

// recordingFormat is raised when a recording of before cannot be read any more.
const recordingFormat = 1

// recordedRun is what run.json says. It names no file of the host and no argument of QEMU, so that
// a recording of a stranger can do no more than its machine.
type recordedRun struct {
	Format           int
	QEMU             string // its version: another one may count otherwise
	Name             string // of the program
	Machine, CPU     string
	MemoryMiB        int
	Trace, Stats     bool
	KernelParameters []string

	// a machine that was ended from outside: the status that was given for it, and why
	StoppedStatus int
	StoppedText   string
}

// saver writes the recording of a machine that has ended.
type saver func(image *os.File, o *machine.Outcome) error

// record prepares a launch to be recorded, if it is to be.
func (l *launch) record() (saver, error) {
	if l.flags.record == "" {
		return func(*os.File, *machine.Outcome) error { return nil }, nil
	}
	if _, err := os.Stat(filepath.Dir(l.flags.record)); err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	events, err := repo.UnnamedFile("", "capos-events-*")
	if err != nil {
		return nil, err
	}
	l.config.Recording = &machine.Recording{Events: events}
	return func(image *os.File, o *machine.Outcome) error {
		defer events.Close()
		run := l.recordedRun()
		run.StoppedStatus, run.StoppedText, _ = l.stopped(o)
		return l.saveRecording(run, image, events)
	}, nil
}

func (l *launch) saveRecording(run *recordedRun, image, events *os.File) error {
	out, err := os.CreateTemp(filepath.Dir(l.flags.record), ".capos-recording-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // unless it has got its name
	zipped := zip.NewWriter(out)
	err = errors.Join(describe(zipped, run), copyEntry(zipped, imageEntry, image),
		copyEntry(zipped, eventsEntry, events))
	for entry, name := range map[string]string{kernelEntry: l.config.Kernel,
		programEntry: l.host} {
		f, openErr := os.Open(name)
		if openErr == nil {
			openErr = copyEntry(zipped, entry, f)
			f.Close()
		}
		err = errors.Join(err, openErr)
	}
	err = errors.Join(err, zipped.Close(), out.Chmod(0o644), out.Close())
	if err != nil {
		return err
	}
	return os.Rename(out.Name(), l.flags.record)
}

func (l *launch) recordedRun() *recordedRun {
	c := l.config
	return &recordedRun{Format: recordingFormat, QEMU: machine.QEMUVersion(),
		Name: filepath.Base(l.program.Path), Machine: c.Machine, CPU: c.CPU,
		MemoryMiB: c.MemoryMiB, Trace: c.Trace, Stats: c.Stats,
		KernelParameters: c.KernelParameters}
}

func describe(zipped *zip.Writer, run *recordedRun) error {
	entry, err := zipped.Create(runEntry)
	if err != nil {
		return err
	}
	return json.NewEncoder(entry).Encode(run)
}

// copyEntry copies a whole file, wherever its offset is.
func copyEntry(zipped *zip.Writer, name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	entry, err := zipped.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(entry, io.NewSectionReader(f, 0, info.Size()))
	return err
}

// errNoRecording is for files that are none, or not whole.
var errNoRecording = errors.New("it is not a recording that ./capos run --record made")

// openRecording makes a launch that repeats a recording. Its files have no names and go away with
// this process.
func openRecording(root, name string, flags *machineFlags) (*launch, error) {
	zipped, err := zip.OpenReader(name)
	if errors.Is(err, zip.ErrFormat) {
		return nil, fmt.Errorf("%s: %w", name, errNoRecording)
	} else if err != nil {
		return nil, err
	}
	defer zipped.Close()
	run, err := readRun(zipped)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	files := map[string]*os.File{}
	for _, entry := range []string{kernelEntry, programEntry, imageEntry, eventsEntry} {
		if files[entry], err = extract(zipped, entry); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, entry, err)
		}
	}
	config := &machine.Config{Machine: run.Machine, CPU: run.CPU, Accel: "tcg",
		MemoryMiB: run.MemoryMiB, CPUs: 1, ICount: true, Trace: run.Trace, Stats: run.Stats,
		KernelParameters: run.KernelParameters, Kernel: processFile(files[kernelEntry]),
		Recording: &machine.Recording{Events: files[eventsEntry], Replay: true}}
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &launch{root: root, config: config, flags: flags, image: files[imageEntry],
		recorded: run, host: processFile(files[programEntry]),
		program: bootimage.Program{Path: run.Name}}, nil
}

func readRun(zipped *zip.ReadCloser) (*recordedRun, error) {
	entry, err := zipped.Open(runEntry)
	if err != nil {
		return nil, errNoRecording
	}
	defer entry.Close()
	var run recordedRun
	if err := json.NewDecoder(entry).Decode(&run); err != nil {
		return nil, fmt.Errorf("%w: %v", errNoRecording, err)
	}
	if run.Format != recordingFormat {
		return nil, fmt.Errorf("it is a recording of format %d, and this ./capos reads "+
			"format %d", run.Format, recordingFormat)
	}
	if here := machine.QEMUVersion(); run.QEMU != here {
		return nil, fmt.Errorf("it was recorded with %s and can only be repeated with "+
			"that; here is %s", run.QEMU, here)
	}
	return &run, nil
}

func extract(zipped *zip.ReadCloser, name string) (*os.File, error) {
	entry, err := zipped.Open(name)
	if err != nil {
		return nil, errNoRecording
	}
	defer entry.Close()
	f, err := repo.UnnamedFile("", "capos-replay-*")
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(f, entry)
	return f, err
}

// processFile gives a path that leads QEMU to a file that this process has open.
func processFile(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// replayRecording repeats a recording: it shows the same and ends with the same status.
func replayRecording(root, name string, r *replayFlags) int {
	l, err := openRecording(root, name, &r.machineFlags)
	if err != nil {
		return cli.Fail(err)
	}
	if r.verify {
		return l.verify()
	}
	return l.run()
}
