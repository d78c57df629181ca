package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Columns of the table.
const (
	columnLinux = "linux"
	columnTuned = "linux_tuned"
	columnCapos = "capos"
	columnHost  = "host"
)

// Names of the files with results: of a whole comparison, and of a part.
const (
	wholeName   = "results"
	partialName = "partial"
)

// quietHost is the gain from a second CPU below which the host is too busy with other things for
// wall times to count.
const quietHost = 1.8

// result holds all values of a comparison, and is what results.json has.
type result struct {
	Taken    string              `json:"taken"`
	Source   string              `json:"source"` // revision of the repository
	Host     string              `json:"host"`
	QEMU     string              `json:"qemu"`
	Machines map[string]string   `json:"machines"` // QEMU commands
	Notes    map[string][]string `json:"notes"`
	Rows     []resultRow         `json:"rows"`
	// remarks for the readers of the table
	Remarks  []string `json:"remarks,omitempty"`
	Failures []string `json:"failures"`

	ran    map[string]bool                // columns
	values map[string]map[string]measured // by column and row
	checks map[string]map[string]string   // by row and column
}

// resultRow is a line of the table. Values that were not measured are absent.
type resultRow struct {
	rowInfo
	Unit       string   `json:"unit"`
	Linux      *float64 `json:"linux,omitempty"`
	Tuned      *float64 `json:"linux_tuned,omitempty"`
	Capos      *float64 `json:"capos,omitempty"`
	Ratio      *float64 `json:"ratio,omitempty"`       // capOS by Linux
	RatioTuned *float64 `json:"ratio_tuned,omitempty"` // capOS by tuned Linux
	// the same on the host, for rows in wall time
	OfHost  *float64 `json:"host,omitempty"`
	GoalMet *bool    `json:"goal_met,omitempty"`
}

func newResult() *result {
	return &result{
		Taken: time.Now().UTC().Format(time.RFC3339),
		Source: firstLine("git", "-C", os.Getenv("CAPOS_ROOT"), "describe", "--always",
			"--dirty"),
		Host:     hostText(),
		QEMU:     firstLine("qemu-system-x86_64", "--version"),
		Machines: map[string]string{},
		Notes:    map[string][]string{},
		Failures: []string{},
		ran:      map[string]bool{},
		values:   map[string]map[string]measured{},
		checks:   map[string]map[string]string{},
	}
}

func firstLine(name string, args ...string) string {
	text, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func (r *result) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	say("FAILED: %s", text)
	r.Failures = append(r.Failures, text)
}

// add takes in the output of a guest.
func (r *result) add(run *run, o *output) {
	r.Machines[run.describe()] = shellText(o.command)
	r.Notes[run.describe()] = o.notes
	r.ran[run.column] = true
	for name, value := range o.rows {
		r.put(run.column, name, value)
	}
	for name, digest := range o.checks {
		if r.checks[name] == nil {
			r.checks[name] = map[string]string{}
		}
		r.checks[name][run.column] = digest
	}
	for _, note := range o.notes {
		text, is := strings.CutPrefix(note, "ticks_per_ns ")
		if rate, err := strconv.ParseFloat(text, 64); is && run.cpus == 1 && (err != nil ||
			math.Abs(rate-1) > 0.01) {
			r.fail("%s: %s time-stamp ticks in a nanosecond of its clock, not 1: its "+
				"figures are not instructions", run.describe(), text)
		}
	}
}

// finish makes the table's rows of all that was taken in, and finds missing and contradicting
// values.
func (r *result) finish(only []string) {
	for _, info := range allRows {
		if len(only) > 0 && !matchesAny(only, info.Name) {
			continue
		}
		row := resultRow{rowInfo: info}
		row.Linux = r.value(columnLinux, &row)
		row.Tuned = r.value(columnTuned, &row)
		row.Capos = r.value(columnCapos, &row)
		row.OfHost = r.value(columnHost, &row)
		row.Ratio = divide(row.Capos, row.Linux)
		row.RatioTuned = divide(row.Capos, row.Tuned)
		if row.Capos != nil && info.Goal != 0 && !row.hostWasBusy() {
			met := info.meets(*row.Capos)
			row.GoalMet = &met
		}
		r.Rows = append(r.Rows, row)
		if row.OfHost != nil {
			r.remarkHost(&row)
		}
		r.compareDigests(info.Name)
	}
	r.compareToolchains()
}

