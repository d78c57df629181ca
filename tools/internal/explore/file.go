package explore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// File is a failure as it is kept beside the test: what it is, how it is run, and the disturbances
// that it takes, by names that hold when the program has changed.
type File struct {
	Format    int           `json:"capos_explore_failure"` // fileFormat
	Help      string        `json:"help"`
	Package   string        `json:"package"`
	Program   bool          `json:"program,omitempty"` // it is no test
	C         string        `json:"c,omitempty"`       // a C program's source, below Package
	CPUs      int           `json:"cpus,omitempty"`    // 0: one
	Strict    bool          `json:"strict,omitempty"`  // no goroutine may be left at the end
	Strategy  string        `json:"strategy,omitempty"`
	Kernel    KernelPart    `json:"kernel"`
	Failure   Failure       `json:"failure"`
	Seed      uint64        `json:"seed"`
	Points    uint64        `json:"points"` // decision points of the undisturbed run
	MaxPause  string        `json:"max_pause"`
	Memory    string        `json:"memory"`
	Flags     []string      `json:"flags,omitempty"`   // behind the package on the command line
	Without   string        `json:"without,omitempty"` // tests that are skipped besides
	Env       []string      `json:"env,omitempty"`
	Digest    string        `json:"program_sha256"`
	Decisions []Disturbance `json:"decisions"`

	// SeedsFrom: nothing is forced. The seeds from this one to Seed run on one machine, and the
	// last of them fails. That holds for this very program only.
	SeedsFrom *uint64 `json:"seeds_from,omitempty"`

	// Counted: names do not repeat it, because time matters to the instruction; decisions are
	// taken by number, and hold for this very program only.
	Counted bool `json:"counted,omitempty"`
}

// KernelPart is what a run needs of the kernel. A file may lack it.
type KernelPart struct {
	Name    string `json:"name,omitempty"`   // "": what the program has unless told
	Points  uint64 `json:"points,omitempty"` // its decision points in the undisturbed run
	Mistake int    `json:"mistake,omitempty"`
}

const (
	fileFormat = 1
	fileMax    = 16 << 10
	// FileDir is where failures are kept, below the directory of the package.
	FileDir = "testdata/explore"
)

var errNoFile = errors.New("it is no failure file of ./capos explore")

// Name is the file's name; the same failure has the same.
func (f *File) Name() string {
	sum := sha256.Sum256([]byte(f.Failure.Loose()))
	name := strings.ReplaceAll(f.Failure.Test, "/", "-")
	if name == "" {
		name = "program"
	}
	return name + "-" + hex.EncodeToString(sum[:4]) + ".json"
}

// Write puts the file into a directory, which it makes, and returns its path.
func (f *File) Write(dir string) (string, error) {
	f.Format = fileFormat
	f.Help = "./capos replay FILE repeats this failure"
	data, err := f.encode()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, f.Name())
	return path, os.WriteFile(path, data, 0o644)
}

// encode leaves out what only people read until it is small enough.
func (f *File) encode() ([]byte, error) {
	kept := *f
	for {
		var b bytes.Buffer
		out := json.NewEncoder(&b)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if err := out.Encode(kept); err != nil || b.Len() <= fileMax {
			return b.Bytes(), err
		}
		switch {
		case kept.dropMeanwhile():
		case len(kept.Failure.Stacks) > 1:
			kept.Failure.Stacks = kept.Failure.Stacks[:len(kept.Failure.Stacks)/2]
		default:
			return nil, fmt.Errorf("%d decisions do not fit a file of %d bytes",
				len(kept.Decisions), fileMax)
		}
	}
}

func (f *File) dropMeanwhile() (dropped bool) {
	list := make([]Disturbance, len(f.Decisions))
	for i, d := range f.Decisions {
		dropped = dropped || len(d.Meanwhile) > 0
		d.Meanwhile = nil
		list[i] = d
	}
	f.Decisions = list
	return dropped
}

// ReadFile reads one; errNoFile says that it is something else.
func ReadFile(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := new(File)
	if json.Unmarshal(data, f) != nil || f.Format == 0 {
		return nil, fmt.Errorf("%s: %w", path, errNoFile)
	}
	if f.Format != fileFormat {
		return nil, fmt.Errorf("%s: format %d, and this is a capos for format %d", path,
			f.Format, fileFormat)
	}
	return f, nil
}

// IsFile tells whether a path leads to a failure file.
func IsFile(path string) bool {
	_, err := ReadFile(path)
	return err == nil
}

// Files reads those of a directory. A file that is none is an error, for it will not be tried.
func Files(dir string) (paths []string, files []*File, err error) {
	paths, err = filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, nil, err
	}
	for _, path := range paths {
		f, err := ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	return paths, files, nil
}

// Forced is what the runtime is told, with pauses so many times as long.
func (f *File) Forced(longer int64) (Forcing, error) {
	if f.SeedsFrom != nil {
		return Forcing{}, nil
	}
	if f.Counted {
		return ForcedVariable(Forced(f.Decisions))
	}
	return NamedVariable(f.Decisions, longer)
}

// Missing are the decisions that a run did not come to. A decision that was taken at a line with
// another text is one of them.
func (f *File) Missing(r *Run, source Source) (missing []Disturbance) {
	taken, _ := r.Disturbances(source)
	for _, d := range f.Decisions {
		found := false
		for _, t := range taken {
			same := t.Name == d.Name && t.Nth == d.Nth
			if f.Counted {
				same = t.Goroutine == d.Goroutine && t.Point == d.Point &&
					t.Kernel == d.Kernel
			}
			found = found || same && t.isCase() == d.isCase() &&
				t.Source == d.Source
		}
		if !found {
			missing = append(missing, d)
		}
	}
	return missing
}

// IsShared tells whether it takes a machine that has run other seeds before.
func (f *File) IsShared() bool { return f.SeedsFrom != nil && *f.SeedsFrom != f.Seed }

// Seeds are what runs on one machine, the seed that fails last.
func (f *File) Seeds() (seeds []uint64) {
	if f.SeedsFrom == nil {
		return []uint64{f.Seed}
	}
	for seed := *f.SeedsFrom; seed <= f.Seed; seed++ {
		seeds = append(seeds, seed)
	}
	return seeds
}

// Fails tells whether a run fails as the file says, whatever the lines are now.
func (f *File) Fails(r *Run, source Source) bool {
	got := r.Judge(source)
	return got != nil && got.Loose() == f.Failure.Loose()
}

// Verdict says in one line what a replay has shown, and then which decisions were not found.
func (f *File) Verdict(r *Run, source Source) string {
	if f.Fails(r, source) {
		return "reproduced: " + r.Judge(source).Title()
	}
	if f.SeedsFrom != nil {
		return "not reproduced: its seeds hold for the program only that it was made with"
	}
	missing := f.Missing(r, source)
	var b strings.Builder
	fmt.Fprintf(&b, "not reproduced, %d of %d decisions applied",
		len(f.Decisions)-len(missing), len(f.Decisions))
	if got := r.Judge(source); got != nil {
		fmt.Fprintf(&b, "; it fails otherwise: %s", got.Title())
	}
	for _, d := range missing {
		fmt.Fprintf(&b, "\n      not found: %s", d.Text)
	}
	return b.String()
}
