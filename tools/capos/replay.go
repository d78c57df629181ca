package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
)

type replayFlags struct {
	runFlags
	verify bool
	at     uint64
}

func (r *replayFlags) register(fs *flag.FlagSet) {
	r.runFlags.register(fs)
	fs.BoolVar(&r.verify, "verify", false, "")
	fs.BoolVar(&r.steps, "steps", false, "")
	fs.Uint64Var(&r.at, "at", 0, "")
}

func replayCommand(args []string) int {
	var r replayFlags
	flags := cli.NewFlags("replay")
	r.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Fail(err)
	}
	if r.machineFlags.seed == "" && flags.NArg() == 1 && explore.IsFile(flags.Arg(0)) {
		if r.gdb || r.at != 0 {
			return debugFile(root, flags.Arg(0), r.timeout, r.at)
		}
		if r.steps {
			return stepsFile(root, flags.Arg(0), r.timeout)
		}
		return replayFile(root, flags.Arg(0), r.timeout)
	}
	if r.machineFlags.seed == "" && flags.NArg() == 1 {
		if flag := recordedFlag(flags); flag != "" {
			return cli.Wrong("replay", fmt.Errorf("a recording decides about -%s",
				flag))
		}
		return replayRecording(root, flags.Arg(0), &r)
	}
	return replaySeed(root, &r, flags.Args())
}

// replaySeed runs a program with a seed twice, to compare the runs or to look into the second.
func replaySeed(root string, r *replayFlags, args []string) int {
	looks := r.steps || r.gdb || r.at != 0
	if !(r.verify || looks) || r.machineFlags.seed == "" || len(args) == 0 {
		return cli.Failf("replay what? ./capos replay FILE, which ./capos run --record " +
			"FILE made, or ./capos replay --verify --seed NUMBER PROGRAM")
	}
	r.stats = r.stats || r.verify
	r.gdb = false // it comes when the run is known
	config, err := r.config(root)
	if err != nil {
		return cli.Wrong("replay", err)
	}
	l, err := r.prepare(root, config, args)
	if err != nil {
		return cli.Fail(err)
	}
	switch {
	case r.steps:
		return l.runSteps()
	case looks:
		return l.runDebugged(r.at)
	}
	if err := l.seed(); err != nil {
		return cli.Fail(err)
	}
	return l.verify()
}

// recordedFlag finds a flag that a recording has its own value for.
func recordedFlag(flags *flag.FlagSet) (name string) {
	flags.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"verify", "timeout", "v", "no-install"}, f.Name) {
			name = f.Name
		}
	})
	return name
}

// verify runs the machine twice. What the first run says goes to a file, because it may be more
// than fits in memory.
func (l *launch) verify() int {
	record, err := repo.UnnamedFile("", "capos-replay-*")
	if err != nil {
		return cli.Fail(err)
	}
	defer record.Close()
	out := bufio.NewWriter(record)
	writer := hostchannel.NewWriter(out)
	first, err := l.watch(func(f hostchannel.Message) { writer.Write(f.Type, f.Payload) })
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		_, err = record.Seek(0, io.SeekStart)
	}
	if err != nil {
		return cli.Fail(err)
	}
	compare := comparison{first: hostchannel.NewReader(bufio.NewReader(record))}
	sum := newDigest()
	second, err := l.watch(func(m hostchannel.Message) { compare.message(m); sum.add(m) })
	if err != nil {
		return cli.Fail(err)
	}
	compare.end()
	if compare.difference != "" {
		fmt.Printf("the runs differ: %s\n", compare.difference)
		return 1
	}
	fmt.Printf("both runs are the same: digest %s, %v and %v\n", sum,
		first.Duration.Round(time.Millisecond), second.Duration.Round(time.Millisecond))
	return 0
}

var errNotFinished = errors.New("the machine did not go through its program")

// watch runs the machine with nothing shown.
func (l *launch) watch(message func(hostchannel.Message)) (*machine.Outcome, error) {
	outcome, err := l.boot(machine.Guest{Message: message})
	if err != nil {
		return nil, err
	}
	if status, text, stopped := l.stopped(outcome); stopped {
		return nil, cli.WithStatus(status, errors.New(text))
	}
	if !outcome.Finished() {
		_, text := report.Machine(outcome, l.config, nil)
		return nil, fmt.Errorf("%w\n%s", errNotFinished, text)
	}
	return outcome, nil
}

// comparison holds the messages of a second run against those of a first.
type comparison struct {
	first      *hostchannel.Reader
	count      int
	sent       [256]int // bytes so far, by type of message
	difference string   // the first; empty: none
}

func (c *comparison) message(second hostchannel.Message) {
	if c.difference != "" {
		return
	}
	c.count++
	first, err := c.first.Read()
	switch {
	case err != nil:
		c.difference = fmt.Sprintf("the second goes on after the first has ended: "+
			"message %d, %s", c.count, describeMessage(second))
	case first.Type != second.Type:
		c.difference = fmt.Sprintf("message %d is %s, then %s", c.count,
			describeMessage(first), describeMessage(second))
	case !bytes.Equal(first.Payload, second.Payload):
		i := 0
		for i < min(len(first.Payload), len(second.Payload)) &&
			first.Payload[i] == second.Payload[i] {
			i++
		}
		c.difference = fmt.Sprintf("byte %d of %s (message %d): %q, then %q",
			c.sent[first.Type]+i, messageName(first.Type), c.count,
			around(first.Payload, i), around(second.Payload, i))
	}
	c.sent[first.Type] += len(first.Payload)
}

// end finds what the first run said and the second did not.
func (c *comparison) end() {
	if c.difference != "" {
		return
	}
	if message, err := c.first.Read(); err == nil {
		c.difference = fmt.Sprintf("the second ends before the first: message %d, %s",
			c.count+1, describeMessage(message))
	}
}

const differenceBytes = 32

func around(payload []byte, index int) []byte {
	return payload[max(0, index-differenceBytes):min(len(payload), index+differenceBytes)]
}

func describeMessage(f hostchannel.Message) string {
	return fmt.Sprintf("%s %q", messageName(f.Type), around(f.Payload, 0))
}

func messageName(kind uint8) string {
	switch int(kind) {
	case abi.HostMessageStdout:
		return "standard output"
	case abi.HostMessageStderr:
		return "standard error"
	case abi.HostMessageStats:
		return "statistics"
	case abi.HostMessageTrace:
		return "trace"
	case abi.HostMessageFile:
		return "file"
	case abi.HostMessageFileGone:
		return "file that is gone"
	case abi.HostMessageExit:
		return "exit record"
	case abi.HostMessageFault:
		return "fault record"
	case abi.HostMessageLog:
		return "kernel log"
	}
	return fmt.Sprintf("message type %d", kind)
}