// hostWasBusy tells whether a row in wall time was measured while the host had no second CPU to
// spare.
func (row *resultRow) hostWasBusy() bool { return row.OfHost != nil && *row.OfHost < quietHost }

// remarkHost remarks what the host itself gained from a second CPU at the time.
func (r *result) remarkHost(row *resultRow) {
	text := fmt.Sprintf("%s on the host itself: %s", row.Name, formatValue(*row.OfHost))
	if row.hostWasBusy() {
		text += " (busy with other things: what the guests gained says little, and no " +
			"goal is judged by it)"
	}
	r.Remarks = append(r.Remarks, text)
}

// compareToolchains fails when the guests' programs were not built from the same Go release.
func (r *result) compareToolchains() {
	releases := map[string]string{}
	for run, notes := range r.Notes {
		for _, note := range notes {
			if fields := strings.Fields(note); len(fields) > 1 && fields[0] == "go" {
				release, _, _ := strings.Cut(fields[1], "-capos")
				releases[release] = run
			}
		}
	}
	if len(releases) > 1 {
		r.fail("the programs are not built by one Go release: %v", releases)
	}
}

// fillIn takes columns that were not measured from the last whole comparison. Instruction counts
// repeat, so they can be compared across time. Wall times cannot, and are left out.
func (r *result) fillIn(dir string, only []string) {
	data, err := os.ReadFile(filepath.Join(dir, wholeName+".json"))
	if err != nil {
		return
	}
	var last result
	if err := json.Unmarshal(data, &last); err != nil {
		say("not a result: %s: %v", wholeName+".json", err)
		return
	}
	missing := slices.DeleteFunc([]string{columnLinux, columnTuned, columnCapos},
		func(column string) bool { return r.ran[column] })
	for _, row := range last.Rows {
		for _, column := range missing {
			value := map[string]*float64{columnLinux: row.Linux, columnTuned: row.Tuned,
				columnCapos: row.Capos}[column]
			wanted := len(only) == 0 || matchesAny(only, row.Name)
			if wanted && value != nil && row.OfHost == nil {
				r.put(column, row.Name, measured{*value, row.Unit})
			}
		}
	}
	for _, column := range missing {
		if r.values[column] != nil {
			r.Remarks = append(r.Remarks,
				fmt.Sprintf("%s: figures of the comparison taken %s",
					columnTitles[column], last.Taken))
		}
	}
}

// put enters one value.
func (r *result) put(column, row string, value measured) {
	if r.values[column] == nil {
		r.values[column] = map[string]measured{}
	}
	r.values[column][row] = value
}

// value finds a row's value in a column. It is an error if the program ran and did not give it.
func (r *result) value(column string, row *resultRow) *float64 {
	found, is := r.values[column][row.Name]
	if is {
		row.Unit = found.unit
		return &found.value
	}
	name := (&run{column: column, program: row.program}).describe()
	if _, ran := r.Machines[name]; ran && len(r.Failures) == 0 {
		r.fail("%s: no row %s", name, row.Name)
	}
	return nil
}

// compareDigests fails when the same computation gave different results on different systems.
func (r *result) compareDigests(name string) {
	first := ""
	for _, column := range []string{columnLinux, columnTuned, columnCapos} {
		digest := r.checks[name][column]
		if first == "" {
			first = digest
		}
		if digest != "" && digest != first {
			r.fail("%s: %s computed %s, Linux %s", name, column, digest, first)
		}
	}
}

