@0xfd0c1b2a39485765;
# Random bytes.

using C = import "annotations.capnp";

const entropySeedMax :UInt32 = 256;

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
  # sources: bit 0 RDSEED, 1 RDRAND, 2 an entropy device, 3 boot seed; 0: it is not seeded
}

interface EntropySeed @0xb51c0f7d9e6a4832 $C.grants([(name = "entropy_seed", bit = 19)]) {
  # What the driver of an entropy device feeds the generator through. It is mixed in, so bytes that
  # others know take nothing away from it.
  add @0 (data :Data) -> ();
  # Mixes bytes into the generator. With the first 32 of all the generator counts as seeded.
  # data: the bytes, 1 to entropySeedMax; no other use may be made of them
  # invalidArgument: there are no bytes, or more than entropySeedMax
  # badAddress: data cannot be read
}
