package suite

// How deep the kernel's stacks get at most, from the call graph and the frame sizes that the
// compiler writes beside each object file (-fcallgraph-info=su). What it cannot know is in
// kernel/stack.def: functions in assembly, calls through pointers, and how often a function can be
// active at once. The step fails where a stack may overflow and where the file is incomplete.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	stackRules = "kernel/stack.def"

	// byPointer is the name of what a call through a pointer calls, in the compiler's graph.
	byPointer = "__indirect_call"

	nothing     = "-"
	interrupted = "interrupted"

	returnAddress = 8
)

// callGraph has functions by their names in the graph: a static function's has its file and a
// colon in front. Rules name functions as the source does, and mean all of that name.
type callGraph struct {
	frames   map[string]int
	calls    map[string]map[string]bool
	pointers map[string]map[string]bool // the files of a function's calls through pointers
}

// stackRule is a line of stack.def.
type stackRule struct {
	kind  string // stack, frame, calls, pointer, limit
	name  string
	value int      // bytes of a stack or frame, activations of a limit
	names []string // entries of a stack, or callees; those of pointers are patterns
}

// stackWalk finds the deepest paths.
type stackWalk struct {
	*callGraph
	rules    []*stackRule
	limits   map[string]int
	active   map[string]int // of functions with a limit, on the path
	onPath   []string
	known    map[string]stackPath
	problems map[string]bool
}

type stackPath struct {
	bytes int
	calls []string
}

var (
	graphNode = regexp.MustCompile(
		`^node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \(([^)]+)\)`)
	graphCall = regexp.MustCompile(
		`^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)" label: "([^":]*)`)
	graphClone = regexp.MustCompile(`\.(isra|part|constprop|cold)\.[.\w]*$`)
)

// sourceName gives the name in the source of a function in the graph.
func sourceName(name string) string { return name[strings.LastIndex(name, ":")+1:] }

func (g *callGraph) read(text string) error {
	for line := range strings.Lines(text) {
		if m := graphNode.FindStringSubmatch(line); m != nil {
			size, err := strconv.Atoi(m[2])
			if err != nil || m[3] == "dynamic" {
				return fmt.Errorf("%s: its frame has no bound: %s", m[1], m[3])
			}
			name := graphClone.ReplaceAllString(m[1], "")
			g.frames[name] = max(g.frames[name], size)
		} else if m := graphCall.FindStringSubmatch(line); m != nil {
			table, target := g.calls, graphClone.ReplaceAllString(m[2], "")
			if target == byPointer {
				table, target = g.pointers, m[3]
			}
			from := graphClone.ReplaceAllString(m[1], "")
			if table[from] == nil {
				table[from] = map[string]bool{}
			}
			table[from][target] = true
		}
	}
	return nil
}

func readCallGraph(dir string) (*callGraph, error) {
	g := &callGraph{map[string]int{}, map[string]map[string]bool{},
		map[string]map[string]bool{}}
	err := filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".ci" {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return g.read(string(text))
	})
	if err == nil && len(g.frames) == 0 {
		err = fmt.Errorf("there is no call graph in %s", dir)
	}
	return g, err
}

// readStackRules reads stack.def. Sizes may be names that constants gives a value.
func readStackRules(file string, constants map[string]int) (rules []*stackRule, err error) {
	err = dataLines(file, func(words []string) error {
		if len(words) < 3 {
			return errors.New("a line is KIND NAME and what it says of it")
		}
		rule := &stackRule{kind: words[0], name: words[1]}
		switch rule.kind {
		case "pointer", "calls":
			rule.names = words[2:]
		case "stack", "frame", "limit":
			value, isConstant := constants[words[2]]
			if !isConstant {
				if value, err = strconv.Atoi(words[2]); err != nil {
					return err
				}
			}
			rule.value, rule.names = value, words[3:]
		default:
			return fmt.Errorf("%s is no kind of line", rule.kind)
		}
		rules = append(rules, rule)
		return nil
	})
	return rules, err
}

