@0xdbeaf90817263541;
# Parking: waiting on a word of memory. park and unpark are opcodes, not methods.

using C = import "annotations.capnp";

interface ParkSpace @0x982a3b4c5d6e7f01 $C.grants([(name = "park", bit = 7)]) {}
# Marker: authority for park and unpark on words of the caller's own memory.

interface SharedParkSpace @0xa93b4c5d6e7f8012 $C.grants([(name = "shared_park", bit = 8)]) {}
# Marker: the same for words inside MemoryObjects, keyed by object, generation and offset.

enum ParkResult {
  woken @0;
  mismatch @1;
  timedOut @2;
  drained @3;       # the memory under the word was unmapped or decommitted
  interrupted @4;   # a notification is pending
}
