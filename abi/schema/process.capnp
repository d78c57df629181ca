@0xab625b6b9bb590d9;
# Processes: starting one, waiting for it, ending it. What a process shares with those that it
# starts is in docs/decisions/0012-objects-between-processes.md.

using C = import "annotations.capnp";

const processDepthMax :UInt32 = 16;        # a program of the boot image has none above it
const spawnGrantsMax :UInt32 = 63;         # what the CapSet page holds
const spawnGrantNameMax :UInt32 = 47;
const crashFramesMax :UInt32 = 24;
const processBindingsMax :UInt32 = 64;     # events bound to the end of one process
const spawnStringsMax :UInt32 = 262144;    # bytes of arguments and environment together

const spawnReasonMax :UInt32 = 160;

const spawnShared :UInt32 = 1;
# The child's memory is charged to the caller as it is used, and memoryPages is only a ceiling.
const spawnRememberCalls :UInt32 = 2;
# Each thread of the child remembers its last calls, for Process.lastCalls. Its calls take longer.
const lastCallsMax :UInt32 = 16;

enum Budget {
  # What a process and all that it started may use. A limit is taken out of what its parent may use
  # while the process exists, so it has that whatever others do; or it is shared, and only a
  # ceiling. Without a limit the process shares what its parent may use. docs/budgets.md.
  memory @0;         # pages, and what the kernel keeps because of the process: noMemory
  threads @1;        # that have not ended: noThreads
  capabilities @2;   # held, slots set aside for some, and one that was released last: noSlots
  calls @3;          # outstanding at endpoints: noCalls
  cpu @4;            # thousandths of a CPU: threads wait for more; noCpu where less is left
}

struct SpawnLimits $C.fixed(32) {
  # Limits of a child beside that of its memory; 0 is none of its own.
  threads @0 :UInt32;
  capabilities @1 :UInt32;
  calls @2 :UInt32;
  shared @3 :UInt32;   # of each Budget that is only a ceiling, bit 1 << ordinal; not memory's
  cpu @4 :UInt32;
  reserved @5 :UInt32;
  reserved2 @6 :UInt64;
}

struct BudgetUsage $C.fixed(32) {
  used @0 :UInt64;      # by the process, and by its children: what they share, or their limits
  limit @1 :UInt64;     # 0: none of its own
  peak @2 :UInt64;      # the most that was ever used
  refused @3 :UInt64;   # how often the limit was in the way
}

struct SpawnGrant $C.fixed(64) {
  # A copy of a capability that the caller holds, under a name in the child's CapSet.
  cap @0 :UInt32;
  reserved @1 :UInt32;
  reserved2 @2 :UInt64;
  name @3 :Data $C.length(48);   # 1 to spawnGrantNameMax bytes, then NUL
}

