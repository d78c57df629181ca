@0x8b4122df756a356a;
# The capability ring: one page for each thread, through which it submits calls and reaps
# completions.

using C = import "annotations.capnp";

const ringSubmissions :UInt32 = 16;
const ringCompletions :UInt32 = 32;
const ringSubmissionOffset :UInt32 = 1024;
const ringCompletionOffset :UInt32 = 2048;
const ringCallsMax :UInt32 = 64;
# calls to endpoints that a thread may have outstanding

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
  # What a submission asks for. compact, park, unpark and release also work in registers, see
  # sysCapEnter; reserved opcodes do nothing.
  nop @0;
  # Completes, and does nothing else.
  # invalidRequest: flags, method, cap or an argument is not zero
  call @1;
  # Calls a method with Cap'n Proto messages in memory. args: parameters address, parameters length,
  # result address, result length. What the method answers itself comes as an applicationException.
  # invalidRequest: flags or an argument after the fourth is not zero
  # invokeFailed: the process holds no capability cap, or its interface has no such method
  # invalidParamsBuffer: the parameters cannot be read, or are longer than messageBytesMax
  # invalidResultBuffer: the result buffer has no room for any result, and the method has not acted;
  #   or it cannot be written, and the method has: then a capability is released again, and bytes
  #   read from a Console wait for the next reader
  # malformedMessage: the parameters are no well-formed message, or a field has another type than
  #   the method's
  # applicationException: the method or the call layer answers an ErrorCode, which is in the
  #   CapException that the result buffer holds. It is noMemory when there is no memory for the
  #   kernel's copy of the message
  # exceptionTruncated: likewise, and the result buffer has no room for the CapException
  recv @2;
  # Waits for a call to an endpoint, or for the end of a facet; in the ring only. args: buffer
  # address, buffer length, deadline_ns (absolute, waitForever for none), address of MessageCaps or
  # 0. result = ReceiveResult, value = the tag, size = the bytes of the message. A call whose
  # message is longer than the buffer, or that carries capabilities where there is no MessageCaps,
  # fails, and the server does not notice.
  # invalidRequest: flags, method or an argument after the fourth is not zero
  # invokeFailed: the process holds no endpoint cap
  # invalidArgument: the buffer is shorter than 64 bytes
  # wrongState: the thread has received a call that it has not answered
  # invalidResultBuffer: the buffer or the MessageCaps cannot be written; the call has ended with
  #   disconnected, and what it carried is gone
  # disconnected: the last capability for the endpoint is gone
  # timedOut: the deadline came first
  # interrupted: a notification came first
  # unsupportedOpcode: in registers
  return @3;
  # Answers the call that the thread has received; in the ring only. args: message address, message
  # length, the ErrorCode with which the call fails or 0, address of MessageCaps or 0. value =
  # ReplyResult; capabilities are with the server still unless it is answered.
  # invalidRequest: flags, method, cap or an argument after the fourth is not zero
  # wrongState: the thread has no call to answer
  # invalidArgument: the ErrorCode is unknown, or a field of MessageCaps is wrong
  # notFound: the process does not hold a capability that MessageCaps names
  # noMemory: no memory or charge for one on behalf of the process
  # outOfRange: the message is longer than the answer may be: messageBytesMax, or 64 bytes to a call
  #   in registers
  # invalidParamsBuffer: the message or the MessageCaps cannot be read
  # unsupportedOpcode: in registers
  release @4;
  # Drops the capability.
  # invalidRequest: flags, method or an argument is not zero, or RDI has bits above the CapId
  # invokeFailed: the process holds no capability cap
  finish @5;
  # Gives up a call that this thread has begun by endpointCall in the ring, which then ends with
  # cancelled; in the ring only. args: the call's userData. The oldest call that has it is meant.
  # invalidRequest: flags, method, cap or an argument after the first is not zero
  # notFound: no call with it is open
  # unsupportedOpcode: in registers
  park @6;
  # Waits while a 32-bit word holds a value. args: address, expected, deadline_ns (absolute,
  # waitForever for none). value = ParkResult.
  # invalidRequest: flags, method or an argument after the third is not zero, or RDI has bits above
  #   the CapId
  # invokeFailed: the process holds no ParkSpace or SharedParkSpace cap
  # invalidArgument: expected does not fit 32 bits
  # misaligned: address is no multiple of 4
  # badAddress: the word cannot be read; for a SharedParkSpace, it is in no mapping of a
  #   MemoryObject
  unpark @7;
  # Ends waits on a word, those first that came first. args: address, count. value = threads woken.
  # invalidRequest: flags, method or an argument after the second is not zero, or RDI has bits above
  #   the CapId
  # invokeFailed: the process holds no ParkSpace or SharedParkSpace cap
  # misaligned: address is no multiple of 4
  # badAddress: for a SharedParkSpace, the word is in no mapping of a MemoryObject
  compact @8;
  # Calls a method; the arguments are the words of the compact form (call.capnp). The badAddress of
  # a method is about Data and Text in this form, where the method itself reads and writes them.
  # invalidRequest: flags is not zero, or RDI has bits above the method
  # invokeFailed: the process holds no capability cap, or its interface has no such method
  # invalidParamsBuffer: the array of argument words cannot be read
  # invalidResultBuffer: the array of results cannot be written; the method has acted
  # invalidArgument: a word is too wide for its parameter's type: bits above it are set, or it is
  #   not the sign extension
  endpointCall @9;
  # Calls a facet: docs/abi.md. In registers it waits for the answer. In the ring it completes when
  # the call has ended, and others are executed meanwhile. args: message address, message length,
  # result address, result length, deadline_ns (absolute, waitForever for none), address of
  # MessageCaps or 0. size = the bytes of the answer. A server may answer with any ErrorCode of its
  # own, and an answer comes with it.
  # invokeFailed: the process holds no facet cap
  # invalidRequest: RDI has bits above the CapId; in the ring, flags or method is not zero
  # busy: the thread has a call of which it has not seen the end
  # invalidArgument: R15 has another bit than messageMoves, messageTakes and those of the CapId, or
  #   messageMoves without a CapId; or a field of MessageCaps is wrong
  # notFound: the process does not hold a capability that R15 or MessageCaps names
  # noRights: the endpoint accepts no capability
  # noSlots: where the call takes some, the process holds as many capabilities as it may
  # noMemory: where the call takes some, no memory or charge for another capability; none for one on
  #   behalf of the process; in the ring, none for the message and its answer
  # limitReached: as many calls wait as the endpoint lets; or the receiving process has no room for
  #   the capabilities; or the thread has ringCallsMax calls in the ring
  # noCalls: no call is left in the process's budget: of those in the ring, and those that wait for
  #   a thread to receive them
  # outOfRange: in the ring, the message is longer than the server has room for
  # invalidParamsBuffer: in the ring, the message cannot be read, or is longer than
  #   messageBytesMax; or the MessageCaps cannot be read
  # invalidResultBuffer: in the ring, the answer is longer than the result buffer, and nothing of it
  #   has come; or the buffer or the MessageCaps cannot be written, and what came is gone
  # disconnected: the endpoint or the facet is closed, or the thread that received the call ended
  # timedOut: the deadline came first
  # cancelled: in the ring, finish has named the call
  receive @10;
  # Waits for a call to an endpoint, or for the end of a facet. RAX = ReceiveResult. In registers
  # only, like the four below. A call of the ring comes here too if its message has at most 64
  # bytes, and is filled up with zeros.
  # invokeFailed: the process holds no endpoint cap
  # invalidRequest: RDI has bits above the CapId
  # wrongState: the thread has received a call that it has not answered
  # disconnected: the last capability for the endpoint is gone
  # timedOut: the deadline came first
  # interrupted: a notification came first
  # unsupportedOpcode: in the ring
  reply @11;
  # Answers the call that the thread has received. RAX = ReplyResult. With messageMoves the
  # capability leaves the process if it is answered.
  # invalidRequest: RDI is not 0
  # wrongState: the thread has no call to answer
  # invalidArgument: R15 has an unknown ErrorCode or another bit than messageMoves and those of the
  #   CapId, or bits other than the ErrorCode without a CapId
  # notFound: the process does not hold the capability that R15 names
  # noMemory: no memory or charge for one on behalf of the process
  # unsupportedOpcode: in the ring
  replyReceive @12;
  # Both in one step. The call is answered unless the error is one of the first six. With
  # messageMoves the capability then leaves the process in any case.
  # invokeFailed: the process holds no endpoint cap
  # invalidRequest: RDI has bits above the CapId
  # wrongState: the thread has no call to answer
  # invalidArgument: R15 is wrong as for reply
  # notFound: the process does not hold the capability that R15 names
  # noMemory: no memory or charge for one on behalf of the process
  # timedOut: the deadline came first
  # interrupted: a notification came first
  # disconnected: the last capability for the endpoint is gone
  # unsupportedOpcode: in the ring
  await @13;
  # Goes on waiting for the answer to the thread's call: what a call that a notification has
  # interrupted does by itself when the handler resumes it. Ends as endpointCall does.
  # wrongState: the thread has no call
  # disconnected: as for endpointCall
  # timedOut: as for endpointCall
  # cancelled: the thread has cancelled it
  # unsupportedOpcode: in the ring
  cancel @14;
  # Gives up the thread's call, which a notification has interrupted. RAX = 0. Its await then says
  # so.
  # wrongState: the thread has no call
  # unsupportedOpcode: in the ring
}

struct Submission $C.fixed(64) {
  opcode @0 :UInt8;
  flags @1 :UInt8;         # must be zero
  method @2 :UInt16;
  cap @3 :UInt32;
  userData @4 :UInt64;     # echoed in the completion
  args @5 :Data $C.words(6);
  # call: parameters address, parameters length, result address, result length, 0, 0
  # others: as the Opcode says; the rest is zero
}

struct Completion $C.fixed(32) {
  userData @0 :UInt64;
  result @1 :Int32;
  # >= 0: success (call: bytes of result message); < 0: -TransportError or -(ErrorCode + errorBase)
  flags @2 :UInt32;
  value @3 :UInt64;        # compact: the result word; others: as the Opcode says
  cap @4 :UInt32;          # a capability the call returned, or 0
  size @5 :UInt32;         # endpointCall, recv: bytes of the message that has come
}