func newStackWalk(g *callGraph, rules []*stackRule) *stackWalk {
	w := &stackWalk{callGraph: g, rules: rules, limits: map[string]int{},
		active: map[string]int{}, known: map[string]stackPath{},
		problems: map[string]bool{}}
	for _, r := range rules {
		if r.kind == "frame" {
			g.frames[r.name] = r.value
		}
	}
	for _, r := range rules {
		switch r.kind {
		case "frame", "calls":
			for _, name := range w.named(r.name) {
				if g.calls[name] == nil {
					g.calls[name] = map[string]bool{}
				}
				for _, callee := range r.names {
					w.addNamed(g.calls[name], callee)
				}
			}
		case "limit":
			for _, name := range w.named(r.name) {
				w.limits[name] = r.value
			}
		}
	}
	return w
}

// named are the functions that a rule means by a name or a pattern.
func (w *stackWalk) named(pattern string) (names []string) {
	for name := range w.frames {
		if match, _ := path.Match(pattern, sourceName(name)); match {
			names = append(names, name)
		}
	}
	if len(names) == 0 && pattern != nothing {
		w.problems["no function is named "+pattern] = true
	}
	return names
}

func (w *stackWalk) addNamed(all map[string]bool, pattern string) {
	for _, name := range w.named(pattern) {
		all[name] = true
	}
}

// callees are all functions that one may call.
func (w *stackWalk) callees(name string) []string {
	all := map[string]bool{}
	for callee := range w.calls[name] {
		all[callee] = true
	}
	for file := range w.pointers[name] {
		if !w.pointedTo(sourceName(name), all) && !w.pointedTo(file, all) {
			w.problems[fmt.Sprintf("%s calls through a pointer, in %s: no line for it",
				name, file)] = true
		}
	}
	return slices.Sorted(func(yield func(string) bool) {
		for callee := range all {
			if !yield(callee) {
				return
			}
		}
	})
}

// pointedTo adds what calls through pointers in a function or a file may reach.
func (w *stackWalk) pointedTo(place string, all map[string]bool) (found bool) {
	for _, r := range w.rules {
		if r.kind != "pointer" || r.name != place {
			continue
		}
		found = true
		for _, pattern := range r.names {
			w.addNamed(all, pattern)
		}
	}
	return found
}

// deepest gives the path from a function's entry that takes most of the stack, its return address
// included.
func (w *stackWalk) deepest(name string) stackPath {
	frame, isFunction := w.frames[name]
	if !isFunction {
		w.problems[name+" is called, and has no frame"] = true
		return stackPath{}
	}
	limit, limited := w.limits[name]
	if limited && w.active[name] == limit {
		return stackPath{}
	}
	key := name + " " + fmt.Sprint(w.active)
	if p, found := w.known[key]; found {
		return p
	}
	// The same with another count of a function that has a limit is no circle.
	if i := slices.Index(w.onPath, key); i >= 0 {
		keys := append(slices.Clone(w.onPath[i:]), key)
		w.problems["without a limit: "+circle(keys)] = true
		return stackPath{}
	}
	w.onPath = append(w.onPath, key)
	if limited {
		w.active[name]++
	}
	var most stackPath
	for _, callee := range w.callees(name) {
		if p := w.deepest(callee); p.bytes > most.bytes {
			most = p
		}
	}
	if limited {
		w.active[name]--
	}
	if w.active[name] == 0 {
		delete(w.active, name)
	}
	w.onPath = w.onPath[:len(w.onPath)-1]
	p := stackPath{frame + returnAddress + most.bytes,
		append([]string{fmt.Sprintf("%s %d", name, frame)}, most.calls...)}
	w.known[key] = p
	return p
}

