// Package rewind debugs a recorded machine with gdb in both directions of time. To go back, it
// starts the machine anew and runs it to an instruction of before, which QEMU's log of the machine
// makes exact. QEMU can go back by itself, from snapshots, but hangs in half of the tries (7.2).
package rewind

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Machine is a recorded machine that stands at one of its instructions. It belongs to one
// goroutine.
type Machine struct {
	// Command makes QEMU's command with further arguments. It replays the log.
	Command func(extra ...string) *exec.Cmd
	// Dir is a directory for sockets, with a short path.
	Dir string

	cmd     *exec.Cmd
	monitor *monitor
	stub    *remote  // QEMU's side of gdb's protocol
	points  []string // breakpoints and watchpoints, as gdb has asked for them: "0,addr,kind"
	told    []string // what the debugger has said of itself
}

// connectTime is how long a machine may take to open its sockets.
const connectTime = 30 * time.Second

// ErrEnded says that the recording is over.
var ErrEnded = errors.New("the recorded run is over")

func connect(path string) (conn net.Conn, err error) {
	for until := time.Now().Add(connectTime); time.Now().Before(until); {
		if conn, err = net.Dial("unix", path); err == nil {
			return conn, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, err
}

// restart begins the recorded run anew, stopped at its first instruction.
func (m *Machine) restart() error {
	m.Close()
	qmp, gdb := filepath.Join(m.Dir, "qmp"), filepath.Join(m.Dir, "gdb")
	os.Remove(qmp)
	os.Remove(gdb)
	m.cmd = m.Command("-S", "-qmp", "unix:"+qmp+",server=on,wait=off",
		"-gdb", "unix:"+gdb+",server=on,wait=off")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	conn, err := connect(qmp)
	if err == nil {
		m.monitor, err = newMonitor(conn)
	}
	if err != nil {
		return err
	}
	return nil
}

// attach connects to QEMU's stub, when the machine stands still: it tells who is connected of each
// stop. The new stub is told what the debugger has told the first one.
func (m *Machine) attach() error {
	conn, err := connect(filepath.Join(m.Dir, "gdb"))
	if err != nil {
		return err
	}
	m.stub = newRemote(conn)
	// Steps are like any other execution: with timers and interrupts.
	for _, packet := range append([]string{"Qqemu.sstep=1"}, m.told...) {
		if _, err := m.stub.ask(packet); err != nil {
			return err
		}
	}
	for _, point := range m.points {
		if _, err := m.stub.ask("Z" + point); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the machine.
func (m *Machine) Close() {
	if m.cmd == nil {
		return
	}
	m.cmd.Process.Kill()
	m.cmd.Wait()
	if m.monitor != nil {
		m.monitor.conn.Close()
	}
	if m.stub != nil {
		m.stub.conn.Close()
	}
	m.cmd, m.monitor, m.stub = nil, nil, nil
}

// At is how many instructions were executed.
func (m *Machine) At() (count uint64, err error) {
	var status struct {
		ICount uint64 `json:"icount"`
	}
	err = m.monitor.do("query-replay", nil, &status)
	return status.ICount, err
}

// GoTo puts the machine where so many instructions were executed, from the beginning.
func (m *Machine) GoTo(count uint64) error {
	if err := m.restart(); err != nil {
		return err
	}
	if count > 0 {
		err := m.monitor.do("replay-break", map[string]uint64{"icount": count}, nil)
		if err == nil {
			err = m.monitor.do("cont", nil, nil)
		}
		if err == nil {
			err = m.monitor.waitForStop()
		}
		if err != nil {
			return err
		}
		if at, err := m.At(); err != nil || at != count {
			return fmt.Errorf("the machine is at instruction %d and not at %d: %w", at,
				count, err)
		}
	}
	return m.attach()
}

// note keeps what gdb sets (Z) and removes (z).
func (m *Machine) note(packet string) {
	point := packet[1:]
	at := slices.Index(m.points, point)
	if packet[0] == 'Z' && at < 0 {
		m.points = append(m.points, point)
	} else if packet[0] == 'z' && at >= 0 {
		m.points = slices.Delete(m.points, at, at+1)
	}
}

// over executes one instruction with no breakpoint set: QEMU stops before an instruction that has
// one as often as it is told to go on.
func (m *Machine) over() (stop string, err error) {
	for _, point := range m.points {
		if _, err := m.stub.ask("z" + point); err != nil {
			return "", err
		}
	}
	if stop, err = m.stub.ask("s"); err != nil {
		return "", err
	}
	for _, point := range m.points {
		if _, err := m.stub.ask("Z" + point); err != nil {
			return "", err
		}
	}
	return stop, nil
}

// stopAt sets breakpoints and removes all others. The machine knows of them when it begins anew.
func (m *Machine) stopAt(addresses []uint64) {
	m.points = nil
	for _, address := range addresses {
		m.points = append(m.points, fmt.Sprintf("1,%x,1", address))
	}
}

// Each runs from the beginning to the end, and calls visit each time that execution comes to one of
// the addresses. The registers are those of then.
func (m *Machine) Each(addresses []uint64, visit func(count uint64,
	registers []uint64) error) error {
	m.stopAt(addresses)
	defer func() { m.points = nil }()
	if err := m.GoTo(0); err != nil {
		return err
	}
	for {
		stop, err := m.stub.ask("c")
		if err != nil || strings.HasPrefix(stop, "W") {
			return nil // the run is over
		}
		count, err := m.At()
		if err != nil {
			return err
		}
		registers, err := m.Registers()
		if err != nil {
			return err
		}
		if err := visit(count, registers); err != nil {
			return err
		}
		if _, err := m.over(); err != nil {
			return err
		}
	}
}

var errFound = errors.New("the run has come to the address")

// FindAfter goes to the first time that execution comes to one of the addresses, after it has come
// to entry, where a program begins, more often than before.
func (m *Machine) FindAfter(entry uint64, before int, addresses ...uint64) (count uint64,
	err error) {
	begun := 0
	err = m.Each(append([]uint64{entry}, addresses...), func(at uint64,
		registers []uint64) error {
		if registers[RIP] == entry {
			begun++
		}
		if begun <= before || !slices.Contains(addresses, registers[RIP]) {
			return nil
		}
		count = at
		return errFound
	})
	if err == nil {
		return 0, ErrEnded
	}
	if !errors.Is(err, errFound) {
		return 0, err
	}
	return count, m.GoTo(count)
}

// hit is a stop at a breakpoint or watchpoint.
type hit struct {
	count uint64
	stop  string // as the stub tells it
}

// StepBack undoes one instruction and gives what gdb is told.
func (m *Machine) StepBack() (stop string, err error) {
	at, err := m.At()
	if err != nil {
		return "", err
	}
	if at == 0 {
		return atBeginning, nil
	}
	if err := m.GoTo(at - 1); err != nil {
		return "", err
	}
	return m.stub.ask("?")
}

// atBeginning tells gdb that there is no earlier time.
const atBeginning = "T05thread:01;replaylog:begin;"

// ContinueBack goes back to the latest time before now at which a breakpoint is hit or a watchpoint
// is about to be, and else to the beginning.
func (m *Machine) ContinueBack() (stop string, err error) {
	now, err := m.At()
	if err != nil {
		return "", err
	}
	last, err := m.lastHit(now)
	if err != nil {
		return "", err
	}
	if last == nil {
		return atBeginning, m.GoTo(0)
	}
	return last.stop, m.GoTo(last.count)
}

// lastHit runs from the beginning to now, from one hit to the next.
func (m *Machine) lastHit(now uint64) (last *hit, err error) {
	if err := m.GoTo(0); err != nil {
		return nil, err
	}
	if err := m.monitor.do("replay-break", map[string]uint64{"icount": now}, nil); err != nil {
		return nil, err
	}
	for {
		stop, err := m.stub.ask("c")
		if err != nil {
			return nil, err
		}
		at, err := m.At()
		if err != nil || at >= now {
			return last, err
		}
		if isWatch := strings.Contains(stop, "watch:"); isWatch {
			// The access has taken place, and gdb is to see what was before it.
			last = &hit{at - 1, stop}
			continue
		}
		last = &hit{at, stop}
		if _, err := m.over(); err != nil {
			return nil, err
		}
		if at, err = m.At(); err != nil || at >= now {
			return last, err
		}
	}
}
