package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"capos.dev/tools/internal/program"
)

// The Go package for capabilities: the guide as it is written, and services in Go and in C that
// serve each other.

const goCapabilitiesGuide = "docs/go-capabilities.md"

func (s *suite) capabilitySteps() []step {
	return []step{
		{name: "system/services", cpus: 2, run: s.testServices},
		{name: "system/rpc", cpus: 2, full: true, run: s.testRPC},
		{name: "system/rpc-example", cpus: 1, full: true, run: s.testRPCExample},
		{name: "system/rpc-guide", cpus: 1, full: true, run: s.testCapnpGuide},
		{name: "system/guide", cpus: 1, run: func(ctx context.Context) []check {
			return single("guide", s.testGuide(ctx), "")
		}},
		{name: "system/c-guide", cpus: 1, run: func(ctx context.Context) []check {
			return single("guide", s.testCGuide(ctx), "")
		}},
	}
}

// servicePair is one service in two languages, each with its client.
type servicePair struct {
	name  string
	dirs  [2]string // Go, C
	cpus  []string
	texts []string  // in the output of both
	own   [2]string // in the output of one
}

var servicePairs = []servicePair{
	{"", [2]string{"adder", "service"}, []string{"1", "2"},
		[]string{"the sum of 1 to 100 is 5050\n"},
		[2]string{"fails: capos: unimplemented: the interface declares the method; " +
			"this kernel does not have it\nclient: the service ends in a call: " +
			"capos: disconnected: ", "fails: unimplemented\nclient: the service " +
			"ends in a call: disconnected\n"}},
	{"schema-", [2]string{"counter-go", "counter"}, []string{"2"},
		[]string{"client: 4000 were missing, and the sum of 1 to 100 is 5050\n"},
		[2]string{}},
}

// testServices runs the client of one language with the service of the other.
func (s *suite) testServices(ctx context.Context) (checks []check) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for _, p := range servicePairs {
		checks = append(checks, s.testPair(ctx, p)...)
	}
	return checks
}

func (s *suite) testPair(ctx context.Context, p servicePair) (checks []check) {
	var programs [2]string
	for i, dir := range p.dirs {
		elf, err := program.Find(s.root, filepath.Join(s.root, "examples", dir))
		if err != nil {
			return single(dir, err, "")
		}
		programs[i] = elf
	}
	for i := range programs {
		for _, cpus := range p.cpus {
			out, err := s.tool(ctx, "run", "--accel", "tcg", "--cpus", cpus, "--files",
				programs[1-i]+":/bin/other", programs[i], "/bin/other").Output()
			for _, text := range append(p.texts, p.own[i]) {
				if err == nil && !strings.Contains(string(out), text) {
					err = fmt.Errorf("its output lacks %q", text)
				}
			}
			name := p.name + []string{"go-client", "c-client"}[i] + "-" + cpus
			checks = append(checks, single(name, err, string(out))...)
		}
	}
	return checks
}

// testGuide makes the module of the guide in a directory elsewhere, by the commands that it tells.
func (s *suite) testGuide(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	whole, err := os.ReadFile(filepath.Join(s.root, goCapabilitiesGuide))
	if err != nil {
		return err
	}
	text, _, _ := strings.Cut(string(whole), capnpHeading)
	dir, remove, err := makeScratch()
	if err != nil {
		return err
	}
	defer remove()
	blocks := strings.Split(text, "```go\n")[1:]
	for i := range blocks {
		code, _, _ := strings.Cut(blocks[i], "```")
		if i == 0 && strings.Count(code, "\n") > 30 {
			return fmt.Errorf("the service is longer than promised:\n%s", code)
		}
		name := filepath.Join(dir, fmt.Sprintf("part%d.go", i))
		if err := os.WriteFile(name, []byte(code), 0o644); err != nil {
			return err
		}
	}
	return s.followGuide(ctx, string(text), dir)
}

// followGuide runs the commands of a guide in the directory that has its files. The last one starts
// the client.
func (s *suite) followGuide(ctx context.Context, text, dir string) error {
	var out []byte
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(line, "    ~/capOS/capos ")
		if !ok {
			continue
		}
		args := strings.Fields(strings.ReplaceAll(command, "~/capOS", s.root))
		cmd := s.tool(ctx, args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "GOPROXY=off", "GOFLAGS=")
		var err error
		if out, err = cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", command, err, out)
		}
	}
	if !strings.HasSuffix(string(out), "the sum is 40\nthe sum is 42\n") {
		return fmt.Errorf("the client says %q", out)
	}
	return nil
}

const cServicesGuide = "docs/c-services.md"

var guideFile = regexp.MustCompile("`([a-z.]+)`")

// testCGuide makes the program of the guide to services in C: its blocks are the files that the
// paragraph behind them names.
func (s *suite) testCGuide(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	text, err := os.ReadFile(filepath.Join(s.root, cServicesGuide))
	if err != nil {
		return err
	}
	dir, remove, err := makeScratch()
	if err != nil {
		return err
	}
	defer remove()
	before, after, _ := strings.Cut(string(text), "\nPut them into ")
	sentence, _, _ := strings.Cut(after, " of an empty directory")
	names := guideFile.FindAllStringSubmatch(sentence, -1)
	blocks := strings.Split(before, "\n```c")[1:]
	if len(names) != len(blocks) || len(names) == 0 {
		return fmt.Errorf("%d blocks and %d names of files", len(blocks), len(names))
	}
	for i, block := range blocks {
		_, code, _ := strings.Cut(block, "\n")
		code, _, _ = strings.Cut(code, "```")
		name := names[i][1]
		if name == "server.c" && strings.Count(code, "\n") > 30 {
			return fmt.Errorf("the service is longer than promised:\n%s", code)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o644); err != nil {
			return err
		}
	}
	return s.followGuide(ctx, string(text), dir)
}
