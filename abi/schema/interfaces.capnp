@0xd2c1f0a4b7e63958;
# Every interface of the kernel. A method's ordinal is its number; the interface id is the type id
# below.
#
# Compact form (opcode compact, in the ring or in registers): parameters in order, a scalar is one
# word, Data and Text are two (address, length). A Data result adds two words (address, capacity)
# and yields the bytes written. A single unsigned scalar or capability is the result word. Any other
# result (several scalars, or a signed one, which could look like an error) adds one word, the
# address of an array of 64-bit words that receives it. If that makes more words than fit (5 in
# registers, 6 in the ring), the first word is instead the address of an array holding all of them.

using C = import "annotations.capnp";

interface Console @0xa1f3c5d2e4b60718 {
  # A byte stream of the machine's console: "stdin", "stdout" and "stderr" are three of them.
  write @0 (data :Data) -> () $C.errors([badAddress, noRights, noMemory]) $C.blocks;
  # Writes all bytes, in order.
  writeLine @1 (text :Text) -> () $C.errors([badAddress, noRights, noMemory]) $C.blocks;
  # Writes the text and a newline, as one piece up to messageBytesMax.
  read @2 (maxBytes :UInt32) -> (data :Data) $C.errors([invalidArgument, badAddress, noRights, interrupted, noMemory])
    $C.blocks;
  # Waits for at least one byte. No bytes: end of file.
}

interface VirtualMemory @0xb2e4d6c8fa1b3c5d {
  # The caller's address space below userTop. hint 0: the kernel chooses. Another hint is taken
  # exactly when that range is free and otherwise ignored. Sizes are rounded up to pages; hints and
  # addresses must be page-aligned.
  map @0 (hint :UInt64, size :UInt64, prot :UInt32) -> (addr :UInt64)
    $C.errors([invalidArgument, misaligned, outOfRange, protectionRefused, noMemory, noReservation]);
  # Reserve and commit in one step. prot may carry commitSparse.
  unmap @1 (addr :UInt64, size :UInt64) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionRefused, notReserved, noMemory]);
  # Gives back range, frames and charges. Any part of a reservation, or parts of several, may be
  # named; every page must be reserved. protectionRefused: the kernel placed the page (ring, CapSet,
  # clock, boot image). protect, commit and decommit refuse it too.
  protect @2 (addr :UInt64, size :UInt64, prot :UInt32) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionRefused, notReserved, notCommitted, noMemory]);
  # Every page must be committed. prot 0 keeps contents and frames; a later protect shows them
  # again.
  reserve @3 (hint :UInt64, size :UInt64) -> (addr :UInt64)
    $C.errors([invalidArgument, misaligned, outOfRange, noReservation, noMemory]);
  # Address space only.
  commit @4 (addr :UInt64, size :UInt64, prot :UInt32) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionRefused, notReserved, noMemory]);
  # Pages not committed before become committed and read zero. Pages committed before keep contents,
  # mode and charge and take the new protection. All or nothing.
  decommit @5 (addr :UInt64, size :UInt64) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionRefused, notReserved, noMemory]);
  # Frees frames and charges; the range stays reserved. Pages not committed are left alone.
  query @6 (addr :UInt64) -> (info :Data) $C.errors([outOfRange, badAddress]);
  # RegionInfo of the region around the address, or of the gap.
  usage @7 () -> (usage :Data) $C.errors([badAddress]);
  # MemoryUsage of the process.
}

interface MemoryAllocator @0xc3d5e7f90b2c4d6e {
  create @0 (size :UInt64) -> (object :MemoryObject) $C.errors([invalidArgument, noMemory, noSlots]);
  # Zeroed frames, charged to the caller until the last holder lets go.
}

interface MemoryObject @0xd4e6f8010c3d5e7f {
  info @0 () -> (pages :UInt64);
  map @1 (hint :UInt64, offset :UInt64, size :UInt64, prot :UInt32) -> (addr :UInt64)
    $C.errors([invalidArgument, misaligned, outOfRange, protectionRefused, noReservation, noMemory]);
  unmap @2 (addr :UInt64, size :UInt64) -> () $C.errors([invalidArgument, misaligned, outOfRange, notReserved, noMemory]);
  # The range must be a mapping of this object.
  protect @3 (addr :UInt64, size :UInt64, prot :UInt32) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionRefused, notReserved, noMemory]);
}

interface ThreadControl @0xe5f709120d4e6f80 {
  # Acts on the calling thread only.
  getFsBase @0 () -> (base :UInt64);
  setFsBase @1 (base :UInt64) -> () $C.errors([outOfRange]);
  exitThread @2 () -> ();
  # Does not return. Uses no user memory after entry.
  setNotification @3 (handler :UInt64, stack :UInt64, size :UInt64) -> () $C.errors([invalidArgument, outOfRange]);
  # handler 0: none. stack is the lowest address. The handler is entered with RDI = kind, RSI = RDX
  # = address of a ThreadState.
  setMask @4 (set :UInt64, clear :UInt64) -> (previous :UInt64);
  # New mask = (old | set) & ~clear; bit n masks kind n. Faults cannot be masked: masked, they end
  # the process.
  resume @5 (state :UInt64) -> () $C.errors([badAddress, invalidArgument]);
  # Continues from the ThreadState at that address, edited or not. Does not return on success.
  yield @6 () -> ();
  self @7 () -> (handle :ThreadHandle) $C.errors([noMemory, noSlots]);
  setProfile @8 (intervalNs :UInt64) -> () $C.errors([invalidArgument]);
  # A profileTick for every interval of CPU time the thread uses; 0 stops it. At least 100 000.
  info @9 () -> (info :Data) $C.errors([badAddress]);
  # ThreadInfo.
  setProcessProfile @10 (intervalNs :UInt64) -> () $C.errors([invalidArgument]);
  # The same for the CPU time of the whole process: the tick goes to the thread that is running when
  # the interval is used up.
}

