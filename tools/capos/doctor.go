package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"capos.dev/tools/internal/accel"
	"capos.dev/tools/internal/cli"
	"capos.dev/tools/internal/machine"
	"capos.dev/tools/internal/repo"
)

func doctorCommand(args []string) int {
	flags := cli.NewFlags("doctor")
	if status, ok := cli.Parse(flags, args); !ok {
		return status
	}
	root, err := repo.Root()
	if err != nil {
		return cli.Fail(err)
	}
	show := func(name, value string) { fmt.Printf("%-12s %s\n", name, value) }
	show("capOS", orMissing(firstLine("git", "-C", root, "describe", "--always", "--dirty")))
	show("host", strings.TrimSpace(firstLine("uname", "-srm")+", "+osRelease())+fmt.Sprintf(
		", %d CPUs", runtime.NumCPU()))
	missing := 0
	for _, tool := range [][]string{{"QEMU", machine.DefaultQEMU, "--version"},
		{"make", "make", "--version"}, {"gcc", "gcc", "--version"},
		{"clang", "clang-19", "--version"}, {"lld", "ld.lld-19", "--version"}, {"capnp",
			"capnp", "--version"}} {
		version := firstLine(tool[1], tool[2:]...)
		if version == "" {
			missing++
		}
		show(tool[0], orMissing(version))
	}
	show("gdb", orOptional(firstLine("gdb", "--version")))
	show("host Go", orMissing(firstLine("go", "version")))
	show("capOS Go", portedGo(root))
	show("kernel", describeFile(repo.Kernel(root, "release")))
	show("debug kernel", describeFile(repo.Kernel(root, "debug")))
	show("KVM", describeKVM(root))
	if missing > 0 {
		fmt.Printf("\n%d needed program(s) are missing; ./capos run installs them where "+
			"there is apt-get\n", missing)
		return 1
	}
	return 0
}

// firstLine runs a program and gives the first line that it prints, or nothing.
func firstLine(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSpace(string(line))
}

func orMissing(text string) string {
	if text == "" {
		return "missing"
	}
	return text
}

func orOptional(text string) string {
	if text == "" {
		return "not installed (only needed for ./capos run -d)"
	}
	return text
}

func osRelease() string {
	text, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(text)) {
		if name, found := strings.CutPrefix(line, "PRETTY_NAME="); found {
			return strings.Trim(strings.TrimSpace(name), `"`)
		}
	}
	return "unknown system"
}

// portedGo asks the newest toolchain in the cache, without building one.
func portedGo(root string) string {
	cache, err := repo.CacheDir()
	if err != nil {
		return err.Error()
	}
	var versions []string
	dirs, _ := filepath.Glob(filepath.Join(cache, "go-*", "bin", "go"))
	for _, program := range dirs {
		words := strings.Fields(firstLine(program, "version"))
		if len(words) > 2 && strings.Contains(words[2], "capos") &&
			!slices.Contains(versions, words[2]) {
			versions = append(versions, words[2])
		}
	}
	if len(versions) == 0 {
		return "not built yet (./capos go version builds it)"
	}
	slices.Sort(versions)
	return strings.Join(versions, ", ")
}

func describeFile(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return "not built yet"
	}
	return fmt.Sprintf("%d KiB, built %s", info.Size()>>10,
		info.ModTime().Format("2006-01-02 15:04:05"))
}

func describeKVM(root string) string {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "not usable: " + err.Error()
	}
	f.Close()
	c := &machine.Config{Machine: "microvm", Kernel: repo.Kernel(root, "release")}
	if c.CheckKernel() != nil {
		return "/dev/kvm can be opened; not probed, there is no kernel yet"
	}
	return "/dev/kvm can be opened; --accel auto uses " + strings.ToUpper(accel.Best(c,
		true, false))
}
