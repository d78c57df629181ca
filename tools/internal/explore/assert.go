package explore

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// AssertionsFile is the name under which a program's assertions reach the host, of the variable
// AssertionsVariable. The runtime of an explore build knows the name.
const (
	AssertionsFile     = "/dev/capos-explore"
	AssertionsVariable = "ANTITHESIS_SDK_LOCAL_OUTPUT"
)

// Assertion is what a program says of itself, in the local format of Antithesis' SDKs.
type Assertion struct {
	Type      string `json:"assert_type"`  // always, sometimes or reachability
	Display   string `json:"display_type"` // what the program calls it
	Message   string `json:"message"`
	ID        string `json:"id"`
	Condition bool   `json:"condition"`
	Hit       bool   `json:"hit"`      // false: it is only declared
	MustHit   bool   `json:"must_hit"` // one that is never reached is a failure of all runs
	Location  struct {
		Function string `json:"function"`
		File     string `json:"file"`
		Line     int    `json:"begin_line"`
	} `json:"location"`
}

const assertionMark = `{"antithesis_assert":`

// saidToHost tells lines that are not the program's output.
func saidToHost(line string) bool {
	return strings.HasPrefix(line, saidByRuntime) || strings.HasPrefix(line, `{"antithesis_`)
}

// WithoutTelling leaves out what is said to the tool.
func WithoutTelling(output string) string {
	lines := slices.DeleteFunc(slices.Collect(strings.Lines(output)), saidToHost)
	return strings.Join(lines, "")
}

// assertions are those that a run came to or declared. One without a place is the SDK's own, about
// the machine.
func (r *Run) assertions() (list []Assertion) {
	for line := range strings.Lines(r.Output) {
		var said struct {
			Assertion Assertion `json:"antithesis_assert"`
		}
		if strings.HasPrefix(line, assertionMark) &&
			json.Unmarshal([]byte(line), &said) == nil &&
			said.Assertion.Location.File != "" {
			list = append(list, said.Assertion)
		}
	}
	return list
}

// violated is the first assertion that did not hold.
func (r *Run) violated() *Failure {
	for _, a := range r.assertions() {
		if a.Hit && !a.Condition && a.Type != "sometimes" {
			return &Failure{Kind: KindAssert, Text: a.String() + " does not hold",
				Stacks: []Stack{{Frames: []string{a.place()}}}}
		}
	}
	return nil
}

func (a *Assertion) String() string { return fmt.Sprintf("%s(%q)", a.Display, a.Message) }

func (a *Assertion) place() string {
	return fmt.Sprintf("%s %s:%d", a.Location.Function, filepath.Base(a.Location.File),
		a.Location.Line)
}

// Assertions are those of a program that must be seen in some run, by their ids; a true value says
// that one was.
type Assertions map[string]*Expected

// Expected is an assertion that must be seen.
type Expected struct {
	Text string `json:"assertion"`
	Seen bool   `json:"seen"`
}

func (all *Assertions) add(r *Run) {
	for _, a := range r.assertions() {
		if !a.MustHit {
			continue
		}
		if *all == nil {
			*all = Assertions{}
		}
		if (*all)[a.ID] == nil {
			(*all)[a.ID] = &Expected{Text: a.String() + ", " + a.place()}
		}
		if a.Hit && (a.Condition || a.Type == "always") {
			(*all)[a.ID].Seen = true
		}
	}
}

// Unseen are those that no run has shown.
func (all Assertions) Unseen() (list []string) {
	for _, e := range all {
		if !e.Seen {
			list = append(list, e.Text)
		}
	}
	slices.Sort(list)
	return list
}
