@0xa3c58f17d0e2b964;
# The interface of the example counter-rpc. go.capnp is that of capnproto.org/go/capnp/v3.

using Go = import "/go.capnp";
$Go.package("main");
$Go.import("capos.dev/examples/counter-rpc");

interface Counter {
  add @0 (number :Int64) -> (total :Int64);
  # Adds a number to the sum.
  watch @1 (watcher :Watcher, total :Int64) -> (missing :Int64);
  # Has a watcher called by the call that makes the sum reach a number. missing: how much it lacks
  # now.
}

interface Watcher {
  reached @0 (total :Int64);
}
