package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"capos.dev/tools/internal/abi"
	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/manifest"
)

// learning is a program that is run to find out what it needs. First it has everything and is
// watched. Then it is run again without each capability that it has used, because it may do as well
// without, and with the same input. A capability without which it does the same is not granted.
type learning struct {
	*launch
	flags   *runFlags
	args    []string
	input   recorder
	notes   bytes.Buffer // what --stats prints
	watched ending
	took    time.Duration
	comment []string // about the manifest
}

// ending is what one run of the program can be told from another by.
type ending struct {
	kind           uint32
	code           int32
	stdout, stderr fingerprint
}

// fingerprint stands for what was written, and for that with all words that have a digit alike:
// times and addresses differ each time.
type fingerprint struct{ exact, masked [sha256.Size]byte }

// sameAs compares two runs, exactly or but for words with digits.
func (e ending) sameAs(other ending, exactly bool) bool {
	return e.kind == other.kind && e.code == other.code &&
		e.stdout.sameAs(other.stdout, exactly) && e.stderr.sameAs(other.stderr, exactly)
}

func (f fingerprint) sameAs(other fingerprint, exactly bool) bool {
	return f.masked == other.masked && (!exactly || f.exact == other.exact)
}

// written makes the fingerprint of what is written to it.
type written struct {
	exact, masked hash.Hash
	word          []byte
	number        bool // the word has a digit
}

func newWritten() *written { return &written{exact: sha256.New(), masked: sha256.New()} }

func (w *written) Write(data []byte) (int, error) {
	w.exact.Write(data)
	for _, c := range data {
		if c == ' ' || c == '\n' || c == '\t' {
			w.endWord()
			w.masked.Write([]byte{c})
			continue
		}
		w.word = append(w.word, c)
		w.number = w.number || c >= '0' && c <= '9'
	}
	return len(data), nil
}

func (w *written) endWord() {
	if w.number {
		w.word = append(w.word[:0], '#')
	}
	w.masked.Write(w.word)
	w.word, w.number = w.word[:0], false
}

func (w *written) fingerprint() (f fingerprint) {
	w.endWord()
	w.exact.Sum(f.exact[:0])
	w.masked.Sum(f.masked[:0])
	return f
}

const (
	// A trial that goes on for much longer than the program did is one that has failed.
	trialTimes = 3
	trialGrace = 10 * time.Second

	// spareTimes is how much more than its peak a program is suggested to have.
	spareTimes = 2
)

// recorder keeps what is read through it.
type recorder struct {
	mu   sync.Mutex
	from io.Reader
	kept []byte
}

func (r *recorder) Read(data []byte) (int, error) {
	n, err := r.from.Read(data)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, data[:n]...)
	return n, err
}

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.kept)
}

// checkLearn finds flags that do not go with --learn.
func (r *runFlags) checkLearn(args []string) error {
	switch {
	case len(args) == 0 || isManifest(args[0]):
		return errors.New("--learn finds the manifest of a program")
	case len(r.out) > 0:
		return errors.New("--learn does not go with -o, because a system copies no file " +
			"back to the host")
	case r.gdb || r.dryRun || r.record != "" || r.batch != "" || r.initLog || r.seed != "":
		return errors.New("--learn does not go with -d, --dry-run, --record, --batch, " +
			"--init-log or --seed")
	}
	return nil
}

// learn runs the program with everything, prints the smallest manifest with which it does the same,
// and gives the program's status.
func (l *launch) learn(r *runFlags, args []string) int {
	if err := errors.Join(l.config.CheckKernel(), l.config.CheckMemory(),
		machine.CheckQEMU()); err != nil {
		return cli.Fail(err)
	}
	n := &learning{launch: l, flags: r, args: args}
	outcome, err := n.watch()
	if err != nil {
		return cli.Fail(err)
	}
	status := l.explain(outcome)
	if len(outcome.Programs) == 0 || int(outcome.Programs[0].Kind) == abi.ExitKindNotStarted {
		return status
	}
	grants, err := n.smallest(n.used())
	if err == nil {
		err = n.print(grants)
	}
	if err != nil {
		return cli.Fail(err)
	}
	return status
}

// watch runs the program with everything, connected to this process. Its standard output goes to
// standard error, because the manifest goes to standard output.
func (n *learning) watch() (*machine.Outcome, error) {
	n.input.from = os.Stdin
	guest := n.guest()
	guest.Stdin, guest.Notes = &n.input, &n.notes
	if n.flags.stats || n.flags.trace {
		guest.Notes = io.MultiWriter(&n.notes, os.Stderr)
	}
	stdout, stderr := newWritten(), newWritten()
	guest.Stdout = io.MultiWriter(os.Stderr, stdout)
	guest.Stderr = io.MultiWriter(os.Stderr, stderr)
	n.config.Stats = true
	outcome, err := n.boot(guest)
	if err != nil {
		return nil, err
	}
	n.took = outcome.Duration
	n.watched = endingOf(outcome, stdout, stderr)
	return outcome, nil
}

