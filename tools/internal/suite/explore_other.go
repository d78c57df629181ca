package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// exploreOthers checks what ./capos explore does besides finding failures of tests.
func (s *suite) exploreOthers(ctx context.Context) (checks []check) {
	ctx, cancel := context.WithTimeout(ctx, exploreLimit)
	defer cancel()
	scratch, remove, err := makeScratch()
	if err != nil {
		return single("scratch", err, "")
	}
	defer remove()
	file, err := s.exploreProgram(ctx, scratch)
	checks = append(single("program", err, ""), s.exploreBack(ctx, file)...)
	for _, one := range []struct {
		name string
		run  func(ctx context.Context, scratch string) error
	}{
		{"left", s.exploreLeft},
		{"asserts-resume", s.exploreResumed},
	} {
		checks = append(checks, single(one.name, one.run(ctx, scratch), "")...)
	}
	return checks
}

// exploreProgram explores a main package, with an argument, and gives the file of its failure.
func (s *suite) exploreProgram(ctx context.Context, scratch string) (file string, err error) {
	found, _, err := s.explored(ctx, 1, "--program", "--runs", "51", "--failures", scratch,
		"./other/program", "--", "80")
	if err != nil {
		return "", err
	}
	f := found["explore/other/program"]
	return f.File, s.exploredCase(ctx, f, "exit status")
}

// goBack are gdb's commands at the end of the program: back to the two assignments that have
// overdrawn the account, and to the instruction before the first one's.
const goBack = `set confirm off
set remotetimeout 60
frame function main.main
set language c
print a->cents
eval "watch *(long *)%p", &a->cents
reverse-continue
reverse-continue
delete
print a->cents
stepi
print a->cents
reverse-stepi
print a->cents
break main.main
reverse-continue
detach
`

// wentBack is what gdb then prints, with other lines between.
var wentBack = regexp.MustCompile(`(?s)\$1 = -60\n.*Old value = -60\nNew value = 20\n.*` +
	`main\.go:24\n.*Old value = 20\nNew value = 100\n.*main\.go:24\n.*` +
	`\$2 = 100\n.*\$3 = 20\n.*\$4 = 100\n.*Breakpoint \d+, main\.main \(\)`)

// exploreBack has gdb go back in time from the failure of the program.
func (s *suite) exploreBack(ctx context.Context, file string) []check {
	const name = "gdb-back"
	if _, err := exec.LookPath("gdb"); err != nil {
		return []check{{name, skipped, "gdb is not installed"}}
	}
	return single(name, s.goneBack(ctx, file), "")
}

func (s *suite) goneBack(ctx context.Context, file string) error {
	script := filepath.Join(filepath.Dir(file), "back.gdb")
	if err := os.WriteFile(script, []byte(goBack), 0o644); err != nil {
		return err
	}
	cmd := s.tool(ctx, "replay", "-d", file)
	cmd.Dir = filepath.Join(s.root, "tests", "explore")
	command, text, err := awaitDebugger(cmd)
	if err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	command += " -batch -x " + script
	out, err := hostCommand(ctx, "/", "sh", "-c", command).CombinedOutput()
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil || !wentBack.Match(out) {
		return fmt.Errorf("gdb prints %s: %w", out, err)
	}
	return nil
}

// exploreLeft has a goroutine that is left at the end: a note, and with --strict a failure.
func (s *suite) exploreLeft(ctx context.Context, scratch string) error {
	const name, runs = "explore/other/left", 5
	args := []string{"--runs", fmt.Sprint(runs), "--failures", scratch, "./other/left"}
	_, sums, err := s.explored(ctx, 0, args...)
	if err != nil {
		return err
	}
	if left := sums[name].Left; left != runs {
		return fmt.Errorf("goroutines were left in %d of %d runs", left, runs)
	}
	found, _, err := s.explored(ctx, 1, append([]string{"--strict"}, args...)...)
	if err != nil {
		return err
	}
	if kind := found[name].Kind; kind != "goroutines left" {
		return fmt.Errorf("--strict finds %q", kind)
	}
	_, err = s.replayed(ctx, found[name].File, "reproduced: goroutines left in TestStarts")
	return err
}

// exploreResumed explores a test with assertions in one go and in two, which is to come to the
// same.
func (s *suite) exploreResumed(ctx context.Context, scratch string) error {
	const name = "explore/other/asserts"
	dir := filepath.Join(scratch, "state")
	var whole, resumed exploredSum
	for _, run := range []struct {
		args []string
		sum  *exploredSum
	}{
		{[]string{"--runs", "51"}, &whole},
		{[]string{"--runs", "26", "--resume", dir}, &resumed},
		{[]string{"--runs", "51", "--resume", dir}, &resumed},
	} {
		found, sums, err := s.explored(ctx, 1, slices.Concat(run.args,
			[]string{"--no-shrink", "--failures", "none", "./other/asserts"})...)
		if err != nil {
			return err
		}
		if kind := found[name].Kind; kind != "assertion" {
			return fmt.Errorf("found %q, expected an assertion", kind)
		}
		*run.sum = sums[name].exploredSum
	}
	if whole.Runs != 51 || !reflect.DeepEqual(whole, resumed) {
		return fmt.Errorf("in one go %+v, in two %+v", whole, resumed)
	}
	if len(whole.NeverSeen) != 1 || !strings.Contains(whole.NeverSeen[0], `("both at once")`) {
		return fmt.Errorf("never seen: %q", whole.NeverSeen)
	}
	_, _, err := s.explored(ctx, exploreMisused, "--resume", dir, "--max-pause", "1ms",
		"--runs", "51", "./other/asserts")
	return err
}
