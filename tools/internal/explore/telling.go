package explore

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Disturbance is one decision of a seed: at a point of a goroutine it paused, stepped back or ran
// the collector. The point is counted by the goroutine. A run with forced disturbances also gives
// it a name that holds when the program has changed, and says what happened meanwhile.
type Disturbance struct {
	Kernel    string `json:"kernel,omitempty"` // its choice, of a thread: one of kernelKinds
	Goroutine uint64 `json:"goroutine"`        // in the order of creation
	Point     uint64 `json:"point"`
	What      int64  `json:"what"` // the pause in ns, or one of the constants below
	Name      string `json:"name,omitempty"`
	Nth       uint64 `json:"nth,omitempty"` // of the points with this name
	Text      string `json:"text"`          // for people
	Created   string `json:"created,omitempty"`
	Source    string `json:"source,omitempty"` // the line of the program
	Meanwhile []Step `json:"meanwhile,omitempty"`

	id int // of the goroutine, as in stacks
}

// Step is what another goroutine came to meanwhile.
type Step struct {
	Text   string `json:"text"`
	Source string `json:"source,omitempty"`
}

// What a disturbance is when it is no pause; see go/explore/overlay/src/runtime.
const (
	stepBack = 1
	collect  = 2
	move     = 3 // of the stack

	takesCase = 1 << 61 // and the number of the case: those that send come first
	injected  = 1 << 62 // and the number of the fault
)

// isCase tells whether a select took another case than the next one in turn.
func (d *Disturbance) isCase() bool {
	return d.Kernel == "" && d.What >= takesCase && d.What < injected
}

// isPause tells whether the disturbance lets time pass.
func (d *Disturbance) isPause() bool { return d.What > move && d.canPause() }

// ofCapos begins the functions of package capos. As places they stand for the library, too.
const ofCapos = "capos.dev/capos."

// ofExplorer begins the explorer's own functions, which are no place of the program.
const ofExplorer = "runtime.explore"

const saidByRuntime = "capos explore: "

// teller reads what a run tells, which is a list of entries with places of a stack behind each.
type teller struct {
	source  Source
	list    []Disturbance
	created map[int]string     // by goroutine
	visited map[string]string  // the place of a decision point, by its number
	selects map[string]selects // by file
	told    bool
	word    string   // of the entry that places belong to
	id      int      // of its goroutine
	number  string   // of its decision point
	places  []string // so far
}

// told is all that a run tells.
func (r *Run) told(source Source) *teller {
	t := &teller{source: source, created: map[int]string{}, visited: map[string]string{},
		selects: map[string]selects{}, told: true}
	for line := range strings.Lines(r.Output) {
		rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), saidByRuntime)
		if !ok {
			continue
		}
		word, rest, _ := strings.Cut(rest, " ")
		t.line(word, rest)
	}
	t.finish()
	return t
}

// Disturbances are what a failed run tells of its seed's decisions; told is false when there were
// too many.
func (r *Run) Disturbances(source Source) (list []Disturbance, told bool) {
	t := r.told(source)
	for i := range t.list {
		t.list[i].Created = t.created[t.list[i].id]
	}
	return t.list, t.told
}

func (t *teller) line(word, rest string) {
	switch word {
	case "at":
		t.places = append(t.places, rest)
		return
	case "place":
		if at := t.source.at(rest, len(t.places) > 0); at != "" {
			t.places = append(t.places, at)
		}
		return
	case "chosen":
		t.told = false
	}
	t.finish()
	switch word {
	case "disturbed", "chose":
		d, ok := decision(word, rest)
		if !ok {
			t.told = false
			return
		}
		t.list = append(t.list, d)
	case "meanwhile", "created":
		fmt.Sscan(rest, &t.id)
	case "visited":
		t.number = rest
	case "more":
		if len(t.list) > 0 {
			d := &t.list[len(t.list)-1]
			d.Meanwhile = append(d.Meanwhile, Step{Text: "and " + rest + " more"})
		}
		return
	default:
		return
	}
	t.word = word
}

// decision reads one of a goroutine, or of the kernel, which names no goroutine.
func decision(word, text string) (d Disturbance, ok bool) {
	if word == "chose" {
		d.id = -1
		n, _ := fmt.Sscan(text, &d.Kernel, &d.Goroutine, &d.Point, &d.What)
		return d, n == 4
	}
	var name uint64
	n, _ := fmt.Sscan(text, &d.Goroutine, &d.Point, &d.What, new(int), &d.id, &name, &d.Nth)
	if name != 0 {
		d.Name = strconv.FormatUint(name, 16)
	}
	return d, n >= 5
}