interface ProcessSpawner @0x9a68fa7cc2ce9799 $C.grants([(name = "process_spawner", bit = 15)]) {
  # Starts processes that the caller pays for and that do not outlive it; or the process on whose
  # behalf the capability is.
  spawn @0 (image :UInt32, offset :UInt64, size :UInt64, args :Data, env :Data, grants :Data,
      memoryPages :UInt64, flags :UInt32, limits :Data) -> (process :Process);
  # Starts a program in a process of its own. It begins as docs/abi.md says, with the capabilities
  # that grants names and no others. vm, memory_allocator, thread_spawner and process_spawner are
  # the child's own where they are granted by these names. By another name the child gets one on
  # behalf of the caller. thread_control, park and shared_park act on who calls, so they are the
  # child's own in any case.
  # image: where the executable is: the CapId of a MemoryObject, which is copied, or of the
  #   BootImage, of which files and programs are
  # offset: of the executable's first byte, a multiple of pageSize
  # size: of the executable, in bytes
  # args: NUL-terminated strings, one after the other; the first one's last component names the
  #   process in texts
  # env: likewise
  # grants: SpawnGrant, one after the other
  # memoryPages: what the child may be charged; taken out of what its parent may be charged until
  #   nothing of the child is left, or with spawnShared a ceiling, where 0 is none
  # flags: spawnShared and spawnRememberCalls, each or not
  # limits: SpawnLimits, or nothing where the child has no other limits of its own
  # process: the new process
  # invalidArgument: image is neither a MemoryObject nor the BootImage; it holds no program there
  #   that docs/abi.md allows; args, env or grants is not a whole number of what it holds; a grant
  #   has no name, one without NUL, a second one's, or a reserved field that is not zero; flags has
  #   an unknown bit; memoryPages is 0 without spawnShared; or limits has another size, a reserved
  #   field that is not zero, or an unknown bit in shared
  # misaligned: offset is no multiple of pageSize
  # outOfRange: the executable ends above image's end
  # badAddress: args, env, grants or limits cannot be read
  # notFound: the caller does not hold image or a capability of grants
  # wrongState: the program was built for another version of the interface
  # limitReached: args and env are longer than spawnStringsMax, there are more than spawnGrantsMax
  #   grants, or the parent has processDepthMax processes above it
  # noMemory: less than memoryPages can be charged to the parent, or no memory or charge for the
  #   child or the kernel's records of it
  # noSlots: the caller holds as many capabilities as it may, the parent has fewer left than limits
  #   says, or the child's limit is less than the number of its grants
  # noThreads: the parent has fewer threads left than limits says, or none for the child to share
  # noCalls: the parent has fewer calls left than limits says
  # noCpu: the parent has less of a CPU left than limits says
  # disconnected: the capability is on behalf of a process that ends or has ended
  explain @1 (image :UInt32, offset :UInt64, size :UInt64) -> (reason :Data);
  # Tells for people why spawn takes no executable there. Nothing is started.
  # image: as for spawn
  # offset: as for spawn
  # size: as for spawn
  # reason: a sentence, up to spawnReasonMax bytes; empty: spawn takes the executable
  # invalidArgument: image is neither a MemoryObject nor the BootImage
  # misaligned: offset is no multiple of pageSize
  # outOfRange: the executable ends above image's end
  # notFound: the caller does not hold image
  # noMemory: no memory or charge for the kernel's records
  # badAddress: reason cannot be written
}

interface Process @0xe74f3485a2e5f85a {
  # A process, running or ended. Releasing the capability does not end it.
  wait @0 (timeoutNs :UInt64) -> (end :Data) $C.blocks;
  # Waits until the process has ended, with all processes that it started. Any number of threads and
  # holders may wait.
  # timeoutNs: how long to wait; waitForever: without end
  # end: ProcessEnd
  # timedOut: the process has not ended in that time
  # interrupted: a notification came first
  # wrongState: the process is the caller's own
  # badAddress: end cannot be written
  kill @1 () -> ();
  # Ends the process, as killed, with all processes that it started. It may go on for a moment. One
  # that has ended is left as it is.
  usage @2 () -> (usage :Data);
  # Tells what the process uses or has used.
  # usage: ProcessResources
  # badAddress: usage cannot be written
  bind @3 (event :UInt32, bits :UInt64) -> ();
  # Binds an event to the end of the process: the bits are set when wait would return, and at once
  # if the process has ended. A second call for the same event changes the bits. The kernel's record
  # is charged as the event is, until the process has ended or the event has no capability any more.
  # event: the CapId of an Event, not of a revocable copy
  # bits: those to set; 0: the event is not bound any more
  # notFound: the caller does not hold an Event there
  # limitReached: processBindingsMax other events are bound
  # noMemory: no memory for the kernel's record, or no charge is left
  notify @4 (kind :UInt32) -> ();
  # Sends a notification to the process, of which one thread takes it, as docs/abi.md says.
  # Coalesced per kind. Without a thread that ever had a handler, interrupt, quit and terminate end
  # the process as killed. One that has ended is left as it is.
  # kind: interrupt, quit, terminate, or notifyUserFirst to notifyUserLast
  # invalidArgument: kind is another
  # wrongState: kind is notifyUserFirst or above, and no thread of the process ever had a handler
  suspend @5 () -> () $C.blocks;
  # Stops all threads of the process, also those that it gets later, and returns once none of them
  # runs. It does not count: one resume lets them go on. The processes that it started run on, its
  # waits and deadlines too, and it can be killed. Threads that are suspended by themselves stay so.
  # wrongState: the process is the caller's own, or is ending or has ended
  resume @6 () -> () $C.blocks;
  # Lets the threads of a suspended process go on; nothing for one that is not.
  # wrongState: the process is the caller's own, or is ending or has ended
  crash @7 () -> (crash :Data);
  # Tells where the thread was whose fault ends or has ended the process.
  # crash: CrashRecord
  # notFound: no fault has ended it, or the process had no charge left for the record
  # badAddress: crash cannot be written
  capabilities @8 (after :UInt32) -> (list :Data);
  # Lists what the process holds, in the order of its slots. Capabilities that come and go meanwhile
  # may be in the list or not.
  # after: the CapId of the last one of the list before; 0: from the beginning
  # list: HeldCapability, one after the other, as many as there is room for; none: no more follow,
  #   or the process has ended
  # invalidArgument: compact form only: list has no room for one
  # badAddress: list cannot be written
  threads @9 (after :UInt64) -> (list :Data);
  # Lists the threads of the process, in the order of their ids.
  # after: the id of the last one of the list before; 0: from the beginning
  # list: ThreadInfo, one after the other, as many as there is room for; none: no more follow
  # invalidArgument: compact form only: list has no room for one
  # badAddress: list cannot be written
  memory @10 () -> (usage :Data);
  # Tells what memory the process uses, as VirtualMemory.usage tells the process itself.
  # usage: MemoryUsage; of a process that has ended, what is still charged
  # badAddress: usage cannot be written
  budgets @11 () -> (usage :Data);
  # Tells what the process uses or has used of each of its budgets.
  # usage: BudgetUsage, for each Budget in order
  # badAddress: usage cannot be written
  lastCalls @12 () -> (calls :Data);
  # Tells the last calls of the thread whose fault ends or has ended the process.
  # calls: RememberedCall, one after the other, the oldest first, at most lastCallsMax
  # notFound: no fault has ended it, or it was started without spawnRememberCalls
  # badAddress: calls cannot be written
}

