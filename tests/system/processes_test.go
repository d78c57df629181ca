//go:build capos

package system

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The children of these tests are this program again. What they are to do is in their environment.
const childVariable = "SYSTEM_TEST_CHILD"

func init() {
	what, argument, _ := strings.Cut(os.Getenv(childVariable), " ")
	switch what {
	case "":
		return
	case "exit":
		code, _ := strconv.Atoi(argument)
		os.Exit(code)
	case "panic":
		panic("on purpose")
	case "sleep":
		time.Sleep(time.Hour)
	case "cat":
		if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		println("copied")
	case "relay":
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{childVariable + "=cat"}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			println(err.Error())
		}
	case "polled":
		usePolledPipes()
	case "signals":
		takeSignals()
	case "look":
		look(argument)
	case "capabilities":
		lookForCapabilities()
	}
	os.Exit(0)
}

// inChild ends a child when something is not as it should be. The text is on the console.
func inChild(ok bool, what ...any) {
	if !ok {
		println("child:", what[0].(string))
		os.Exit(1)
	}
}

func child(t testing.TB, what string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "one", "", "two words")
	cmd.Env = []string{childVariable + "=" + what}
	return cmd
}

func TestChildEnds(t *testing.T) {
	for what, want := range map[string]string{"exit 0": "exit status 0",
		"exit 7": "exit status 7", "exit 256": "exit status 0", "panic": "exit status 2"} {
		cmd := child(t, what)
		cmd.Run()
		if got := cmd.ProcessState.String(); got != want {
			t.Errorf("%s: %s", what, got)
		}
		if cmd.ProcessState.UserTime() <= 0 {
			t.Error(what, "took no time")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	sleeping := child(t, "sleep")
	killed := exec.CommandContext(ctx, sleeping.Path)
	killed.Env = sleeping.Env
	if err := killed.Run(); err == nil || killed.ProcessState.String() != "signal: killed" {
		t.Error(err, killed.ProcessState)
	}
	usage := new(syscall.Rusage)
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, usage); err != nil ||
		usage.Utime.Nano() <= 0 || usage.Maxrss <= 0 {
		t.Error(err, *usage)
	}
}

// Waiting for any child finds each once, and then there are none.
func TestWaitForAnyChild(t *testing.T) {
	var running, found []int
	for code := range 3 {
		cmd := child(t, "exit "+strconv.Itoa(code))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd.Process.Pid)
	}
	for range running {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil || slices.Index(running, pid) != status.ExitStatus() {
			t.Error(pid, err, status)
		}
		found = append(found, pid)
	}
	if slices.Sort(found); !slices.Equal(found, running) {
		t.Errorf("%v of %v", found, running)
	}
	for _, pid := range []int{-1, running[0], os.Getpid()} {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.ECHILD {
			t.Error(pid, err)
		}
	}
}

func TestSignalsToChildren(t *testing.T) {
	cmd := child(t, "sleep")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if pid, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WNOHANG, nil); pid != 0 ||
		err != nil {
		t.Error(pid, err)
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := cmd.Process.Signal(syscall.SIGWINCH); err != nil { // is ignored
		t.Error(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Error(err)
	}
	if err := cmd.Process.Kill(); err != os.ErrProcessDone {
		t.Error(err)
	}
	if err := syscall.Kill(cmd.Process.Pid, 0); err != syscall.ESRCH {
		t.Error(err)
	}
}

func TestSignalsToAllChildren(t *testing.T) {
	if err := syscall.Kill(-1, syscall.SIGKILL); err != syscall.ESRCH {
		t.Error(err)
	}
	first, second := child(t, "sleep"), child(t, "sleep")
	if err := errors.Join(first.Start(), second.Start()); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{0, syscall.SIGKILL} {
		if err := syscall.Kill(-1, sig); err != nil {
			t.Error(err)
		}
	}
	for _, cmd := range []*exec.Cmd{first, second} {
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Error(err)
		}
	}
}

