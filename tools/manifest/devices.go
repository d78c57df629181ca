package main

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/token"

	"capos.dev/tools/internal/manifest"
)

// deviceTypes are the devices that a manifest can name, with virtio's numbers of their types
// (virtio 1.2, chapter 5). Those that the kernel gives to programs are in kernel/dev/virtio.c.
var deviceTypes = map[string]uint32{"virtio-net": 1, "virtio-blk": 2, "virtio-console": 3,
	"virtio-rng": 4, "virtio-9p": 9, "virtio-input": 18, "virtio-vsock": 19}

// trustedDevices is the grant of all devices with registers.
const trustedDevices = "trusted_devices"

// pciName is a device with registers: vendor and device as PCI has them, and its place.
var pciName = regexp.MustCompile(`^pci:([0-9a-f]{4}):([0-9a-f]{4})(:.*)?$`)

// parseDevice finds out what a name in devices means; place is what is behind the kind.
func (c *checker) parseDevice(name string, pos token.Pos) (d manifest.Device, kind, place string,
	ok bool) {
	if m := pciName.FindStringSubmatch(name); m != nil {
		number, _ := strconv.ParseUint(m[1]+m[2], 16, 32) // they are digits
		return manifest.Device{Name: name, Type: uint32(number), Registers: true},
			strings.TrimSuffix(name, m[3]), m[3], true
	}
	kind, place, numbered := strings.Cut(name, ":")
	if numbered {
		place = ":" + place
	}
	number, known := deviceTypes[kind]
	if !known {
		c.add(pos, "there is no kind of device %q; there are %s, and pci:VENDOR:DEVICE",
			kind, strings.Join(slices.Sorted(maps.Keys(deviceTypes)), ", "))
	}
	return manifest.Device{Name: name, Type: number}, kind, place, known
}

// device checks a device that a service is to drive. It has one driver, and which devices there are
// is known when the machine runs.
func (c *checker) device(i int, name string, pos token.Pos, s *manifest.Service) {
	d, kind, place, ok := c.parseDevice(name, pos)
	if !ok {
		return
	}
	digits := strings.TrimPrefix(place, ":")
	index, err := strconv.ParseUint(digits, 10, 16)
	if place != "" && (err != nil || strconv.FormatUint(index, 10) != digits || index == 0) {
		c.add(pos, "%q is no place among the devices of a kind; the first has none, the "+
			"second is \"%s:1\"", digits, kind)
		return
	}
	d.Index = uint32(index)
	if other, taken := c.took[name]; taken && other != i {
		c.add(pos, "%s drives %s already; a device has one driver",
			c.in.InitConfig.Services[other].Name, name)
	}
	c.took[name] = i
	needed := "devices"
	if d.Registers {
		needed = trustedDevices
		c.trusted(i, name, pos)
	}
	if !slices.Contains(c.held, needed) {
		c.cannotGive(needed, s.Name, pos)
	}
	s.Devices = append(s.Devices, d)
}

// trusted is the check of what only services may have that the manifest calls trusted.
func (c *checker) trusted(i int, name string, pos token.Pos) {
	if w := &c.in.InitConfig.Services[i]; !w.Trusted {
		c.add(pos, "with %s %s could reach all memory; if it may, say in its service: "+
			"trusted: true", name, w.Name)
	}
}
