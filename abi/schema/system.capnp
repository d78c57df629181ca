@0x9f2e3d4c5b6a7989;
# What a program may ask about itself and the machine.

using C = import "annotations.capnp";

interface SystemInfo @0xed7f80192a3b4c56 $C.grants([(name = "system", bit = 12)]) {
  process @0 () -> (info :Data);
  # Tells what the kernel knows of the caller's process.
  # info: ProcessInfo
  # badAddress: info cannot be written
  release @1 () -> (text :Data);
  # Tells which kernel this is.
  # text: its name, its version and the machine; one line
  # badAddress: text cannot be written
}

struct ProcessInfo $C.fixed(64) {
  processId @0 :UInt64;
  threads @1 :UInt32;
  capabilities @2 :UInt32;
  cpuTimeNs @3 :UInt64;
  startedNs @4 :UInt64;
  cpusOnline @5 :UInt32;      # how many
  reserved @6 :UInt32;
  cpuMask @7 :UInt64;         # which, a bit for each id as in setAffinity; there may be gaps
  timerLateNs @8 :UInt64;
  # how late a timer interrupt has come at worst on any CPU since start: the longest time for which
  # the kernel is known to have had interrupts off
  reserved2 @9 :UInt64;
}

const cpusMax :UInt32 = 64;
