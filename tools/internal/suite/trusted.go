package suite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// trustedSystem has drivers that map the registers of two devices of QEMU.
const trustedSystem = "tests/run/trusted/system.cue"

// trustedDrivers runs it with both kernels. The second life of a driver has the device reset, and a
// device is nobody else's while its driver lives.
func (s *suite) trustedDrivers(ctx context.Context) []check {
	if skip := s.buildManifestTool(ctx); skip != nil {
		return skip
	}
	file := filepath.Join(s.root, trustedSystem)
	build := func(ctx context.Context) (string, error) {
		out, err := s.tool(ctx, "run", "--dry-run", file).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%w\n%s", err, out)
		}
		return filepath.Join(s.root, "build", "services", "init"), nil
	}
	edu := "edu: id ed, edcba987, 10! is 3628800, interrupts 1 0 1 0 1 0\n"
	nvme := "nvme: version 10400, status 0, now 1, mask 0, now 5, buffer 1\n"
	output := "other: the device was taken, then free\n"
	errors := trustedErrors(&output)
	var cases []toolCase
	for _, kernel := range []string{"release", "debug"} {
		cases = append(cases, toolCase{name: kernel, flags: []string{"--kernel", kernel,
			"--machine", "q35", "--qemu-arg", "-device", "--qemu-arg", "edu",
			"--qemu-arg", "-device", "--qemu-arg", "nvme,serial=1,cmb_size_mb=1",
			"--qemu-arg", "-device", "--qemu-arg", "pci-testdev"},
			args: []string{probeFlag + file}, status: 126,
			stdout: output,
			inErr: []string{"init: absent: the machine has no device " +
				"pci:1234:11e8:1; it has: virtio's type 4 "},
			twice:  []string{edu, nvme, "; given up after 1 restart\n"},
			notErr: "leak"})
	}
	checks := s.runToolCases(ctx, build, cases)
	for _, c := range checks {
		if c.Verdict != passed {
			return checks
		}
	}
	return append(checks, errors...)
}

// trustedErrors adds to what the third service says the lines of the errors that it provokes, which
// the step reports where it has said just that.
func trustedErrors(output *string) []check {
	var lines strings.Builder
	for _, pair := range []string{"RegisterManager.describe notFound",
		"RegisterManager.describe badAddress", "DeviceRegisters.info badAddress",
		"RegisterManager.open notFound", "DeviceRegisters.map notFound",
		"DeviceRegisters.map noRights", "DeviceRegisters.map wrongState",
		"DeviceRegisters.map invalidArgument",
		"DeviceRegisters.map misaligned", "DeviceRegisters.map outOfRange",
		"DeviceRegisters.bind notFound", "DeviceRegisters.bind wrongState",
		"DeviceRegisters.acknowledge wrongState",
		"RegisterManager.open busy"} {
		fmt.Fprintf(&lines, "%s %s\n", provoked, pair)
	}
	*output = lines.String() + *output + provoked + " RegisterManager.open noSlots\n" +
		provoked + " DeviceRegisters.map noMemory\n" + provoked +
		" RegisterManager.open noMemory\n"
	return provocations(*output)
}
