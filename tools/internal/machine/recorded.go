package machine

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// A recorded machine is connected to the outside as any other. QEMU logs everything that reaches it
// and the instruction at which it did, and a replayed machine gets the same from the log.

// Recording is that log.
type Recording struct {
	Events *os.File
	Replay bool // the log is read; nothing of the outside reaches the machine
}

// eventsPath is where QEMU finds the log: Run passes it as the second extra file.
const eventsPath = "/dev/fd/4"

// icountArgs make a nanosecond an instruction. Without a recording an idle machine jumps to its
// next event. QEMU (7.2) delivers logged input only when it may sleep.
func (c *Config) icountArgs() []string {
	switch {
	case c.Log != nil:
		return c.Log.icountArgs()
	case c.Recording != nil && c.Recording.Replay:
		return []string{"-icount", "shift=0,sleep=on,rr=replay,rrfile=" + eventsPath}
	case c.Recording != nil:
		return []string{"-icount", "shift=0,sleep=on,rr=record,rrfile=" + eventsPath}
	case c.inTurns():
		return (&Log{Path: os.DevNull}).icountArgs()
	}
	return []string{"-icount", "shift=0,sleep=off"}
}

// pcSerialPorts is how many of QEMU's serial streams become ports of a q35 or pc.
const pcSerialPorts = 4

// recordedChannel gives the arguments for a host channel that QEMU logs, and its name: QEMU logs
// only streams that -serial makes, and one beyond the machine's ports is connected to none of them.
func (c *Config) recordedChannel() (args []string, name string) {
	ports := 1 // the kernel's log
	if c.Machine != "microvm" {
		for ; ports < pcSerialPorts; ports++ {
			args = append(args, "-serial", "none")
		}
	}
	return append(args, "-serial", "stdio"), "serial" + strconv.Itoa(ports)
}

// validateRecording finds what QEMU cannot log.
func (c *Config) validateRecording() error {
	switch {
	case c.Recording == nil:
		return nil
	case c.Seed != nil:
		return fmt.Errorf("--record does not go with --seed, which repeats by itself")
	case c.CPUs != 1:
		return fmt.Errorf("--record runs on one CPU, not on %d: QEMU records no more "+
			"(GOMAXPROCS may be as large as wanted)", c.CPUs)
	case c.Serial:
		return fmt.Errorf("--record needs the virtio channel")
	case c.GDB != "" || len(c.Extra) > 0:
		return fmt.Errorf("--record does not go with -d or --qemu-arg")
	}
	return nil
}

// logGrace is how long QEMU may take to complete its log when the machine is ended from here.
const logGrace = 2 * time.Second

// passRecording hands QEMU the log. It is asked to end, instead of killed, so that the log has an
// end.
func (c *Config) passRecording(cmd *exec.Cmd) {
	if c.Recording == nil {
		return
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, c.Recording.Events)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = logGrace
}
