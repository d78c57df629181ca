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
  # An address space below userTop: that of the process that calls. A copy that leaves its process
  # is on behalf of it, and acts on its address space at its cost, whoever calls (docs/abi.md).
  # hint 0: the kernel chooses. Another hint is taken exactly when that range is free and otherwise
  # ignored. Sizes are rounded up to pages; hints and addresses must be page-aligned.
  map @0 (hint :UInt64, size :UInt64, prot :UInt32) -> (addr :UInt64);
  # Reserves and commits in one step.
  # hint: where the range is to begin, a multiple of pageSize; 0: the kernel chooses
  # size: bytes, rounded up to pages
  # prot: protRead, protWrite, protExec, and commitDemandZero
  # addr: where the range begins
  # invalidArgument: size is 0, or prot has an unknown bit
  # misaligned: hint is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # protectionDenied: prot is writable and executable
  # noReservation: reservedLimit is reached, or there is no gap of that size
  # noMemory: less than size can be charged or reserved, no memory for the kernel's records of the
  #   address space, or as many of these as there may be
  # disconnected: the capability is on behalf of a process that ends or has ended
  unmap @1 (addr :UInt64, size :UInt64) -> ();
  # Gives back range, frames and charges. The range may be any part of a reservation, or parts of
  # several. Frames and charges go back in any case. The addresses stay reserved when the range
  # is in the middle of a reservation or mapping and there is no memory for the kernel's record of
  # the second part, or as many records as there may be; and when an edge is as decommit describes.
  # addr: where the range begins
  # size: bytes, rounded up to pages
  # invalidArgument: size is 0
  # misaligned: addr is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # notReserved: part of the range is not reserved, or another thread is taking it away
  # protectionDenied: the kernel placed a page of the range (ring, CapSet, clock, boot image)
  # disconnected: the capability is on behalf of a process that ends or has ended
  protect @2 (addr :UInt64, size :UInt64, prot :UInt32) -> ();
  # Changes what the program may do with committed pages. With prot 0 contents and frames stay; a
  # later protect shows them again.
  # addr: where the range begins
  # size: bytes, rounded up to pages
  # prot: protRead, protWrite, protExec; 0: no access
  # invalidArgument: size is 0, or prot has an unknown bit
  # misaligned: addr is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # notReserved: part of the range is not reserved, or another thread is taking it away
  # notCommitted: part of the range is reserved only
  # protectionDenied: prot is writable and executable, or more than the pages were mapped with
  #   allow; or the kernel placed a page of the range
  # noMemory: a whole GiB was committed demand-zero at once, the range begins or ends in a part of
  #   it that was never touched, and there is no memory for a page table
  # disconnected: the capability is on behalf of a process that ends or has ended
  reserve @3 (hint :UInt64, size :UInt64) -> (addr :UInt64);
  # Takes address space only: no memory is charged.
  # hint: where the range is to begin, a multiple of pageSize; 0: the kernel chooses
  # size: bytes, rounded up to pages
  # addr: where the range begins
  # invalidArgument: size is 0
  # misaligned: hint is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # noReservation: reservedLimit is reached, or there is no gap of that size
  # noMemory: no memory for the kernel's records of the address space, or as many of these as there
  #   may be
  # disconnected: the capability is on behalf of a process that ends or has ended
  commit @4 (addr :UInt64, size :UInt64, prot :UInt32) -> ();
  # Pages not committed before become committed and read zero. Pages committed before keep contents,
  # mode and charge and take the new protection. All or nothing.
  # addr: where the range begins
  # size: bytes, rounded up to pages
  # prot: protRead, protWrite, protExec, and commitDemandZero; 0: no access
  # invalidArgument: size is 0, or prot has an unknown bit
  # misaligned: addr is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # notReserved: part of the range is not reserved, or another thread is taking it away
  # protectionDenied: prot is writable and executable, or more than the pages were mapped with
  #   allow; or the kernel placed a page of the range
  # noMemory: less can be charged or reserved than the range needs, no memory for the kernel's
  #   records of the address space, or as many of these as there may be
  # disconnected: the capability is on behalf of a process that ends or has ended
  decommit @5 (addr :UInt64, size :UInt64) -> ();
  # Frees frames and charges; the range stays reserved. Pages not committed are left alone. So is an
  # edge of the range in a part, never touched, of a whole GiB that was committed demand-zero at
  # once, when there is no memory for a page table: these pages hold nothing, and read zero.
  # addr: where the range begins
  # size: bytes, rounded up to pages
  # invalidArgument: size is 0
  # misaligned: addr is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # notReserved: part of the range is not reserved, or another thread is taking it away
  # protectionDenied: the kernel placed a page of the range
  # disconnected: the capability is on behalf of a process that ends or has ended
  query @6 (addr :UInt64, size :UInt64) -> (info :Data);
  # Tells what an address is for.
  # addr: any address of the user half
  # size: bytes, rounded up to pages: info is of these pages at most. 0: of all around the address
  # info: RegionInfo of the pages around the address that are like it, or of the gap. It may be of
  #   no one moment when other threads change these pages meanwhile. A gap is told of as a whole
  # outOfRange: addr is not below userTop
  # badAddress: info cannot be written
  # disconnected: the capability is on behalf of a process that ends or has ended
  usage @7 () -> (usage :Data);
  # Tells what the process uses.
  # usage: MemoryUsage
  # badAddress: usage cannot be written
  # disconnected: the capability is on behalf of a process that ends or has ended
  mapObject @8 (object :UInt32, hint :UInt64, offset :UInt64, size :UInt64, prot :UInt32)
      -> (addr :UInt64);
  # Maps a range of a MemoryObject, as its map does in the caller's address space. Where the caller
  # has the object by a revocable copy, revocation takes the mapping away.
  # object: the CapId of a MemoryObject
  # hint: where the mapping is to begin, a multiple of pageSize; 0: the kernel chooses
  # offset: of the object's first byte to be mapped, a multiple of pageSize
  # size: bytes, rounded up to pages
  # prot: protRead, protWrite, protExec; 0: no access
  # addr: where the mapping begins
  # notFound: the caller does not hold a MemoryObject there
  # revoked: object is a revocable copy that is revoked
  # invalidArgument: size is 0, or prot has an unknown bit
  # misaligned: hint or offset is no multiple of pageSize
  # outOfRange: the range ends above userTop, or after the object
  # protectionDenied: prot is writable and executable
  # noReservation: reservedLimit is reached, or there is no gap of that size
  # noMemory: no memory for page tables, no memory for the kernel's records of the address space, or
  #   as many of these as there may be
  # disconnected: the capability is on behalf of a process that ends or has ended
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
  size @1 :UInt64;            # bytes, up to the next page with other properties
  state @2 :UInt32;           # RegionState
  prot @3 :UInt32;
  residentPages @4 :UInt64;   # pages that have a frame
  reserved @5 :Data $C.length(32);
}

