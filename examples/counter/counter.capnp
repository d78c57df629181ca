@0x9f0e3c1d5a7b2468;
# The interface of the examples counter and counter-go: a service in C, and one in Go.

using import "/event.capnp".Event;

interface Counter {
  add @0 (number :Int64) -> (total :Int64);
  # Adds a number to the sum.
  watch @1 (event :Event, total :Int64) -> (missing :Int64);
  # Has an event signalled when the sum reaches a number. missing: how much it lacks now.
}