// interruptsAre compares the functions that let interrupts in with those that have a line for it.
func (w *stackWalk) interruptsAre(names []string) {
	for _, name := range names {
		if !slices.ContainsFunc(w.rules, func(r *stackRule) bool {
			return r.kind == "calls" && r.name == name &&
				slices.Contains(r.names, interrupted)
		}) {
			w.problems["no line says that "+name+" is interrupted"] = true
		}
	}
}

// circle writes a path of keys by its functions, the same for each state that it is found in.
func circle(keys []string) string {
	for i, key := range keys {
		keys[i], _, _ = strings.Cut(key, " ")
	}
	return strings.Join(keys, " > ")
}

// judge compares each stack with its deepest path.
func (w *stackWalk) judge(kernel string) (checks []check) {
	for _, r := range w.rules {
		if r.kind != "stack" {
			continue
		}
		var most stackPath
		for _, entry := range r.names {
			if p := w.deepest(entry); p.bytes > most.bytes {
				most = p
			}
		}
		c := check{kernel + "-" + r.name, passed, fmt.Sprintf("at most %d of %d bytes",
			most.bytes, r.value)}
		if most.bytes > r.value {
			c.Verdict = failed
			c.Why += ":\n" + strings.Join(most.calls, "\n")
		}
		checks = append(checks, c)
	}
	for problem := range w.problems {
		checks = append(checks, check{kernel + "-graph", failed, problem})
	}
	return checks
}

var offsetLine = regexp.MustCompile(`(?m)^#define (\w+) (\d+)$`)

// constantsOf reads what the build has taken from C for assembly.
func constantsOf(file string) (map[string]int, error) {
	text, err := os.ReadFile(file)
	constants := map[string]int{}
	for _, m := range offsetLine.FindAllStringSubmatch(string(text), -1) {
		constants[m[1]], _ = strconv.Atoi(m[2])
	}
	return constants, err
}

// exploreParts are those of explore builds, which is neither of the kernels that are looked at.
var exploreParts = regexp.MustCompile(`(?ms)^#ifdef CAPOS_EXPLORE$.*?^#(else|endif)`)

// admitsInterrupts finds what lets interrupts in, which the compiler puts into its callers.
var admitsInterrupts = regexp.MustCompile(`\bcpu_(take_interrupts|wait_for_interrupt)\(\);`)

// interruptible are the functions of the kernel's sources that let interrupts in.
func (s *suite) interruptible() (names []string, err error) {
	files, err := filepath.Glob(filepath.Join(s.root, "kernel", "*", "*.c"))
	deeper, err2 := filepath.Glob(filepath.Join(s.root, "kernel", "*", "*", "*.c"))
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		function := ""
		for line := range strings.Lines(exploreParts.ReplaceAllString(string(text), "")) {
			if strings.IndexAny(line[:1], " \t#}") < 0 {
				if name := functionName([]string{line}); name != "" {
					function = name
				}
			}
			if admitsInterrupts.MatchString(line) {
				names = append(names, function)
			}
		}
	}
	return names, nil
}

// stackDepths is the step: both kernels, each stack one check, and what is wrong with the graph.
func (s *suite) stackDepths(ctx context.Context) (checks []check) {
	for _, kernel := range []string{"kernel", "kernel-debug"} {
		dir := filepath.Join(s.root, "build", kernel)
		if c := s.buildGoal(ctx, kernel, filepath.Join("build", kernel, "capos.elf")); c[0].
			Verdict != passed {
			return c
		}
		graph, err := readCallGraph(dir)
		constants, err2 := constantsOf(filepath.Join(dir, "offsets.h"))
		rules, err3 := readStackRules(filepath.Join(s.root, stackRules), constants)
		admit, err4 := s.interruptible()
		if err := errors.Join(err, err2, err3, err4); err != nil {
			return single(kernel, err, "")
		}
		w := newStackWalk(graph, rules)
		w.interruptsAre(admit)
		checks = append(checks, w.judge(kernel)...)
	}
	return checks
}
