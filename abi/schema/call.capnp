@0xd2c1f0a4b7e63958;
# The system calls and the compact form of a method's parameters, which register calls and the ring
# share. docs/abi.md describes the forms in full.
#
# A method's ordinal is its number; the interface id is the type id.
#
# Compact form (opcode compact, in the ring or in registers): parameters in order, a scalar is one
# word, Data and Text are two (address, length). A Data result adds two words (address, capacity)
# and yields the bytes written. A single unsigned scalar or capability is the result word. Any other
# result (several scalars, or a signed one, which could look like an error) adds one word, the
# address of an array of 64-bit words that receives it. If that makes more words than fit (5 in
# registers, 6 in the ring), the first word is instead the address of an array holding all of them.

const sysExit :UInt32 = 0;
# RDI = exit code (its low 32 bits), RSI = ExitScope. Does not return.
# invalidRequest: RSI is no ExitScope
const sysCapEnter :UInt32 = 1;
# RDI = min_complete, RSI = timeout_ns. RAX = completions available, or minus a TransportError.
# With an Opcode in bits 8..15 of EAX the call is a register call: see docs/abi.md.
# invalidRequest: RAX has bits above the opcode, or is no system call; the ring's indices are
#   further apart than its queues are long; or there are submissions and the thread is in its
#   notification handler
# unsupportedOpcode: the opcode of a register call has no register form

const exitScopeThread :UInt32 = 0;
# ends the calling thread; the process ends with its last live thread
const exitScopeProcess :UInt32 = 1;   # ends the process, all threads

const waitForever :UInt64 = 0xffffffffffffffff;

const messageBytesMax :UInt32 = 65536;       # parameters or results of one ring call

struct CapException {
  # What a ring call that fails leaves in its result buffer.
  type @0 :Type;
  code @1 :UInt16;       # ErrorCode
  detail @2 :UInt64;     # the argument's position, the limit, or what was left; 0: nothing to add
  reason @3 :Text;
  enum Type {
    failed @0;
    overloaded @1;
    disconnected @2;
    unimplemented @3;
    invalidArgument @4;
  }
}
