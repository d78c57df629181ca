@0x9b1c2d3e4f5a6b7d;
# The machine's console.

using C = import "annotations.capnp";

interface Console @0xa1f3c5d2e4b60718
    $C.grants([(name = "stdin", bit = 0), (name = "stdout", bit = 1), (name = "stderr", bit = 2)]) {
  # A byte stream of the machine's console: "stdin", "stdout" and "stderr" are three of them.
  write @0 (data :Data) -> () $C.errors([badAddress, noRights, noMemory]) $C.blocks;
  # Writes all bytes, in order.
  writeLine @1 (text :Text) -> () $C.errors([badAddress, noRights, noMemory]) $C.blocks;
  # Writes the text and a newline, as one piece up to messageBytesMax.
  read @2 (maxBytes :UInt32) -> (data :Data)
    $C.errors([invalidArgument, badAddress, noRights, interrupted, noMemory]) $C.blocks;
  # Waits for at least one byte. No bytes: end of file.
}
