// Command goprobe is what the tests of ./capos run on the machine to see what a Go program gets.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	modes := map[string]func(args []string) error{"cwd": cwd, "cat": cat, "files": files,
		"export": export, "exit": exit,
		"nil": dereference, "panic": throw, "zone": zone, "executable": executable,
		"flood": flood, "rearrange": rearrange}
	if len(os.Args) < 2 || modes[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "goprobe: which mode?")
		os.Exit(3)
	}
	if err := modes[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cwd([]string) error {
	dir, err := os.Getwd()
	fmt.Println(dir)
	return err
}

// flood writes until it is ended, with nothing but the runtime's own threads beside.
func flood([]string) error {
	block := []byte(strings.Repeat("x", 1<<16))
	for {
		if _, err := os.Stdout.Write(block); err != nil {
			return err
		}
	}
}

func cat([]string) error {
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}

// files prints each file, then makes sure that it cannot be changed.
func files(args []string) error {
	for _, name := range args {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		os.Stdout.Write(data)
		if err := os.WriteFile(name, nil, 0o644); err == nil {
			return fmt.Errorf("%s can be written", name)
		}
	}
	return nil
}

// export writes each file, with its own name as contents.
func export(args []string) error {
	for _, name := range args {
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func exit(args []string) error {
	code, err := strconv.Atoi(args[0])
	if err == nil {
		os.Exit(code)
	}
	return err
}

func dereference([]string) error {
	var p *int
	fmt.Println(*p)
	return nil
}

func throw([]string) error { panic("on purpose") }

func zone(args []string) error {
	location, err := time.LoadLocation(args[0])
	if err == nil {
		fmt.Println(time.Date(2026, 7, 1, 12, 0, 0, 0, location).Format(time.RFC3339))
	}
	return err
}

func executable([]string) error {
	name, err := os.Executable()
	fmt.Println(name)
	return err
}
