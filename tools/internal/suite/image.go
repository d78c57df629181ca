package suite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"capos.dev/tools/internal/iso"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/report"
	"capos.dev/tools/internal/screenfont"
)

// imageLimit ends a machine that does not switch itself off. UEFI alone takes ten seconds of a
// quiet host.
const imageLimit = 3 * time.Minute

// imageSteps boot what ./capos image writes, by BIOS and by UEFI, with nothing of the host on the
// machine but a serial port.
func (s *suite) imageSteps() ([]step, error) {
	hello := sync.OnceValues(func() (string, error) {
		return s.makeImage("hello", "--linger", "0", "-e", "NAME=value",
			filepath.Join(s.root, "examples", "hello"), "one", "two words")
	})
	debug := sync.OnceValues(func() (string, error) {
		return s.makeImage("hello-debug", "--linger", "0", "--kernel", "debug",
			filepath.Join(s.root, "examples", "hello"), "one", "two words")
	})
	boot := func(m iso.Machine, name string, image func() (string, error)) step {
		m.MemoryMiB = 256
		return step{name: fmt.Sprintf("image/%s-%s-%dcpu%s", m.Type, firmware(m),
			m.CPUs, name), cpus: m.CPUs,
			run: func(ctx context.Context) []check {
				return s.imageBoot(ctx, m, image)
			}}
	}
	var steps []step
	for _, m := range []iso.Machine{{Type: "q35", CPUs: 1}, {Type: "q35", CPUs: 2},
		{Type: "pc", CPUs: 1}, {Type: "pc", CPUs: 2},
		{Type: "q35", CPUs: 1, UEFI: true}, {Type: "q35", CPUs: 2, UEFI: true}} {
		steps = append(steps, boot(m, "", hello))
	}
	return append(steps, boot(iso.Machine{Type: "q35", CPUs: 2}, "-debug", debug),
		step{name: "image/typing", cpus: 1, run: s.imageTyping},
		step{name: "image/screen", cpus: 1, run: s.imageScreens}), nil
}

func firmware(m iso.Machine) string {
	if m.UEFI {
		return "uefi"
	}
	return "bios"
}

