@0xbc87b27d8ba4b797;
# Annotations that carry what Cap'n Proto itself has no words for: which errors a method may answer
# with, which structures are shared memory with a fixed C layout, and which methods may block. The
# generator reads them.

using Errors = import "errors.capnp";

annotation errors @0xdeb85b4f4489ba0d (method) :List(Errors.ErrorCode);
# Every error the method itself can answer with. Errors of the call layer (bad capability,
# unreadable message) are not repeated here; docs/abi.md lists them.

annotation blocks @0xbfb0d9c14ff66dac (method) :Void;
# The method may suspend the calling thread.

annotation fixed @0xeb4e11e646192524 (struct) :UInt32;
# The structure is not a Cap'n Proto message: it lies in shared memory with the C layout of its
# fields in ordinal order, naturally aligned, without implicit padding. The value is its size in
# bytes, which the generator checks.

annotation length @0xa4b9a8218739ca2f (field) :UInt32;
# On a Data field of a fixed structure: the field is an inline array of this many bytes.

annotation words @0x8aad0a7bd7ea16b9 (field) :UInt32;
# On a Data field of a fixed structure: the field is an inline array of this many UInt64.

struct Grant {
  # An object of which there is one for the whole machine and which a program may start with. It
  # stands for an authority: what it acts on is the calling process, or the machine.
  name @0 :Text;    # in the CapSet
  bit @1 :UInt8;    # of BootProgram.grants; the CapSet lists the objects in this order
}

annotation grants @0x9d3fb1c7a5e80264 (interface) :List(Grant);
# The objects with this interface that a program may start with. Everything that lists them is
# generated from here: the kernel's objects and the CapSet, the variables of libcapos and of the Go
# port, the reference.