func TestChildSees(t *testing.T) {
	dir := t.TempDir()
	image, err := os.Open("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	image.Seek(3, 0)
	for name, text := range map[string]string{"given": "by the parent", "gone": ""} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	sparse := must[*os.File](t)(os.Create(dir + "/sparse"))
	defer sparse.Close()
	sparse.WriteAt([]byte("start"), 0)
	sparse.WriteAt([]byte("middle"), 1<<20)
	sparse.Truncate(1 << 40)
	for _, err := range []error{os.Remove(dir + "/gone"), os.Link(dir+"/given", dir+"/same"),
		os.Mkdir(dir+"/below", 0o700), os.Symlink("../given", dir+"/below/link")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := child(t, "look "+dir)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{image, nil, image}
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(dir+"/copy", must[[]byte](t)(os.ReadFile(cmd.Path)),
		0o700); err != nil {
		t.Fatal(err)
	}
	copied := exec.Command("./copy")
	copied.Dir, copied.Env = dir, []string{childVariable + "=exit 9"}
	if copied.Run(); copied.ProcessState.ExitCode() != 9 {
		t.Error(copied.ProcessState)
	}
}

// look is the child of TestChildSees.
func look(dir string) {
	path, err := os.Executable()
	inChild(err == nil && os.Args[0] == path, "executable", path)
	inChild(slices.Equal(os.Args[1:], []string{"one", "", "two words"}), "arguments")
	inChild(len(os.Environ()) == 1, "environment")
	at, err := os.Getwd()
	inChild(err == nil && at == dir, "directory", at)
	inChild(os.Getppid() > 0 && syscall.Kill(os.Getppid(), 0) == nil &&
		syscall.Kill(os.Getppid(), syscall.SIGKILL) == syscall.EPERM, "parent")
	inChild(os.WriteFile("mine", nil, 0o600) == nil, "writing")
	n, err := os.Stdin.Read(make([]byte, 1))
	inChild(n == 0 && err != nil, "standard input is not empty")
	buf := make([]byte, 4)
	n, err = os.NewFile(3, "").Read(buf)
	inChild(err == nil && string(buf[:n]) == "ule ", "file of the boot image")
	n, err = os.NewFile(5, "").Read(buf)
	inChild(err == nil && string(buf[:n]) == "capo", "the same file again")
	_, err = os.NewFile(4, "").Stat()
	inChild(errors.Is(err, syscall.EBADF), "descriptor 4")
	lookAtFiles()
}

func lookAtFiles() {
	text, err := os.ReadFile("below/link")
	inChild(err == nil && string(text) == "by the parent", "file of the parent", string(text))
	_, err = os.Stat("gone")
	inChild(os.IsNotExist(err), "removed file")
	given, err := os.Stat("given")
	same, err2 := os.Stat("same")
	inChild(err == nil && err2 == nil && os.SameFile(given, same), "second name")
	inChild(given.Mode() == 0o640 && time.Since(given.ModTime()) < time.Hour, "metadata")
	sparse, err := os.Open("sparse")
	inChild(err == nil, "sparse file")
	end, err := sparse.Seek(0, io.SeekEnd)
	inChild(err == nil && end == 1<<40, "its size")
	buf := make([]byte, 8)
	for _, piece := range []struct {
		offset int64
		text   string
	}{{0, "start"}, {1 << 19, ""}, {1 << 20, "middle"}} {
		_, err := sparse.ReadAt(buf, piece.offset)
		inChild(err == nil && strings.TrimRight(string(buf), "\x00") == piece.text,
			"its bytes")
	}
	inChild(os.WriteFile("given", []byte("changed"), 0) == nil, "writing to it")
}

func TestPipesOfChildren(t *testing.T) {
	for _, what := range []string{"cat", "relay"} {
		cmd := child(t, what)
		cmd.Stdin = strings.NewReader(strings.Repeat("0123456789", 100_000))
		out, err := cmd.CombinedOutput()
		if err != nil || len(out) != 1_000_000+len("copied\n") {
			t.Errorf("%s: %v, %d bytes", what, err, len(out))
		}
	}
	if out, err := child(t, "panic").CombinedOutput(); err == nil ||
		!strings.HasPrefix(string(out), "panic: on purpose\n") {
		t.Errorf("%v: %s", err, out)
	}
	path := t.TempDir() + "/file"
	file := must[*os.File](t)(os.Create(path))
	defer file.Close()
	file.WriteString("before, ")
	cmd := child(t, "cat")
	cmd.Stdin, cmd.Stdout = strings.NewReader("through a file"), file
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "before, through a file" {
		t.Errorf("%q", text)
	}
}

// The parent's ends of a child's pipes have deadlines, and break when the other end is gone.
func TestEndsOfPipes(t *testing.T) {
	in, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "cat")
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	output := out.(*os.File)
	output.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	buf := make([]byte, 10)
	if _, err := output.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	output.SetReadDeadline(time.Time{})
	input.WriteString("abc")
	if n, err := output.Read(buf); err != nil || string(buf[:n]) != "abc" {
		t.Errorf("%v %q", err, buf[:n])
	}
	output.Close()
	for err == nil { // until it finds that nothing reads what it writes
		_, err = input.WriteString("x")
		time.Sleep(time.Millisecond)
		if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid == cmd.Process.Pid {
			break
		}
	}
	if _, err := input.WriteString("x"); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	input.Close()
}

// A child that does not block in the calls has deadlines for what it was given.
func TestPolledPipesOfChildren(t *testing.T) {
	cmd := child(t, "polled")
	cmd.Stderr = os.Stderr
	input := must[io.WriteCloser](t)(cmd.StdinPipe())
	output := must[io.ReadCloser](t)(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	if _, err := io.ReadFull(output, buf); err != nil || string(buf) != "now" {
		t.Errorf("%v %q", err, buf)
	}
	io.WriteString(input, "abc")
	time.Sleep(20 * time.Millisecond) // the child waits for room
	rest, err := io.ReadAll(output)
	if err != nil || len(rest) != 1_000_000+len("abc") {
		t.Errorf("%v, %d bytes", err, len(rest))
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func usePolledPipes() {
	inChild(syscall.SetNonblock(0, true) == nil && syscall.SetNonblock(1, true) == nil, "flags")
	in, out := os.NewFile(0, "in"), os.NewFile(1, "out")
	buf := make([]byte, 10)
	inChild(in.SetReadDeadline(time.Now().Add(20*time.Millisecond)) == nil, "deadline")
	_, err := in.Read(buf)
	inChild(errors.Is(err, os.ErrDeadlineExceeded), "read without bytes")
	in.SetReadDeadline(time.Time{})
	out.WriteString("now")
	n, err := in.Read(buf)
	inChild(err == nil && n == 3, "read of three bytes")
	_, err = out.Write(append(buf[:n], make([]byte, 1_000_000)...))
	inChild(err == nil, "large write")
	closed := make(chan error)
	go func() {
		_, err := in.Read(buf)
		closed <- err
	}()
	time.Sleep(10 * time.Millisecond)
	in.Close()
	inChild(errors.Is(<-closed, os.ErrClosed), "closing under a read")
}

func TestSignalsThatChildrenTake(t *testing.T) {
	cmd := child(t, "signals")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1,
		syscall.SIGTERM} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Error(sig, err)
		}
		if lines.Scan(); lines.Text() != sig.String() {
			t.Errorf("%s: %q", sig, lines.Text())
		}
	}
	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err == nil || err.Error() != "signal: interrupt" {
		t.Error(err)
	}
}

// takeSignals tells the signals that it gets. After SIGTERM it has no handler for SIGINT.
func takeSignals() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGTERM)
	os.Stdout.WriteString("ready\n")
	for sig := range signals {
		if sig == syscall.SIGTERM {
			signal.Reset(syscall.SIGINT)
		}
		os.Stdout.WriteString(sig.String() + "\n")
	}
}