func divide(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	ratio := *a / *b
	return &ratio
}

func (r *result) missesGoals() bool {
	for _, row := range r.Rows {
		if row.GoalMet != nil && !*row.GoalMet {
			return true
		}
	}
	return false
}

var header = []string{"row", "what", "Linux", "tuned", "capOS", "capOS/Linux", "capOS/tuned",
	"goal", ""}

// cells gives the table's lines below the header.
func (r *result) cells() [][]string {
	var lines [][]string
	for _, row := range r.Rows {
		met := ""
		switch {
		case row.GoalMet != nil:
			met = map[bool]string{true: "met", false: "MISSED"}[*row.GoalMet]
		case row.Goal != 0 && row.hostWasBusy():
			met = "host busy"
		}
		lines = append(lines, []string{row.Name, row.About, formatCell(row.Linux),
			formatCell(row.Tuned), formatCell(row.Capos),
			formatRatio(row.Ratio), formatRatio(row.RatioTuned), row.goalText(), met})
	}
	return lines
}

// print writes the table for a terminal.
func (r *result) print(w io.Writer) {
	lines := append([][]string{header}, r.cells()...)
	widths := make([]int, len(header))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, line := range lines {
		text := ""
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-len(cell))
			if i < 2 || i == len(line)-1 {
				text += cell + pad + "  "
			} else {
				text += pad + cell + "  "
			}
		}
		fmt.Fprintln(w, strings.TrimRight(text, " "))
	}
	if len(r.Remarks) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(r.Remarks, "\n"))
	}
	for _, failure := range r.Failures {
		fmt.Fprintln(w, "\nFAILED:", failure)
	}
}

// save writes the result as JSON and as a page.
func (r *result) save(dir, name string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), append(data, '\n'),
		0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".md"), r.markdown(), 0o644)
}

func (r *result) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# capOS beside Linux\n\nTaken %s at %s on %s, %s.\n", r.Taken, r.Source,
		r.Host, r.QEMU)
	fmt.Fprint(&b,
		"Values are guest instructions per operation (M: millions for the whole load), "+
			"times are guest nanoseconds,\n"+
			"gains are ratios of wall times; docs/benchmarks.md tells the method.\n\n")
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat(" --- |",
		len(header)))
	for _, line := range r.cells() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
	}
	for _, remark := range r.Remarks {
		fmt.Fprintf(&b, "\n%s\n", remark)
	}
	fmt.Fprint(&b, "\n## Machines\n")
	for _, run := range plannedRuns() {
		name := run.describe()
		if r.Machines[name] == "" {
			continue
		}
		fmt.Fprintf(&b, "\n%s:\n\n    %s\n\n", name, r.Machines[name])
		for _, note := range r.Notes[name] {
			fmt.Fprintf(&b, "* %s\n", note)
		}
	}
	for _, failure := range r.Failures {
		fmt.Fprintf(&b, "\n**Failed:** %s\n", failure)
	}
	return b.Bytes()
}

// shellText renders a command for reading and for pasting into a shell.
func shellText(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		if word == "" || strings.ContainsAny(word, " '\"\\$*?;&|<>()") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		quoted[i] = word
	}
	return strings.Join(quoted, " ")
}

func formatCell(value *float64) string {
	if value == nil {
		return "-"
	}
	return formatValue(*value)
}

// formatValue shows three significant digits or whole numbers, thousands apart.
func formatValue(value float64) string {
	switch {
	case value < 10:
		return strconv.FormatFloat(value, 'f', 2, 64)
	case value < 100:
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(value, 'f', 0, 64)
	for index := len(digits) - 3; index > 0; index -= 3 {
		digits = digits[:index] + " " + digits[index:]
	}
	return digits
}

func formatRatio(ratio *float64) string {
	if ratio == nil {
		return "-"
	}
	return strconv.FormatFloat(*ratio, 'f', 3, 64)
}
