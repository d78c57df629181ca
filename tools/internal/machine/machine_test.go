package machine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
)

// These tests use a fake machine in place of QEMU: this very test binary, told by a variable what
// to play.
const roleVariable = "CAPOS_TEST_FAKE_MACHINE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		playMachine(role)
		return
	}
	os.Exit(m.Run())
}

// fakeMachine speaks as a machine does.
type fakeMachine struct {
	out *hostchannel.Writer
	in  *hostchannel.Reader
}

func (m *fakeMachine) exit(program uint32, code int32, last uint32) {
	record, _ := binary.Append(nil, binary.LittleEndian,
		&abi.ExitRecord{Program: program, Code: code, Last: last})
	m.out.Write(uint8(abi.HostMessageExit), record)
}

func (m *fakeMachine) fault(program uint32) {
	record, _ := binary.Append(nil, binary.LittleEndian, &abi.FaultRecord{Program: program})
	m.out.Write(uint8(abi.HostMessageFault), record)
}

// echo writes what it reads, to the end.
func (m *fakeMachine) echo() {
	for {
		f, err := m.in.Read()
		if err != nil || int(f.Type) == abi.HostMessageStdinEnd {
			break
		}
		if int(f.Type) == abi.HostMessageStdin {
			m.out.Write(uint8(abi.HostMessageStdout), f.Payload)
			m.out.SendCredit(uint32(len(f.Payload)))
		}
	}
	m.out.Write(uint8(abi.HostMessageStderr), []byte("err"))
	m.exit(0, 7, 1)
}

// fakeWindow is how much standard input the fake machine asks for.
const fakeWindow = 10000

// awaitKey ends with the key's kind as its code, or 99 when it gets more input than it asked for.
// flood: it writes as much as it may meanwhile.
func (m *fakeMachine) awaitKey(flood bool) {
	block := bytes.Repeat([]byte("0123456789abcdef"), 256)
	input, credit := 0, int64(0)
	for input <= fakeWindow {
		f, err := m.in.Read()
		if err != nil {
			return
		}
		switch int(f.Type) {
		case abi.HostMessageKey:
			m.exit(0, int32(f.Payload[0]), 1)
			return
		case abi.HostMessageStdin:
			input += len(f.Payload)
		case abi.HostMessageCredit:
			n, _ := hostchannel.DecodeCredit(f.Payload)
			credit += int64(n)
		}
		for ; flood && credit > 0; credit -= int64(hostchannel.HeaderBytes + len(block)) {
			m.out.Write(uint8(abi.HostMessageStdout), block)
		}
	}
	m.exit(0, 99, 1)
}

func playMachine(role string) {
	m := &fakeMachine{hostchannel.NewWriter(os.Stdout), hostchannel.NewReader(os.Stdin)}
	fmt.Fprintln(os.Stderr, "capos: booted")
	if role == "die" {
		fmt.Fprintln(os.Stderr, "qemu-system-x86_64: no such thing")
		os.Exit(1)
	}
	if role != "garbage" {
		m.out.SendCredit(fakeWindow)
	}
	switch role {
	case "echo":
		m.echo()
	case "image":
		data, err := os.ReadFile("/dev/fd/3")
		m.out.Write(uint8(abi.HostMessageStdout), data)
		if err == nil {
			m.exit(0, 0, 1)
		}
	case "two":
		m.out.Write(uint8(abi.HostMessageStdout), []byte("one"))
		m.exit(0, 1, 0)
		m.fault(1)
		m.exit(1, 2, 1)
	case "together": // the second's fault comes before the first's end
		m.fault(1)
		m.exit(0, 1, 0)
		m.exit(1, 2, 1)
	case "panic":
		fmt.Fprintln(os.Stderr, "capos: kernel panic: test")
		time.Sleep(time.Minute)
	case "hang":
		time.Sleep(time.Minute)
	case "linger":
		m.exit(0, 0, 1)
		time.Sleep(time.Minute)
	case "garbage":
		os.Stdout.WriteString("SeaBIOS (version 1)\r\n")
		time.Sleep(time.Minute)
	case "key", "flood":
		m.awaitKey(role == "flood")
	}
}

