package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"capos.dev/tools/internal/repo"
)

const (
	manifestTool   = "build/tools/manifest"
	manifestModule = "tools/manifest"

	exampleSystem   = "examples/system/system.cue"
	essentialSystem = "tests/run/essential/system.cue"
	restartsSystem  = "tests/run/restarts/system.cue"
	unreadySystem   = "tests/run/restarts/unready.cue"
	bootSystem      = "tests/run/boot/system.cue"
	driverSystem    = "tests/run/rng/system.cue"
	killedSystem    = "tests/run/rng/restart.cue"
	limitedSystem   = "tests/run/limited/system.cue"
	deniedSystem    = "tests/run/denied/system.cue"

	// instructions from power-on to the main of a Go program that init starts
	initMillionsMax = 5
)

// manifestSteps test the tool for manifests on the host, and systems of several services under
// init.
func (s *suite) manifestSteps() ([]step, error) {
	return append(s.consoleSteps(), []step{
		{name: "host/manifest", cpus: 2, run: s.testManifests},
		{name: "init/system", cpus: 1, run: func(ctx context.Context) []check {
			if skip := s.buildManifestTool(ctx); skip != nil {
				return skip
			}
			return append(s.runToolCases(ctx, s.buildSystems, s.systemCases()),
				s.bootCost(ctx, "power-on-to-main", initMillionsMax,
					filepath.Join(s.root, bootSystem)))
		}},
		{name: "init/trusted", cpus: 1, run: s.trustedDrivers},
		{name: "init/end", cpus: 1, run: s.systemEnds},
		{name: "init/printed", cpus: 1, run: s.printedManifest},
		{name: "init/learn", cpus: 1, run: s.learnedManifests},
	}...), nil
}

// buildManifestTool gives checks only where there is no tool: that it does not build, or that
// nothing can be downloaded of which it is made.
func (s *suite) buildManifestTool(ctx context.Context) []check {
	out, err := hostCommand(ctx, s.root, "make", "--no-print-directory", "-s",
		manifestTool).CombinedOutput()
	if why, ok := repo.Unreachable(string(out)); ok && err != nil {
		return []check{{"tool", skipped, "the CUE library cannot be downloaded: " + why}}
	}
	if err != nil {
		return single("tool", err, string(out))
	}
	return nil
}

// testManifests runs vet and the tests of the tool's module.
func (s *suite) testManifests(ctx context.Context) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	dir := filepath.Join(s.root, manifestModule)
	out, err := s.hostGo(ctx, dir, "vet", "./...").CombinedOutput()
	results, _ := goTestResults(s.hostGo(ctx, dir, "test", "-json", "-count=1",
		"-buildvcs=false", "./..."))
	return append(single("vet", err, string(out)), plainChecks(results,
		"capos.dev/tools/")...)
}

// buildSystems builds what the cases start, so that none of their time goes into it, and gives a
// program.
func (s *suite) buildSystems(ctx context.Context) (string, error) {
	for _, file := range []string{exampleSystem, essentialSystem, restartsSystem,
		unreadySystem, bootSystem, limitedSystem, driverSystem, deniedSystem,
		killedSystem} {
		out, err := s.tool(ctx, "run", "--dry-run",
			filepath.Join(s.root, file)).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s: %w\n%s", file, err, out)
		}
	}
	return filepath.Join(s.root, "build", "services", "init"), nil
}

func limitedSystemCases(essential, limited string) []toolCase {
	return []toolCase{
		{name: "little-memory", flags: []string{"--limit", "300K"},
			args: []string{essential}, status: 126, notErr: "leak",
			inErr: []string{"init: flaky: not started: /bin/flaky: noMemory\n"}},
		{name: "limits", flags: []string{"--limit", "threads=20"},
			args: []string{limited},
			stdout: "greedy: 5 threads, then noThreads; " +
				"some events, then noSlots\n",
			inErr: []string{"init: big: not started: /bin/greedy: noThreads\n" +
				"init: big: init has less left; say in the manifest: " +
				"threads: less than 100, or shared: [\"threads\"]\n",
				"init: greedy: ended with status 0\n"}, notErr: "leak"},
	}
}

