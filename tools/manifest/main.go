// Command manifest evaluates and checks the manifest of a system, which is written in CUE, and
// prints it as JSON (capos.dev/tools/internal/manifest). ./capos run builds it when a manifest is
// first used, because the CUE library is a download of its own.
//
// Each mistake is one line FILE:LINE:COLUMN: TEXT on standard error.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manifest FILE.cue")
		os.Exit(2)
	}
	m, mistakes := read(os.Args[1])
	for _, text := range mistakes {
		fmt.Fprintln(os.Stderr, text)
	}
	if len(mistakes) > 0 {
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(m); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
