@0xa8b7c6d5e4f3021b;
# Address space, memory and memory objects.

using C = import "annotations.capnp";

const pageSize :UInt32 = 4096;
const largePageSize :UInt32 = 2097152;
const userTop :UInt64 = 0x7ffffffff000;
# first address past the user half; address 0 to 4095 is never mapped
const reservedPagesMax :UInt64 = 0x800000000; # per process: 2^35 pages, the whole user half

const protRead :UInt32 = 1;
const protWrite :UInt32 = 2;
const protExec :UInt32 = 4;
const commitDemandZero :UInt32 = 256;
# With commit and map: charge and give frames page by page at first touch (demand-zero). Without:
# charge all now.

interface VirtualMemory @0xb2e4d6c8fa1b3c5d $C.grants([(name = "vm", bit = 3)]) {
  # The caller's address space below userTop. hint 0: the kernel chooses. Another hint is taken
  # exactly when that range is free and otherwise ignored. Sizes are rounded up to pages; hints and
  # addresses must be page-aligned.
  map @0 (hint :UInt64, size :UInt64, prot :UInt32) -> (addr :UInt64)
    $C.errors([invalidArgument, misaligned, outOfRange, protectionDenied, noMemory,
      noReservation]);
  # Reserve and commit in one step. prot may carry commitDemandZero.
  unmap @1 (addr :UInt64, size :UInt64) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionDenied, notReserved, noMemory]);
  # Gives back range, frames and charges. Any part of a reservation, or parts of several, may be
  # named; every page must be reserved. protectionDenied: the kernel placed the page (ring, CapSet,
  # clock, boot image). protect, commit and decommit refuse it too.
  protect @2 (addr :UInt64, size :UInt64, prot :UInt32) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionDenied, notReserved,
      notCommitted, noMemory]);
  # Every page must be committed. prot 0 keeps contents and frames; a later protect shows them
  # again.
  reserve @3 (hint :UInt64, size :UInt64) -> (addr :UInt64)
    $C.errors([invalidArgument, misaligned, outOfRange, noReservation, noMemory]);
  # Address space only.
  commit @4 (addr :UInt64, size :UInt64, prot :UInt32) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionDenied, notReserved, noMemory]);
  # Pages not committed before become committed and read zero. Pages committed before keep contents,
  # mode and charge and take the new protection. All or nothing.
  decommit @5 (addr :UInt64, size :UInt64) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionDenied, notReserved, noMemory]);
  # Frees frames and charges; the range stays reserved. Pages not committed are left alone.
  query @6 (addr :UInt64) -> (info :Data) $C.errors([outOfRange, badAddress]);
  # RegionInfo of the region around the address, or of the gap.
  usage @7 () -> (usage :Data) $C.errors([badAddress]);
  # MemoryUsage of the process.
}

enum RegionState {
  free @0;
  reserved @1;
  committed @2;
  demandZero @3;
  object @4;
  # a MemoryObject, the boot image, or a page the kernel placed (ring, CapSet, clock)
}

struct RegionInfo $C.fixed(64) {
  start @0 :UInt64;
  size @1 :UInt64;            # bytes, up to the next region with other properties
  state @2 :UInt32;           # RegionState
  prot @3 :UInt32;
  residentPages @4 :UInt64;   # pages that have a frame
  reserved @5 :Data $C.length(32);
}

struct MemoryUsage $C.fixed(64) {
  reservedPages @0 :UInt64;
  reservedLimit @1 :UInt64;
  committedPages @2 :UInt64;
  # charged: committed pages, demand-zero pages touched, pages of memory objects it made, and what
  # its threads cost
  committedLimit @3 :UInt64;   # 0: none but the machine's
  residentPages @4 :UInt64;
  peakCommitted @5 :UInt64;
  machineFreePages @6 :UInt64; # neither in use nor reserved
  machinePages @7 :UInt64;
}

interface MemoryAllocator @0xc3d5e7f90b2c4d6e $C.grants([(name = "memory_allocator", bit = 4)]) {
  create @0 (size :UInt64) -> (object :MemoryObject)
    $C.errors([invalidArgument, noMemory, noSlots]);
  # Zeroed frames, charged to the caller until the last holder lets go.
}

interface MemoryObject @0xd4e6f8010c3d5e7f {
  info @0 () -> (pages :UInt64);
  map @1 (hint :UInt64, offset :UInt64, size :UInt64, prot :UInt32) -> (addr :UInt64)
    $C.errors([invalidArgument, misaligned, outOfRange, protectionDenied, noReservation,
      noMemory]);
  unmap @2 (addr :UInt64, size :UInt64) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, notReserved, noMemory]);
  # The range must be a mapping of this object.
  protect @3 (addr :UInt64, size :UInt64, prot :UInt32) -> ()
    $C.errors([invalidArgument, misaligned, outOfRange, protectionDenied, notReserved, noMemory]);
}
