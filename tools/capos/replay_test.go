package main

import (
	"bytes"
	"strings"
	"testing"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
)

type testMessage struct {
	kind int
	text string
}

func compareFrames(first, second []testMessage) string {
	var record bytes.Buffer
	writer := hostchannel.NewWriter(&record)
	for _, f := range first {
		writer.Write(uint8(f.kind), []byte(f.text))
	}
	c := comparison{first: hostchannel.NewReader(&record)}
	for _, f := range second {
		c.message(hostchannel.Message{Type: uint8(f.kind), Payload: []byte(f.text)})
	}
	c.end()
	return c.difference
}

func TestComparison(t *testing.T) {
	out := func(text string) testMessage { return testMessage{abi.HostMessageStdout, text} }
	stats := testMessage{abi.HostMessageStats, "counts"}
	run := []testMessage{out("hello "), stats, out("world")}
	for name, c := range map[string]struct {
		second []testMessage
		says   string
	}{
		"the same": {run, ""},
		"a byte": {[]testMessage{out("hello "), stats, out("woxld")},
			"byte 8 of standard output (message 3)"},
		"longer": {[]testMessage{out("hello !")}, "byte 6 of standard output"},
		"another message": {[]testMessage{out("hello "), out("world")},
			"message 2 is statistics"},
		"ends early": {run[:2], "the second ends before the first"},
		"goes on":    {append(run[:3:3], stats), "the second goes on"},
	} {
		got := compareFrames(run, c.second)
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
