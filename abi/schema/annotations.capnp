@0xbc87b27d8ba4b797;
# Annotations that carry what Cap'n Proto itself has no words for: which structures are shared
# memory with a fixed C layout, which methods may block, which objects a program may start with. The
# generator reads them.
#
# It also reads the comments of methods, of the Opcodes and of the system calls. After the
# description each parameter, result and error has an entry "NAME: text", continued in indented
# lines. The text of an error says when it comes; a call with several mistakes gets one of their
# errors. What the call layer may answer for any method is said at the Opcode and not repeated.

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
