package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"capos.dev/tools/internal/explore"
	"capos.dev/tools/internal/program"
	"capos.dev/tools/internal/symbols"
)

// areC tells whether what is to be explored are C programs: files, or directories that have C and
// no Go.
func areC(given []string) (bool, error) {
	count := 0
	for _, path := range given {
		if isC(path) {
			count++
		} else if filepath.Ext(path) == ".c" {
			_, err := os.Stat(path)
			return false, cmp.Or(err, fmt.Errorf("%s is no C program", path))
		}
	}
	if count != 0 && count != len(given) {
		return false, errors.New("C programs and Go packages are explored each by itself")
	}
	return count != 0, nil
}

func isC(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !info.IsDir() {
		return filepath.Ext(path) == ".c"
	}
	sources, _ := filepath.Glob(filepath.Join(path, "*.c"))
	others, _ := filepath.Glob(filepath.Join(path, "*.go"))
	return len(sources) > 0 && len(others) == 0
}

// buildC builds C programs with the libraries whose calls are decision points.
func (x *explorer) buildC(given, rest []string) (targets []target, err error) {
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	}
	if name := x.flags.strategy.String(); name != "" && name != "kernel" &&
		x.flags.strategy.Kernel() == 0 {
		return nil, fmt.Errorf("--strategy %s is of goroutines, and this is a C program",
			name)
	}
	for _, path := range given {
		t := target{name: filepath.ToSlash(filepath.Clean(path)), c: ".", args: rest}
		if t.dir, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		if filepath.Ext(path) == ".c" {
			t.dir, t.c = filepath.Split(t.dir)
			t.dir = filepath.Clean(t.dir)
		}
		if t.elf, err = program.BuildExploredC(x.root, path); err != nil {
			return nil, err
		}
		t.words = append([]string{path}, rest...)
		if len(rest) > 0 {
			t.words = append([]string{path, "--"}, rest...)
		}
		t.failures = x.failuresOf(&t)
		targets = append(targets, t)
	}
	return targets, nil
}

// choosesInKernel tells whether the kernel has a say in what a program does: always in a C program
// and in a system, and in a Go program with a strategy of the kernel's.
func choosesInKernel(t *target, a attempt) bool {
	return t.c != "" || t.system != nil || a.strategy.IsOfKernel()
}

// hasChoosingKernel tells whether the kernel has code for choices.
func (x *explorer) hasChoosingKernel() bool {
	return x.flags.kernel == "explore" || x.flags.kernel == "race"
}

// kernelVariable is what an explore kernel is told of an attempt; "": nothing.
func (x *explorer) kernelVariable(t *target, a attempt) string {
	if !x.hasChoosingKernel() || !choosesInKernel(t, a) {
		return ""
	}
	points, limit, alone := a.kernelPoints, 0, 0 // a Go runtime counts and ends itself
	var until, reseed, stacks uint64             // and has another seed take over
	switch {
	case t.system != nil:
		alone = 1
	case t.c != "":
		points, limit, alone = a.points, explore.VirtualLimitSeconds, 1
		until, reseed, stacks = a.until, a.reseed, a.stacks
	}
	return fmt.Sprintf("CAPOS_EXPLORE_KERNEL=%d,%d,%d,%d,%d,%d,%d,%d,%d,%d%s", a.seed,
		a.strategy.Kernel(), points, x.flags.maxPause.Microseconds(), limit, alone,
		x.flags.mistake, until, reseed, stacks, a.forced.Kernel)
}

// places names the addresses that the kernel tells, which are the program's or its own.
func (x *explorer) places(t *target) (func(uint64) (string, string, int), error) {
	table, err := symbols.Open(t.elf)
	if err != nil {
		return nil, err
	}
	kernel, err := symbols.Open(x.config.Kernel)
	if err != nil {
		return nil, err
	}
	return func(address uint64) (name, file string, line int) {
		of := table
		if address > 1<<63 {
			of = kernel
		}
		name, file, line = of.Place(address)
		if file != "" && !filepath.IsAbs(file) { // as make has called the compiler
			file = filepath.Join(x.root, file)
		}
		return name, file, line
	}, nil
}
