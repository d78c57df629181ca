@0xb83f06d1c5a2974e;
# Devices whose registers a driver maps. Such a device can be made to read and write all memory, so
# only drivers that the manifest calls trusted have them. docs/drivers.md is the guide.

using C = import "annotations.capnp";

const deviceBars :UInt32 = 6;
const deviceResetsItself :UInt32 = 1;
# The device has a reset of its own (PCI Express, function level reset).
const deviceInterrupts :UInt32 = 2;
# The device has an interrupt line from which it can be kept.
const deviceCombine :UInt32 = 256;
# For map: the processor may gather writes, and send them later and in another order.

struct PciDescription $C.fixed(64) {
  # What a PCI function says of itself, and where its registers are.
  vendor @0 :UInt16;
  device @1 :UInt16;
  classCode @2 :UInt32;        # class, sub-class and interface, 8 bits each from the highest
  place @3 :UInt16;            # bus, device and function: 8, 5 and 3 bits
  flags @4 :UInt16;            # deviceResetsItself, deviceInterrupts
  prefetchable @5 :UInt32;     # a bit for each region of which deviceCombine is allowed
  sizes @6 :Data $C.length(48);
  # for each of its deviceBars regions the bytes that can be mapped, 64 bits each; 0: none
}

interface RegisterManager @0xf1d60a9743e82b5c $C.grants([(name = "trusted_devices", bit = 21)]) {
  # PCI functions that the kernel does not drive and that are no virtio devices, bridges or
  # displays.
  describe @0 (number :UInt32) -> (description :Data);
  # Tells which there are.
  # number: of the device, from 0 on
  # description: PciDescription
  # notFound: there is no device with that number, and none with a higher one
  # badAddress: description cannot be written
  open @1 (number :UInt32) -> (registers :DeviceRegisters);
  # Takes a device, resets it, and lets it answer at its registers. It may not reach memory by
  # itself, because its bus mastering is off, and its interrupts are kept back. It is free again
  # when there is no capability for it and no mapping of its registers any more, in any process;
  # then it is reset.
  # number: of the device
  # registers: the device, charged to the caller
  # notFound: there is no such device
  # busy: there is a capability for it, or a mapping
  # noMemory: no memory for the kernel's record of it, or no charge is left
  # noSlots: the process holds as many capabilities as it may
}

interface DeviceRegisters @0x8e57b2c90d4f613a {
  # A device with registers that can be mapped.
  info @0 () -> (description :Data);
  # Tells what the device is.
  # description: PciDescription
  # badAddress: description cannot be written
  map @1 (bar :UInt32, hint :UInt64, offset :UInt64, size :UInt64, prot :UInt32) -> (addr :UInt64);
  # Maps registers, uncached, or write-combining where the driver says so: for memory of a device,
  # such as a picture's, that is much written to. The instruction sfence orders such writes. A
  # region is mapped in one of the two ways as long as the device is held, because the processor
  # does not keep mappings of both kinds in step. The mapping ends with the process, and like any
  # by vm.
  # bar: the region, below deviceBars
  # hint: wanted start of the mapping, or 0
  # offset: in the region, a multiple of the page size
  # size: how much, rounded up to pages
  # prot: protRead, protWrite, and deviceCombine
  # addr: where it is
  # notFound: the device has no such region, or not one of whole pages
  # noRights: prot has protExec, or deviceCombine and the region is not prefetchable
  # wrongState: the region was asked for in the other way since the device was opened
  # invalidArgument: size is 0, or prot has unknown bits
  # misaligned: hint or offset is no multiple of the page size
  # outOfRange: the region ends before, or hint is no place for a mapping
  # noReservation: reservedLimit is reached, or there is no gap of that size
  # noMemory: no memory for page tables or records, or no charge is left
  bind @2 (event :UInt32, bits :UInt64) -> ();
  # Binds an event to the device's interrupt, instead of another. After acknowledge the bits are set
  # once when the device asks for an interrupt; then its interrupts are kept back until acknowledge.
  # event: the CapId of an Event, not of a revocable copy
  # bits: those to set; 0: no event is bound any more
  # notFound: the caller does not hold an Event there
  # wrongState: the device has no interrupt line, or cannot be kept from it
  acknowledge @3 () -> ();
  # Lets interrupts in. If the device asks for one already, the bits are set at once. So a driver
  # first has the device ask no more.
  # wrongState: the device has no interrupt line, or cannot be kept from it
}
