package main

import (
	"maps"
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

// device checks a device that a service is to drive. It has one driver, and which devices there are
// is known when the machine runs.
func (c *checker) device(i int, name string, pos token.Pos, s *manifest.Service) {
	kind, place, numbered := strings.Cut(name, ":")
	number, known := deviceTypes[kind]
	if !known {
		c.add(pos, "there is no kind of device %q; there are %s", kind,
			strings.Join(slices.Sorted(maps.Keys(deviceTypes)), ", "))
		return
	}
	index, err := strconv.ParseUint(place, 10, 16)
	if numbered && (err != nil || strconv.FormatUint(index, 10) != place || index == 0) {
		c.add(pos, "%q is no place among the devices of a kind; the first has none, the "+
			"second is \"%s:1\"", place, kind)
		return
	}
	if other, taken := c.took[name]; taken && other != i {
		c.add(pos, "%s drives %s already; a device has one driver",
			c.in.InitConfig.Services[other].Name, name)
	}
	c.took[name] = i
	if !slices.Contains(c.held, "devices") {
		c.cannotGive("devices", s.Name, pos)
	}
	s.Devices = append(s.Devices, manifest.Device{Name: name, Type: number,
		Index: uint32(index)})
}
