@0xa4c1e7305b9d2f86;
# Leases: copies of capabilities that can be taken back from all who hold them.

using C = import "annotations.capnp";

const leaseDepthMax :UInt32 = 8;   # leases that stand for copies of one another

interface LeaseFactory @0xd60f3b82a97ce154 $C.grants([(name = "lease_factory", bit = 20)]) {
  create @0 (object :UInt32) -> (lease :Lease);
  # Makes a lease for an object, which is charged to the caller until the last holder of the lease
  # and of its copies has released them. The lease holds the object as a capability does.
  # object: a CapId of the caller's, which stays as it is. A revocable copy gives a lease below the
  #   one from which it comes, that ends with that one. VirtualMemory and its like are lent on
  #   behalf of the caller
  # lease: the new lease, with no copy yet
  # notFound: the caller holds no such capability
  # noRights: it is a Lease, ThreadControl, ParkSpace or SharedParkSpace
  # limitReached: it is the copy of a lease leaseDepthMax deep
  # revoked: it is the copy of a lease that is revoked
  # noMemory: no memory for the kernel's record of it, or no charge is left
  # noSlots: the process holds as many capabilities as it may
}

interface Lease @0xbc27f4d1068e3a95 {
  # The right to take copies back. When the last capability for it is gone, it is revoked.
  copy @0 () -> (copy :LeaseCopy);
  # Makes a revocable copy, by which the object is used as by any capability. Copies of it, in
  # messages and in grants, are revocable with it.
  # copy: the new copy
  # revoked: the lease is revoked
  # noSlots: the process holds as many capabilities as it may
  # noMemory: the table of capabilities cannot grow
  revoke @1 () -> ();
  # Takes back all copies, wherever they are, with the leases below. From now on calls by them
  # answer revoked, and calls that wait end with revoked. Events that were bound through them get no
  # more signals. What was mapped through them is unmapped in every process. Its addresses stay
  # reserved, and threads parked on its words get drained. The lease gives the object up. A call
  # that does not wait may still end on another CPU. Further calls do nothing more.
}

interface LeaseCopy @0xf38d10a97c25e46b {}
# What copy gives: marker, since a revocable copy has the interface of the object it stands for.
