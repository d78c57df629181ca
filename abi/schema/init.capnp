@0xc46d1f08b27e953a;
# What init answers: its log of what has happened to the services of a system. A manifest grants it
# by the name "init_log", as a facet (Facet) of an endpoint that init serves.
#
# Word 0 of a call is a number. The eight words of the answer are the InitEvent with that number, or
# the oldest one after it that is kept. The call fails with notFound when there is none yet.

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
