@0xe2d0a1b4c3f59687;
# What a program starts with: the CapSet page, which names its capabilities.

using C = import "annotations.capnp";

const capSetMagic :UInt32 = 0x53504143;   # "CAPS"
const abiVersion :UInt16 = 1;

struct CapSetHeader $C.fixed(64) {
  magic @0 :UInt32;
  version @1 :UInt16;
  count @2 :UInt16;
  processId @3 :UInt64;
  ringAddress @4 :UInt64;      # of the first thread
  clockAddress @5 :UInt64;     # the clock page, 0 without a Timer
  tlsImage @6 :UInt64;
  # PT_TLS as loaded: address, file size, memory size and alignment, for later threads
  tlsFileSize @7 :UInt64;
  tlsMemSize @8 :UInt64;
  tlsAlign @9 :UInt32;
  reserved @10 :UInt32;
}

struct CapSetEntry $C.fixed(64) {
  cap @0 :UInt32;
  reserved @1 :UInt32;
  interfaceId @2 :UInt64;
  name @3 :Data $C.length(48);   # NUL-padded
}

const capSlotsMax :UInt32 = 4096;
