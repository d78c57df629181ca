package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// learned is a program of which ./capos run --learn finds the manifest.
type learned struct {
	name, program, input string
	grants               []string
	each                 bool // it is run without each of them
}

// learnedManifests holds --learn to what programs need, and what they need to the manifest: with it
// a program does the same, and without any of its grants it does not.
func (s *suite) learnedManifests(ctx context.Context) []check {
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	programs := &programBuilder{root: s.root}
	needs, err := programs.build(ctx, filepath.Join(s.root, "tests", "run", "needs.c"))
	if err != nil {
		return single("needs", err, "")
	}
	goGrants := []string{"stdout", "vm", "thread_control", "thread_spawner", "park", "timer"}
	var checks []check
	for _, l := range []learned{
		{"c", needs, "hello\n", []string{"stdin", "stdout", "vm", "memory_allocator",
			"boot", "process_spawner"}, true},
		{"go", filepath.Join(s.root, "examples", "exec"), "", append(goGrants,
			"boot", "process_spawner", "pipe_factory"), false},
		{"times", filepath.Join(s.root, "examples", "hello"), "", goGrants, false},
	} {
		checks = append(checks, s.learn(ctx, l)...)
	}
	out, err := s.tool(ctx, "run", "--learn", "-o", "/tmp/x", needs).CombinedOutput()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 125 ||
		!strings.Contains(string(out), "--learn does not go with -o") {
		return append(checks, check{"exports", failed, string(out)})
	}
	return append(checks, check{"exports", passed, ""})
}

func (s *suite) learn(ctx context.Context, l learned) []check {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	dir, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	text, said, err := s.runForOutput(ctx, l.input, "run", "--learn", l.program)
	if err != nil {
		return single(l.name, err, said)
	}
	if found := grantsOf(text); !slices.Equal(found, l.grants) {
		return single(l.name, fmt.Errorf("it needs %q, and not %q", l.grants, found), text)
	}
	stdout, said, err := s.runManifest(ctx, dir, text, l.input)
	if err != nil {
		return single(l.name, err, said)
	}
	checks := []check{{l.name, passed, ""}}
	if !l.each {
		return checks
	}
	for _, grant := range l.grants {
		less := strings.Replace(text, fmt.Sprintf("\t\t\t%q,\n", grant), "", 1)
		without, said, err := s.runManifest(ctx, dir, less, l.input)
		if err == nil && without == stdout {
			err = errors.New("it does the same without")
		} else {
			err = nil
		}
		checks = append(checks, single(l.name+"-without-"+grant, err, said)...)
	}
	return checks
}

// runManifest gives the standard output of the system.
func (s *suite) runManifest(ctx context.Context, dir, text, input string) (stdout, stderr string,
	err error) {
	file := filepath.Join(dir, "system.cue")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", "", err
	}
	return s.runForOutput(ctx, input, "run", file)
}

func (s *suite) runForOutput(ctx context.Context, input string, words ...string) (stdout,
	stderr string, err error) {
	var out, said strings.Builder
	cmd := s.tool(ctx, words...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

var grantLine = regexp.MustCompile(`(?m)^\t\t\t"(\w+)",$`)

func grantsOf(manifest string) (names []string) {
	for _, m := range grantLine.FindAllStringSubmatch(manifest, -1) {
		names = append(names, m[1])
	}
	return names
}