// makeImage runs ./capos image for a file in build/tests/image.
func (s *suite) makeImage(name string, args ...string) (string, error) {
	if _, err := os.Stat(iso.UEFIFirmware); err != nil {
		return "",
			errors.New("UEFI for QEMU is not installed (Debian: apt-get install ovmf)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	file := filepath.Join(s.root, "build", "tests", "image", name+".iso")
	os.Remove(file)
	out, err := s.tool(ctx, append([]string{"image", "-o", file}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("./capos image: %w\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("-cdrom "+file)) || !bytes.Contains(out,
		[]byte("dd if="+file)) {
		return "", fmt.Errorf("./capos image does not say how to use the image:\n%s", out)
	}
	return file, nil
}

// isoRun is a machine that runs from an image.
type isoRun struct {
	output  strings.Builder // what came from its serial port
	stdout  *bufio.Reader
	stdin   io.WriteCloser
	wait    func() error
	cancel  context.CancelFunc
	control string // QEMU's socket
}

func (s *suite) startImage(ctx context.Context, m iso.Machine) (*isoRun, error) {
	dir, err := os.MkdirTemp("", "capos-iso-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, imageLimit)
	r := &isoRun{control: filepath.Join(dir, "qmp")}
	r.cancel = func() {
		cancel()
		os.RemoveAll(dir)
	}
	args := append(m.Args(), "-accel", "tcg", "-chardev", "stdio,id=serial,signal=off",
		"-serial", "chardev:serial",
		"-qmp", "unix:"+r.control+",server=on,wait=off")
	cmd := hostCommand(ctx, s.root, machine.DefaultQEMU, args...)
	cmd.Stderr = os.Stderr
	r.wait = cmd.Wait
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		r.stdout = bufio.NewReader(stdout)
		r.stdin, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.cancel()
		return nil, err
	}
	return r, nil
}

// readUntil reads from the serial port up to a text.
func (r *isoRun) readUntil(text string) error {
	for seen := ""; !strings.HasSuffix(seen, text); {
		b, err := r.stdout.ReadByte()
		if err != nil {
			return fmt.Errorf("%q did not come: %w", text, err)
		}
		r.output.WriteByte(b)
		seen = seen[max(0, len(seen)-len(text)):] + string(rune(b))
	}
	return nil
}

// end reads the rest and waits for the machine, which is to switch itself off: QEMU's status is 0
// then and only then.
func (r *isoRun) end() error {
	_, err := io.Copy(&r.output, r.stdout)
	return errors.Join(err, r.wait())
}

// lines are the machine's own: what GRUB and firmware wrote comes before, and moves the cursor.
func (r *isoRun) lines() []string {
	return strings.Split(escapes.ReplaceAllString(strings.ReplaceAll(r.output.String(), "\r\n",
		"\n"), ""), "\n")
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;=]*[A-Za-z]|\r")

func (s *suite) imageBoot(ctx context.Context, m iso.Machine,
	image func() (string, error)) []check {
	file, err := image()
	if err != nil {
		return single("image", err, "")
	}
	m.Image = file
	r, err := s.startImage(ctx, m)
	if err != nil {
		return single("boot", err, "")
	}
	defer r.cancel()
	checks := single("boots-and-powers-off", r.end(), "")
	lines := r.lines()
	text := report.LastLines(strings.Join(lines, "\n"), 20)
	last := ""
	for _, line := range lines {
		if line != "" {
			last = line
		}
	}
	for name, want := range map[string]string{
		"greeting":  "Hello from go",
		"cpus":      strconv.Itoa(m.CPUs) + " CPUs counted the primes below 50000: 5133.",
		"arguments": "Arguments: one, two words.",
		"date":      "It is " + time.Now().UTC().Format("2006-01-"),
	} {
		c := check{name, passed, ""}
		if !strings.Contains(text, "\n"+want) && !strings.HasPrefix(text, want) {
			c = check{name, failed, fmt.Sprintf("no line begins with %q\n%s", want,
				text)}
		}
		checks = append(checks, c)
	}
	if last != "capos: program 0 exited with status 0" {
		return append(checks, check{"status", failed,
			"the last line does not say how the program ended\n" + text})
	}
	return append(checks, check{"status", passed, ""})
}

// imageTyping types at the serial port as a person does.
func (s *suite) imageTyping(ctx context.Context) []check {
	probe := filepath.Join(s.root, "tests", "run", "probe.c")
	ask, err := s.makeImage("ask", "--linger", "0", probe, "ask")
	if err != nil {
		return single("image", err, "")
	}
	checks := single("lines", s.typeLines(ctx, iso.Machine{Type: "q35", Image: ask,
		MemoryMiB: 64, CPUs: 1}), "")
	sleep, err := s.makeImage("sleep", "--linger", "0", probe, "sleep")
	if err != nil {
		return append(checks, single("image", err, "")...)
	}
	return append(checks, single("interrupt", s.typeInterrupt(ctx, iso.Machine{Type: "pc",
		Image: sleep, MemoryMiB: 64, CPUs: 2}), "")...)
}

func (s *suite) typeLines(ctx context.Context, m iso.Machine) error {
	r, err := s.startImage(ctx, m)
	if err != nil {
		return err
	}
	defer r.cancel()
	for _, exchange := range [][2]string{
		{"next? ", "one mistale\x7f\x7fke\r"},
		{"one mistale\b \b\b \bke\r\n1: one mistake\r\nnext? ", "all gone\x15two\n"},
		{"all gone^U\r\ntwo\r\n2: two\r\nnext? ", "\x04"},
		{"end after 2 lines\r\ncapos: program 0 exited with status 2\r\n", ""},
	} {
		if err := r.readUntil(exchange[0]); err != nil {
			return fmt.Errorf("%w\n%q", err, report.LastLines(r.output.String(), 10))
		}
		if _, err := io.WriteString(r.stdin, exchange[1]); err != nil {
			return err
		}
	}
	return r.end()
}

func (s *suite) typeInterrupt(ctx context.Context, m iso.Machine) error {
	r, err := s.startImage(ctx, m)
	if err != nil {
		return err
	}
	defer r.cancel()
	if err := r.readUntil("sleeping\r\n"); err != nil {
		return err
	}
	io.WriteString(r.stdin, "\x03")
	if err := r.readUntil("^C\r\ncapos: program 0 was ended by a key or for lack of memory, " +
		"kind "); err != nil {
		return fmt.Errorf("%w\n%q", err, report.LastLines(r.output.String(), 10))
	}
	return r.end()
}

// imageScreens read what a person sees: characters from the memory of the text mode, and pixels.
func (s *suite) imageScreens(ctx context.Context) []check {
	file, err := s.makeImage("screen", "--linger", "100s", filepath.Join(s.root, "examples",
		"hello"), "näïve", "€")
	if err != nil {
		return single("image", err, "")
	}
	bios := iso.Machine{Type: "pc", Image: file, MemoryMiB: 256, CPUs: 1}
	uefi := iso.Machine{Type: "q35", Image: file, MemoryMiB: 256, CPUs: 1, UEFI: true}
	return append(s.imageScreen(ctx, "text", bios, readTextScreen, "Arguments: n??ve, ?."),
		s.imageScreen(ctx, "pixels", uefi, readPixelScreen, "Arguments: näïve, ?.")...)
}

func (s *suite) imageScreen(ctx context.Context, name string, m iso.Machine,
	read func(*qmp) ([]string, error), arguments string) []check {
	r, err := s.startImage(ctx, m)
	if err != nil {
		return single(name, err, "")
	}
	defer r.cancel()
	if err = r.readUntil("capos: the machine is switched off in 100 s\r\n"); err != nil {
		return single(name, err, report.LastLines(r.output.String(), 10))
	}
	control, err := dialQMP(r.control)
	if err != nil {
		return single(name, err, "")
	}
	defer control.conn.Close()
	want := []string{"Hello from go", "1 CPUs counted the primes below 50000: 5133.", arguments,
		"It is ", "capos: program 0 exited with status 0",
		"capos: the machine is switched off in 100 s", ""}
	// The serial port has each line a little before the screen.
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		lines, err := read(control)
		if err != nil {
			return single(name, err, "")
		}
		wrong := compareScreen(lines, want)
		if wrong == nil || time.Now().After(deadline) {
			return single(name, wrong, strings.Join(lines[:min(len(lines), 10)], "\n"))
		}
	}
}

// compareScreen wants the beginning of each line; one that is to be empty must be.
func compareScreen(lines, want []string) error {
	for i, text := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], text) || text == "" &&
			lines[i] != "" {
			return fmt.Errorf("line %d is not %q", i, text)
		}
	}
	return nil
}