func runFake(t *testing.T, ctx context.Context, role string, guest Guest) *Outcome {
	t.Helper()
	t.Setenv(roleVariable, role)
	boot, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer boot.Close()
	boot.WriteString("image")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := Run(ctx, &Config{QEMU: self, Machine: "microvm"}, boot, guest)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func TestStreams(t *testing.T) {
	input := strings.Repeat("\x00\xff\r\n", 50000)
	var stdout, stderr, log bytes.Buffer
	o := runFake(t, t.Context(), "echo", Guest{Stdin: strings.NewReader(input), Stdout: &stdout,
		Stderr: &stderr, Log: &log})
	if stdout.String() != input || stderr.String() != "err" {
		t.Errorf("%d bytes came back, stderr %q", stdout.Len(), &stderr)
	}
	if !o.Finished() || o.Programs[0].Code != 7 || log.String() != "capos: booted\n" {
		t.Errorf("%+v, log %q", o, &log)
	}
}

func TestImageIsReadable(t *testing.T) {
	var stdout bytes.Buffer
	if o := runFake(t, t.Context(), "image", Guest{Stdout: &stdout}); !o.Finished() ||
		stdout.String() != "image" {
		t.Errorf("%+v, %q", o, &stdout)
	}
}

func TestSeveralPrograms(t *testing.T) {
	for _, role := range []string{"two", "together"} {
		var codes []int32
		o := runFake(t, t.Context(), role,
			Guest{Ended: func(e ProgramEnd) { codes = append(codes, e.Code) }})
		if fmt.Sprint(codes) != "[1 2]" || o.Programs[0].Fault != nil ||
			o.Programs[1].Fault == nil {
			t.Errorf("%s: codes %v, %+v", role, codes, o)
		}
	}
}

func TestEndings(t *testing.T) {
	limit := errors.New("limit")
	for _, c := range []struct {
		role     string
		finished bool
		check    func(*Outcome) bool
	}{
		{"panic", false, func(o *Outcome) bool {
			return o.Panicked &&
				o.Stopped == ErrNoPowerOff
		}},
		{"linger", true, func(o *Outcome) bool { return o.Stopped == ErrNoPowerOff }},
		{"hang", false, func(o *Outcome) bool { return o.Stopped == limit }},
		{"die", false, func(o *Outcome) bool {
			return o.QEMUStatus == 1 &&
				strings.Contains(o.Log[1], "no such thing")
		}},
		{"garbage", false,
			func(o *Outcome) bool {
				return strings.Contains(o.Stopped.Error(),
					"no message")
			}},
		{"crash", false, func(o *Outcome) bool { return o.Stopped == nil }},
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), powerOffGrace+time.Second,
			limit)
		o := runFake(t, ctx, c.role, Guest{})
		cancel()
		if o.Finished() != c.finished || !c.check(o) {
			t.Errorf("%s: %+v", c.role, o)
		}
	}
}

func TestKeysPassBlockedInput(t *testing.T) {
	never, writer := io.Pipe()
	defer writer.Close()
	for name, stdin := range map[string]io.Reader{"none": never, "endless": endless{}} {
		keys := make(chan uint8, 1)
		time.AfterFunc(100*time.Millisecond, func() {
			keys <- uint8(abi.NotificationKindQuit)
		})
		if o := runFake(t, t.Context(), "key", Guest{Stdin: stdin,
			Keys: keys}); !o.Finished() || int(o.Programs[0].Code) !=
			abi.NotificationKindQuit {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// endless is more input than any pipe holds.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// gate is a reader of output that takes nothing until it is opened.
type gate struct {
	open  chan struct{}
	bytes int
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.bytes += len(p)
	return len(p), nil
}

// A machine whose output is not read is not held up, takes keys, and has written no more than its
// window.
func TestKeysPassUnreadOutput(t *testing.T) {
	keys := make(chan uint8, 1)
	out := &gate{open: make(chan struct{})}
	time.AfterFunc(100*time.Millisecond, func() { keys <- uint8(abi.NotificationKindQuit) })
	time.AfterFunc(time.Second, func() { close(out.open) })
	o := runFake(t, t.Context(), "flood", Guest{Stdout: out, Keys: keys})
	if !o.Finished() || int(o.Programs[0].Code) != abi.NotificationKindQuit ||
		o.Stopped != nil {
		t.Errorf("%+v", o)
	}
	if out.bytes < outputWindow/2 || out.bytes > outputWindow+1<<16 {
		t.Errorf("%d bytes of output for a window of %d", out.bytes, outputWindow)
	}
}

// Output flows on while it is read, far beyond the window.
func TestWindowIsRenewed(t *testing.T) {
	keys := make(chan uint8, 1)
	out := &gate{open: make(chan struct{})}
	close(out.open)
	time.AfterFunc(500*time.Millisecond, func() { keys <- uint8(abi.NotificationKindQuit) })
	o := runFake(t, t.Context(), "flood", Guest{Stdout: out, Keys: keys})
	if !o.Finished() || out.bytes < 4*outputWindow {
		t.Errorf("%d bytes, %+v", out.bytes, o)
	}
}

// A machine that is ended does not wait for a reader that never comes.
func TestStuckOutputIsDropped(t *testing.T) {
	limit := errors.New("limit")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, limit)
	defer cancel()
	out := &gate{open: make(chan struct{})}
	start := time.Now()
	o := runFake(t, ctx, "flood", Guest{Stdout: out})
	if o.Stopped != limit || time.Since(start) > 10*time.Second {
		t.Errorf("%+v after %v", o, time.Since(start))
	}
	close(out.open)
}

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]int{"512": 512, "64M": 64, "2G": 2048, "1.5G": 1536,
		"1024K": 1, "1GiB": 1024, "": 0, "0": 0,
		"-1": 0, "x": 0, "5Q": 0, "100K": 0} {
		if got, err := ParseMemory(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestShellCommand(t *testing.T) {
	if got := ShellCommand("a", []string{"", "b c", "it's",
		"x=1,y"}); got != `a '' 'b c' 'it'\''s' x=1,y` {
		t.Error(got)
	}
}

// What Linux says of a thread: on a CPU, in wait for one, slices.
func TestRunDelay(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{{"1126628 16491389 3\n", 16491389}, {"", 0}, {"1 x 3", 0}, {"1 2", 0}} {
		if got := runDelay(c.text); got != c.want {
			t.Errorf("%q: %v, expected %v", c.text, got, c.want)
		}
	}
	if _, err := os.Stat("/proc/self/schedstat"); err == nil && Starved(os.Getpid()) == 0 {
		t.Error("this process has never waited for a CPU")
	}
}
