@0x8b4122df756a356a;
# The shapes of memory that kernel and programs share, the two system calls' numbers, and the
# bounds.

using C = import "annotations.capnp";

# ---- system calls
# -------------------------------------------------------------------------------------------------

const sysExit :UInt32 = 0;
# RDI = exit code (its low 32 bits), RSI = ExitScope. Does not return.
const sysCapEnter :UInt32 = 1;
# RDI = min_complete, RSI = timeout_ns. RAX = completions available, or minus a TransportError.
# With an Opcode in bits 8..15 of EAX the call is a register call: see docs/abi.md.

const exitScopeThread :UInt32 = 0;    # ends the calling thread; the process ends with its last live thread
const exitScopeProcess :UInt32 = 1;   # ends the process, all threads

const waitForever :UInt64 = 0xffffffffffffffff;

# ---- capability ring
# ----------------------------------------------------------------------------------------------

const ringSubmissions :UInt32 = 16;
const ringCompletions :UInt32 = 32;
const ringSubmissionOffset :UInt32 = 1024;
const ringCompletionOffset :UInt32 = 2048;

struct RingHeader $C.fixed(64) {
  # At offset 0 of a thread's ring page. Indices run freely over 2^32; entry = index mod size.
  submissionHead @0 :UInt32;    # written by the kernel
  submissionTail @1 :UInt32;    # written by the program
  completionHead @2 :UInt32;    # written by the program
  completionTail @3 :UInt32;    # written by the kernel
  threadId @4 :UInt64;          # written once by the kernel
  reserved @5 :Data $C.length(40);
}

enum Opcode {
  nop @0;
  call @1;        # method call; parameters and results are Cap'n Proto messages in memory
  recv @2;        # reserved for endpoints
  return @3;      # reserved for endpoints
  release @4;     # drop the capability
  finish @5;      # reserved
  park @6;        # cap = ParkSpace; args: address, expected, deadline_ns (absolute, waitForever for none)
  unpark @7;      # cap = ParkSpace; args: address, count; value = threads woken
  compact @8;     # method call; the parameters are the argument words, no message
}

struct Submission $C.fixed(64) {
  opcode @0 :UInt8;
  flags @1 :UInt8;         # must be zero
  method @2 :UInt16;
  cap @3 :UInt32;
  userData @4 :UInt64;     # echoed in the completion
  args @5 :Data $C.words(6);
  # call: parameters address, parameters length, result address, result length, 0, 0
  # compact, park, unpark: the argument words
}

struct Completion $C.fixed(32) {
  userData @0 :UInt64;
  result @1 :Int32;        # >= 0: success (call: bytes of result message); < 0: -TransportError or -(ErrorCode + errorBase)
  flags @2 :UInt32;
  value @3 :UInt64;        # compact: the result word
  cap @4 :UInt32;          # a capability the call returned, or 0
  reserved @5 :UInt32;
}

enum ParkResult {
  woken @0;
  mismatch @1;
  timedOut @2;
  drained @3;       # the memory under the word was unmapped or decommitted
  interrupted @4;   # a notification is pending
}

# ---- CapSet page
# --------------------------------------------------------------------------------------------------

const capSetMagic :UInt32 = 0x53504143;   # "CAPS"
const abiVersion :UInt16 = 1;

