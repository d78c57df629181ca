@0xfd0c1b2a39485765;
# Random bytes.

using C = import "annotations.capnp";

interface EntropySource @0xcb5d6e7f80192a34 $C.grants([(name = "entropy", bit = 10)]) {
  fill @0 (length :UInt32) -> (data :Data) $C.errors([notSeeded, badAddress, invalidArgument]);
  # At most 65 536 bytes a call (fewer in a message).
  status @1 () -> (sources :UInt32);
  # Bit 0 RDSEED, 1 RDRAND, 2 virtio-rng, 3 boot seed. 0: not seeded.
}
