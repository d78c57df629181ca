@0x8b4122df756a356a;
# The capability ring: one page for each thread, through which it submits calls and reaps
# completions.

using C = import "annotations.capnp";

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
  park @6;
  # cap = ParkSpace; args: address, expected, deadline_ns (absolute, waitForever for none)
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
  result @1 :Int32;
  # >= 0: success (call: bytes of result message); < 0: -TransportError or -(ErrorCode + errorBase)
  flags @2 :UInt32;
  value @3 :UInt64;        # compact: the result word
  cap @4 :UInt32;          # a capability the call returned, or 0
  reserved @5 :UInt32;
}
