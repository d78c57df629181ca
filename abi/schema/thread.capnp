@0xb9c8d7e6f504132d;
# Threads: what one does to itself, and what others do to it.

using C = import "annotations.capnp";

const threadsMax :UInt32 = 4096;             # per process
const threadNameMax :UInt32 = 31;

interface ThreadControl @0xe5f709120d4e6f80 $C.grants([(name = "thread_control", bit = 5)]) {
  # Acts on the calling thread only.
  getFsBase @0 () -> (base :UInt64);
  # Reads the thread pointer.
  # base: of the segment FS
  setFsBase @1 (base :UInt64) -> ();
  # Sets the thread pointer.
  # base: of the segment FS
  # outOfRange: base is not below userTop
  exitThread @2 () -> ();
  # Ends the thread and does not return. Uses no user memory after entry.
  setNotification @3 (handler :UInt64, stack :UInt64, size :UInt64) -> ();
  # Sets where notifications go. The handler is entered with RDI = kind, RSI = RDX = address of a
  # ThreadState.
  # handler: its address; 0: none
  # stack: the lowest address of the memory where the handler runs
  # size: of that memory, in bytes
  # invalidArgument: there is a handler, and size is 0 or the stack ends above userTop
  # outOfRange: handler or stack is not below userTop
  setMask @4 (set :UInt64, clear :UInt64) -> (previous :UInt64);
  # Makes the mask (old | set) & ~clear. Faults cannot be masked: masked, they end the process.
  # set: bit n masks notifications of kind n
  # clear: bit n lets kind n through, also when set has it
  # previous: the mask before
  resume @5 (state :UInt64) -> ();
  # Continues from a ThreadState, edited or not. Does not return on success.
  # state: its address
  # badAddress: the state, or the XSAVE area that it names, cannot be read
  # invalidArgument: rip or fsBase is not below userTop, or the XSAVE area has another size than the
  #   machine's, is not aligned to 64 or would fault
  yield @6 () -> ();
  # Lets other threads run before this one.
  self @7 () -> (handle :ThreadHandle);
  # Gives the calling thread's handle.
  # handle: a new capability for it
  # noMemory: no memory for a larger capability table
  # noSlots: the process holds as many capabilities as it may
  setProfile @8 (intervalNs :UInt64) -> ();
  # Has the thread get a profileTick for every interval of CPU time that it uses.
  # intervalNs: at least 100 000 nanoseconds; 0: no more ticks
  # invalidArgument: intervalNs is shorter, or does not fit 63 bits
  info @9 () -> (info :Data);
  # Tells what the kernel knows of the thread.
  # info: ThreadInfo
  # badAddress: info cannot be written
  setProcessProfile @10 (intervalNs :UInt64) -> ();
  # The same for the CPU time of the whole process: the tick goes to the thread that is running when
  # the interval is used up.
  # intervalNs: at least 100 000 nanoseconds; 0: no more ticks
  # invalidArgument: intervalNs is shorter, or does not fit 63 bits
}

interface ThreadSpawner @0xf608192a3b5c7d91 $C.grants([(name = "thread_spawner", bit = 6)]) {
  spawn @0 (entry :UInt64, stack :UInt64, argument :UInt64, fsBase :UInt64, mask :UInt64,
      name :Text) -> (handle :ThreadHandle);
  # Makes a thread, in the process of the caller or in the one on whose behalf the capability is. It
  # starts at entry with RSP = stack, RDI = argument, RSI = thread id, RDX = ring address, all other
  # registers zero.
  # entry: where it starts
  # stack: its initial stack pointer; the kernel neither reads nor writes there
  # argument: any word
  # fsBase: its thread pointer
  # mask: of its notifications, as in setMask
  # name: at most threadNameMax bytes, for people
  # handle: the new thread's
  # invalidArgument: entry is 0, or name is longer than threadNameMax
  # outOfRange: entry or fsBase is not below userTop, or stack is above it
  # badAddress: name cannot be read
  # noMemory: no memory or charge for stack, ring and records
  # noReservation: no address is left for the thread's ring page
  # noSlots: the caller holds as many capabilities as it may
  # limitReached: the process has threadsMax threads
  # noThreads: no thread is left in the process's budget
  # disconnected: the capability is on behalf of a process that ends or has ended
}

interface ThreadHandle @0x8719202b3c4d5e6f {
  join @0 (timeoutNs :UInt64) -> (exitCode :Int64) $C.blocks;
  # Waits until the thread has ended. Any number of threads may join.
  # timeoutNs: how long to wait; waitForever: without end
  # exitCode: what the thread gave to sysExit, or 0
  # timedOut: the thread has not ended in that time
  # interrupted: a notification came first
  # wrongState: the thread is the calling one
  detach @1 () -> ();
  # Says that no thread will join: the record goes with the thread.
  notify @2 (kind :UInt32, value :UInt64) -> ();
  # Sends a notification. Coalesced per kind, never lost.
  # kind: notifyUserFirst to notifyUserLast
  # value: that the handler finds in its ThreadState
  # invalidArgument: kind is another
  # notFound: the thread has ended
  suspend @3 () -> () $C.blocks;
  # Stops the thread and returns once it is not running. Counts: as many resumes are needed.
  # notFound: the thread has ended, or ends before it stops
  # wrongState: the thread is the calling one, or has been suspended 2^32 - 1 times
  # interrupted: a notification came before the thread stopped; this suspend does not count
  readState @4 () -> (state :Data);
  # Reads the registers of a suspended thread.
  # state: ThreadState
  # wrongState: the thread is not suspended
  # notFound: the thread has ended
  # badAddress: state cannot be written
  writeState @5 (state :Data) -> ();
  # Changes the registers of a suspended thread that is not inside a blocking call.
  # state: ThreadState
  # wrongState: the thread is not suspended, or is inside a blocking call
  # notFound: the thread has ended
  # invalidArgument: state has another size than a ThreadState; rip or fsBase is not below userTop
  # badAddress: state cannot be read
  resume @6 () -> ();
  # Takes one suspend back.
  # wrongState: the thread is not suspended
  # notFound: the thread has ended
  cpuTime @7 () -> (ns :UInt64);
  # Tells how much the thread has run.
  # ns: nanoseconds of CPU time
  setAffinity @8 (cpus :UInt64) -> ();
  # Says on which CPUs the thread may run.
  # cpus: bit n allows CPU n
  # invalidArgument: none of these CPUs is online
  # notFound: the thread has ended
  info @9 () -> (info :Data);
  # Tells what the kernel knows of the thread.
  # info: ThreadInfo
  # badAddress: info cannot be written
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
