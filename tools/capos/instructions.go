package main

import (
	"bytes"
	"io"
	"regexp"
)

// In a seeded run a nanosecond is an instruction, so the line of a benchmark says instructions:
// benchstat then compares them as such, and never with the times of another machine.

var nanoseconds = regexp.MustCompile(`^(Benchmark\S*\s+\d+\s+[0-9.e+]+) ns/op`)

// instructionWriter passes lines on, with another unit in those of benchmarks.
type instructionWriter struct {
	out    io.Writer
	line   []byte // kept back until it ends
	within bool   // the beginning of the line was passed on
}

// lineMax bounds what is kept back; a longer line is no benchmark's.
const lineMax = 4096

func (w *instructionWriter) Write(p []byte) (int, error) {
	w.line = append(w.line, p...)
	for len(w.line) > 0 {
		end := bytes.IndexByte(w.line, '\n') + 1
		ended := end != 0
		if !ended {
			if w.mayBeBenchmark() {
				return len(p), nil
			}
			end = len(w.line)
		}
		part := w.line[:end]
		if !w.within {
			part = inInstructions(part)
		}
		_, err := w.out.Write(part)
		w.line, w.within = w.line[end:], !ended
		if err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// mayBeBenchmark tells whether a line is kept back: package testing writes the name first, and the
// figures when it has them.
func (w *instructionWriter) mayBeBenchmark() bool {
	const mark = "Benchmark"
	n := min(len(w.line), len(mark))
	return !w.within && len(w.line) < lineMax && string(w.line[:n]) == mark[:n]
}

// Flush passes on a line that never ended.
func (w *instructionWriter) Flush() {
	w.out.Write(w.line)
	w.line = nil
}

func inInstructions(line []byte) []byte {
	return nanoseconds.ReplaceAll(line, []byte("$1 instructions/op"))
}
