@0x9d1e64c07b35a8f2;
# Pipes: bytes from those who write to those who read, in the order in which they were written.

using C = import "annotations.capnp";

const pipeBytesMax :UInt32 = 1048576;
const pipeWriteWhole :UInt32 = 4096;   # bytes of one write that come and wait as a whole
const pipeBindingsMax :UInt32 = 4;     # events bound to one end

struct PipeEnds $C.fixed(8) {
  # The two capabilities for a pipe.
  reader @0 :UInt32;
  writer @1 :UInt32;
}

interface PipeFactory @0xc5308ef61d9b7a24 $C.grants([(name = "pipe_factory", bit = 17)]) {
  create @0 (bytes :UInt64) -> (ends :Data);
  # Makes a pipe, which is charged to the caller until no end of it is left. An end is left as long
  # as there is a capability for it in any process, a call of one, or a message on its way that has
  # one.
  # bytes: how many it holds, 1 to pipeBytesMax; rounded up to pages
  # ends: PipeEnds, the CapIds of a PipeReader and a PipeWriter
  # invalidArgument: bytes is 0 or above pipeBytesMax, or the room for ends is shorter than PipeEnds
  # badAddress: ends cannot be written; no pipe is made
  # noMemory: no memory for the bytes or the kernel's record, or no charge is left
  # noSlots: the process holds as many capabilities as it may
}

interface PipeReader @0xe1b47c92f06d5a83 {
  # The end of a pipe from which bytes are read. Any number of threads of any processes may read;
  # each byte goes to one of them. They get their turns in the order in which they came.
  read @0 (maxBytes :UInt32, timeoutNs :UInt64) -> (data :Data) $C.blocks;
  # Waits for at least one byte, and takes those that there are and fit.
  # maxBytes: how many bytes are wanted at most
  # timeoutNs: how long to wait; waitForever: without end; 0: not at all
  # data: what there was; no bytes: none is left, and no end to write with
  # invalidArgument: maxBytes or the room for data is 0
  # badAddress: data cannot be written; its bytes wait for the next read
  # timedOut: no byte came in that time, or others were reading
  # interrupted: a notification came before a byte
  bind @1 (event :UInt32, bits :UInt64) -> ();
  # Binds an event to the end: the bits are set when a read would not have to wait, at once if that
  # is so now, and after that once for each time that reads have ended with timedOut. A second call
  # for the same event changes the bits.
  # event: the CapId of an Event, not of a revocable copy
  # bits: those to set; 0: the event is not bound any more
  # notFound: the caller does not hold an Event there
  # limitReached: pipeBindingsMax other events are bound
}

interface PipeWriter @0x8f6a21d5c4e3907b {
  # The end of a pipe into which bytes are written, by any number of threads of any processes. They
  # get their turns in the order in which they came, and no other write comes between the bytes of
  # one that writes all it was given.
  write @0 (data :Data, timeoutNs :UInt64) -> (count :UInt64) $C.blocks;
  # Writes all bytes, and waits for room. Up to pipeWriteWhole bytes are written as a whole or not
  # at all. Of more, a part is, where the call ends early, and that is no error.
  # data: what to write
  # timeoutNs: how long to wait; waitForever: without end; 0: not at all
  # count: how many bytes it wrote
  # badAddress: data cannot be read; nothing was written
  # disconnected: no end to read from is left; nothing was written
  # timedOut: there was no room for the bytes, or for pipeWriteWhole of them, in that time
  # interrupted: a notification came before such room
  bind @1 (event :UInt32, bits :UInt64) -> ();
  # As PipeReader.bind. The bits are set when there is room for pipeWriteWhole bytes, or no end to
  # read from is left.
  # event: the CapId of an Event, not of a revocable copy
  # bits: those to set; 0: the event is not bound any more
  # notFound: the caller does not hold an Event there
  # limitReached: pipeBindingsMax other events are bound
}