struct HeldCapability $C.fixed(48) {
  # A capability that a process holds, for those who look into it.
  cap @0 :UInt32;
  reserved @1 :UInt32;
  interfaceId @2 :UInt64;
  objectId @3 :UInt64;     # the same for all copies, unique since boot; 0: it exists once a machine
  endpointId @4 :UInt64;   # of a Facet: objectId of its endpoint
  tag @5 :UInt64;          # of a Facet
  holders @6 :UInt64;      # capabilities for the object, of all processes
}

struct ProcessEnd $C.fixed(64) {
  # How a process ended.
  processId @0 :UInt64;
  kind @1 :UInt32;            # ExitKind
  code @2 :Int32;             # as in ExitRecord
  faultCode @3 :UInt32;       # of a page fault: faultMapping or faultProtection
  reserved @4 :UInt32;
  faultAddress @5 :UInt64;    # that the program accessed, where the kind has one
  faultPlace @6 :UInt64;     # of the instruction
  faultThread @7 :UInt64;     # id
  reserved2 @8 :Data $C.length(16);
}

struct CrashRecord $C.fixed(512) {
  # The fault that ended a process. It is charged to the process until its last handle is gone.
  processId @0 :UInt64;
  threadId @1 :UInt64;
  threadName @2 :Data $C.length(32);
  frameCount @3 :UInt32;
  reserved @4 :UInt32;
  state @5 :Data $C.length(256);    # ThreadState: kind, code, address and registers
  frames @6 :Data $C.length(192);   # return addresses of 8 bytes, the innermost first, as the
                                    # frame pointers lead to them; frameCount of them are there
  reserved2 @7 :UInt64;
}

struct RememberedCall $C.fixed(32) {
  # A call that has returned. Of an endpoint call through the ring it tells how that began. Calls
  # without an operation that the kernel has, or with words that it does not allow, are left out.
  returnedNs @0 :UInt64;    # on the clock of Timer.now
  interfaceId @1 :UInt64;   # of what was called; 0: not a method, or cap named nothing
  result @2 :Int64;         # an error; the first result, of data its length; 0 without a result
  cap @3 :UInt32;
  method @4 :UInt16;        # its ordinal
  opcode @5 :UInt16;        # Opcode; for a method compact, in whatever form it was called
}

struct ProcessResources $C.fixed(64) {
  processId @0 :UInt64;
  cpuTimeNs @1 :UInt64;
  committedPages @2 :UInt64;  # as in MemoryUsage, and what its shared children are charged
  peakPages @3 :UInt64;
  limitPages @4 :UInt64;      # 0: none of its own
  startedNs @5 :UInt64;
  threads @6 :UInt32;
  capabilities @7 :UInt32;
  reserved @8 :UInt64;
}
