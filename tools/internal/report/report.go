// Package report says in words how programs and machines ended, and with which exit status that
// leaves the host.
package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/symbols"
)

// Exit statuses of the tool itself; docs/run.md is their manual. Everything else is the program's
// own.
const (
	// the machine did not come up, or ran out of memory before the program ran
	StatusNoBoot     = 122
	StatusPanic      = 123 // the kernel panicked
	StatusTimeout    = 124
	StatusFailed     = 125 // capos itself failed: QEMU missing, bad flags
	StatusNotProgram = 126
	StatusNotFound   = 127
	statusSignal     = 128 // plus the number Unix gives to what ended the program
)

// unixNumber is the number under which Unix knows each way of being ended, so that 128 + n means
// the same here.
var unixNumber = map[int]int{
	abi.NotificationKindPageFault:          11,
	abi.NotificationKindGeneralProtection:  11,
	abi.NotificationKindDivide:             8,
	abi.NotificationKindFloatingPoint:      8,
	abi.NotificationKindIllegalInstruction: 4,
	abi.NotificationKindBreakpoint:         5,
	abi.NotificationKindAlignment:          7,
	abi.NotificationKindOutOfMemory:        7,
	abi.NotificationKindInterrupt:          2,
	abi.NotificationKindQuit:               3,
	abi.NotificationKindTerminate:          15,
}

var kindText = map[int]string{
	abi.NotificationKindPageFault: "page fault",
	abi.NotificationKindGeneralProtection: "general protection fault: a privileged " +
		"instruction or a non-canonical address",
	abi.NotificationKindDivide:             "division by zero or overflow",
	abi.NotificationKindFloatingPoint:      "floating-point exception",
	abi.NotificationKindIllegalInstruction: "illegal instruction",
	abi.NotificationKindBreakpoint:         "breakpoint",
	abi.NotificationKindAlignment:          "misaligned access",
	abi.NotificationKindOutOfMemory: "out of memory: no frame left for a page touched " +
		"for the first time",
	abi.NotificationKindInterrupt: "interrupt",
	abi.NotificationKindQuit:      "quit",
	abi.NotificationKindTerminate: "terminate",
}

func describeKind(kind int) string {
	if text := kindText[kind]; text != "" {
		return text
	}
	return fmt.Sprintf("notification %d", kind)
}

func signalStatus(kind int) int {
	if n := unixNumber[kind]; n != 0 {
		return statusSignal + n
	}
	return statusSignal
}

// Memory is what there was for a program.
type Memory struct {
	MachineMiB int
	LimitPages uint64 // of the program; 0: only the machine's
}

// kib writes pages in KiB.
func kib(pages uint64) string { return fmt.Sprint(pages*uint64(abi.PageSize)>>10, " KiB") }

// text says what the program had at most, of what, and which flags give more.
func (m Memory) text(peak uint64) string {
	text := "  "
	if peak != 0 {
		text += fmt.Sprintf("it had at most %s, ", kib(peak))
	}
	if m.LimitPages != 0 {
		text += fmt.Sprintf("its limit is %s (--limit), ", kib(m.LimitPages))
	}
	return text + fmt.Sprintf("the machine has %d MiB (-m)\n", m.MachineMiB)
}

// Program gives a finished program's exit status and, unless it simply exited, a text about why.
func Program(end *machine.ProgramEnd, name string, table *symbols.Table, memory Memory) (status int,
	text string) {
	switch code := int(end.Code); int(end.Kind) {
	case abi.ExitKindExited:
		return code & 0xff, ""
	case abi.ExitKindFaulted:
		text = faultText(end.Fault, code, name, table)
		if code == abi.NotificationKindOutOfMemory {
			text += memory.text(end.PeakCommitted)
		}
		return signalStatus(code), text
	case abi.ExitKindKilled:
		return signalStatus(code), fmt.Sprintf("capos: %s was ended: %s\n", name,
			describeKind(code))
	case abi.ExitKindNotStarted:
		if code == abi.ErrorNoMemory {
			return StatusNoBoot,
				fmt.Sprintf("capos: %s could not be started: too little memory\n",
					name) + memory.text(end.PeakCommitted)
		}
		return StatusNotProgram,
			fmt.Sprintf("capos: the kernel could not start %s (error %d)\n", name,
				code)
	default:
		return StatusFailed, fmt.Sprintf("capos: %s ended in an unknown way (%d)\n", name,
			end.Kind)
	}
}

