@0xa03f4e5d6c7b8a9b;
# The channel to the program on the host that started the machine.

using C = import "annotations.capnp";

enum HostMessage {
  # Messages between the machine and the program that started it: u8 type, u8 zero, u16 zero, u32
  # length, payload.
  none @0;
  stdout @1;          # guest to host: bytes
  stderr @2;          # guest to host: bytes
  log @3;             # guest to host: text of the kernel's
  trace @4;           # guest to host: text, one line per capability call
  exit @5;            # guest to host: ExitRecord; one per program
  stats @6;           # guest to host: text
  file @7;            # guest to host: u64 offset, u32 name length, name, bytes
  fault @8;           # guest to host: FaultRecord, then words of the stack from rsp upwards
  stdin @9;           # host to guest: bytes
  stdinEnd @10;       # host to guest: end of file
  key @11;            # host to guest: u8 NotificationKind (interrupt, quit, terminate)
  credit @12;         # both ways: u32, the receiver may send so many bytes more. The guest spends
                      # them on stdout, stderr, trace, file and fileGone, headers included; one
                      # message may go beyond. The host spends them on stdin, payload only. The
                      # first credit from the guest tells that it listens. Before the first one from
                      # the host the guest has no limit.
  look @13;           # host to guest: asks what the processes are doing. The answer is messages
                      # of the next four types, in the order of a walk from each program to those
                      # that it started.
  lookedProcess @14;  # guest to host: LookedProcess; what follows is in this process
  lookedThread @15;   # guest to host: ThreadInfo
  lookedCapability @16;  # guest to host: LookedCapability
  lookedEnd @17;      # guest to host: LookedMachine; the answer is complete
  fileGone @18;       # guest to host: name of a file or an empty directory
  lastCall @19;       # guest to host: u64 thread id, text: a call that the thread remembers, the
                      # oldest first; its fault follows
}

struct LookedProcess $C.fixed(272) {
  parentId @0 :UInt64;        # 0: a program of the boot image
  reserved @1 :UInt64;
  name @2 :Data $C.length(64);
  usage @3 :Data $C.length(64);     # ProcessResources
  memory @4 :Data $C.length(128);   # MemoryUsage
}

struct LookedCapability $C.fixed(96) {
  held @0 :Data $C.length(48);      # HeldCapability
  name @1 :Data $C.length(48);      # by which the process began with it; empty: it got it later
}

struct LookedMachine $C.fixed(64) {
  nowNs @0 :UInt64;           # since the clock's start
  freeFrames @1 :UInt64;
  frames @2 :UInt64;
  objects @3 :UInt64;         # live kernel objects
  cpus @4 :UInt32;
  reserved @5 :UInt32;
  reserved2 @6 :Data $C.length(24);
}

interface HostShare @0xfe80192a3b4c5d67 $C.grants([(name = "host", bit = 13)]) {
  # Gives files to the host.
  write @0 (name :Text, offset :UInt64, data :Data) -> () $C.blocks;
  # Writes a piece of a file on the host. Data at offset 0 begins the file anew. Waits as
  # Console.write does.
  # name: a relative path, at most 255 bytes
  # offset: of the first byte in the file
  # data: at most 65 536 bytes
  # invalidArgument: name is empty, longer, absolute, or has a component that is empty, "." or "..";
  #   data is longer; or offset is above 2^63 - 65 537
  # badAddress: name or data cannot be read; pieces of data before may have been written
  # disconnected: the machine has no host channel
  # noMemory: compact form only: no memory for the thread's buffer
  remove @1 (name :Text) -> () $C.blocks;
  # Says that a file or an empty directory is gone. The host removes what it had from this machine
  # or had given to it, and says nothing of the rest. Waits as Console.write does.
  # name: as that of write
  # invalidArgument: name is not as that of write has to be
  # badAddress: name cannot be read
  # disconnected: the machine has no host channel
}

enum ExitKind {
  exited @0;          # code = the program's exit code
  faulted @1;         # code = NotificationKind of the unhandled fault
  killed @2;          # code = NotificationKind (terminate, outOfMemory)
  notStarted @3;      # never started; code = ErrorCode; the reason is in a log message
}

struct ExitRecord $C.fixed(64) {
  program @0 :UInt32;         # index in the boot image
  kind @1 :UInt32;            # ExitKind
  code @2 :Int32;
  last @3 :UInt32;            # 1: no program follows and the machine powers off
  framesBefore @4 :UInt64;    # free frames before the process was made and after it was gone
  framesAfter @5 :UInt64;
  objectsBefore @6 :UInt64;   # live kernel objects, likewise
  objectsAfter @7 :UInt64;
  peakCommitted @8 :UInt64;   # pages
  cpuTimeNs @9 :UInt64;
}

struct FaultRecord $C.fixed(160) {
  # A fault that ended a process; a program's comes before its ExitRecord. frameCount return
  # addresses follow, the innermost first, as the frame pointers lead to them, and then words of the
  # stack.
  kind @0 :UInt32;            # NotificationKind
  code @1 :UInt32;            # of a page fault: faultMapping or faultProtection
  address @2 :UInt64;         # that the program accessed, where the kind has one
  rip @3 :UInt64;
  rsp @4 :UInt64;
  rbp @5 :UInt64;
  threadId @6 :UInt64;
  cpu @7 :UInt32;
  program @8 :UInt32;         # index in the boot image; 2^32 - 1: a process started it
  errorCode @9 :UInt64;       # the processor's
  stackAddress @10 :UInt64;   # of the first word: rsp, or the next page where rsp's is not there
  frameCount @11 :UInt32;
  reserved @12 :UInt32;
  processId @13 :UInt64;
  imageOffset @14 :UInt64;    # of the executable in the boot image; 0: it is not from there
  name @15 :Data $C.length(64);  # of the process, NUL-padded
}
