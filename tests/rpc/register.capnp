@0xd5a8c0f3e1b29647;
# What the programs of tests/rpc say to each other. go.capnp is that of capnproto.org/go/capnp/v3.

using Go = import "/go.capnp";
$Go.package("main");
$Go.import("capos.dev/tests/rpc");

interface Register {
  add @0 (number :Int64) -> (sum :Int64);
  watch @1 (at :Int64, watcher :Watcher) -> (watch :Watch);
  # The watcher is called by the call that makes the sum reach a number.
  reverse @2 (text :Data) -> (text :Data);
  wait @3 ();
  # Answers when it is cancelled, which a server does not learn, or at the end of the program.
  fail @4 (text :Text);
  end @5 ();
  # Ends the program, without an answer.
  branch @6 () -> (branch :Register);
  # Another register, of its own.
  same @7 (any :AnyPointer) -> (any :AnyPointer);
  # Gives back what it was given.
  sumOf @8 (register :Register) -> (sum :Int64);
}

interface Watcher {
  reached @0 (sum :Int64);
}

interface Watch {}

interface Sum @0xe4b2a6c80d1f3957 {
  # That of c/sum.capnp, with the same id.
  add @0 (number :Int64) -> (total :Int64);
}
