package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
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

	// The same for the long run, of at least 10 000 faults.
	faultsLongRuns, faultsLongEach = 101, 100
	faultsLongLimit                = 2 * time.Hour
)

// faultSteps make services fail by seeds.
func (s *suite) faultSteps() []step {
	return []step{
		{name: "explore/faults", cpus: 1, run: func(ctx context.Context) []check {
			return s.exploreFaults(ctx, faultsRuns, faultsEach, faultsLimit)
		}},
		{name: "explore/faults-long", cpus: 1, full: true, long: true,
			run: func(ctx context.Context) []check {
				return s.exploreFaults(ctx, faultsLongRuns, faultsLongEach,
					faultsLongLimit)
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

// exploreFaults wants all faults made, and no failure of a service, a client or the kernel.
func (s *suite) exploreFaults(ctx context.Context, runs, each int, limit time.Duration) []check {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	cmd := s.tool(ctx, "explore", "--json", "--failures", "none", "-j", "1",
		"--timeout", "5m", "--runs", strconv.Itoa(runs), "--faults", strconv.Itoa(each),
		filepath.Join(s.root, faultsSystem))
	out, err := cmd.Output()
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
