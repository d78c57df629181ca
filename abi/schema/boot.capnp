@0x8e1d2c3b4a596877;
# The boot image: the programs and files with which the machine starts. Programs see its first
# BootImageHeader.totalSize bytes, which are whole pages: header, tables, names and files. What lies
# behind is for the kernel alone: the host's input, and the arguments and environments of all
# programs.

using C = import "annotations.capnp";

const bootImageMagic :UInt64 = 0x3149424f53504143;   # "CAPSOBI1"

struct BootImageHeader $C.fixed(64) {
  magic @0 :UInt64;
  version @1 :UInt32;          # abiVersion
  programCount @2 :UInt32;
  programsOffset @3 :UInt64;
  # BootProgram[programCount]; all offsets are from the start of the image
  fileCount @4 :UInt64;
  filesOffset @5 :UInt64;      # BootFile[fileCount]; entry 0 is the root directory
  totalSize @6 :UInt64;
  inputOffset @7 :UInt64;
  # What the host has to say, as messages of the host channel; 0: it says it over the channel.
  inputSize @8 :UInt64;
}

struct BootProgram $C.fixed(128) {
  # Programs run one after the other, each in a fresh process, in this order; those marked together
  # run at the same time.
  elfOffset @0 :UInt64;        # page-aligned
  elfSize @1 :UInt64;
  argsOffset @2 :UInt64;       # argsCount NUL-terminated strings
  argsSize @3 :UInt64;
  envOffset @4 :UInt64;        # envCount NUL-terminated strings
  envSize @5 :UInt64;
  argsCount @6 :UInt32;
  envCount @7 :UInt32;
  grants @8 :UInt64;           # bit mask of what $C.grants declares; 0 means all
  committedLimit @9 :UInt64;   # pages; 0: no limit but the machine's
  flags @10 :UInt32;           # bootProgramTogether, or 0
  threadLimit @11 :UInt32;     # of its budgets: 0: no limit of its own
  capabilityLimit @12 :UInt32;
  callLimit @13 :UInt32;
  cpuLimit @14 :UInt32;
  reserved @15 :Data $C.length(36);
}

const bootProgramTogether :UInt32 = 1;   # starts with the program before it in the table
const bootTogetherMax :UInt32 = 32;      # so many programs run at the same time

struct BootFile $C.fixed(64) {
  # A directory's children are contiguous and sorted by name (bytewise), so a path is looked up by
  # binary search per component.
  nameOffset @0 :UInt64;
  nameSize @1 :UInt32;
  mode @2 :UInt32;
  # bits 0..8 permissions; 0o040000 directory, 0o100000 file, 0o120000 symbolic link
  mtimeNs @3 :Int64;
  dataOffset @4 :UInt64;
  # file and link: page-aligned (file) bytes; directory: index of the first child
  size @5 :UInt64;             # file and link: bytes; directory: number of children
  reserved @6 :Data $C.length(24);
}

interface BootImage @0xdc6e7f80192a3b45 $C.grants([(name = "boot", bit = 11)]) {
  manifestSize @0 () -> (size :UInt64);
  # Tells the size of the image's tables.
  # size: bytes
  readManifest @1 (offset :UInt64, maxBytes :UInt32) -> (data :Data);
  # Reads the image's tables.
  # offset: of the first byte
  # maxBytes: how many bytes are wanted at most
  # data: what there is
  # outOfRange: offset is above the tables' size
  # badAddress: data cannot be written
  map @2 () -> (addr :UInt64);
  # Maps the image, read-only; once per process, later calls give the same address. The host's
  # input and the arguments and environments of its programs are not in the mapping; the sizes of
  # these and the files of all programs are.
  # addr: where it begins
  # noReservation: reservedLimit is reached, or there is no gap of that size
  # noMemory: no memory for page tables, no memory for the kernel's records of the address space, or
  #   as many of these as there may be
}