// deniedCase wants every refusal to name what the manifest has to say.
func deniedCase(system string) toolCase {
	started := func(name, manifest string) string {
		return fmt.Sprintf("the program was started without %q; say in the manifest: %s\n",
			name, manifest)
	}
	c := toolCase{name: "denied", args: []string{system}, notErr: "leak"}
	for _, name := range []string{"stdout", "stdin", "thread_spawner", "timer", "park",
		"entropy", "memory_allocator", "devices", "init_log", "init_processes", "boot"} {
		c.inErr = append(c.inErr, "libcapos: "+
			started(name, fmt.Sprintf("grants: [%q]", name)))
	}
	for name, manifest := range map[string]string{"ready": "ready: true",
		"heartbeat": "heartbeatMs: 1000", "sum": "uses: \"sum\": {}",
		"mine": "serves: \"mine\": {}", "virtio-rng": "devices: [\"virtio-rng\"]"} {
		c.inErr = append(c.inErr, "libcapos: "+started(name, manifest))
	}
	for _, name := range []string{"vm", "thread_control"} {
		c.inErr = append(c.inErr, fmt.Sprintf("runtime: a Go program cannot run without "+
			"the capability %q; say in the manifest: grants: [%q]\n", name, name))
	}
	c.inErr = append(c.inErr, "tries: grants: [\"pipe_factory\"]\n",
		"init: netless: the machine has no device virtio-net; "+
			"it has: virtio's type 4\n"+
			"init: netless: not started: virtio-net: notFound\n",
		"init: tight: its limit was in the way; say in the manifest: "+
			"threads: more than 3\n")
	denied := "capos: permission denied: "
	c.stdout = denied + started("sum", "uses: \"sum\": {}") +
		denied + started("mine", "serves: \"mine\": {}") +
		denied + started("ready", "ready: true") +
		denied + started("devices", "grants: [\"devices\"]") +
		"fork/exec /bin/gotries: operation not permitted: " +
		strings.TrimSuffix(started("process_spawner", "grants: [\"process_spawner\"]"),
			"\n") + " true\n"
	return c
}

func driverCases(driver, killed string) []toolCase {
	return []toolCase{
		{name: "entropy-driver", args: []string{driver},
			stdout: "client: the device is taken, its bytes count\n",
			inErr: []string{"init: rng: ready\ninit: client: started\n",
				"init: rng: stopped\n"}, notErr: "leak"},
		{name: "entropy-driver-killed", args: []string{killed},
			stdout: "client: the device is taken, its bytes count\n" +
				"client: the device is free, its bytes count\n" +
				"client: the device is taken, its bytes count\n" +
				"client: the device is free, its bytes count\n",
			inErr: []string{"init: rng: no heartbeat in 1000 ms\n",
				"; given up after 1 restart\n",
				"         2  EntropySeed.add, 0 failed\n"}, notErr: "leak"},
	}
}

func (s *suite) systemCases() []toolCase {
	system := func(file string) string { return probeFlag + filepath.Join(s.root, file) }
	example, essential := system(exampleSystem), system(essentialSystem)
	cases := append(limitedSystemCases(essential, system(limitedSystem)),
		driverCases(system(driverSystem), system(killedSystem))...)
	return append(cases, []toolCase{
		deniedCase(system(deniedSystem)),
		{name: "example", args: []string{example},
			stdout: "client: the sum of 1 to 100 is 5050\n",
			inErr: []string{"init: sum: started\ninit: sum: ready\n",
				"init: flaky: started\n", "init: client: started\n",
				"; restart 1 of 2 in 10 ms\n", "; restart 2 of 2 in 20 ms\n",
				"init: client: ended with status 0\n",
				"init: sum: stopped\ninit: the system ends with status 0\n"},
			notErr: "leak"},
		{name: "arguments-and-status", args: []string{example, "much"}, status: 2,
			inErr: []string{"parsing \"much\"", "init: client: ended with status 2\n",
				"init: the system ends with status 2, that of client\n"},
			notErr: "leak"},
		{name: "debug-kernel", flags: []string{"--kernel", "debug"},
			args: []string{essential}, status: 139,
			inErr: []string{"init: sum: started\ninit: sum: ready\n",
				"init: flaky: started\n", // after its end is reported, at times
				"init: flaky: was ended by a fault: page fault, address 0x8, ",
				"; restart 1 of 1 in 1 ms\n",
				"; given up after 1 restart\ninit: sum: stopped\n" +
					"init: the system ends with status 139, " +
					"that of flaky\n", `"flaky", was ended by a fault: `,
				"at main (flaky", " sum endpointCall = 0\n"},
			notErr: "leak"},
		{name: "servers-that-end", args: []string{system(restartsSystem)},
			inErr: []string{
				"init: kept: ended with status 1; restart 1 of 5 in 20 ms\n",
				"init: fresh: ended with status 1; restart 1 of 5 in 20 ms\n",
				"init: gone: ended with status 1\n",
				"init: client: ended with status 0\n"}, notErr: "leak"},
		{name: "not-ready", args: []string{system(unreadySystem)}, status: 126,
			inErr: []string{"init: client: not started: slow is not ready\n" +
				"init: slow: stopped\n"}, notErr: "leak"},
		{name: "flags-of-one-program", flags: []string{"-e", "A=1"},
			args: []string{example}, status: 125, line: true},
	}...)
}

