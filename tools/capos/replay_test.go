package main

import (
	"bytes"
	"strings"
	"testing"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
)

type testFrame struct {
	kind int
	text string
}

func compareFrames(first, second []testFrame) string {
	var record bytes.Buffer
	writer := hostchannel.NewWriter(&record)
	for _, f := range first {
		writer.Write(uint8(f.kind), []byte(f.text))
	}
	c := comparison{first: hostchannel.NewReader(&record)}
	for _, f := range second {
		c.frame(hostchannel.Frame{Type: uint8(f.kind), Payload: []byte(f.text)})
	}
	c.end()
	return c.difference
}

func TestComparison(t *testing.T) {
	out := func(text string) testFrame { return testFrame{abi.HostFrameStdout, text} }
	stats := testFrame{abi.HostFrameStats, "counts"}
	run := []testFrame{out("hello "), stats, out("world")}
	for name, c := range map[string]struct {
		second []testFrame
		says   string
	}{
		"the same":      {run, ""},
		"a byte":        {[]testFrame{out("hello "), stats, out("woxld")}, "byte 8 of standard output (frame 3)"},
		"longer":        {[]testFrame{out("hello !")}, "byte 6 of standard output"},
		"another frame": {[]testFrame{out("hello "), out("world")}, "frame 2 is statistics"},
		"ends early":    {run[:2], "the second ends before the first"},
		"goes on":       {append(run[:3:3], stats), "the second goes on"},
	} {
		got := compareFrames(run, c.second)
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