// finish takes the entry whose places are complete.
func (t *teller) finish() {
	p := t.source.place(t.places)
	word := t.word
	t.word, t.places = "", nil
	switch word {
	case "created":
		t.created[t.id] = p.own
	case "visited":
		t.visited[t.number] = p.String()
	}
	if len(t.list) == 0 {
		return
	}
	d := &t.list[len(t.list)-1]
	switch word {
	case "disturbed", "chose":
		d.Source = p.source
		if d.isCase() {
			p.taken = t.caseAt(p.file, int(d.What-takesCase))
		}
		d.Text = d.text(p)
	case "meanwhile":
		step := Step{Source: p.source, Text: fmt.Sprintf("goroutine %d came to %s", t.id,
			p.line())}
		if n := len(d.Meanwhile); n == 0 || d.Meanwhile[n-1] != step {
			d.Meanwhile = append(d.Meanwhile, step)
		}
	}
}

// operations are the names of what the compiler calls for statements.
var operations = map[string]string{"runtime.newproc": "go", "runtime.chansend1": "a send",
	"runtime.selectnbsend": "a send", "runtime.chanrecv1": "a receive",
	"runtime.chanrecv2": "a receive", "runtime.selectnbrecv": "a receive",
	"runtime.closechan": "close", "runtime.selectgo": "select", "runtime.raceread": "a read",
	"runtime.racereadrange": "a read", "runtime.racewrite": "a write",
	"runtime.racewriterange": "a write"}

// ofMaps are the same for what is done with maps, which the compiler has several functions for.
var ofMaps = []struct{ prefix, name string }{{"runtime.mapaccess", "a read of a map"},
	{"runtime.mapIter", "range"}, {"runtime.mapassign", "a write to a map"},
	{"runtime.mapdelete", "delete"}, {"runtime.mapclear", "clear"}}

// place is where a goroutine was.
type place struct {
	operation string // the function of the library, or a statement
	own       string // function, file and line of the program
	file      string // the same file and line, with the directory
	source    string // that line
	taken     string // the case that was, if it is a select
}

func (p place) String() string {
	if p.operation == "" || p.own == "" {
		return p.operation + p.own
	}
	return p.operation + ", " + p.own
}

// line is the place in the program, or for want of one the operation.
func (p place) line() string {
	if space := strings.LastIndexByte(p.own, ' '); space >= 0 {
		return p.own[space+1:]
	}
	return p.operation
}

// typeArguments are those of a generic function in its name, which may have spaces.
var typeArguments = regexp.MustCompile(`\[go\.shape\..*\]`)

// cutPlace cuts "FUNCTION FILE:LINE", where FILE is absolute or <autogenerated>.
func cutPlace(text string) (function, file string) {
	at := max(strings.LastIndex(text, " /"), strings.LastIndex(text, " <"))
	if at < 0 {
		at = max(0, strings.IndexByte(text, ' '))
	}
	function = typeArguments.ReplaceAllString(text[:at], "[...]")
	return function, strings.TrimPrefix(text[at:], " ")
}

// place finds the function of the library that the program was in, and the program's own place. The
// runtime names points in the same way (explorePlace).
func (s Source) place(stack []string) (p place) {
	innermost := ""
	for _, entry := range stack {
		name, file := cutPlace(entry)
		if strings.HasPrefix(name, ofExplorer) {
			continue
		}
		if !s.isLibrary(file) && !strings.HasPrefix(name, ofCapos) {
			p.own = name + " " + filepath.Base(file)
			p.source = sourceLine(file)
			p.file = file
			break
		}
		if p.operation = name; innermost == "" {
			innermost = name
		}
	}
	if p.own == "" {
		p.operation = innermost
	}
	if name := operations[p.operation]; name != "" {
		p.operation = name
	}
	for _, of := range ofMaps {
		if strings.HasPrefix(p.operation, of.prefix) {
			p.operation = of.name
		}
	}
	return p
}

// text says what happened and where.
func (d *Disturbance) text(p place) string {
	if d.Kernel != "" {
		return d.kernelText(p)
	}
	text := fmt.Sprintf("goroutine %d", d.id)
	switch {
	case d.What == stepBack:
		text += " stepped back"
	case d.What == collect:
		text += " ran the collector"
	case d.What == move:
		text += " had its stack moved"
	case d.isCase():
		text += fmt.Sprintf(" took %s while another case was ready", p.taken)
	case d.What > injected:
		text += fmt.Sprintf(" had fault %d", d.What-injected)
	default:
		text += fmt.Sprintf(" paused for %v", time.Duration(d.What))
	}
	if where := p.String(); where != "" {
		text += " at " + where
	}
	return text
}

const sourceShown = 80 // bytes of a line

// sourceLine reads the line that FILE:LINE names; nothing when there is none.
func sourceLine(place string) string {
	file, number, _ := strings.Cut(place, ":")
	line, err := strconv.Atoi(number)
	if err != nil {
		return ""
	}
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for ; line > 0 && in.Scan(); line-- {
	}
	text := strings.TrimSpace(in.Text())
	if line > 0 {
		return ""
	}
	return text[:min(len(text), sourceShown)]
}
