@0xfd0c1b2a39485765;
# Random bytes.

using C = import "annotations.capnp";

interface EntropySource @0xcb5d6e7f80192a34 $C.grants([(name = "entropy", bit = 10)]) {
  fill @0 (length :UInt32) -> (data :Data);
  # Gives random bytes.
  # length: how many, at most 65 536, in a message fewer
  # data: the bytes
  # notSeeded: no source has given enough to seed the generator yet
  # badAddress: data cannot be written
  # invalidArgument: length is above 65 536 or above the room for data
  status @1 () -> (sources :UInt32);
  # Tells where the generator's seed came from.
  # sources: bit 0 RDSEED, 1 RDRAND, 2 virtio-rng, 3 boot seed; 0: it is not seeded
}
