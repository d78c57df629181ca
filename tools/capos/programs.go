package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/suite"
)

const programsHead = `# Programs

Published programs on capOS, built as their authors released them and compared with the same
programs on Linux. Made by %s of %s and of what
%s has found.

Each task ran on capOS and on Linux with the same files. Standard output, standard error, exit
status and all files afterwards were compared byte by byte, apart from what the data file masks
because it differs between two runs on Linux too. Size is that of the program's file.

Instructions and memory stand beside those of the same program and files in the tuned Linux guest of
[benchmarks.md](benchmarks.md). Both machines had one CPU, and an instruction took a nanosecond.
Instructions are those of all commands of the task, in the program and in the kernel for it. Memory
is the most that one of them had at once: on capOS what it had committed, on Linux the peak of its
control group. Both hold the files that the program made, and leave out its own file and those that
it found. A task that was not run again keeps the row of the last run.

` + programsHeader + "\n| --- | --- | --- | --- | --: | --: | --: | --: | --: | --: |\n"

const programsHeader = "| program | version | task | result | size, MiB | memory, MiB | Linux | " +
	"instructions, M | Linux | capOS/Linux |"

// programsPage makes docs/programs.md of the tasks and their results.
func programsPage(root string) (string, error) {
	tasks, without, err := suite.ReadTasks(root)
	if err != nil {
		return "", err
	}
	earlier, err := os.ReadFile(programsFile(root))
	if err != nil {
		return "", err
	}
	var page, differences strings.Builder
	fmt.Fprintf(&page, programsHead, "`./capos status --programs`", "`"+suite.TasksFile+"`",
		"`make test-modules`")
	for _, t := range tasks {
		row := fmt.Sprintf("| %s | %s | %s | ", suite.ProgramName(t), t.Version, t.What)
		page.WriteString(row)
		r := taskResult(root, t)
		if r == nil {
			page.WriteString(earlierResult(string(earlier), row))
			continue
		}
		verdict := "same"
		if !r.Same {
			verdict = "differs"
			fmt.Fprintf(&differences, "\nTask `%s`: %s\n", t.Name, indented(r.Why))
		}
		fmt.Fprintf(&page, "%s | %.1f | %s |\n", verdict, mib(r.Size), figures(r))
	}
	if differences.Len() > 0 {
		page.WriteString("\n## Differences\n" + differences.String())
	}
	if len(without) > 0 {
		page.WriteString("\n## What does not work\n\n" +
			"| program | version | what, and why |\n| --- | --- | --- |\n")
	}
	for _, w := range without {
		fmt.Fprintf(&page, "| %s | %s | %s |\n", suite.ProgramName(&suite.Task{
			Package: w.Package, Version: w.Version}), w.Version, w.Why)
	}
	return page.String(), nil
}

func programsFile(root string) string { return filepath.Join(root, "docs", "programs.md") }

// earlierResult is the rest of a row, from the page as it is: a task that was not run here keeps
// what is known of the same version and task.
func earlierResult(page, row string) string {
	_, rest, found := strings.Cut(page, "\n"+row)
	if line, _, _ := strings.Cut(rest, "\n"); found {
		return line + "\n"
	}
	return "not run | | | | | | |\n"
}

// figures are the cells with what a task took on both systems.
func figures(r *suite.TaskResult) string {
	linuxMemory, linuxInstructions, ratio := "", "", ""
	if r.Linux.Instructions > 0 {
		linuxMemory = fmt.Sprintf("%.1f", mib(r.Linux.Peak))
		linuxInstructions = fmt.Sprintf("%.1f", millions(r.Linux))
		ratio = fmt.Sprintf("%.2f", r.CapOS.Ratio(r.Linux))
	}
	return fmt.Sprintf("%.1f | %s | %.1f | %s | %s", mib(r.CapOS.Peak), linuxMemory,
		millions(r.CapOS), linuxInstructions, ratio)
}

func millions(c suite.Cost) float64 { return float64(c.Instructions) / 1000 }

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// indented makes a code block of a text that follows a sentence.
func indented(text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	return first + "\n\n    " + strings.ReplaceAll(strings.TrimSpace(rest), "\n", "\n    ")
}

// taskResult is what the last run of a task has left, if that was of the version that counts.
func taskResult(root string, t *suite.Task) *suite.TaskResult {
	var r suite.TaskResult
	text, err := os.ReadFile(suite.ResultFile(root, t.Name))
	if err != nil || json.Unmarshal(text, &r) != nil || r.Version != t.Version {
		return nil
	}
	return &r
}

func writePrograms(root string) int {
	page, err := programsPage(root)
	if err == nil {
		err = os.WriteFile(programsFile(root), []byte(page), 0o644)
	}
	if err != nil {
		return cli.Fail(err)
	}
	fmt.Println("docs/programs.md is written")
	return 0
}
