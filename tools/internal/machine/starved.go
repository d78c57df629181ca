package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Starved tells how long a process has had a thread that could run and had no CPU of the host: the
// longest time of one of its threads since it was started. 0 where the host does not say.
func Starved(process int) time.Duration {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", process))
	var longest time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		longest = max(longest, runDelay(string(text)))
	}
	return longest
}

// runDelay reads schedstat: nanoseconds on a CPU, nanoseconds in wait for one, time slices
// (Documentation/scheduler/sched-stats.rst of Linux).
func runDelay(text string) time.Duration {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return 0
	}
	ns, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ns)
}
