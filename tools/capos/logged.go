package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/rewind"
	"capos.dev/tools/internal/symbols"
)

// logged is a seeded machine that QEMU has logged. So it can be made again, and be put at any of
// its instructions.
type logged struct {
	dir    string // for the log and sockets
	config machine.Config
	image  *os.File
}

// newLog has a machine log what it does in a directory that it makes.
func newLog(config *machine.Config) (dir string, err error) {
	dir, err = os.MkdirTemp("", "capos-debug-*")
	config.Log = &machine.Log{Path: filepath.Join(dir, "events")}
	return dir, err
}

func (l *logged) remove() {
	l.image.Close()
	os.RemoveAll(l.dir)
}

// again makes the machine again.
func (l *logged) again() (*rewind.Machine, error) {
	config := l.config
	config.Log = &machine.Log{Path: l.config.Log.Path, Replay: true}
	nowhere, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &rewind.Machine{Dir: l.dir, Command: func(extra ...string) *exec.Cmd {
		cmd := exec.Command(machine.DefaultQEMU,
			slices.Concat(config.Args("/dev/fd/3"), extra)...)
		cmd.ExtraFiles = []*os.File{l.image, nowhere}
		return cmd
	}}, nil
}

// serve prints how gdb connects to a machine that stands at an instruction, and lets it work.
func (l *launch) serve(m *rewind.Machine, count uint64) error {
	fmt.Fprintf(os.Stderr, "capos: the machine stands at instruction %d\n", count)
	address, err := machine.GDBAddress()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	config := *l.config
	config.GDB = address
	l.config = &config
	l.printDebugger()
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	return m.Serve(conn)
}

// logRun runs a program with a seed. printed is what it has written.
func (l *launch) logRun() (log *logged, printed string, status int, err error) {
	if l.system {
		return nil, "", 0, errors.New("of a system the steps are not known")
	}
	if err := errors.Join(l.config.CheckKernel(), machine.CheckQEMU(), l.seed()); err != nil {
		return nil, "", 0, err
	}
	dir, err := newLog(l.config)
	if err != nil {
		return nil, "", 0, err
	}
	image, err := l.bootImage()
	if err != nil {
		os.RemoveAll(dir)
		return nil, "", 0, err
	}
	log = &logged{dir: dir, config: *l.config, image: image}
	var said bytes.Buffer
	guest := l.guest()
	guest.Stdout, guest.Stderr = &said, &said
	outcome, err := l.bootFrom(image, guest)
	if err != nil {
		log.remove()
		return nil, "", 0, err
	}
	return log, said.String(), l.explain(outcome), nil
}

// lookBack runs a program with a seed, and has look go over the run once more. status is the
// program's.
func (l *launch) lookBack(look func(m *rewind.Machine, printed string) error) (status int,
	err error) {
	log, printed, status, err := l.logRun()
	if err != nil {
		return 0, err
	}
	defer log.remove()
	m, err := log.again()
	if err != nil {
		return 0, err
	}
	defer m.Close()
	return status, look(m, printed)
}

// runSteps runs a program with a seed and prints what it writes, each line with the instruction at
// which it does.
func (l *launch) runSteps() int {
	status, err := l.lookBack(func(m *rewind.Machine, printed string) error {
		lines, err := writtenLines(m, l.host, 0)
		if err != nil {
			return err
		}
		same := func(text string) string { return text }
		return printSteps(os.Stdout, lines, len(printed), same)
	})
	if err != nil {
		return cli.Fail(err)
	}
	return status
}

// runDebugged has gdb look at a run with a seed, after so many instructions or, with 0, where main
// begins.
func (l *launch) runDebugged(at uint64) int {
	_, err := l.lookBack(func(m *rewind.Machine, _ string) (err error) {
		if at != 0 {
			err = m.GoTo(at)
		} else if at, err = l.findMain(m); err != nil {
			err = fmt.Errorf("looking for the beginning of main: %w", err)
		}
		if err != nil {
			return err
		}
		return l.serve(m, at)
	})
	if err != nil {
		return cli.Fail(err)
	}
	return 0
}

func (l *launch) findMain(m *rewind.Machine) (count uint64, err error) {
	main, err := symbols.Addresses(l.host, "main.main")
	if err != nil {
		main, err = symbols.Addresses(l.host, "main")
	}
	if err != nil {
		return 0, err
	}
	entry, err := symbols.Entry(l.host)
	if err != nil {
		return 0, err
	}
	return m.FindAfter(entry, 0, main...)
}
