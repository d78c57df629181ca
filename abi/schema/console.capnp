@0x9b1c2d3e4f5a6b7d;
# The machine's console.

using C = import "annotations.capnp";

interface Console @0xa1f3c5d2e4b60718
    $C.grants([(name = "stdin", bit = 0), (name = "stdout", bit = 1), (name = "stderr", bit = 2)]) {
  # A byte stream of the machine's console: "stdin", "stdout" and "stderr" are three of them.
  write @0 (data :Data) -> () $C.blocks;
  # Writes all bytes, in order. The caller is blocked while the host takes no output; the wait ends
  # with the caller's process, but not with a notification.
  # data: what to write
  # badAddress: part of data cannot be read; what comes before it may have been written
  # noRights: the object is stdin
  writeLine @1 (text :Text) -> () $C.blocks;
  # Writes the text and a newline, as one piece up to messageBytesMax. Waits as write does.
  # text: what to write, without the newline
  # badAddress: part of text cannot be read; of a longer text, what comes before may have been
  #   written
  # noRights: the object is stdin
  read @2 (maxBytes :UInt32) -> (data :Data) $C.blocks;
  # Waits for at least one byte.
  # maxBytes: how many bytes are wanted at most
  # data: what there is; no bytes: end of file
  # invalidArgument: maxBytes or the room for data is 0
  # badAddress: data cannot be written; its bytes wait for the next reader
  # noRights: the object is not stdin
  # interrupted: a notification came before a byte
  # noMemory: compact form only: no memory for the thread's buffer
}
