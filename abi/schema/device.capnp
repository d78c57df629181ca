@0xe6c1f0a47b9d2358;
# Virtio devices, for the programs that drive them. The kernel owns the queues; a driver names
# memory by its place in a pool. docs/drivers.md is the guide.

using C = import "annotations.capnp";

const deviceQueuesMax :UInt32 = 8;      # of a device, numbered from 0
const deviceQueueSizeMax :UInt32 = 256; # entries of a queue
const devicePoolPagesMax :UInt32 = 4096;
const deviceBatchMax :UInt32 = 64;      # buffers of one submit, and results of one collect

const deviceBufferWrite :UInt32 = 1;    # the device writes it; else it reads it
const deviceBufferMore :UInt32 = 2;     # the next buffer belongs to the same request

struct DeviceBuffer $C.fixed(24) {
  # A part of a request: bytes of the pool. Within a request those that the device reads come first.
  offset @0 :UInt64;           # in the pool
  token @1 :UInt64;            # of a request's first part: comes back with DeviceDone
  length @2 :UInt32;           # in bytes
  flags @3 :UInt32;            # deviceBufferWrite, deviceBufferMore
}

struct DeviceDone $C.fixed(16) {
  # A request that the device has finished with.
  token @0 :UInt64;
  length @1 :UInt32;
  # bytes that the device says it has written, and no more than it could
  reserved @2 :UInt32;
}

struct DeviceDescription $C.fixed(64) {
  # What a device says of itself. It is not checked, because nothing in the kernel depends on it.
  type @0 :UInt32;             # virtio's number: 1 network, 2 block, 4 entropy
  legacy @1 :UInt32;           # 1: older than version 1 of virtio
  features @2 :UInt64;         # that it offers
  configSize @3 :UInt32;       # bytes of its configuration
  configGeneration @4 :UInt32; # changes when the configuration may have
  status @5 :UInt32;           # its status register
  reserved @6 :UInt32;
  queueSizes @7 :Data $C.length(16);
  # for each queue the most entries that it can have, 16 bits each; 0: no such queue
  reserved2 @8 :Data $C.length(16);
}

interface DeviceManager @0xc7a2e91f50b38d46 $C.grants([(name = "devices", bit = 18)]) {
  # The machine's virtio devices, but for the kernel's console, and for those whose requests would
  # name memory to the device in ways that the kernel does not check.
  typeOf @0 (number :UInt32) -> (type :UInt32);
  # Tells which devices there are.
  # number: of the device, from 0 on
  # type: virtio's number
  # notFound: there is no device with that number, and none with a higher one
  open @1 (number :UInt32) -> (device :Device);
  # Takes a device and resets it. It is free again when there is no capability for it any more, in
  # any process or message, and it has reset itself.
  # number: of the device
  # device: the device, charged to the caller
  # notFound: there is no such device
  # busy: there is a capability for it
  # disconnected: the device does not reset itself
  # noMemory: no memory for the kernel's record of it, or no charge is left
  # noSlots: the process holds as many capabilities as it may
}