func TestChildCapabilities(t *testing.T) {
	cmd := child(t, "capabilities")
	cmd.SysProcAttr = &syscall.SysProcAttr{Grants: map[string]uint32{
		"system_test": syscall.Capability("timer"), "endpoint_factory": 0}}
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	cmd = child(t, "exit 0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Grants: map[string]uint32{"other": 1}}
	if err := cmd.Run(); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func lookForCapabilities() {
	for name, expected := range map[string]bool{"vm": true, "boot": true, "system_test": true,
		"host": false, "endpoint_factory": false, "stdin": false, "stdout": false} {
		inChild(syscall.Capability(name) != 0 == expected, name)
	}
}

func TestProgramsThatDoNotStart(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"text": 0o700, "denied": 0o600} {
		if err := os.WriteFile(dir+"/"+name, []byte("no program"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]error{dir + "/text": syscall.ENOEXEC,
		dir + "/denied": syscall.EACCES, dir: syscall.EACCES,
		dir + "/nothing": syscall.ENOENT, dir + "/text/below": syscall.ENOTDIR} {
		if _, err := os.StartProcess(path, []string{path}, &os.ProcAttr{}); !errors.Is(err,
			want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	cmd := child(t, "exit 0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Run(); !errors.Is(err, syscall.ENOSYS) {
		t.Error(err)
	}
	if err := syscall.Exec(cmd.Path, nil, nil); err != syscall.ENOSYS {
		t.Error(err)
	}
}
