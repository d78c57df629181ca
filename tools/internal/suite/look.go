package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/report"
	"capos.dev/tools/internal/running"
)

func (s *suite) psStep(ctx context.Context, programs *programBuilder) []check {
	var built [2]string
	for i, source := range []string{"family.c", "probe.c"} {
		var err error
		built[i], err = programs.build(ctx, filepath.Join(s.root, "tests", "run", source))
		if err != nil {
			return single("program", err, "")
		}
	}
	return s.lookChecks(ctx, built[0], built[1])
}

// lookChecks look into a machine by ./capos ps while it runs.
func (s *suite) lookChecks(ctx context.Context, family, probe string) []check {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	var checks []check
	add := func(name string, err error) { checks = append(checks, single(name, err, "")...) }
	m, err := s.startLookable(ctx, "ready", "--cpus", "2", family)
	if err != nil {
		return single("ps", err, "")
	}
	add("ps-lists-it", s.isListed(ctx, m, true))
	add("ps-looks-into-it", s.lookedInto(ctx, m))
	add("ps-prints", s.lookPrinted(ctx, m))
	add("ps-many-at-once", s.lookMany(ctx, m))
	m.stdin.Close()
	err = m.cmd.Wait()
	add("the-machine-went-on", err)
	add("ps-forgets-it", s.isListed(ctx, m, false))

	m, err = s.startLookable(ctx, "", "--seed", "1", probe, "spin")
	if err != nil {
		return append(checks, single("ps-seed", err, "")...)
	}
	add("ps-does-not-disturb-a-seed", s.lookRejected(ctx, m, "repeats exactly"))
	m.cmd.Process.Kill()
	m.cmd.Wait()
	add("ps-forgets-one-that-was-killed", s.isListed(ctx, m, false))
	add("ps-of-none", s.lookRejected(ctx, m, "no machine"))
	return checks
}

// lookable is a machine that runs.
type lookable struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func (m *lookable) pid() string { return fmt.Sprint(m.cmd.Process.Pid) }

// startLookable returns when the program has written the line; "": when the machine is listed.
func (s *suite) startLookable(ctx context.Context, line string, args ...string) (*lookable, error) {
	m := &lookable{cmd: s.tool(ctx, append([]string{"run", "--accel", "tcg"}, args...)...)}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if line == "" {
		m.cmd.Stdin = strings.NewReader("")
	} else if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	if line == "" {
		for s.isListed(ctx, m, true) != nil && ctx.Err() == nil {
		}
		return m, ctx.Err()
	}
	got, err := bufio.NewReader(stdout).ReadString('\n')
	if strings.TrimSpace(got) != line {
		return nil, fmt.Errorf("it printed %q, %v", got, err)
	}
	return m, nil
}

// isListed runs ./capos ps, and looks at the permissions of what it finds.
func (s *suite) isListed(ctx context.Context, m *lookable, want bool) error {
	out, err := s.tool(ctx, "ps", "--json").Output()
	if err != nil {
		return err
	}
	var list []running.Machine
	if err := json.Unmarshal(out, &list); err != nil {
		return err
	}
	listed := slices.ContainsFunc(list, func(l running.Machine) bool {
		return fmt.Sprint(l.PID) == m.pid()
	})
	if listed != want {
		return fmt.Errorf("listed is %v, in %s", listed, out)
	}
	cache, err := repo.CacheDir()
	if err != nil {
		return err
	}
	files, _ := filepath.Glob(filepath.Join(cache, "machines", "*."+m.pid()+".sock"))
	if !want {
		if len(files) != 0 {
			return fmt.Errorf("%v are left", files)
		}
		return nil
	}
	for _, file := range append(files, filepath.Dir(files[0])) {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("%s: others may use it (%v, %v)", file, info.Mode(), err)
		}
	}
	return nil
}

// look gives the report of the machine.
func (s *suite) look(ctx context.Context, m *lookable) (*running.Report, error) {
	out, err := s.tool(ctx, "ps", "--json", m.pid()).Output()
	if err != nil {
		return nil, err
	}
	r := &running.Report{}
	return r, json.Unmarshal(out, r)
}

// lookedInto checks what is known of tests/run/family.c.
func (s *suite) lookedInto(ctx context.Context, m *lookable) error {
	r, err := s.look(ctx, m)
	if err != nil {
		return err
	}
	if len(r.Processes) != 2 || r.CPUs != 2 || r.FreeFrames == 0 || r.FreeFrames >= r.Frames {
		return fmt.Errorf("report %+v", r)
	}
	parent, child := r.Processes[0], r.Processes[1]
	if parent.Name != "family" || child.Name != "child" || child.Parent != parent.ID ||
		child.Depth != 1 || child.LimitPages != 256 || child.CommittedPages == 0 ||
		child.CommittedPages > child.LimitPages || len(child.Threads) != 1 ||
		child.Threads[0].State != "blocked" {
		return fmt.Errorf("processes %+v and %+v", parent, child)
	}
	byName := map[string]running.Capability{}
	count := map[string]int{}
	for _, c := range append(slices.Clone(child.Capabilities), parent.Capabilities...) {
		count[c.Interface]++
		if c.Name != "" {
			byName[c.Name] = c
		}
		if c.Interface == "Endpoint" {
			byName["the endpoint"] = c
		}
	}
	service := byName["service"]
	if count["Event"] != 40 || count["Facet"] != 2 || count["Process"] != 1 ||
		service.Tag != 77 || service.Holders != 2 ||
		service.Endpoint != byName["the endpoint"].Object {
		return fmt.Errorf("%d events, service %+v, endpoint %+v", count["Event"], service,
			byName["the endpoint"])
	}
	return nil
}

func (s *suite) lookPrinted(ctx context.Context, m *lookable) error {
	short, err := s.tool(ctx, "ps", "family."+m.pid()).Output()
	if err != nil {
		return err
	}
	all, err := s.tool(ctx, "ps", "--all", m.pid()).Output()
	if err != nil {
		return err
	}
	for _, want := range []string{"  2 child ", "tag 77, served by 1 family",
		"callers: 1 family, 2 child", "(others)"} {
		if !strings.Contains(string(short), want) {
			return fmt.Errorf("%q is not in %s", want, short)
		}
	}
	if n := strings.Count(string(all), "Event "); n != 40 ||
		strings.Contains(string(all), "(others)") {
		return fmt.Errorf("%d events in %s", n, all)
	}
	return nil
}

// lookMany asks from several processes at once.
func (s *suite) lookMany(ctx context.Context, m *lookable) error {
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for range 3 {
				errs[i] = errors.Join(errs[i], s.lookedInto(ctx, m))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *suite) lookRejected(ctx context.Context, m *lookable, why string) error {
	cmd := s.tool(ctx, "ps", m.pid())
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != report.StatusFailed ||
		!strings.Contains(string(out), why) {
		return fmt.Errorf("exit status %d, %s", cmd.ProcessState.ExitCode(), out)
	}
	return nil
}
