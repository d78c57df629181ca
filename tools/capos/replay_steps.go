package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/rewind"
	"capos.dev/tools/internal/symbols"
)

// stepsFile shows what the program of a failure prints, each line with the instruction at which it
// is written.
func stepsFile(root, path string, timeout time.Duration) int {
	return withDebugger(root, path, timeout, func(d *debugger, g group,
		run *explore.Run) int {
		lines, err := d.lines(g)
		if err == nil {
			err = printSteps(os.Stdout, lines, len(explore.WithoutTelling(run.Output)),
				explore.WithoutTelling)
		}
		if err != nil {
			return cli.Fail(err)
		}
		fmt.Fprint(os.Stderr, run.Report)
		return d.replayed(d.file, run)
	})
}

// steppedLine is a line of a program's output.
type steppedLine struct {
	step uint64 // instructions before the call that writes its beginning
	text string
}

// lines runs the machine once more and looks at all that the program writes, where it does.
func (d *debugger) lines(g group) ([]steppedLine, error) {
	m, err := d.recorded(g)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return writtenLines(m, d.t.elf, g.before())
}

// writtenLines runs the machine and looks at all that a Go program writes, where it does. Programs
// of the same file that run before it, so many, are passed over.
func writtenLines(m *rewind.Machine, elf string, before int) ([]steppedLine, error) {
	w, err := findWriters(elf)
	if err != nil {
		return nil, fmt.Errorf("--steps takes Go programs: %w", err)
	}
	entry, err := symbols.Entry(elf)
	if err != nil {
		return nil, err
	}
	var l stepped
	begun := 0
	err = m.Each([]uint64{entry, w.program, w.runtime, w.report}, func(count uint64,
		registers []uint64) error {
		if registers[rewind.RIP] == entry {
			begun++
			return nil
		}
		if begun <= before {
			return nil
		}
		text, err := w.text(m, registers)
		l.write(count, text)
		return err
	})
	return l.lines, err
}

// writers are addresses in the functions of a Go program by which text gets to the console.
type writers struct {
	program  uint64 // syscall's: the text is in RBX and RCX
	report   uint64 // runtime's, at the end: the same, and the descriptor in RAX
	runtime  uint64 // runtime's: descriptor and text are on the stack
	consoles uint64 // runtime's capabilities by descriptor; 0: there is no console
}

func findWriters(elf string) (w writers, err error) {
	behind, err := symbols.AfterPrologue(elf, "syscall.(*console).write", "runtime.writeAtEnd")
	if err != nil {
		return w, err
	}
	at, err := symbols.Addresses(elf, "runtime.write1.abi0", "runtime.textConsoles")
	if err != nil {
		return w, err
	}
	return writers{program: behind[0], report: behind[1], runtime: at[0], consoles: at[1]}, nil
}

// text is what is about to be written where the machine is.
func (w *writers) text(m *rewind.Machine, registers []uint64) ([]byte, error) {
	descriptor, text, size := registers[rewind.RAX], registers[rewind.RBX],
		registers[rewind.RCX]
	switch registers[rewind.RIP] {
	case w.program:
		return m.Memory(text, size)
	case w.runtime:
		arguments, err := m.Memory(registers[rewind.RSP]+8, 20)
		if err != nil {
			return nil, err
		}
		descriptor = binary.LittleEndian.Uint64(arguments)
		text = binary.LittleEndian.Uint64(arguments[8:])
		size = uint64(binary.LittleEndian.Uint32(arguments[16:]))
		if descriptor > 2 {
			return nil, nil
		}
		console, err := m.Memory(w.consoles+4*descriptor, 4)
		if err != nil || binary.LittleEndian.Uint32(console) == 0 {
			return nil, err // it comes to another function
		}
	}
	if descriptor != 1 && descriptor != 2 {
		return nil, nil
	}
	return m.Memory(text, size)
}

// stepped cuts what is written into lines.
type stepped struct {
	lines  []steppedLine
	inLine bool
}

func (l *stepped) write(step uint64, text []byte) {
	for line := range bytes.Lines(text) {
		if !l.inLine {
			l.lines = append(l.lines, steppedLine{step: step})
		}
		l.lines[len(l.lines)-1].text += string(line)
		l.inLine = !bytes.HasSuffix(line, []byte("\n"))
	}
}

// printSteps prints the lines, as far as shown gives something of them. These are to be all that
// the run has printed, whole bytes.
func printSteps(out io.Writer, lines []steppedLine, whole int, shown func(string) string) error {
	size := 0
	for _, line := range lines {
		if text := shown(line.text); text != "" {
			size += len(text)
			fmt.Fprintf(out, "%12d  %s\n", line.step, strings.TrimSuffix(text, "\n"))
		}
	}
	if size != whole {
		return fmt.Errorf("the program has printed %d bytes, and steps are known of %d",
			whole, size)
	}
	return nil
}