struct MemoryUsage $C.fixed(128) {
  reservedPages @0 :UInt64;
  reservedLimit @1 :UInt64;    # pages
  committedPages @2 :UInt64;
  # charged: committed pages, demand-zero pages touched, pages of memory objects it made, what its
  # threads cost, kernelPages, and for processes that it started their limits or what they use
  committedLimit @3 :UInt64;   # pages; 0: none but the machine's
  residentPages @4 :UInt64;
  peakCommitted @5 :UInt64;    # pages: the most that committedPages has been
  machineFreePages @6 :UInt64; # neither in use nor reserved
  machinePages @7 :UInt64;
  kernelPages @8 :UInt64;
  # of committedPages: what the kernel keeps for the process, in whole frames, apart from threads:
  # page tables and those reserved for blocks, records of the address space, of capabilities and of
  # objects, messages of more than a page
  reserved @9 :Data $C.length(56);
}

interface MemoryAllocator @0xc3d5e7f90b2c4d6e $C.grants([(name = "memory_allocator", bit = 4)]) {
  create @0 (size :UInt64) -> (object :MemoryObject);
  # Makes an object of zeroed frames, which is charged until its last holder releases it: to the
  # caller, or to the process on whose behalf the capability is.
  # size: bytes, rounded up to pages
  # object: the new object
  # invalidArgument: size is 0
  # noMemory: less than size can be charged or reserved, or there is no memory for the kernel's
  #   records of it
  # noSlots: the process holds as many capabilities as it may
  # disconnected: the capability is on behalf of a process that ends or has ended
}

interface MemoryObject @0xd4e6f8010c3d5e7f {
  info @0 () -> (pages :UInt64);
  # Tells the object's size.
  # pages: how many it has
  map @1 (hint :UInt64, offset :UInt64, size :UInt64, prot :UInt32) -> (addr :UInt64);
  # Maps a range of the object.
  # hint: where the mapping is to begin, a multiple of pageSize; 0: the kernel chooses
  # offset: of the object's first byte to be mapped, a multiple of pageSize
  # size: bytes, rounded up to pages
  # prot: protRead, protWrite, protExec; 0: no access
  # addr: where the mapping begins
  # invalidArgument: size is 0, or prot has an unknown bit
  # misaligned: hint or offset is no multiple of pageSize
  # outOfRange: the range ends above userTop, or after the object
  # protectionDenied: prot is writable and executable
  # noReservation: reservedLimit is reached, or there is no gap of that size
  # noMemory: no memory for page tables, no memory for the kernel's records of the address space, or
  #   as many of these as there may be
  unmap @2 (addr :UInt64, size :UInt64) -> ();
  # Takes mappings of this object away. The addresses stay reserved in the same cases as with
  # VirtualMemory.unmap.
  # addr: where the range begins
  # size: bytes, rounded up to pages
  # invalidArgument: size is 0
  # misaligned: addr is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # notReserved: part of the range is no mapping of this object, or another thread is taking it away
  protect @3 (addr :UInt64, size :UInt64, prot :UInt32) -> ();
  # Changes what the program may do with mappings of this object.
  # addr: where the range begins
  # size: bytes, rounded up to pages
  # prot: protRead, protWrite, protExec; 0: no access
  # invalidArgument: size is 0, or prot has an unknown bit
  # misaligned: addr is no multiple of pageSize
  # outOfRange: the range ends above userTop
  # notReserved: part of the range is no mapping of this object, or another thread is taking it away
  # protectionDenied: prot is writable and executable
}
