@0x8902eecd2eca0d2d;
# Every number with which capOS says no. Numbers are never reused.

enum TransportError {
  # Why a submission never became a method's answer. A completion's result (and RAX of a register
  # call) is minus the ordinal.
  none @0;
  invalidRequest @1;
  # the submission's fields make no sense, or a reserved field is not zero
  invalidParamsBuffer @2;    # the kernel cannot read the parameters
  invalidResultBuffer @3;    # the kernel cannot write the results, or they do not fit
  invokeFailed @4;
  # the CapId names nothing the caller holds (never valid, stale or forged), or no such method
  unsupportedOpcode @5;      # the opcode is reserved or unknown
  applicationException @6;   # ring calls only: a serialised CapException is in the result buffer
  exceptionTruncated @7;     # the same, but it did not fit and was not written
}

enum ErrorCode {
  # Why a method fails. In a register call RAX is -(ordinal + errorBase).
  none @0;

  # The caller's mistake.
  invalidArgument @1;      # a value outside its type's meaning: unknown flag, zero length
  misaligned @2;           # an address or length that is not a multiple of the page (or word) size
  outOfRange @3;
  # an address or length outside the object or the user half of the address space
  badAddress @4;           # the memory named cannot be read or written by the caller
  protectionDenied @5;    # writable and executable at once, or more than the object allows
  malformedMessage @6;
  # parameters that are not a well-formed Cap'n Proto message of the method's type

  # Wrong state.
  notReserved @7;          # part of the range is not reserved by this process
  notCommitted @8;         # part of the range is reserved but not committed
  overlap @9;              # part of the range is in use already
  busy @10;                # another caller is doing this already
  notFound @11;            # no such name, thread or object
  wrongState @12;          # the object cannot do this now (a running thread's registers, say)

  # A resource is lacking.
  noMemory @13;
  # no physical frame left to reserve or to give, or no memory left in the process's budget
  noReservation @14;       # the reservation ledger is full, or no gap of that size is left
  noSlots @15;
  # the capability table is full, or no capability left in the process's budget
  limitReached @16;        # another bound stated in the schema
  notSeeded @17;           # the entropy source has no seed yet: asking again later may succeed

  # Peers and time.
  disconnected @18;        # the object's server or device is gone
  timedOut @19;            # the deadline passed first
  interrupted @20;         # a notification ended the wait
  unimplemented @21;       # the interface declares the method; this kernel does not have it
  noRights @22;            # the object exists but was handed out without this
  cancelled @23;           # the caller has given the call up

  # A resource is lacking, too.
  noThreads @24;           # no thread left in the process's budget
  noCalls @25;             # no outstanding call left in the process's budget
  noCpu @26;               # not so much CPU time left in the process's budget

  # Taken back.
  revoked @27;             # the capability is a revocable copy that has been taken back
}

const errorBase :UInt32 = 16;
