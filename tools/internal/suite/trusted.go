package suite

import (
	"context"
	"fmt"
	"path/filepath"
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
	edu := "edu: id ed, edcba987, 10! is 3628800\n"
	nvme := "nvme: version 10400, status 0, now 1, mask 0, now 5\n"
	var cases []toolCase
	for _, kernel := range []string{"release", "debug"} {
		cases = append(cases, toolCase{name: kernel, flags: []string{"--kernel", kernel,
			"--machine", "q35", "--qemu-arg", "-device", "--qemu-arg", "edu",
			"--qemu-arg", "-device", "--qemu-arg", "nvme,serial=1"},
			args: []string{probeFlag + file}, status: 126,
			stdout: "other: the device was taken, then free\n",
			inErr: []string{"init: absent: the machine has no device " +
				"pci:1234:11e8:1; it has: virtio's type 4 "},
			twice:  []string{edu, nvme, "; given up after 1 restart\n"},
			notErr: "leak"})
	}
	return s.runToolCases(ctx, build, cases)
}
