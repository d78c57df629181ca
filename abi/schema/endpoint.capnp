@0xc3f18a6e5b2d9704;
# Endpoints: where the threads of a server receive calls of other threads. docs/abi.md says how a
# call travels in registers.

using C = import "annotations.capnp";

const endpointCallsMax :UInt32 = 1024;

# R15 of a call and of a reply: an ErrorCode in bits 0..15 (of a reply), these bits, and in bits
# 32..63 a CapId of the sender's, or 0.
const messageMoves :UInt32 = 65536;
# the sender gives its capability away, and else a copy of it
const messageTakes :UInt32 = 131072;
# of a call: a capability may come with the answer

const messageCapsMax :UInt32 = 8;

struct MessageCaps $C.fixed(80) {
  # The capabilities of a message in the ring, each way. The kernel reads it when the message is
  # sent, and writes it when one has come.
  count @0 :UInt32;   # how many of caps go; then: how many have come
  moves @1 :UInt32;   # bit i: caps[i] is given away, and else a copy goes; then: 0
  takes @2 :UInt32;   # of a call: how many may come with the answer; else 0; then: 0
  reserved @3 :UInt32;
  caps @4 :Data $C.words(8);   # CapIds
}

interface EndpointFactory @0xe7a9054c1f3b62d8 $C.grants([(name = "endpoint_factory", bit = 16)]) {
  create @0 (callsMax :UInt32) -> (endpoint :Endpoint);
  # Makes an endpoint, which is charged to the caller until its last holder releases it.
  # callsMax: how many calls may wait for a thread that receives them, 1 to endpointCallsMax
  # endpoint: the owner's capability: its holders receive
  # invalidArgument: callsMax is 0 or above endpointCallsMax
  # noMemory: no memory for the kernel's record of it, or no charge is left
  # noSlots: the process holds as many capabilities as it may
}

interface Endpoint @0xf4062bd79e815ca3 {
  # The owner's side. When the last capability for it is gone the endpoint is closed: calls that no
  # thread has received end with disconnected.
  makeFacet @0 (tag :UInt64) -> (facet :Facet);
  # Makes an object by which others call. It is charged to the process that made the endpoint. When
  # the last holder has released it and its last call has ended, a receive tells so once.
  # tag: what each receive of one of its calls tells; those who call neither see nor change it
  # facet: the new facet
  # noMemory: no memory for the kernel's record of it, or no charge is left
  # noSlots: the process holds as many capabilities as it may
  revoke @1 (facet :UInt32) -> ();
  # Closes a facet, for all its holders. Its calls answer disconnected from now on, and so do those
  # that no thread has received yet.
  # facet: a CapId of the caller's
  # notFound: the caller holds no such capability, or it is no facet of this endpoint
  revokeTag @2 (tag :UInt64) -> (facets :UInt64);
  # Closes all facets that were made with the tag.
  # tag: which
  # facets: how many there were that still had holders and were not closed
  accept @3 (capabilities :UInt32) -> ();
  # Says whether calls may carry capabilities. At first they may not.
  # capabilities: 1 or 0
  # invalidArgument: capabilities is neither
  bind @4 (event :UInt32, callBits :UInt64, goneBits :UInt64) -> ();
  # Binds an event to what waits for a receive, instead of the one that was bound: bits are set for
  # a call that no thread waits for and for a facet that has no holder any more, at once if there
  # are such. A receive with a past deadline then gets them, one each.
  # event: the CapId of an Event, not of a revocable copy; 0: none is bound any more
  # callBits: those to set for a call
  # goneBits: those to set for a facet that has no holder
  # notFound: the caller does not hold an Event there
}

interface Facet @0x86b5d32e0fa7c941 {}
# An endpoint as those see it who call: marker, since calls are an opcode and no method.

enum ReceiveResult {
  # What a receive got.
  call @0;
  # words: the message; RDI the tag; R14 a capability that came, or 0. The thread has to answer.
  facetGone @1;
  # RDI: the tag of a facet that has no holder any more
}

enum ReplyResult {
  # What became of an answer.
  gone @0;       # nothing gets it: the call has ended before
  answered @1;   # the caller gets it, with the capability if there is one
  notTaken @2;   # the caller gets it without the capability, because its call takes none
}
