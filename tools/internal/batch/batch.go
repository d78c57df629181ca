// Package batch runs many programs on few machines, one after the other.
package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"capos.dev/tools/internal/bootimage"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/report"
	"capos.dev/tools/internal/symbols"
)

// Program is one line of a batch file: one of several programs that share a machine, one after
// the other.
type Program struct {
	Name    string   `json:"name"` // what results call it; by default the ELF file's name
	ELF     string   `json:"elf"`
	Args    []string `json:"args"` // after argv[0]
	Env     []string `json:"env"`
	Timeout string   `json:"timeout"` // a duration; defaultTimeout when empty

	// Together: it starts with the program before it, and they run at the same time. What they
	// write is taken for the first one's.
	Together bool `json:"together"`

	// CommittedLimit, in pages, is what it can take of the machine; 0: all.
	CommittedLimit uint64 `json:"-"`
	// Counts are its other limits.
	Counts bootimage.Counts `json:"-"`
}

// Result is one line of a batch's output.
type Result struct {
	Name       string `json:"name"`
	Status     int    `json:"status"`
	Stdout     string `json:"stdout"`
	Stderr     string `json:"stderr"`
	Report     string `json:"report,omitempty"` // why, when it did not simply exit
	Leak       string `json:"leak,omitempty"`
	CPUTimeNS  uint64 `json:"cpu_time_ns"`
	DurationMS int64  `json:"duration_ms"`
}

// OK tells a program that did what it should from all others.
func (r *Result) OK() bool { return r.Status == 0 && r.Leak == "" }

var errTimeout = errors.New("timeout")

const (
	// A machine that counts instructions takes longer for the same work: see countedTimeout.
	defaultTimeout = 60 * time.Second
	countedTimeout = 5 * time.Minute

	// outputMax bounds what is kept of one program's output; a program that writes more is
	// cut off there.
	outputMax = 16 << 20
)

// Read reads a batch file: JSON lines.
func Read(file string) ([]Program, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var programs []Program
	for decoder := json.NewDecoder(f); ; {
		var p Program
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return programs, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		programs = append(programs, p)
	}
}

// Run runs the programs and calls result for each, in order. A machine that is lost on the way
// - a kernel panic, a program that does not end - costs the program that was running; the ones
// after it get another machine.
func Run(ctx context.Context, c *machine.Config, programs []Program,
	result func(Result)) error {
	return RunImage(ctx, c, programs, writeImage, result)
}

// RunImage is Run with boot images of the caller's: image writes one for some of the programs, in
// their order.
func RunImage(ctx context.Context, c *machine.Config, programs []Program,
	image func([]Program) (*os.File, error), result func(Result)) error {
	if err := c.CheckKernel(); err != nil {
		return err
	}
	if err := machine.CheckQEMU(); err != nil {
		return err
	}
	for len(programs) > 0 && ctx.Err() == nil {
		done, err := runSome(ctx, c, programs, image, result)
		if err != nil {
			return err
		}
		programs = programs[done:]
	}
	return context.Cause(ctx)
}

// collector gathers the output of the program that is running. All its methods are called from one
// goroutine.
type collector struct {
	programs []Program
	current  int
	stdout   limitedBuffer
	stderr   limitedBuffer
	notes    limitedBuffer
	started  time.Time
	patience *patience
	process  atomic.Int64 // QEMU's; 0: it has not been started
	result   func(Result)
	config   *machine.Config
}

type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(data []byte) (int, error) {
	if room := outputMax - b.Len(); len(data) > room {
		b.Buffer.Write(data[:max(room, 0)])
		return len(data), nil
	}
	return b.Buffer.Write(data)
}

