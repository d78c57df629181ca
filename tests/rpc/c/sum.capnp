@0x9d0b3c5e7f1a2846;
# Interface Sum of ../register.capnp, for C.

interface Sum @0xe4b2a6c80d1f3957 {
  add @0 (number :Int64) -> (total :Int64);
}
