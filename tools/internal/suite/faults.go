package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"capos.dev/tools/internal/report"
)

// faultsSystem is a system whose services are made to fail.
const faultsSystem = "tests/run/faults/system.cue"

const (
	// faultsRuns is how many seeds are tried, and faultsEach how many faults each has. Seed 0
	// has none.
	faultsRuns, faultsEach = 11, 40
	faultsLimit            = 5 * time.Minute

	// The same for the long run, of 10 000 faults. It goes on where an earlier one of the same
	// programs was ended.
	faultsLongRuns, faultsLongEach = 101, 100
	faultsLongLimit                = 2 * time.Hour
	faultsLongState                = "build/explore/faults"
)

// faultSteps make services fail by seeds.
func (s *suite) faultSteps() []step {
	return []step{
		{name: "explore/faults", cpus: 1, run: func(ctx context.Context) []check {
			return slices.Concat(
				s.exploreFaults(ctx, faultsRuns, faultsEach, faultsLimit, ""),
				s.faultsRepeat(ctx), s.faultsInject(ctx))
		}},
		{name: "explore/faults-long", cpus: 1, full: true, long: true,
			run: func(ctx context.Context) []check {
				return s.exploreFaults(ctx, faultsLongRuns, faultsLongEach,
					faultsLongLimit, filepath.Join(s.root, faultsLongState))
			}},
	}
}

// exploredFaults is the sum that ./capos explore --json gives of a system.
type exploredFaults struct {
	Runs, Failed int
	Faults       struct {
		Made, Merged, Recovered int
		Median                  int `json:"median_us"`
		Longest                 int `json:"longest_us"`
	}
}

// faultsRepeat replays a seed twice at the same time, so that the host does not do the same for
// both.
func (s *suite) faultsRepeat(ctx context.Context) []check {
	var outputs [2][]byte
	var errs [2]error
	var both sync.WaitGroup
	for i := range outputs {
		both.Go(func() {
			outputs[i], errs[i] = s.tool(ctx, "explore", "--replay", "5", "--faults",
				"20", filepath.Join(s.root, faultsSystem)).Output()
		})
	}
	both.Wait()
	err := errors.Join(errs[:]...)
	faults := bytes.Count(outputs[0], []byte("capos fault "))
	if err == nil && (faults == 0 || !bytes.Equal(outputs[0], outputs[1])) {
		err = fmt.Errorf("two replays with %d faults differ", faults)
	}
	return single("repeat", err, report.LastLines(string(outputs[1]), 8))
}

// faultsInject has the kernel answer services in C and in Go that ask it for faults.
func (s *suite) faultsInject(ctx context.Context) []check {
	out, err := s.tool(ctx, "explore", "--strategy", "none", "--replay", "3", "--faults", "1",
		filepath.Join(s.root, faultsSystem)).CombinedOutput()
	for _, service := range []string{"kv", "counter"} {
		said := []byte(service + ": the answer is late")
		if err == nil && !bytes.Contains(out, said) {
			err = fmt.Errorf("no fault has happened to %s", service)
		}
	}
	return single("inject", err, report.LastLines(string(out), 8))
}

// exploreFaults wants all faults made, and no failure of a service, a client or the kernel. state:
// where it is kept how far it is; "" for nowhere.
func (s *suite) exploreFaults(ctx context.Context, runs, each int, limit time.Duration,
	state string) []check {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	args := []string{"explore", "--json", "--failures", "none", "-j", "1",
		"--timeout", "30m", "--runs", strconv.Itoa(runs), "--faults", strconv.Itoa(each),
		"--resume", state, filepath.Join(s.root, faultsSystem)}
	cmd := s.tool(ctx, args...)
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() == exploreMisused && os.RemoveAll(state) == nil {
		// What was kept is of other programs.
		out, err = s.tool(ctx, args...).Output()
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var sum exploredFaults
	if err == nil {
		err = json.Unmarshal([]byte(lines[len(lines)-1]), &sum)
	}
	if made := (runs - 1) * each; err == nil && sum.Faults.Made != made {
		err = fmt.Errorf("%d faults were made, expected %d", sum.Faults.Made, made)
	}
	if err != nil {
		return single("services-recover", err, report.LastLines(string(out), 8))
	}
	return []check{{"services-recover", passed, fmt.Sprintf("%d faults, %d recovered from, "+
		"%d before the service had recovered from the last; median %d us, at most %d us "+
		"of virtual time", sum.Faults.Made, sum.Faults.Recovered, sum.Faults.Merged,
		sum.Faults.Median, sum.Faults.Longest)}}
}