struct CapSetHeader $C.fixed(64) {
  magic @0 :UInt32;
  version @1 :UInt16;
  count @2 :UInt16;
  processId @3 :UInt64;
  ringAddress @4 :UInt64;      # of the first thread
  clockAddress @5 :UInt64;     # the clock page, 0 without a Timer
  tlsImage @6 :UInt64;         # PT_TLS as loaded: address, file size, memory size and alignment, for later threads
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

# ---- clock page
# ---------------------------------------------------------------------------------------------------

struct ClockPage $C.fixed(64) {
  # monotonic ns = nsBase + ((rdtsc - tscBase) * nsPerTick >> 32); wall ns = monotonic ns +
  # wallOffset. Read sequence before and after; odd or changed: read again. nsPerTick 0: the counter
  # is not to be trusted here, ask Timer.now.
  sequence @0 :UInt32;
  cpuCount @1 :UInt32;         # CPUs online
  tscBase @2 :UInt64;
  nsBase @3 :UInt64;
  nsPerTick @4 :UInt64;        # 32.32 fixed point
  wallOffset @5 :Int64;        # nanoseconds since 1970-01-01 UTC at monotonic zero
  reserved @6 :Data $C.length(24);
}

# ---- notifications
# ------------------------------------------------------------------------------------------------

enum NotificationKind {
  none @0;
  pageFault @1;           # code 1: nothing mapped there; 2: protection; address = the address
  generalProtection @2;   # address unknown
  divide @3;
  illegalInstruction @4;
  breakpoint @5;
  floatingPoint @6;
  alignment @7;
  outOfMemory @8;         # a sparse page could not be given a frame; address = the address
  profileTick @9;
  interrupt @10;          # the console's interrupt key
  quit @11;               # the console's quit key
  terminate @12;
}
# Kinds 0 to 31 come from the kernel; ThreadHandle.notify sends 32 to 62.

const faultMapping :UInt32 = 1;
const faultProtection :UInt32 = 2;
const notifyUserFirst :UInt32 = 32;
const notifyUserLast :UInt32 = 62;   # bit 63 of a mask is always clear, so that a mask returned in RAX is never taken for an error

struct ThreadState $C.fixed(256) {
  # A thread's registers: the frame on the notification stack, and what readState and writeState
  # carry.
  kind @0 :UInt32;
  code @1 :UInt32;
  address @2 :UInt64;
  mask @3 :UInt64;         # notifications masked when the frame was made; resume puts it back
  rax @4 :UInt64;
  rbx @5 :UInt64;
  rcx @6 :UInt64;
  rdx @7 :UInt64;
  rsi @8 :UInt64;
  rdi @9 :UInt64;
  rbp @10 :UInt64;
  rsp @11 :UInt64;
  r8 @12 :UInt64;
  r9 @13 :UInt64;
  r10 @14 :UInt64;
  r11 @15 :UInt64;
  r12 @16 :UInt64;
  r13 @17 :UInt64;
  r14 @18 :UInt64;
  r15 @19 :UInt64;
  rip @20 :UInt64;
  rflags @21 :UInt64;
  fsBase @22 :UInt64;
  xsaveAddress @23 :UInt64;   # standard-format XSAVE area on the same stack, 64-byte aligned; 0: none
  xsaveSize @24 :UInt32;
  trap @25 :UInt32;           # processor vector of a fault
  errorCode @26 :UInt64;      # processor error code of a fault
  value @27 :UInt64;          # notify's value
  reserved @28 :Data $C.length(48);
}

# ---- boot image
# -------------------------------------------------------------------------------------------------

const bootImageMagic :UInt64 = 0x3149424f53504143;   # "CAPSOBI1"

struct BootImageHeader $C.fixed(64) {
  magic @0 :UInt64;
  version @1 :UInt32;          # abiVersion
  programCount @2 :UInt32;
  programsOffset @3 :UInt64;   # BootProgram[programCount]; all offsets are from the start of the image
  fileCount @4 :UInt64;
  filesOffset @5 :UInt64;      # BootFile[fileCount]; entry 0 is the root directory
  totalSize @6 :UInt64;
  reserved @7 :Data $C.length(16);
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
  grants @8 :UInt64;           # bit mask, GrantBit
  committedLimit @9 :UInt64;   # pages; 0: no limit but the machine's
  flags @10 :UInt32;           # bootProgramTogether, or 0
  reserved @11 :Data $C.length(52);
}

const bootProgramTogether :UInt32 = 1;   # starts with the program before it in the table
const bootTogetherMax :UInt32 = 8;       # so many programs run at the same time

struct BootFile $C.fixed(64) {
  # A directory's children are contiguous and sorted by name (bytewise), so a path is looked up by
  # binary search per component.
  nameOffset @0 :UInt64;
  nameSize @1 :UInt32;
  mode @2 :UInt32;             # bits 0..8 permissions; 0o040000 directory, 0o100000 file, 0o120000 symbolic link
  mtimeNs @3 :Int64;
  dataOffset @4 :UInt64;       # file and link: page-aligned (file) bytes; directory: index of the first child
  size @5 :UInt64;             # file and link: bytes; directory: number of children
  reserved @6 :Data $C.length(24);
}

enum GrantBit {
  # Which capabilities a boot program starts with. 0 in BootProgram.grants means all.
  console @0;        # "stdin", "stdout", "stderr"
  memory @1;         # "vm"
  memoryObjects @2;  # "memory_allocator"
  thread @3;         # "thread_control"
  spawner @4;        # "thread_spawner"
  park @5;           # "park", "shared_park"
  timer @6;          # "timer"
  entropy @7;        # "entropy"
  boot @8;           # "boot"
  system @9;         # "system"
  host @10;          # "host"
}

# ---- host channel
# -------------------------------------------------------------------------------------------------

enum HostFrame {
  # Frames between the machine and the program that started it: u8 type, u8 zero, u16 zero, u32
  # length, payload.
  none @0;
  stdout @1;          # guest to host: bytes
  stderr @2;          # guest to host: bytes
  log @3;             # guest to host: text of the kernel's
  trace @4;           # guest to host: text, one line per capability call
  exit @5;            # guest to host: ExitRecord; one per program
  stats @6;           # guest to host: text
  file @7;            # guest to host: u64 offset, u32 name length, name, bytes
  fault @8;           # guest to host: FaultRecord then text
  stdin @9;          # host to guest: bytes
  stdinEnd @10;      # host to guest: end of file
  key @11;            # host to guest: u8 NotificationKind (interrupt, quit, terminate)
}

enum ExitKind {
  exited @0;          # code = the program's exit code
  faulted @1;         # code = NotificationKind of the unhandled fault
  killed @2;          # code = NotificationKind (terminate, outOfMemory)
  refused @3;         # never started; code = ErrorCode; the reason is in a log frame
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

# ---- memory
# -------------------------------------------------------------------------------------------------------

const pageSize :UInt32 = 4096;
const largePageSize :UInt32 = 2097152;
const userTop :UInt64 = 0x7ffffffff000;   # first address past the user half; address 0 to 4095 is never mapped

const protRead :UInt32 = 1;
const protWrite :UInt32 = 2;
const protExec :UInt32 = 4;
const commitSparse :UInt32 = 256;
# With commit and map: charge and give frames page by page at first touch (demand-zero). Without:
# charge all now.

enum RegionState {
  free @0;
  reserved @1;
  promised @2;
  sparse @3;
  object @4;    # a MemoryObject, the boot image, or a page the kernel placed (ring, CapSet, clock)
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
  committedPages @2 :UInt64;   # charged: promised pages, sparse pages touched, pages of memory objects it made, and what its threads cost
  committedLimit @3 :UInt64;   # 0: none but the machine's
  residentPages @4 :UInt64;
  peakCommitted @5 :UInt64;
  machineFreePages @6 :UInt64; # not promised to anybody
  machinePages @7 :UInt64;
}

struct ProcessInfo $C.fixed(64) {
  processId @0 :UInt64;
  threads @1 :UInt32;
  capabilities @2 :UInt32;
  cpuTimeNs @3 :UInt64;
  startedNs @4 :UInt64;
  cpusOnline @5 :UInt32;
  reserved @6 :Data $C.length(28);
}

struct ThreadInfo $C.fixed(64) {
  threadId @0 :UInt64;
  cpuTimeNs @1 :UInt64;
  cpu @2 :UInt32;
  state @3 :UInt32;           # ThreadStateKind
  affinity @4 :UInt64;
  name @5 :Data $C.length(32);
}

enum ThreadStateKind {
  runnable @0;
  running @1;
  blocked @2;
  suspended @3;
  ended @4;
}

# ---- limits
# -------------------------------------------------------------------------------------------------------

const capSlotsMax :UInt32 = 4096;
const threadsMax :UInt32 = 4096;             # per process
const messageBytesMax :UInt32 = 65536;       # parameters or results of one ring call
const reservedPagesMax :UInt64 = 0x800000000; # per process: 2^35 pages, the whole user half
const cpusMax :UInt32 = 64;
const threadNameMax :UInt32 = 31;