interface ThreadSpawner @0xf608192a3b5c7d91 {
  spawn @0 (entry :UInt64, stack :UInt64, argument :UInt64, fsBase :UInt64, mask :UInt64, name :Text) -> (handle :ThreadHandle)
    $C.errors([invalidArgument, outOfRange, badAddress, noMemory, noReservation, noSlots, limitReached]);
  # The thread starts at entry with RSP = stack, RDI = argument, RSI = thread id, RDX = ring
  # address, all other registers zero. stack is the initial stack pointer; the kernel neither reads
  # nor writes there. noReservation: no address is left for the thread's ring page.
}

interface ThreadHandle @0x8719202b3c4d5e6f {
  join @0 (timeoutNs :UInt64) -> (exitCode :Int64) $C.errors([timedOut, interrupted, wrongState]) $C.blocks;
  # Any number of threads may join. wrongState: of itself.
  detach @1 () -> ();
  # Nobody will join: the record goes with the thread.
  notify @2 (kind :UInt32, value :UInt64) -> () $C.errors([invalidArgument, notFound]);
  # Kinds notifyUserFirst to notifyUserLast. Coalesced per kind, never lost. notFound: the thread
  # has ended.
  suspend @3 () -> () $C.errors([notFound, wrongState, interrupted]) $C.blocks;
  # Returns once the thread is not running. Counts: as many resumes are needed.
  readState @4 () -> (state :Data) $C.errors([wrongState, notFound, badAddress]);
  writeState @5 (state :Data) -> () $C.errors([wrongState, notFound, invalidArgument, badAddress]);
  # ThreadState of a suspended thread. A thread that is inside a blocking call can be read but not
  # written.
  resume @6 () -> () $C.errors([wrongState, notFound]);
  cpuTime @7 () -> (ns :UInt64);
  setAffinity @8 (cpus :UInt64) -> () $C.errors([invalidArgument, notFound]);
  info @9 () -> (info :Data) $C.errors([badAddress]);
  # ThreadInfo.
}

interface ParkSpace @0x982a3b4c5d6e7f01 {}
# Marker: authority for park and unpark on words of the caller's own memory.

interface SharedParkSpace @0xa93b4c5d6e7f8012 {}
# Marker: the same for words inside MemoryObjects, keyed by object, generation and offset.

interface Timer @0xba4c5d6e7f801923 {
  now @0 () -> (monotonicNs :UInt64, tick :UInt64);
  # tick is the time-stamp counter just before the time was read: not the very reading the time was
  # made from, and where the HPET is the clock not even of the same clock.
  sleep @1 (durationNs :UInt64) -> () $C.errors([interrupted]) $C.blocks;
  sleepUntil @2 (deadlineNs :UInt64) -> () $C.errors([interrupted]) $C.blocks;
  wall @3 () -> (unixNs :Int64);
}

interface EntropySource @0xcb5d6e7f80192a34 {
  fill @0 (length :UInt32) -> (data :Data) $C.errors([notSeeded, badAddress, invalidArgument]);
  # At most 65 536 bytes a call (fewer in a message).
  status @1 () -> (sources :UInt32);
  # Bit 0 RDSEED, 1 RDRAND, 2 virtio-rng, 3 boot seed. 0: not seeded.
}

interface BootImage @0xdc6e7f80192a3b45 {
  manifestSize @0 () -> (size :UInt64);
  readManifest @1 (offset :UInt64, maxBytes :UInt32) -> (data :Data) $C.errors([outOfRange, badAddress]);
  map @2 () -> (addr :UInt64) $C.errors([noReservation, noMemory]);
  # The whole image, read-only, in the caller's address space; once per process, later calls give
  # the same address.
}

interface SystemInfo @0xed7f80192a3b4c56 {
  process @0 () -> (info :Data) $C.errors([badAddress]);
  # ProcessInfo of the caller.
  release @1 () -> (text :Data) $C.errors([badAddress]);
  # Kernel name, version, machine; one line.
}

interface HostShare @0xfe80192a3b4c5d67 {
  # Hands files to whoever started the machine.
  write @0 (name :Text, offset :UInt64, data :Data) -> () $C.errors([invalidArgument, badAddress, disconnected, noMemory]) $C.blocks;
  # The name is relative; data is at most 65 536 bytes; data at offset 0 begins the file anew.
}

struct CapException {
  # What a refused ring call leaves in its result buffer.
  type @0 :Type;
  code @1 :UInt16;       # ErrorCode
  detail @2 :UInt64;     # the argument's position, the limit, or what was left; 0: nothing to add
  reason @3 :Text;
  enum Type {
    failed @0;
    overloaded @1;
    disconnected @2;
    unimplemented @3;
    invalidArgument @4;
  }
}
