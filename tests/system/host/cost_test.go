//go:build linux && !capos

package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// machineOf finds the emulator that a ./capos started.
func machineOf(t *testing.T, pid int) int {
	t.Helper()
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range lists {
		text, _ := os.ReadFile(file)
		for _, word := range strings.Fields(string(text)) {
			name, _ := os.ReadFile(filepath.Join("/proc", word, "comm"))
			if child, err := strconv.Atoi(word); err == nil &&
				strings.HasPrefix(string(name), "qemu") {
				return child
			}
		}
	}
	t.Fatal("no machine is running")
	return 0
}

// cpuTime adds up what the host's scheduler says about the threads of a process, in nanoseconds.
func cpuTime(t *testing.T, pid int) (total time.Duration) {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if words := strings.Fields(string(text)); len(words) > 0 {
			ns, _ := strconv.ParseInt(words[0], 10, 64)
			total += time.Duration(ns)
		}
	}
	if total == 0 {
		t.Fatal("the host keeps no account of the machine's time")
	}
	return total
}

// A machine whose only program sleeps halts its CPUs. The emulator then uses under 0.5 % of one of
// the host's, and as much again is left for the emulator's own work. The program is never woken
// early, and not later than a busy host may make it.
func TestIdle(t *testing.T) {
	window := 20 * time.Second
	if testing.Short() {
		window = 5 * time.Second
	}
	const settle = time.Second
	for _, cpus := range []string{"1", "2"} {
		s := start(t, "--cpus", cpus, mustProbe(t), "sleep", (window + 2*settle).String())
		s.expect(t, "ready")
		time.Sleep(settle)
		pid := machineOf(t, s.Process.Pid)
		before, begin := cpuTime(t, pid), time.Now()
		time.Sleep(window)
		used, passed := cpuTime(t, pid)-before, time.Since(begin)
		status, out := s.end()
		share := 100 * float64(used) / float64(passed)
		t.Logf("%s CPUs: %v in %v, %.2f %%", cpus, used, passed, share)
		if share > 1 {
			t.Errorf("%s CPUs: a sleeping program costs %.2f %% of a CPU", cpus, share)
		}
		var late time.Duration
		if _, err := fmt.Sscanf(out, "late by %d", &late); err != nil || status != 0 ||
			late < 0 || late > time.Second {
			t.Errorf("%s CPUs: status %d, prints %q", cpus, status, out)
		}
	}
}

// A second CPU that the host cannot run at the same time costs a program of many threads little,
// because starting and ending a thread waits for no other CPU. Each such wait would last until the
// host runs the other one, which is some milliseconds. The best of several runs counts, because the
// host may have more to do.
func TestThreadsOnOneCoreOfTheHost(t *testing.T) {
	const runs, times = 5, 5
	best := func(cpus string) time.Duration {
		least := patience
		for range runs {
			cmd := capos(t, "run", "--cpus", cpus, mustProbe(t), "locked", "500")
			onOneCore(t, cmd)
			out, err := cmd.Output()
			took, malformed := time.ParseDuration(strings.TrimSpace(string(out)))
			if err != nil || malformed != nil {
				t.Fatalf("%v, prints %q", err, out)
			}
			least = min(least, took)
		}
		return least
	}
	one, two := best("1"), best("2")
	t.Logf("1 CPU: %v, 2 CPUs: %v", one, two)
	if two > times*one {
		t.Errorf("500 threads take %v with 1 CPU and %v with 2", one, two)
	}
}

// onOneCore has a command and all that it starts run on the first of this process's cores.
func onOneCore(t *testing.T, cmd *exec.Cmd) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	core := regexp.MustCompile(`Cpus_allowed_list:\s*(\d+)`).FindSubmatch(status)
	taskset, err := exec.LookPath("taskset")
	if core == nil || err != nil {
		t.Fatalf("no core to run on: %v in %s", err, status)
	}
	cmd.Args = append([]string{taskset, "-c", string(core[1])}, cmd.Args...)
	cmd.Path = taskset
}

// Profiles of a test come back as files that Go's tools read, and the CPU profile is right about
// where the time went: more than 60 % of the samples are in the one function that computes or,
// where a sample meets a request to yield, in the runtime's answer to that.
func TestProfiles(t *testing.T) {
	for _, cpus := range []string{"2", "1"} {
		dir := t.TempDir()
		file := func(name string) string { return filepath.Join(dir, name) }
		cmd := capos(t, "go", "test", "-vet=off", "-count=1", "-run", "^TestProfiled$",
			"-o", file("workload.test"),
			"-cpuprofile", file("cpu"), "-memprofile", file(
				"mem"), "-memprofilerate", "4096", "-mutexprofile", file("mutex"),
			"-blockprofile", file("block"), "-trace", file("trace"), "./workload")
		cmd.Env = append(cmd.Env, "CAPOS_RUN_FLAGS=--cpus "+cpus)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for name, function := range map[string]string{"cpu": "workload.compute",
			"mem": "workload.allocate", "mutex": "workload.contend",
			"block": "workload.contend"} {
			args := []string{"tool", "pprof", "-top", "-cum", "-nodecount=100"}
			if name == "mem" {
				args = append(args, "-sample_index=alloc_space")
			}
			out, err := exec.Command("go", append(args, file("workload.test"),
				file(name))...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), function) {
				t.Errorf("%s CPUs: %s profile does not show %s (%v):\n%s", cpus,
					name, function, err, out)
			}
			if name == "cpu" {
				checkShare(t, cpus, string(out), function)
			}
		}
		if out, err := exec.Command("go", "tool", "trace", "-pprof=sched",
			file("trace")).CombinedOutput(); err != nil || len(out) == 0 {
			t.Errorf("%s CPUs: go tool trace: %v, %d bytes", cpus, err, len(out))
		}
	}
}

func checkShare(t *testing.T, cpus, top, function string) {
	share := shareOf(top, function)
	t.Logf("%s CPUs: %.1f %% of the samples in %s", cpus, share, function)
	if share <= 60 {
		t.Errorf("%s CPUs: %.1f %% of the samples in %s\n%s", cpus, share, function, top)
	}
}

// Threads that live shorter than the time between two samples are seen as often as their share of
// the time is.
func TestProfilesOfShortThreads(t *testing.T) {
	dir := t.TempDir()
	cmd := capos(t, "go", "test", "-vet=off", "-count=1", "-run", "^TestShortThreads$", "-o",
		filepath.Join(dir, "test"), "-cpuprofile", filepath.Join(dir, "cpu"), "./workload")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount=100",
		filepath.Join(dir, "test"), filepath.Join(dir, "cpu")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	short, long := shareOf(string(out), "computeShort"), shareOf(string(out), "computeLong")
	t.Logf("%.1f %% in short threads, %.1f %% in a long one", short, long)
	// With 200 samples, the share of the short ones is 50 % with a deviation of 3.5.
	if part := 100 * short / (short + long); part < 35 || part > 65 {
		t.Errorf("%.1f %% of the samples are of short threads\n%s", part, out)
	}
}

// shareOf returns the cumulative share of a function in the table of pprof.
func shareOf(top, function string) (share float64) {
	line := regexp.MustCompile(`(?m)^\s*\S+\s+\S+%\s+\S+%\s+\S+\s+([0-9.]+)%\s+\S*` +
		regexp.QuoteMeta(function) + `$`).FindStringSubmatch(top)
	if line != nil {
		share, _ = strconv.ParseFloat(line[1], 64)
	}
	return share
}
