@0xb9c8d7e6f504132d;
# Threads: what one does to itself, and what others do to it.

using C = import "annotations.capnp";

const threadsMax :UInt32 = 4096;             # per process
const threadNameMax :UInt32 = 31;

interface ThreadControl @0xe5f709120d4e6f80 $C.grants([(name = "thread_control", bit = 5)]) {
  # Acts on the calling thread only.
  getFsBase @0 () -> (base :UInt64);
  setFsBase @1 (base :UInt64) -> () $C.errors([outOfRange]);
  exitThread @2 () -> ();
  # Does not return. Uses no user memory after entry.
  setNotification @3 (handler :UInt64, stack :UInt64, size :UInt64) -> ()
    $C.errors([invalidArgument, outOfRange]);
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

interface ThreadSpawner @0xf608192a3b5c7d91 $C.grants([(name = "thread_spawner", bit = 6)]) {
  spawn @0 (entry :UInt64, stack :UInt64, argument :UInt64, fsBase :UInt64, mask :UInt64,
      name :Text) -> (handle :ThreadHandle)
    $C.errors([invalidArgument, outOfRange, badAddress, noMemory, noReservation, noSlots,
      limitReached]);
  # The thread starts at entry with RSP = stack, RDI = argument, RSI = thread id, RDX = ring
  # address, all other registers zero. stack is the initial stack pointer; the kernel neither reads
  # nor writes there. noReservation: no address is left for the thread's ring page.
}

interface ThreadHandle @0x8719202b3c4d5e6f {
  join @0 (timeoutNs :UInt64) -> (exitCode :Int64)
    $C.errors([timedOut, interrupted, wrongState]) $C.blocks;
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

enum ThreadStateKind {
  runnable @0;
  running @1;
  blocked @2;
  suspended @3;
  ended @4;
}

struct ThreadInfo $C.fixed(64) {
  threadId @0 :UInt64;
  cpuTimeNs @1 :UInt64;
  cpu @2 :UInt32;
  state @3 :UInt32;           # ThreadStateKind
  affinity @4 :UInt64;
  name @5 :Data $C.length(32);
}
