@0xc46d1f08b27e953a;
# What init answers, at two endpoints of its own. A manifest grants a facet (Facet) of each by name.
#
# "init_log" is the log of what has happened to the services of a system. Word 0 of a call is a
# number. The eight words of the answer are the InitEvent with that number, or the oldest one after
# it that is kept. The call fails with notFound when there is none yet.
#
# "init_processes" gives the processes of services, so whoever holds it can end, suspend and look
# into every service. A call has the service's name in its first four words, then NUL. The eight
# words of the answer are an InitProcess, and its capability is the Process, where there is one. The
# call fails with notFound when there is no such service.

using C = import "annotations.capnp";

const initEventsMax :UInt32 = 64;   # so many events are kept, the newest

enum InitEventKind {
  started @0;
  ready @1;
  ended @2;        # code: its status, as the machine's would be
  restarting @3;   # code: which restart it is
  gaveUp @4;       # code: how many restarts there were
  refused @5;      # it was not started; code: an error, or 0 when what it depends on is not ready
  silent @6;       # a heartbeat was missing, and init ends it
  asked @7;        # to end, because the system ends
  forced @8;       # to end, because it did not in its time
}

struct InitEvent $C.fixed(64) {
  number @0 :UInt64;             # counts from 1
  timeNs @1 :UInt64;             # since start
  kind @2 :UInt32;               # InitEventKind
  code @3 :Int32;
  reserved @4 :UInt64;
  service @5 :Data $C.length(32);  # its name, then NUL
}

struct InitProcess $C.fixed(64) {
  instance @0 :UInt64;     # how many processes were started for the service
  startedNs @1 :UInt64;    # the newest of them, since start
  over @2 :UInt32;         # 1: it has ended for good
  restarts @3 :UInt32;     # one soon after the other
  initPages @4 :UInt64;    # what the kernel keeps for init itself: kernelPages of its MemoryUsage
  ready @5 :UInt32;        # 1: that one has said that it is ready, or does not say so
  reserved @6 :UInt32;
  reserved2 @7 :Data $C.length(24);
}
