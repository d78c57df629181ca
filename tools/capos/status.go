package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/repo"
	"capos.dev/tools/internal/suite"
)

// claim is one line of docs/status.in.
type claim struct {
	area, text, kind, detail string
}

type statusFlags struct{ programs bool }

func (f *statusFlags) register(fs *flag.FlagSet) {
	fs.BoolVar(&f.programs, "programs", false, "")
}

func statusCommand(args []string) int {
	var f statusFlags
	flags := cli.NewFlags("status")
	f.register(flags)
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Failf("%v", err)
	}
	if f.programs {
		return writePrograms(root)
	}
	claims, err := readClaims(filepath.Join(root, "docs", "status.in"))
	if err != nil {
		return cli.Failf("%v", err)
	}
	page, err := renderStatus(claims, filepath.Join(root, "build", "test", "results.json"))
	if err != nil {
		return cli.Failf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "docs", "status.md"), []byte(page),
		0o644); err != nil {
		return cli.Failf("%v", err)
	}
	fmt.Println("docs/status.md is written")
	return 0
}

func readClaims(file string) ([]claim, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var claims []claim
	for number, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 {
			return nil,
				fmt.Errorf("%s:%d: want AREA | CLAIM | proven, expected or missing",
					file, number+1)
		}
		kind, detail, _ := strings.Cut(parts[2], " ")
		if kind != "proven" && kind != "expected" && kind != "missing" {
			return nil, fmt.Errorf("%s:%d: %q is none of proven, expected, missing",
				file, number+1, kind)
		}
		claims = append(claims, claim{parts[0], parts[1], kind, detail})
	}
	return claims, nil
}

// evidence sums up the steps that the patterns of a proven claim name.
func evidence(patterns string, results []suite.StepResult) (string, error) {
	var parts []string
	for _, pattern := range strings.Split(patterns, ", ") {
		steps, checks := 0, 0
		for i := range results {
			if match, _ := path.Match(pattern, results[i].Step); !match {
				continue
			}
			if n := results[i].Failed(); n > 0 {
				return "", fmt.Errorf("%d checks of %s failed", n, results[i].Step)
			}
			steps++
			checks += results[i].Passed()
		}
		if checks == 0 {
			return "",
				fmt.Errorf("nothing of %s was run or passed: run ./capos test "+
					"first", pattern)
		}
		parts = append(parts, fmt.Sprintf("`%s` (%d checks in %d steps)", pattern, checks,
			steps))
	}
	return strings.Join(parts, ", "), nil
}

func renderStatus(claims []claim, resultsFile string) (string, error) {
	text, err := os.ReadFile(resultsFile)
	if err != nil {
		return "", fmt.Errorf("there are no test results: run ./capos test first")
	}
	var results []suite.StepResult
	if err := json.Unmarshal(text, &results); err != nil {
		return "", fmt.Errorf("%s: %w", resultsFile, err)
	}
	var page strings.Builder
	page.WriteString("# Status\n\nWhat capOS does, and how that is known: **proven** by " +
		"steps of `./capos test`, **expected** to work\nbut not shown by a test, " +
		"**missing**. Made by `./capos status` of `docs/status.in` and of a test\nrun.\n")
	area := ""
	for _, c := range claims {
		if c.area != area {
			area = c.area
			fmt.Fprintf(&page,
				"\n## %s\n\n| | state | how it is known |\n| --- | --- | --- |\n",
				area)
		}
		how := c.detail
		if c.kind == "proven" {
			if how, err = evidence(c.detail, results); err != nil {
				return "", fmt.Errorf("%q: %w", c.text, err)
			}
		}
		fmt.Fprintf(&page, "| %s | %s | %s |\n", c.text, c.kind, how)
	}
	return page.String(), nil
}
