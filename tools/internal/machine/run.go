package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/hostchannel"
	"capos.dev/tools/internal/repo"
)

// Guest connects what a program on the machine does to this process. Every field may be nil.
type Guest struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Notes          io.Writer // text of --trace and --stats
	Log            io.Writer // the kernel's log as it comes
	File           func(hostchannel.FileWrite)
	FileGone       func(name string)
	Ended          func(ProgramEnd)
	ChildFault     func(*hostchannel.Fault)  // of a process that another one started
	Message        func(hostchannel.Message) // every message, before it is acted upon
	Keys           <-chan uint8              // NotificationKinds to press
	Looks          Looks
	Started        func(process int) // QEMU's
}

// ProgramEnd is how one program of the boot image ended.
type ProgramEnd struct {
	abi.ExitRecord
	Fault *hostchannel.Fault // when it was an unhandled fault
}

// LeaksFrames and LeaksObjects tell whether the kernel had less to give after the program than
// before.
func (e *ProgramEnd) LeaksFrames() bool  { return e.FramesBefore != e.FramesAfter }
func (e *ProgramEnd) LeaksObjects() bool { return e.ObjectsBefore != e.ObjectsAfter }

// Outcome is how a machine ended.
type Outcome struct {
	Programs   []ProgramEnd
	Log        []string // last lines of the kernel's log and of QEMU's own messages
	Panicked   bool
	Stopped    error // why this process ended the machine; nil: it ended by itself
	QEMUStatus int
	Duration   time.Duration
}

// Finished tells whether the machine went through all its programs.
func (o *Outcome) Finished() bool {
	return len(o.Programs) > 0 && o.Programs[len(o.Programs)-1].Last != 0
}

const (
	logLinesKept = 200
	panicPrefix  = "capos: kernel panic"

	// powerOffGrace is what a machine has between its last words and its end before it is ended
	// from here.
	powerOffGrace = 2 * time.Second
)

// ErrNoPowerOff is Outcome.Stopped for a machine that had finished (or panicked) and did not switch
// itself off.
var ErrNoPowerOff = errors.New("the machine did not power off")

// run is one machine while it exists.
type run struct {
	guest   Guest
	channel *hostchannel.Writer // nil: nothing can be sent
	input   *hostchannel.Credit // how much standard input the machine takes
	inbox   *inbox
	read    uint32 // bytes passed on that the machine has not been told of
	stop    context.CancelCauseFunc

	// guards outcome.Log, outcome.Panicked, outcome.Programs, the timer and looker
	mu      sync.Mutex
	looker  looker
	outcome Outcome
	timer   *time.Timer

	faults map[uint32]*hostchannel.Fault // by program: reported, waiting for its exit record
	calls  map[uint64][]string           // by thread: made last, waiting for its fault

	began    chan struct{} // closed by setBegan: the first message has arrived, or QEMU is gone
	setBegan func()
}

// Run boots the machine and returns when it is gone. It ends the machine when ctx does
// (Outcome.Stopped is then the cause). The error is about starting QEMU; whatever happens later is
// in the outcome.
func Run(ctx context.Context, c *Config, bootImage *os.File, guest Guest) (*Outcome, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	program := c.QEMU
	if program == "" {
		program = DefaultQEMU
	}
	cmd := exec.CommandContext(ctx, program, c.Args("/dev/fd/3")...)
	cmd.ExtraFiles = []*os.File{bootImage}
	c.passRecording(cmd)
	// A group of its own keeps the terminal's interrupt key from QEMU: it is the guest's to
	// receive. The death signal makes sure that no machine outlives this process, however that
	// ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r := &run{guest: guest, stop: stop, faults: map[uint32]*hostchannel.Fault{},
		calls: map[uint64][]string{},
		began: make(chan struct{}), input: hostchannel.NewCredit(), inbox: newInbox()}
	r.setBegan = sync.OnceFunc(func() { close(r.began) })
	start := time.Now()
	var err error
	if c.Seed != nil {
		err = r.runOnFile(ctx, cmd)
	} else {
		err = r.runOnPipes(ctx, cmd)
	}
	if err != nil && cmd.ProcessState == nil {
		return nil, err
	}
	return r.finish(ctx, err, start), nil
}

// runOnPipes runs a machine whose channel is QEMU's standard input and output.
func (r *run) runOnPipes(ctx context.Context, cmd *exec.Cmd) error {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, channel, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdout.Close()
	cmd.Stdout = channel
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		channel.Close()
		return err
	}
	r.started(cmd)
	r.channel = hostchannel.NewWriter(stdin)
	go r.keepBlocking(channel)
	go r.sendInput(ctx)
	r.receive(ctx, stdout, stderr, func() {})
	r.input.Close()
	return cmd.Wait()
}

// runOnFile runs a machine whose channel is a file and goes one way.
func (r *run) runOnFile(ctx context.Context, cmd *exec.Cmd) error {
	file, err := repo.UnnamedFile("", "capos-channel-*")
	if err != nil {
		return err
	}
	defer file.Close()
	channel := &tail{file: file}
	cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.started(cmd)
	channel.process = cmd.Process
	// The end of QEMU's standard error is the end of QEMU.
	r.receive(ctx, channel, stderr, func() { channel.ended.Store(true) })
	return cmd.Wait()
}