// qmp speaks QEMU's machine protocol: one JSON object a line, greeting first, then an answer for
// each command.
type qmp struct {
	conn  net.Conn
	lines *bufio.Reader
}

func dialQMP(socket string) (*qmp, error) {
	conn, err := net.DialTimeout("unix", socket, toolLimit)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(toolLimit))
	q := &qmp{conn, bufio.NewReader(conn)}
	if _, err = q.lines.ReadString('\n'); err == nil {
		_, err = q.execute("qmp_capabilities", nil)
	}
	if err != nil {
		conn.Close()
	}
	return q, err
}

func (q *qmp) execute(command string, arguments map[string]any) (json.RawMessage, error) {
	message := map[string]any{"execute": command}
	if arguments != nil {
		message["arguments"] = arguments
	}
	request, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	if _, err := q.conn.Write(append(request, '\n')); err != nil {
		return nil, err
	}
	for {
		line, err := q.lines.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var answer struct{ Return, Error json.RawMessage }
		if err := json.Unmarshal(line, &answer); err != nil {
			return nil, err
		}
		if answer.Error != nil {
			return nil, fmt.Errorf("QEMU rejects %s: %s", command, answer.Error)
		}
		if answer.Return != nil {
			return answer.Return, nil // anything else is an event
		}
	}
}

const (
	textColumns, textRows = 80, 25
	textMemory            = 0xb8000
)

func readTextScreen(q *qmp) ([]string, error) {
	answer, err := q.execute("human-monitor-command", map[string]any{
		"command-line": fmt.Sprintf("xp /%dhx %#x", textColumns*textRows, textMemory)})
	if err != nil {
		return nil, err
	}
	var dump string
	if err := json.Unmarshal(answer, &dump); err != nil {
		return nil, err
	}
	var cells []rune
	for line := range strings.Lines(dump) {
		_, words, _ := strings.Cut(line, ": ")
		for _, word := range strings.Fields(words) {
			cell, err := strconv.ParseUint(word, 0, 16)
			if err != nil {
				return nil, err
			}
			cells = append(cells, rune(cell&0xff))
		}
	}
	if len(cells) != textColumns*textRows {
		return nil, fmt.Errorf("%d cells, expected %d", len(cells), textColumns*textRows)
	}
	var lines []string
	for ; len(cells) > 0; cells = cells[textColumns:] {
		lines = append(lines, strings.TrimRight(string(cells[:textColumns]), " "))
	}
	return lines, nil
}

// readPixelScreen takes a picture and finds for each place of a character the glyph that looks so.
func readPixelScreen(q *qmp) ([]string, error) {
	dir, err := os.MkdirTemp("", "capos-iso-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "screen")
	if _, err := q.execute("screendump", map[string]any{"filename": file}); err != nil {
		return nil, err
	}
	picture, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var width, height, depth int
	if _, err := fmt.Sscanf(string(picture[:min(len(picture), 40)]), "P6\n%d %d\n%d\n", &width,
		&height, &depth); err != nil {
		return nil, fmt.Errorf("the picture is not one: %w", err)
	}
	pixels := picture[max(0, len(picture)-3*width*height):]
	grub, err := os.ReadFile(iso.GrubFont)
	if err != nil {
		return nil, err
	}
	font, err := screenfont.FromPFF2(grub)
	if err != nil {
		return nil, err
	}
	return recognize(pixels, width, height, font), nil
}

func recognize(pixels []byte, width, height int, font []byte) (lines []string) {
	glyphs := map[string]rune{}
	for code := rune(255); code >= ' '; code-- {
		glyphs[string(font[code*screenfont.GlyphHeight:][:screenfont.GlyphHeight])] = code
	}
	for top := 0; top+screenfont.GlyphHeight <= height; top += screenfont.GlyphHeight {
		var line strings.Builder
		for left := 0; left+screenfont.GlyphWidth <= width; left += screenfont.GlyphWidth {
			var cell [screenfont.GlyphHeight]byte
			for y := range cell {
				for x := range screenfont.GlyphWidth {
					if pixels[3*((top+y)*width+left+x)] > 0x7f {
						cell[y] |= 0x80 >> x
					}
				}
			}
			if code, found := glyphs[string(cell[:])]; found {
				line.WriteRune(code)
			} else {
				line.WriteRune('\ufffd')
			}
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}
