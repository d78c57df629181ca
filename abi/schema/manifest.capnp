@0xd5a1c9e07b3f4268;
# The packed manifest of a system: what init reads to know which services there are. It is a file of
# the boot image, which init's argument names. docs/manifest.md is about the manifest as it is
# written; docs/decisions/0017-manifest.md says why the packed one consists of fixed structures.
#
# All offsets are from the start of the file. Services stand in an order in which they can be
# started: each after those that it depends on.

using C = import "annotations.capnp";

const manifestMagic :UInt64 = 0x3154534e4d504143;   # "CAPMNST1"
const manifestSizeMax :UInt32 = 5242880;
const manifestServicesMax :UInt32 = 64;
const manifestEndpointsMax :UInt32 = 64;

struct ManifestHeader $C.fixed(64) {
  magic @0 :UInt64;
  version @1 :UInt32;            # abiVersion
  size @2 :UInt32;               # of the file, in bytes
  serviceCount @3 :UInt32;
  servicesOffset @4 :UInt32;     # ManifestService[serviceCount]
  grantCount @5 :UInt32;
  grantsOffset @6 :UInt32;       # ManifestGrant[grantCount]
  endpointCount @7 :UInt32;
  endpointsOffset @8 :UInt32;    # ManifestEndpoint[endpointCount]
  dependencyCount @9 :UInt32;
  dependenciesOffset @10 :UInt32;  # UInt32[dependencyCount]: indices of services
  reserved @11 :Data $C.length(16);
}

enum ManifestRestart {
  # When a service that has ended is started again.
  never @0;
  onFailure @1;   # when it exited with a status that is not 0, or was ended
  always @2;
}

const manifestForeground :UInt32 = 1;
# The system ends when the service has ended for good, with its status.
const manifestEssential :UInt32 = 2;
# The system ends when the service has ended for good, with a failure.
const manifestSignalsReady :UInt32 = 4;
# The service has an Event "ready", and is ready when it signals bit 0 of it.
const manifestConsole :UInt32 = 8;
# The service writes what others write to the console: it has the end to read from of each pipe of
# kind output, by the name of the grant, ":" and the name of the service. One service at most; it
# does not count where the system ends because no service is left.
const manifestRememberCalls :UInt32 = 16;
# It is started with spawnRememberCalls.

struct ManifestService $C.fixed(128) {
  name @0 :Data $C.length(32);   # 1 to 31 bytes, then NUL
  memoryPages @1 :UInt64;        # 0: no limit of its own
  pathOffset @2 :UInt32;         # of the program in the boot image, NUL-terminated
  argsOffset @3 :UInt32;         # NUL-terminated strings, one after the other
  argsSize @4 :UInt32;           # bytes
  envOffset @5 :UInt32;          # likewise
  envSize @6 :UInt32;
  firstGrant @7 :UInt32;
  grantCount @8 :UInt32;
  firstDependency @9 :UInt32;
  dependencyCount @10 :UInt32;
  flags @11 :UInt32;             # manifestForeground and its like
  restart @12 :UInt32;           # ManifestRestart
  restartLimit @13 :UInt32;      # restarts one soon after the other; then init gives up
  delayMs @14 :UInt32;           # before the first of these restarts; doubled for each
  delayMaxMs @15 :UInt32;        # and at most this
  steadyMs @16 :UInt32;          # a run of this length ends the counting
  readyMs @17 :UInt32;           # how long others wait for it to be ready
  stopMs @18 :UInt32;            # how long it has to end when it is asked to; 0: it is not asked
  heartbeatMs @19 :UInt32;       # it signals bit 0 of an Event "heartbeat" this often; 0: never
  threads @20 :UInt32;           # limits as in SpawnLimits
  capabilities @21 :UInt32;
  calls @22 :UInt32;
  cpu @23 :UInt16;               # thousandths of a CPU
  shared @24 :UInt16;            # of each Budget that is only a ceiling, bit 1 << ordinal
}

enum ManifestGrantKind {
  kernel @0;   # a capability that init holds under the same name
  serve @1;    # the owner's side of an endpoint
  use @2;      # a facet of an endpoint
  log @3;      # a facet of init's own endpoint: init.capnp
  output @4;   # the end to write to of a pipe that the service with manifestConsole reads
  device @5;   # a device, which init opens at each start and lets go of when the service has it
  registers @6;  # likewise a device of which a trusted driver maps the registers
  processes @7;  # a facet of init's own endpoint for the processes of services: init.capnp
}

struct ManifestGrant $C.fixed(64) {
  name @0 :Data $C.length(48);   # in the service's CapSet
  tag @1 :UInt64;                # of a facet; of a device virtio's number of its type;
                                 # of one with registers PCI's vendor and device, 16 bits each
  kind @2 :UInt32;               # ManifestGrantKind
  endpoint @3 :UInt32;           # index, of serve and use; of a device among those that are alike
}

const manifestPersistent :UInt32 = 1;
# The endpoint outlives the service: calls that no thread has received wait for the next instance.

struct ManifestEndpoint $C.fixed(64) {
  name @0 :Data $C.length(48);
  server @1 :UInt32;             # index of the service
  callsMax @2 :UInt32;
  flags @3 :UInt32;              # manifestPersistent, or 0
  reserved @4 :UInt32;
}
