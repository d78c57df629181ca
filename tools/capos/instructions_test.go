package main

import (
	"strings"
	"testing"
)

func TestInstructionWriter(t *testing.T) {
	const in = "goos: capos\nBenchmarkSort-2 \t     100\t     12345 ns/op\t  8 B/op\n" +
		"BenchmarkX\n    x_test.go:3: 7 ns/op\nBenchmarkX \t 1\t 1.5 ns/op\n" +
		"Bench 3 ns/op\nPASS"
	want := strings.Replace(in, "12345 ns/op", "12345 instructions/op", 1)
	want = strings.Replace(want, "1.5 ns/op", "1.5 instructions/op", 1)
	for size := 1; size <= len(in); size++ {
		var out strings.Builder
		w := instructionWriter{out: &out}
		for start := 0; start < len(in); start += size {
			part := in[start:min(start+size, len(in))]
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		w.Flush()
		if out.String() != want {
			t.Fatalf("in parts of %d: %q", size, out.String())
		}
	}
}