func (r *run) started(cmd *exec.Cmd) {
	if r.guest.Started != nil {
		r.guest.Started(cmd.Process.Pid)
	}
}

// nonBlockingPoll is how often keepBlocking looks. QEMU opens its devices many milliseconds before
// a guest can write.
const nonBlockingPoll = time.Millisecond

// keepBlocking makes QEMU wait when its output pipe is full. QEMU sets the pipe non-blocking when
// it starts, and then drops what a virtio console writes while the pipe is full. The flag belongs
// to the open file, which this process shares, so it can be cleared from here; channel is closed
// afterwards, so that the end of QEMU ends the stream.
func (r *run) keepBlocking(channel *os.File) {
	defer channel.Close()
	fd := channel.Fd()
	for first := false; !first; {
		select {
		case <-r.began:
			first = true
		case <-time.After(nonBlockingPoll):
		}
		if flags, _, err := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL,
			0); err == 0 && flags&syscall.O_NONBLOCK != 0 {
			syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFL,
				flags&^syscall.O_NONBLOCK)
		}
	}
}

// sendInput forwards standard input and keys. The kernel's first message says that it listens; a
// serial port would lose what is sent before.
func (r *run) sendInput(ctx context.Context) {
	<-r.began
	r.channel.SendCredit(outputWindow)
	go r.channel.ForwardStdin(r.guest.Stdin, r.input)
	for {
		select {
		case kind := <-r.guest.Keys:
			r.channel.SendKey(kind)
		case answer := <-r.guest.Looks:
			r.mu.Lock()
			asks := r.looker.ask(answer)
			r.mu.Unlock()
			if asks {
				r.channel.Write(uint8(abi.HostMessageLook), nil)
			}
		case <-ctx.Done():
			r.mu.Lock()
			r.looker.end()
			r.mu.Unlock()
			return
		}
	}
}

// looked takes a message of the answer to a look.
func (r *run) looked(message hostchannel.Message) {
	r.mu.Lock()
	again := r.looker.take(message)
	r.mu.Unlock()
	if again {
		// not here: QEMU takes input only as the machine does, and this reads its output
		go r.channel.Write(uint8(abi.HostMessageLook), nil)
	}
}

// receive takes what comes from the machine until both streams have ended, and returns when it has
// been passed on. After ctx has ended, its readers have a moment for each item.
func (r *run) receive(ctx context.Context, stdout, stderr io.Reader, logEnded func()) {
	var streams sync.WaitGroup
	streams.Go(func() {
		r.readLog(stderr)
		r.setBegan()
		logEnded()
	})
	streams.Go(func() {
		if err := r.readFrames(bufio.NewReaderSize(stdout, 1<<16)); err != nil {
			r.stop(err)
			// QEMU must not block on a full pipe while it is being ended
			io.Copy(io.Discard, stdout)
		}
	})
	passedOn := make(chan struct{})
	go func() {
		defer close(passedOn)
		r.passOn()
	}()
	go r.dropWhenStuck(ctx, passedOn)
	streams.Wait()
	r.inbox.close()
	select {
	case <-passedOn:
	case <-r.inbox.dropped:
	}
}

// passOnPatience is how long an item of a stopped machine waits for its reader.
const passOnPatience = time.Second

// dropWhenStuck gives up what is not taken any more once the machine is being ended.
func (r *run) dropWhenStuck(ctx context.Context, passedOn <-chan struct{}) {
	select {
	case <-passedOn:
		return
	case <-ctx.Done():
	}
	for seen := -1; seen != r.inbox.progress(); {
		seen = r.inbox.progress()
		select {
		case <-passedOn:
			return
		case <-time.After(passOnPatience):
		}
	}
	r.inbox.drop()
}

// passOn acts on what has come, in its order.
func (r *run) passOn() {
	for {
		i, ok := r.inbox.take()
		if !ok {
			return
		}
		if i.isLog {
			fmt.Fprintln(r.guest.Log, i.log)
			continue
		}
		if err := r.handle(i.message); err != nil {
			r.stop(err)
			r.inbox.drop()
			return
		}
		r.grant(i.message)
	}
}

// grant lets the machine send as much again as has been passed on, in portions.
func (r *run) grant(message hostchannel.Message) {
	if r.channel == nil || !isBulk(message.Type) {
		return
	}
	r.read += hostchannel.HeaderBytes + uint32(len(message.Payload))
	if r.read >= outputStep {
		r.channel.SendCredit(r.read)
		r.read = 0
	}
}

func (r *run) finish(ctx context.Context, err error, start time.Time) *Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	o := &r.outcome
	o.Duration = time.Since(start)
	o.Stopped = context.Cause(ctx)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		o.QEMUStatus = exit.ExitCode()
	}
	return o
}