func endingOf(outcome *machine.Outcome, stdout, stderr *written) ending {
	e := ending{kind: uint32(abi.ExitKindNotStarted), stdout: stdout.fingerprint(),
		stderr: stderr.fingerprint()}
	if len(outcome.Programs) > 0 {
		e.kind, e.code = uint32(outcome.Programs[0].Kind), outcome.Programs[0].Code
	}
	return e
}

var (
	useLine  = regexp.MustCompile(`(?m)^ *[1-9]\d*  uses of (\w+)$`)
	peakLine = regexp.MustCompile(
		`(?m)^process \d+ .*: budget of (\w+): \d+ used, peak (\d+),`)
)

// used lists what the program, or a process that it has started, has made a call to. The clock is
// read without a call by all that hold the timer.
func (n *learning) used() (grants []string) {
	called := map[string]bool{abi.GrantNames[abi.GrantTimer]: true}
	for _, m := range useLine.FindAllSubmatch(n.notes.Bytes(), -1) {
		called[string(m[1])] = true
	}
	for _, name := range abi.GrantNames {
		if called[name] {
			grants = append(grants, name)
		}
	}
	return grants
}

// smallest leaves out one after the other of what the program does the same without.
func (n *learning) smallest(grants []string) ([]string, error) {
	if int(n.watched.kind) != abi.ExitKindExited {
		n.comment = append(n.comment, "It did not end by itself, so it was not tried what "+
			"it can do without.")
		return grants, nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	again, err := n.try(ctx, grants)
	if err != nil || !again.sameAs(n.watched, false) {
		n.comment = append(n.comment, "It does not do the same each time, so it was not "+
			"tried what it can do without.")
		return grants, err
	}
	exactly := again.sameAs(n.watched, true)
	if !exactly {
		n.comment = append(n.comment, "Runs were compared but for words with digits, "+
			"which differ each time.")
	}
	for _, name := range slices.Clone(grants) {
		without := slices.DeleteFunc(slices.Clone(grants),
			func(other string) bool { return other == name })
		trial, err := n.try(ctx, without)
		if err != nil {
			return nil, err
		}
		if trial.sameAs(n.watched, exactly) {
			grants = without
		}
	}
	return grants, nil
}

// try runs the program with these capabilities, and with the input of the run that was watched.
func (n *learning) try(ctx context.Context, grants []string) (e ending, err error) {
	trial, config := n.program, *n.config
	trial.Grants = grantBits(grants)
	image, err := bootimage.Temporary(n.tree, []bootimage.Program{trial})
	if err != nil {
		return e, err
	}
	defer image.Close()
	config.Stats, config.Trace = false, false
	limited, stop := context.WithTimeout(ctx, trialTimes*n.took+trialGrace)
	defer stop()
	stdout, stderr := newWritten(), newWritten()
	outcome, err := machine.Run(limited, &config, image, machine.Guest{
		Stdin: bytes.NewReader(n.input.bytes()), Stdout: stdout, Stderr: stderr})
	if err == nil {
		e, err = endingOf(outcome, stdout, stderr), ctx.Err()
	}
	return e, err
}

// grantBits is a mask for the boot image. Nothing at all has become everything there, and stands
// for something that the program has not used.
func grantBits(grants []string) uint64 {
	m := manifest.Manifest{InitGrants: grants}
	if bits := m.GrantBits(); bits != 0 {
		return bits
	}
	return 1 << abi.GrantEntropySeed
}

// print writes the manifest to standard output.
func (n *learning) print(grants []string) error {
	service, err := n.flags.service(n.args)
	if err != nil {
		return err
	}
	service.Grants = append([]string{}, grants...)
	if len(n.flags.files) > 0 {
		n.comment = append(n.comment, "Run it with --files "+
			strings.Join(n.flags.files, " --files ")+".")
	}
	return manifest.Print(os.Stdout, service, n.args[0], n.comment, n.limits(grants))
}

// limits are fields of a service that leave the program some room above what it has taken.
func (n *learning) limits(grants []string) []string {
	names := map[string]string{"memory": "memory", "threads": "threads", "capabilities": "caps",
		"calls": "calls"}
	var peaks, fields []string
	for _, m := range peakLine.FindAllSubmatch(n.notes.Bytes(), -1) {
		name, known := names[string(m[1])]
		peak, err := strconv.ParseUint(string(m[2]), 10, 64)
		if !known || err != nil || peak == 0 {
			continue
		}
		if name == "caps" { // it held everything
			peak -= min(peak-1, uint64(len(abi.GrantNames)-len(grants)))
		}
		if name == "memory" {
			peak *= uint64(abi.PageSize) >> 10
			peaks = append(peaks, fmt.Sprintf("memory %dK", peak))
			fields = append(fields, fmt.Sprintf("memory: \"%dK\"", spareTimes*peak))
			continue
		}
		peaks = append(peaks, fmt.Sprintf("%s %d", name, peak))
		fields = append(fields, fmt.Sprintf("%s: %d", name, spareTimes*peak))
	}
	if len(peaks) == 0 {
		return nil
	}
	return append([]string{"Its peaks were " + strings.Join(peaks, ", ") +
		". Limits of twice as much:"}, fields...)
}
