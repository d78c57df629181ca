@0xe2d0a1b4c3f59687;
# What a program starts with: the CapSet page, which names its capabilities.

using C = import "annotations.capnp";

const capSetMagic :UInt32 = 0x53504143;   # "CAPS"
const abiVersion :UInt16 = 2;
# Raised by a change after which a program or a boot image made before does not work. Version 1 had
# no ProgramMark.

struct ProgramMark $C.fixed(16) {
  # What an executable begins with, at its entry point. The kernel starts a program of its own
  # version only, and the tools reject another before they start a machine.
  jump @0 :UInt16;               # programMarkJump
  name @1 :Data $C.length(6);    # "capOS", NUL
  version @2 :UInt32;            # abiVersion
  reserved @3 :UInt32;
}

const programMarkJump :UInt16 = 0x0eeb;   # a JMP to the end of the mark

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
