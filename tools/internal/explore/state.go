package explore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// State is how far a long run has come, so that another goes on where it was stopped.
type State struct {
	Format       int      `json:"capos_explore_state"` // stateFormat
	Package      string   `json:"package"`
	Digest       string   `json:"digest"`        // of all that a seed depends on
	Points       uint64   `json:"points"`        // decision points of the undisturbed run
	Accesses     uint64   `json:"accesses"`      // of memory, which some seeds have as points
	KernelPoints uint64   `json:"kernel_points"` // the same of the kernel
	Next         uint64   `json:"next"`          // the first seed that was not begun
	Begun        []uint64 `json:"begun"`         // seeds below it that were not finished

	Took    time.Duration `json:"took_ns"`
	Summary Summary       `json:"summary"`
	Kept    []keptFound   `json:"found"`
}

// keptFound is a failure with what its report leaves out.
type keptFound struct {
	*Found
	Shrunk   bool        `json:"shrunk"`
	Simplest []Candidate `json:"simplest"`
}

const stateFormat = 1

var errNoState = errors.New("it is no state of ./capos explore --resume")

// ReadState reads what Write has written; nil when there is no such file.
func ReadState(path string) (*State, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s := new(State)
	if json.Unmarshal(data, s) != nil || s.Format != stateFormat {
		return nil, fmt.Errorf("%s: %w", path, errNoState)
	}
	for _, kept := range s.Kept {
		f := kept.Found
		f.Shrunk, f.Simplest = kept.Shrunk, kept.Simplest
		s.Summary.Found = append(s.Summary.Found, f)
	}
	return s, nil
}

// Write replaces the file as a whole.
func (s *State) Write(path string) error {
	s.Format, s.Kept = stateFormat, nil
	for _, f := range s.Summary.Found {
		s.Kept = append(s.Kept, keptFound{f, f.Shrunk, f.Simplest})
	}
	kept := *s
	kept.Summary.Found = nil
	data, err := json.Marshal(kept)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}