// systemEnds ends systems by services that fail, by missing heartbeats and by keys.
func (s *suite) systemEnds(ctx context.Context) []check {
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	system := func(name string) string {
		return filepath.Join(s.root, "tests", "run", "ending", name+".cue")
	}
	build := func(ctx context.Context) (string, error) {
		out, err := s.tool(ctx, "run", "--dry-run", system("heart")).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%w\n%s", err, out)
		}
		return filepath.Join(s.root, "build", "services", "init"), nil
	}
	silent := "init: hung: no heartbeat in 50 ms\ninit: hung: was ended: terminate; "
	stubborn := "init: stubborn: has not ended in 50 ms\ninit: stubborn: stopped\n" +
		"init: polite: stopped\n"
	seed := []string{"--seed", "1"}
	checks := s.runToolCases(ctx, build, []toolCase{
		{name: "in-order", flags: seed, args: []string{probeFlag + system("system")},
			status: 3, stdout: "stubborn\npolite: asked\n",
			inErr: []string{"init: main: ended with status 3\n" +
				"init: unasked: stopped\n" + stubborn +
				"init: the system ends with status 3, that of main\n"},
			notErr: "leak"},
		{name: "heartbeats", flags: seed, args: []string{probeFlag + system("heart")},
			status: 143, inErr: []string{silent + "restart 1 of 1 in 10 ms\n",
				silent + "given up after 1 restart\ninit: steady: stopped\n" +
					"init: the system ends with status 143, that of hung\n"},
			notErr: "leak"}})
	ended := "init: the system was ended: interrupt\n"
	for _, c := range []struct {
		name, system string
		signals      []syscall.Signal
		text         string
	}{
		{"interrupt", "orderly", []syscall.Signal{syscall.SIGINT}, ended +
			stubborn + "init: the system ends with status 130\n"},
		{"interrupt-twice", "hurried", []syscall.Signal{syscall.SIGINT, syscall.SIGINT},
			""},
		{"interrupt-and-terminate", "hurried", []syscall.Signal{syscall.SIGINT,
			syscall.SIGTERM}, ended +
			"init: stubborn: stopped\ninit: polite: stopped\n" +
			"init: the system ends with status 130\n"},
	} {
		checks = append(checks, single(c.name, s.signalCase(ctx, []string{system(c.system)},
			c.signals, 130, c.text), "")...)
	}
	return checks
}

func sortedLines(text []byte) []string {
	return slices.Sorted(strings.SplitSeq(strings.TrimSpace(string(text)), "\n"))
}

// printedManifest runs a program alone, and by the manifest that is printed for it.
func (s *suite) printedManifest(ctx context.Context) []check {
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	programs := &programBuilder{root: s.root}
	probe, err := programs.build(ctx, filepath.Join(s.root, "tests", "run", "probe.c"))
	if err != nil {
		return single("probe", err, "")
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	words := []string{"-e", "A=b c", "--limit", "8M", probe, "env"}
	printed, err := s.tool(ctx, append([]string{"run", "--manifest"}, words...)...).Output()
	if err == nil && !strings.Contains(string(printed), "memory: \"8192K\"") {
		err = errors.New("the limit is not in it")
	}
	if err != nil {
		return single("printed", err, string(printed))
	}
	file := filepath.Join(dir, "system.cue")
	if err := os.WriteFile(file, printed, 0o644); err != nil {
		return single("printed", err, "")
	}
	plain, err := s.tool(ctx, append([]string{"run"}, words...)...).Output()
	if err != nil {
		return single("plain", err, string(plain))
	}
	system, err := s.tool(ctx, "run", file).Output()
	alone, beside := sortedLines(plain), sortedLines(system)
	if err == nil && (!slices.Equal(alone, beside) || !slices.Contains(alone, "A=b c")) {
		err = fmt.Errorf("the program alone sees\n%q\nand as a system\n%q", alone, beside)
	}
	return single("same", err, string(printed))
}
