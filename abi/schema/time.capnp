@0xecfb0a1928374653;
# Clocks and waiting for them.

using C = import "annotations.capnp";

interface Timer @0xba4c5d6e7f801923 $C.grants([(name = "timer", bit = 9)]) {
  now @0 () -> (monotonicNs :UInt64, tick :UInt64);
  # Tells the time. tick is the time-stamp counter just before the time was read: not the very
  # reading the time was made from, and where the HPET is the clock not even of the same clock.
  # monotonicNs: nanoseconds since start
  # tick: the time-stamp counter
  sleep @1 (durationNs :UInt64) -> () $C.blocks;
  # Waits.
  # durationNs: at least so many nanoseconds
  # interrupted: a notification came first
  sleepUntil @2 (deadlineNs :UInt64) -> () $C.blocks;
  # Waits until a time, which may be past.
  # deadlineNs: nanoseconds since start
  # interrupted: a notification came first
  wall @3 () -> (unixNs :Int64);
  # Tells the time of day.
  # unixNs: nanoseconds since 1970-01-01 UTC
}

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