// LeakText is empty when the kernel has everything back.
func LeakText(end *machine.ProgramEnd, name string) string {
	text := ""
	if end.LeaksFrames() {
		text += fmt.Sprintf("capos: %s: frame leak: %d free frames before, %d after\n",
			name, end.FramesBefore, end.FramesAfter)
	}
	if end.LeaksObjects() {
		text += fmt.Sprintf("capos: %s: object leak: %d kernel objects before, %d after\n",
			name, end.ObjectsBefore, end.ObjectsAfter)
	}
	return text
}

// Processor error code bits of a page fault (Intel SDM volume 3, "Interrupt 14").
const (
	pageFaultWrite = 1 << 1
	pageFaultFetch = 1 << 4
)

// ChildFault is the text about a process that another one started.
func ChildFault(f *hostchannel.Fault, table *symbols.Table) string {
	name, _, _ := bytes.Cut(f.Name[:], []byte{0})
	return faultText(f, int(f.Kind), fmt.Sprintf("process %d, %q,", f.ProcessId, name), table)
}

func faultText(f *hostchannel.Fault, kind int, name string, table *symbols.Table) string {
	if f == nil {
		return fmt.Sprintf("capos: %s was ended by a fault: %s\n", name, describeKind(kind))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "capos: %s was ended by a fault: %s\n", name, describeFault(f))
	fmt.Fprintf(&b, "  at %s\n", located(f.Rip, table.Describe(f.Rip)))
	for _, address := range backtrace(f, table) {
		fmt.Fprintf(&b, "  called from %s\n",
			located(address, table.DescribeReturn(address)))
	}
	fmt.Fprintf(&b, "  thread %d, CPU %d, rsp %#x, rbp %#x, processor error code %#x\n",
		f.ThreadId, f.Cpu, f.Rsp, f.Rbp, f.ErrorCode)
	if len(f.Calls) > 0 {
		fmt.Fprintf(&b, "  its last calls, with the time since the machine's start\n")
	}
	for _, call := range f.Calls {
		fmt.Fprintf(&b, "    %s\n", call)
	}
	return b.String()
}

func located(address uint64, name string) string {
	if name == "" {
		return fmt.Sprintf("%#x", address)
	}
	return fmt.Sprintf("%s, %#x", name, address)
}

func describeFault(f *hostchannel.Fault) string {
	if int(f.Kind) != abi.NotificationKindPageFault {
		return describeKind(int(f.Kind))
	}
	if isStackOverflow(f) {
		return fmt.Sprintf("stack overflow of thread %d (address %#x is below its stack)",
			f.ThreadId, f.Address)
	}
	access := "reading from"
	switch {
	case f.ErrorCode&pageFaultFetch != 0:
		access = "executing at"
	case f.ErrorCode&pageFaultWrite != 0:
		access = "writing to"
	}
	why := "nothing is mapped there"
	if f.Code == uint32(abi.FaultProtection) {
		why = "the protection of the page forbids it"
	}
	if f.Address < uint64(abi.PageSize) {
		why = "a nil pointer"
	}
	return fmt.Sprintf("page fault %s address %#x (%s)", access, f.Address, why)
}

const backtraceMax = 16

// backtrace gives what the frame pointers led the kernel to. Where the chain is no chain of calls -
// code without frame pointers, a corrupt stack - it lists what looks like return addresses on the
// stack instead.
func backtrace(f *hostchannel.Fault, table *symbols.Table) []uint64 {
	var found []uint64
	for _, address := range f.Frames {
		if !table.IsReturnAddress(address) || len(found) == backtraceMax {
			break
		}
		found = append(found, address)
	}
	if len(found) > 0 {
		return found
	}
	for _, word := range f.Stack {
		if len(found) < backtraceMax && table.IsReturnAddress(word) {
			found = append(found, word)
		}
	}
	return found
}

// stackBelow is how far below the stack pointer a program may touch its stack: the red zone of the
// System V ABI, and what an instruction pushes.
const stackBelow = 128 + 8

// isStackOverflow tells a stack that has grown into its guard from other addresses where nothing is
// mapped: the stack pointer is in the guard already, or at its edge with the access below.
func isStackOverflow(f *hostchannel.Fault) bool {
	if int(f.Kind) != abi.NotificationKindPageFault || f.Code != uint32(abi.FaultMapping) ||
		len(f.Stack) == 0 {
		return false
	}
	if f.StackAddress != f.Rsp {
		return true
	}
	return f.Address < f.Rsp && f.Rsp-f.Address <= stackBelow
}

// kernelAddress is how the kernel writes an address that is to be looked up.
var kernelAddress = regexp.MustCompile(`\[<([0-9a-f]{16})>\]`)