// endSoon gives the machine a moment to end by itself.
func (r *run) endSoon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer == nil {
		r.timer = time.AfterFunc(powerOffGrace, func() { r.stop(ErrNoPowerOff) })
	}
}

func (r *run) readLog(stream io.Reader) {
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.logLine(strings.TrimRight(line, "\r\n"))
		}
		if err != nil {
			return
		}
	}
}

func (r *run) logLine(line string) {
	r.mu.Lock()
	r.outcome.Log = append(r.outcome.Log, line)
	if extra := len(r.outcome.Log) - logLinesKept; extra > 0 && !r.outcome.Panicked {
		r.outcome.Log = r.outcome.Log[extra:]
	}
	panicked := strings.HasPrefix(line, panicPrefix)
	r.outcome.Panicked = r.outcome.Panicked || panicked
	r.mu.Unlock()
	if r.guest.Log != nil {
		r.inbox.put(item{isLog: true, log: line})
	}
	if panicked {
		r.endSoon()
	}
}

func (r *run) readFrames(stream io.Reader) error {
	messages := hostchannel.NewReader(stream)
	for {
		message, err := messages.Read()
		r.setBegan()
		if err == io.EOF || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			// the machine ended within a message; that it did not finish is seen from
			// the exit records
			return nil
		}
		if err == nil {
			if r.guest.Message != nil {
				r.guest.Message(message)
			}
			err = r.sort(message)
		}
		if err != nil {
			return err
		}
	}
}

// sort acts at once on what must not wait behind output, and keeps the rest for passOn.
func (r *run) sort(message hostchannel.Message) error {
	switch int(message.Type) {
	case abi.HostMessageCredit:
		credit, err := hostchannel.DecodeCredit(message.Payload)
		r.input.Add(credit)
		return err
	case abi.HostMessageLog:
		for line := range strings.Lines(string(message.Payload)) {
			r.logLine(strings.TrimRight(line, "\r\n"))
		}
	case abi.HostMessageLookedProcess, abi.HostMessageLookedThread,
		abi.HostMessageLookedCapability, abi.HostMessageLookedEnd:
		r.looked(message)
	default:
		r.inbox.put(item{message: message})
	}
	return nil
}

func (r *run) handle(message hostchannel.Message) error {
	switch int(message.Type) {
	case abi.HostMessageNone:
		return nil // only says that the kernel listens
	case abi.HostMessageStdout:
		return write(r.guest.Stdout, message.Payload)
	case abi.HostMessageStderr:
		return write(r.guest.Stderr, message.Payload)
	case abi.HostMessageTrace, abi.HostMessageStats:
		return write(r.guest.Notes, message.Payload)
	case abi.HostMessageFile:
		file, err := hostchannel.DecodeFile(message.Payload)
		if err == nil && r.guest.File != nil {
			r.guest.File(file)
		}
		return err
	case abi.HostMessageFileGone:
		if r.guest.FileGone != nil {
			r.guest.FileGone(string(message.Payload))
		}
		return nil
	case abi.HostMessageLastCall:
		return r.keepCall(message.Payload)
	case abi.HostMessageFault:
		fault, err := hostchannel.DecodeFault(message.Payload)
		fault.Calls = r.calls[fault.ThreadId]
		delete(r.calls, fault.ThreadId)
		if err == nil && fault.Program == noProgram {
			if r.guest.ChildFault != nil {
				r.guest.ChildFault(&fault)
			}
		} else if err == nil && r.faults[fault.Program] == nil &&
			len(r.faults) < abi.BootTogetherMax {
			r.faults[fault.Program] = &fault
		}
		return err
	case abi.HostMessageExit:
		return r.programEnded(message.Payload)
	default:
		return fmt.Errorf("the machine sent a message of unknown type %d", message.Type)
	}
}

// faultsAtOnce bounds the threads whose calls wait for the fault. A thread that had to end for
// another reason has none.
const faultsAtOnce = 256

func (r *run) keepCall(payload []byte) error {
	thread, call, err := hostchannel.DecodeLastCall(payload)
	if err != nil {
		return err
	}
	calls := r.calls[thread]
	if len(r.calls) < faultsAtOnce && len(calls) < abi.LastCallsMax {
		r.calls[thread] = append(calls, call)
	}
	return nil
}

// noProgram is the index of a process that another one started.
const noProgram = 1<<32 - 1

func write(w io.Writer, data []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(data)
	return err
}

func (r *run) programEnded(payload []byte) error {
	record, err := hostchannel.DecodeExit(payload)
	if err != nil {
		return err
	}
	if int(record.Program) != len(r.outcome.Programs) {
		return fmt.Errorf("the machine reports the end of program %d, expected %d",
			record.Program, len(r.outcome.Programs))
	}
	end := ProgramEnd{record, r.faults[record.Program]}
	delete(r.faults, record.Program)
	r.mu.Lock()
	r.outcome.Programs = append(r.outcome.Programs, end)
	r.mu.Unlock()
	if r.guest.Ended != nil {
		r.guest.Ended(end)
	}
	if record.Last != 0 {
		r.endSoon()
	}
	return nil
}
