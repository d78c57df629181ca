package suite

// Every error that the schema lists has to be provoked by a test. Tests report the pairs of a
// method and its error that they got (CHECK_FAILS of tests/machine/check.h) as lines "provoked NAME
// ERROR"; the list of all is generated from the schema. The step runs after all others and takes
// what a partial run has left out from the results file.

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"capos.dev/tools/internal/abi"
)

const (
	// provoked is the verdict under which a step keeps what it reports, besides its checks.
	provoked = "provoked"

	provokedStep = "machine/errors"
)

// provocations reads the lines of a test program's output that report errors.
func provocations(output string) (reports []check) {
	for line := range strings.Lines(output) {
		word, pair, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if word == provoked {
			reports = append(reports, check{Name: pair, Verdict: provoked})
		}
	}
	return reports
}

// splitProvoked parts a step's checks from the errors that it reports, each once.
func splitProvoked(all []check) (checks []check, pairs []string) {
	for _, c := range all {
		if c.Verdict != provoked {
			checks = append(checks, c)
		} else {
			pairs = append(pairs, c.Name)
		}
	}
	slices.Sort(pairs)
	return checks, slices.Compact(pairs)
}

// unprovoked reads tests/run/unprovoked.txt: errors that no test can provoke, with the reason.
func unprovoked(file string) (map[string]string, error) {
	reasons := map[string]string{}
	err := dataLines(file, func(words []string) error {
		if len(words) < 3 {
			return fmt.Errorf("a line is NAME ERROR REASON")
		}
		pair := words[0] + " " + words[1]
		if _, found := reasons[pair]; found {
			return fmt.Errorf("%s is there twice", pair)
		}
		reasons[pair] = strings.Join(words[2:], " ")
		return nil
	})
	return reasons, err
}

// judgeProvoked compares what there is with what tests have reported: one check for each pair.
func judgeProvoked(all []string, reported map[string]bool, reasons map[string]string) (
	checks []check) {
	for _, pair := range all {
		reason, excused := reasons[pair]
		switch {
		case reported[pair] && excused:
			checks = append(checks, check{pair, failed,
				"a test provokes it, and unprovoked.txt says that none can"})
		case reported[pair]:
			checks = append(checks, check{pair, passed, ""})
		case excused:
			checks = append(checks, check{pair, skipped, reason})
		default:
			checks = append(checks, check{pair, failed,
				"the schema lists it, and no test provokes it (CHECK_FAILS)"})
		}
	}
	for pair := range reasons {
		if !slices.Contains(all, pair) {
			checks = append(checks, check{pair, failed,
				"is in tests/run/unprovoked.txt, and not in the schema"})
		}
	}
	for pair := range reported {
		if !slices.Contains(all, pair) {
			checks = append(checks, check{pair, failed,
				"a test reports it, and it is not in the schema"})
		}
	}
	return checks
}

// provokedSteps is the step that comes last.
func (s *suite) provokedSteps() ([]step, error) {
	judge := func(_ context.Context, results []StepResult) []check {
		reasons, err := unprovoked(filepath.Join(s.root, "tests", "run", "unprovoked.txt"))
		if err != nil {
			return single(provokedStep, err, "")
		}
		if s.partial {
			results = mergeResults(s.resultsFile(), results)
		}
		reported := map[string]bool{}
		for _, r := range results {
			for _, pair := range r.Provoked {
				reported[pair] = true
			}
		}
		return judgeProvoked(abi.Fails, reported, reasons)
	}
	return []step{{name: provokedStep, cpus: 1, last: judge}}, nil
}
