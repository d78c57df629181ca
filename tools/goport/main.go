// Command goport makes the Go toolchain of capOS out of an unmodified Go release.
//
// The port is an overlay, not a fork: new files (go/overlay), a short list of edits to existing
// files (go/edits.txt) and the constants the schema compiler generates. goport lays them over a
// copy of the release in two layers, each cached under the hash of everything that went into it:
//
//	tools layer   the release with the edits its host programs need, and go, compile, asm and
//	              link rebuilt from it
//	port layer    hard links to the tools layer, the remaining edits and the overlay
//	explore layer hard links to the port layer, with go/explore over it; only on demand
//
// Rebuilding the four programs takes minutes and happens only when the first layer changes; a
// change in the runtime or in package syscall makes a new port layer, which takes a second.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

const usage = `usage:
  goport path                  print the directory of the toolchain, building it if needed
  goport build -o DIR          the same, and put a copy at DIR
  goport edits [--check DIR]   list the edits; with --check try them on the Go tree at DIR and
                               change nothing
  goport names                 list the names of package syscall that programs use and the port
                               lacks; with -next DIR, which of them the Go tree at DIR has
                               that the release has not, or has otherwise
path and build take -explore for the toolchain of explore builds.
path, build and names take -base VERSION to try another Go release than ` + defaultBase + `
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "goport:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	flags := flag.NewFlagSet("goport "+args[0], flag.ExitOnError)
	repo := flags.String("repo", "",
		"root of the capOS tree (default: found from the working directory)")
	output := flags.String("o", "", "directory to make (build)")
	base := flags.String("base", defaultBase, "Go release to build from")
	explore := flags.Bool("explore", false, "of the toolchain for explore builds (path, build)")
	check := flags.String("check", "", "Go tree to try the edits on (edits)")
	next := flags.String("next", "", "Go tree to compare names with (names)")
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flags.Parse(args[1:])
	if flags.NArg() != 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	root, err := findRepo(*repo)
	if err != nil {
		return err
	}
	switch args[0] {
	case "path":
		return showPath(root, *base, *explore)
	case "build":
		if *output == "" {
			return fmt.Errorf("build needs -o DIR")
		}
		dir, err := buildToolchain(root, *base, *explore)
		if err != nil {
			return err
		}
		return replaceTree(dir, *output)
	case "names":
		dir, err := buildToolchain(root, *base, *explore)
		switch {
		case err != nil:
			return err
		case *next != "":
			return showNewNames(os.Stdout, dir, *next)
		}
		return showNames(os.Stdout, dir)
	case "edits":
		return showEdits(root, *check)
	}
	return fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

func showPath(root, base string, explore bool) error {
	dir, err := buildToolchain(root, base, explore)
	if err == nil {
		fmt.Println(dir)
	}
	return err
}

// findRepo returns the nearest directory at or above the starting point that holds the edit list.
func findRepo(start string) (string, error) {
	dir, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, editsPath)); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no %s at or above the working directory; use -repo",
				editsPath)
		}
		dir = parent
	}
}

// showEdits prints every edit with the line it would touch. Without a tree it prints the list
// alone.
func showEdits(root, tree string) error {
	edits, err := readEdits(root, editsPath)
	if err != nil {
		return err
	}
	more, err := readEdits(root, exploreEditsPath)
	if err != nil {
		return err
	}
	edits = append(edits, more...)
	if tree == "" {
		for _, e := range edits {
			fmt.Printf("%-7s %s: %s\n", e.layer, e.file, e.reason)
		}
		return nil
	}
	_, err = planEdits(tree, edits, os.Stdout)
	return err
}