// SymbolizeKernel puts names behind the addresses of a log line.
func SymbolizeKernel(line string, kernel *symbols.Table) string {
	return kernelAddress.ReplaceAllStringFunc(line, func(match string) string {
		address, err := strconv.ParseUint(match[2:len(match)-2], 16, 64)
		if err != nil {
			return match
		}
		if name := kernel.DescribeReturn(address + 1); name != "" {
			return match + " " + name
		}
		return match
	})
}

const lastLogLines = 12

// Machine explains a machine that did not go through all its programs, and gives the status.
func Machine(o *machine.Outcome, c *machine.Config, kernel *symbols.Table) (status int,
	text string) {
	if status, text = knownEnd(o, c, kernel); text != "" {
		return status, text
	}
	var b strings.Builder
	if len(o.Programs) > 0 {
		fmt.Fprintf(&b, "capos: the machine ended without a word after %d program(s)\n",
			len(o.Programs))
	} else {
		fmt.Fprintf(&b,
			"capos: the machine ended before the program did (QEMU's status %d)",
			o.QEMUStatus)
		if c.MemoryMiB < 16 {
			fmt.Fprintf(&b, "; it has %d MiB of memory, -m gives it more", c.MemoryMiB)
		}
		b.WriteString("\n")
	}
	log := o.Log[max(0, len(o.Log)-lastLogLines):]
	if len(log) == 0 {
		b.WriteString("  its log is empty: the kernel did not start\n")
	}
	for _, line := range log {
		fmt.Fprintf(&b, "  log: %s\n", SymbolizeKernel(line, kernel))
	}
	return StatusNoBoot, b.String()
}

// knownEnd gives a text where the machine or its emulator said why.
func knownEnd(o *machine.Outcome, c *machine.Config, kernel *symbols.Table) (status int,
	text string) {
	emulatorSays, tooBig := "", false
	for _, line := range o.Log {
		tooBig = tooBig || strings.HasPrefix(line, "qemu: initrd is too large")
		if strings.HasPrefix(line, "qemu-system-") {
			emulatorSays = line
		}
	}
	switch {
	case o.Panicked && rejectedCPU(o.Log) != "":
		return StatusNoBoot, fmt.Sprintf("capos: capOS does not run on the CPU model %s: "+
			"%s\n", c.CPU, rejectedCPU(o.Log))
	case o.Panicked:
		text = "capos: the kernel panicked (this is a defect of capOS)\n"
		for _, line := range panicLines(o.Log) {
			text += fmt.Sprintf("  %s\n", SymbolizeKernel(line, kernel))
		}
		return StatusPanic, text
	case o.Stopped != nil && o.Stopped != machine.ErrNoPowerOff:
		return StatusFailed, fmt.Sprintf("capos: the machine was stopped: %v\n", o.Stopped)
	case tooBig:
		return StatusNoBoot,
			fmt.Sprintf("capos: the program and its files do not fit into a machine "+
				"of %d MiB; -m gives it more\n", c.MemoryMiB)
	case o.QEMUStatus == 1 && qemuRejectsCPU.MatchString(emulatorSays):
		return StatusNoBoot, fmt.Sprintf("capos: QEMU rejects the CPU model %s: %s\n",
			c.CPU, emulatorSays)
	case o.QEMUStatus == 1 && emulatorSays != "" && len(o.Programs) == 0:
		return StatusFailed, fmt.Sprintf("capos: QEMU could not run the machine: %s\n",
			emulatorSays)
	}
	return 0, ""
}

// What QEMU says of a model that it does not know, cannot make or finds misspelt.
var qemuRejectsCPU = regexp.MustCompile(`unable to find CPU model|[Hh]ost doesn't support ` +
	`requested features|Property '[^']*-cpu\.`)

// cpuRejection begins what the kernel says when it panics because of the processor
// (kernel/init/main.c).
const cpuRejection = "capos: kernel panic: this CPU cannot run capOS: "

func rejectedCPU(log []string) string {
	for _, line := range log {
		if why, found := strings.CutPrefix(line, cpuRejection); found {
			return why
		}
	}
	return ""
}

// panicLines gives the log from the panic on.
func panicLines(log []string) []string {
	for i, line := range log {
		if strings.HasPrefix(line, "capos: kernel panic") {
			return log[i:]
		}
	}
	return log
}

// LastLog quotes the end of a kernel log.
func LastLog(log []string) string {
	var b strings.Builder
	for _, line := range log[max(0, len(log)-5):] {
		fmt.Fprintf(&b, "  log: %s\n", line)
	}
	return b.String()
}

// LastLines gives the last n lines of a text.
func LastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
