//go:build linux && !capos

// Package host starts machines with the programs of this module and looks at them from outside: how
// they end, what they print, which keys they take, what they cost the host. It runs on the host: go
// test ./host (with -short for the share of continuous integration).
package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience ends a machine that hangs. Measured times have bounds of their own.
const patience = 5 * time.Minute

// root is the repository: the directory above that has ./capos.
var root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "capos")); err == nil {
			return dir
		}
	}
	panic("these tests belong into a repository with ./capos")
})

// capos prepares a call of ./capos.
func capos(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(root(), "capos"), args...)
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = filepath.Join(root(), "tests", "system")
	cmd.Env = environment()
	return cmd
}

// environment leaves out the variables that the go command which runs these tests sets for its
// children.
func environment() (env []string) {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "GOROOT", "GOOS", "GOARCH", "GOFLAGS", "GOTOOLCHAIN", "GOWORK", "PWD":
		default:
			env = append(env, entry)
		}
	}
	return env
}

// probe is the built program of ../probe.
var probe = sync.OnceValues(func() (string, error) {
	file := filepath.Join(root(), "build", "tests", "system", "probe")
	cmd := exec.Command(filepath.Join(root(), "capos"), "go", "build", "-o", file, "./probe")
	cmd.Dir = filepath.Join(root(), "tests", "system")
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return file, err
})

func mustProbe(t *testing.T) string {
	t.Helper()
	file, err := probe()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// result is a line of what ./capos run --batch prints.
type result struct {
	Status int    `json:"status"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Report string `json:"report"`
	Leak   string `json:"leak"`
}

// program is a line of what it reads.
type program struct {
	ELF     string   `json:"elf"`
	Args    []string `json:"args"`
	Env     []string `json:"env,omitempty"`
	Timeout string   `json:"timeout,omitempty"`
}

// runBatch runs programs one after the other on one machine.
func runBatch(t *testing.T, programs []program, flags ...string) []result {
	t.Helper()
	var list bytes.Buffer
	for _, p := range programs {
		if err := json.NewEncoder(&list).Encode(p); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(file, list.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := capos(t, append([]string{"run", "--batch", file}, flags...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var results []result
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var r result
		if err := decoder.Decode(&r); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		results = append(results, r)
	}
	if len(results) != len(programs) {
		t.Fatalf("%d of %d programs ended: %v\n%s", len(results), len(programs), err,
			stderr.Bytes())
	}
	return results
}

// session is a machine that runs beside the test.
type session struct {
	*exec.Cmd
	in     interface{ Write([]byte) (int, error) }
	close  func() error
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

func start(t *testing.T, args ...string) *session {
	t.Helper()
	s := &session{Cmd: capos(t, append([]string{"run"}, args...)...)}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.close, s.lines, s.Cmd.Stderr = in, in.Close, bufio.NewScanner(out), &s.stderr
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// expect reads one line.
func (s *session) expect(t *testing.T, want string) {
	t.Helper()
	if !s.lines.Scan() || s.lines.Text() != want {
		t.Errorf("the program prints %q, expected %q", s.lines.Text(), want)
	}
}

// end waits for the machine and returns the exit status and the rest of the output.
func (s *session) end() (status int, rest string) {
	for s.lines.Scan() {
		rest += s.lines.Text() + "\n"
	}
	s.Wait()
	return s.ProcessState.ExitCode(), rest
}
