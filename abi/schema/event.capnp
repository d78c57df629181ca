@0xb7a0d1c2e3f40516;
# Events: flag bits that threads set and wait for.

using C = import "annotations.capnp";

interface EventFactory @0x9a61c8b4d2e7f035 $C.grants([(name = "event_factory", bit = 14)]) {
  create @0 () -> (event :Event);
  # Makes an event whose bits are not set. It is charged to the caller until its last holder
  # releases it.
  # event: the new event
  # noMemory: no memory for the kernel's record of it, or no charge is left
  # noSlots: the process holds as many capabilities as it may
}

interface Event @0xd81f5a3c06b9e472 {
  # 64 flag bits. A bit that is set stays so until one wait takes it.
  signal @0 (bits :UInt64) -> ();
  # Sets bits. Threads that wait for one of them take it in the order in which they came; a bit that
  # is set already says nothing more.
  # bits: those to set, beside those that are
  wait @1 (mask :UInt64, deadlineNs :UInt64) -> (bits :UInt64) $C.blocks;
  # Waits until a bit of the mask is set, and takes those of the mask that are. They are not set any
  # more, also where the result cannot be written. Bit 63 is left for the next wait if bits 12 to 62
  # and one of the lowest 12 would come with it, because that result word would be an error.
  # mask: the bits to wait for
  # deadlineNs: nanoseconds since start; a past one only takes what there is; waitForever: none
  # bits: what it took
  # invalidArgument: mask is 0
  # timedOut: the deadline came first
  # interrupted: a notification came first
  # disconnected: the last capability for the event is gone
  waitOrPark @2 (mask :UInt64, park :UInt32, address :UInt64, expected :UInt32, deadlineNs :UInt64)
      -> (bits :UInt64) $C.blocks;
  # Waits as wait does, and as park does for a word of the caller's memory, for whichever comes
  # first. It compares the word, looks at the bits and queues in one step against signal and unpark.
  # Bits that are set come before a word that differs.
  # mask: the bits to wait for
  # park: the CapId of a ParkSpace
  # address: of the word, 4 bytes, 4-aligned
  # expected: what they are while the wait goes on
  # deadlineNs: nanoseconds since start; a past one only takes what there is; waitForever: none
  # bits: what it took; 0: the word differs, or an unpark has woken the thread
  # invalidArgument: mask is 0
  # notFound: the caller does not hold a ParkSpace there
  # misaligned: the word is not 4-aligned
  # badAddress: the word cannot be read, or was unmapped or decommitted meanwhile
  # timedOut: the deadline came first
  # interrupted: a notification came first
  # disconnected: the last capability for the event is gone
}
