package linuxguest

import (
	"fmt"
	"slices"
	"strings"
)

// Both settings of the guest do without mitigations. The first is otherwise Debian's. The second
// also changes what is not needed or misleads here. It does not clear memory when it is allocated.
// It does not use the instructions that clear or copy byte by byte, which the processor claims to
// be fast, because the guest counts 4096 of them for a page. It has large pages, which the kernel
// leaves out on small machines.
const (
	AsShipped = ""
	Tuned     = "init_on_alloc=0 clearcpuid=erms,fsrm BENCH_HUGE_PAGES=always"
)

// CommandLine is that of the Linux kernel with one of these settings. The words after "--" go to
// init: a program and its arguments. A second "--" ends them, because QEMU appends words.
func CommandLine(settings string, program ...string) string {
	words := []string{"console=ttyS0 quiet mitigations=off rdinit=/init panic=-1 reboot=t",
		settings, "--"}
	words = append(append(words, program...), "--")
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }),
		" ")
}

// Exchange gives the QEMU command of a machine for capOS another kernel, first file system and
// kernel command line.
func Exchange(words []string, kernel *Kernel, initialFiles, commandLine string) ([]string, error) {
	words = slices.Clone(words)
	for option, value := range map[string]string{"-kernel": kernel.Image,
		"-initrd": initialFiles, "-append": commandLine} {
		index := slices.Index(words, option)
		if index < 0 || index+1 >= len(words) {
			return nil, fmt.Errorf("the QEMU command has no %s", option)
		}
		words[index+1] = value
	}
	return words, nil
}