interface Device @0x94d3b6085ef1c72a {
  # A device. A driver agrees on features, adds queues, binds an event, starts the device, and then
  # submits and collects until it resets the device or lets go of it.
  info @0 () -> (info :Data);
  # Tells what the device is.
  # info: DeviceDescription
  # badAddress: info cannot be written
  # busy: another call sets the device up
  readConfig @1 (offset :UInt32, width :UInt32) -> (value :UInt64);
  # Reads from the configuration that devices of this type have.
  # offset: of the first byte, a multiple of width
  # width: 1, 2 or 4 bytes, as the field is
  # value: the bytes, as a number
  # invalidArgument: width is none of these
  # misaligned: offset is no multiple of width
  # outOfRange: the configuration ends before
  writeConfig @2 (offset :UInt32, width :UInt32, value :UInt64) -> ();
  # Writes to that configuration.
  # offset: of the first byte, a multiple of width
  # width: 1, 2 or 4 bytes, as the field is
  # value: the bytes, as a number; what is above width is left out
  # invalidArgument: width is none of these
  # misaligned: offset is no multiple of width
  # outOfRange: the configuration ends before
  negotiate @3 (features :UInt64) -> (agreed :UInt64);
  # Resets the device and agrees on features. Those from 24 to 49 are about queues and the way to
  # memory; of them the kernel agrees on VERSION_1, ACCESS_PLATFORM and ORDER_PLATFORM where the
  # device offers them, and a driver may ask for ANY_LAYOUT (27). The others are the type's.
  # features: those that the driver wants, as bits
  # agreed: those that both have
  # noRights: a bit stands for one that is the kernel's
  # busy: another call sets the device up
  # disconnected: the device refuses, or does not reset itself
  addQueue @4 (number :UInt32, size :UInt32, pool :UInt32) -> ();
  # Makes a queue. Its memory and the list of the pool's frames are charged to the caller, and all
  # pages of the pool get their frames. The pool is kept until the device has been reset.
  # number: of the queue, below deviceQueuesMax
  # size: entries, a power of two, up to deviceQueueSizeMax and what the device allows
  # pool: the CapId of a MemoryObject, not of a revocable copy
  # invalidArgument: size is no power of two, or larger than it may be
  # notFound: the device has no queue with that number, or the caller holds no MemoryObject there
  # limitReached: the pool has more than devicePoolPagesMax pages
  # wrongState: there are no features yet, the device runs, or there is that queue
  # busy: another call sets the device up
  # noMemory: no memory for the queue, or no charge is left
  # disconnected: the device does not take the queue
  start @5 () -> ();
  # Lets the device begin.
  # wrongState: there are no features yet, or the device runs
  # busy: another call sets the device up
  submit @6 (queue :UInt32, buffers :Data) -> (entries :UInt64);
  # Gives the device requests, all of them or none, and tells it of them. The kernel writes the
  # queue, from a copy of what it has checked.
  # queue: its number
  # buffers: DeviceBuffer, up to deviceBatchMax
  # entries: how many the queue has left. A buffer takes one for each page that it touches
  # invalidArgument: no whole buffers, or too many; an unknown flag, no bytes; one that the device
  #   reads behind one that it writes; the last is to be followed by another
  # outOfRange: a buffer is not within the pool
  # limitReached: the queue has fewer entries left
  # badAddress: buffers cannot be read
  # noMemory: no memory for the kernel's copy, or no charge is left
  # notFound: there is no such queue
  # wrongState: the device does not run
  # disconnected: the device has finished requests that it was not given
  collect @7 (queue :UInt32) -> (done :Data);
  # Takes what the device has finished with. A request comes once, also where the result cannot be
  # written.
  # queue: its number
  # done: DeviceDone for each, as many as there are and fit, up to deviceBatchMax
  # invalidArgument: there is no room for one
  # badAddress: done cannot be written
  # noMemory: no memory for the kernel's copy, or no charge is left; nothing was taken
  # notFound: there is no such queue
  # wrongState: the device does not run
  # disconnected: the device has finished requests that it was not given
  bind @8 (event :UInt32, bits :UInt64) -> ();
  # Binds an event to the device's interrupt, instead of another. The bits are set once when the
  # device has finished requests, its configuration has changed, or it has done what no device may;
  # then its interrupts are kept back until acknowledge.
  # event: the CapId of an Event, not of a revocable copy
  # bits: those to set; 0: no event is bound any more
  # notFound: the caller does not hold an Event there
  acknowledge @9 () -> ();
  # Lets interrupts in again. If a queue has requests to collect, the bits are set at once.
  # wrongState: the device does not run
  reset @10 () -> ();
  # Stops the device. Its queues are gone, and what was in them, and the pools are let go.
  # busy: another call sets the device up
  # disconnected: the device does not reset itself, and keeps its queues and pools
}
