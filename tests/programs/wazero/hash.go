// A wasip1 program: arguments, files, hashes, sorting, standard streams, a status.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	fmt.Printf("%q %d bytes %v\n", os.Args[1:], len(text), err)
	words := strings.Fields(string(text))
	sort.Strings(words)
	fmt.Println(words)
	fmt.Printf("%x\n", sha256.Sum256(text))
	if err := os.WriteFile("/data/out.txt", text, 0o644); err != nil {
		fmt.Println(err)
	}
	code, err := filepath.Glob("/data/cache/*/*") // in a directory for the system
	fmt.Println(len(code), "programs are compiled", err)
	_, err = os.ReadFile("/data/missing")
	fmt.Fprintln(os.Stderr, err)
	os.Exit(7)
}
