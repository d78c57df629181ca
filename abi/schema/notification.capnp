@0xcad9e8f70615243f;
# Notifications: faults and events that interrupt a thread, and the registers it had.

using C = import "annotations.capnp";

enum NotificationKind {
  none @0;
  pageFault @1;           # code 1: nothing mapped there; 2: protection; address = the address
  generalProtection @2;   # address unknown
  divide @3;
  illegalInstruction @4;
  breakpoint @5;
  floatingPoint @6;
  alignment @7;
  outOfMemory @8;         # no frame for a demand-zero page; address = the address
  profileTick @9;
  interrupt @10;          # the console's interrupt key
  quit @11;               # the console's quit key
  terminate @12;
}
# Kinds 0 to 31 come from the kernel; ThreadHandle.notify sends 32 to 62.

const faultMapping :UInt32 = 1;
const faultProtection :UInt32 = 2;

const notifyUserFirst :UInt32 = 32;
const notifyUserLast :UInt32 = 62;
# bit 63 of a mask is always clear, so that a mask returned in RAX is never taken for an error

struct ThreadState $C.fixed(256) {
  # A thread's registers: what lies on the notification stack, and what readState and writeState
  # carry.
  kind @0 :UInt32;
  code @1 :UInt32;
  address @2 :UInt64;
  mask @3 :UInt64;         # notifications masked at delivery; resume puts it back
  rax @4 :UInt64;
  rbx @5 :UInt64;
  rcx @6 :UInt64;
  rdx @7 :UInt64;
  rsi @8 :UInt64;
  rdi @9 :UInt64;
  rbp @10 :UInt64;
  rsp @11 :UInt64;
  r8 @12 :UInt64;
  r9 @13 :UInt64;
  r10 @14 :UInt64;
  r11 @15 :UInt64;
  r12 @16 :UInt64;
  r13 @17 :UInt64;
  r14 @18 :UInt64;
  r15 @19 :UInt64;
  rip @20 :UInt64;
  rflags @21 :UInt64;
  fsBase @22 :UInt64;
  xsaveAddress @23 :UInt64;
  # standard-format XSAVE area on the same stack, 64-byte aligned; 0: none
  xsaveSize @24 :UInt32;
  trap @25 :UInt32;           # processor vector of a fault
  errorCode @26 :UInt64;      # processor error code of a fault
  value @27 :UInt64;          # notify's value
  reserved @28 :Data $C.length(48);
}