// runSome starts one machine and returns how many of the programs have had their result.
func runSome(ctx context.Context, c *machine.Config, programs []Program,
	image func([]Program) (*os.File, error), result func(Result)) (int, error) {
	boot, err := image(programs)
	if err != nil {
		return 0, err
	}
	defer boot.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	k := &collector{programs: programs, result: result, started: time.Now(), config: c}
	k.patience = &patience{waited: k.starved, expire: func() { stop(errTimeout) }}
	k.patience.restart(k.limit())
	defer k.patience.stop()
	guest := machine.Guest{Stdout: &k.stdout, Stderr: &k.stderr, Notes: &k.notes,
		Ended: k.ended, Started: func(process int) { k.process.Store(int64(process)) }}
	outcome, err := machine.Run(ctx, c, boot, guest)
	if err != nil {
		return 0, err
	}
	if k.current < len(programs) {
		k.lost(outcome)
	}
	return k.current, nil
}

func (k *collector) starved() time.Duration {
	if process := k.process.Load(); process != 0 {
		return machine.Starved(int(process))
	}
	return 0
}

// limit is how long the current program may take, as patience counts it.
func (k *collector) limit() time.Duration {
	if k.current < len(k.programs) {
		if d, err := time.ParseDuration(k.programs[k.current].Timeout); err == nil {
			return d
		}
	}
	if k.config.ICount {
		return countedTimeout
	}
	return defaultTimeout
}

// ended is called when the machine reports the end of the current program.
func (k *collector) ended(end machine.ProgramEnd) {
	if k.current >= len(k.programs) {
		return
	}
	p := k.programs[k.current]
	var table *symbols.Table
	if end.Fault != nil {
		table, _ = symbols.Open(p.ELF)
	}
	status, text := report.Program(&end, p.name(), table, report.Memory{
		MachineMiB: k.config.MemoryMiB, LimitPages: p.CommittedLimit})
	k.finish(Result{Status: status, Report: text, Leak: report.LeakText(&end, p.name()),
		CPUTimeNS: end.CpuTimeNs})
	k.patience.restart(k.limit())
}

// lost gives the current program a result when the machine is gone.
func (k *collector) lost(o *machine.Outcome) {
	if errors.Is(o.Stopped, errTimeout) {
		text := fmt.Sprintf("capos: %s did not end within %v\n",
			k.programs[k.current].name(), k.limit())
		k.finish(Result{Status: report.StatusTimeout, Report: text + report.LastLog(o.Log)})
		return
	}
	kernel, _ := symbols.Open(k.config.Kernel)
	status, text := report.Machine(o, k.config, kernel)
	k.finish(Result{Status: status, Report: text})
}

func (k *collector) finish(r Result) {
	r.Name = k.programs[k.current].name()
	r.Stdout, r.Stderr = k.stdout.String(), k.stderr.String()+k.notes.String()
	r.DurationMS = time.Since(k.started).Milliseconds()
	k.stdout.Reset()
	k.stderr.Reset()
	k.notes.Reset()
	k.started = time.Now()
	k.current++
	k.result(r)
}

func (p *Program) name() string {
	if p.Name != "" {
		return p.Name
	}
	return strings.TrimSuffix(filepath.Base(p.ELF), ".elf")
}

func writeImage(programs []Program) (*os.File, error) {
	tree := bootimage.NewTree()
	if err := tree.AddDir(bootimage.Home); err != nil {
		return nil, err
	}
	var list []bootimage.Program
	taken := map[string]string{} // guest path to host file
	for i, p := range programs {
		path := "/bin/" + p.name()
		if other := taken[path]; other != "" && other != p.ELF {
			path = fmt.Sprintf("/bin/%d/%s", i, p.name())
		}
		taken[path] = p.ELF
		if err := tree.AddHostFile(p.ELF, path); err != nil {
			return nil, err
		}
		env := append([]string{"PATH=/bin", "HOME=" + bootimage.Home, "TMPDIR=/tmp",
			"PWD=/"}, p.Env...)
		list = append(list, bootimage.Program{Path: path, Args: append([]string{path},
			p.Args...), Env: bootimage.LastWins(env), Together: p.Together,
			CommittedLimit: p.CommittedLimit, Counts: p.Counts})
	}
	return bootimage.Temporary(tree, list)
}
