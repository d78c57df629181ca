@0xd2c1f0a4b7e6395b;
# Every kind of type that an interface of a user may have, for the tests of ./capos schema.

using import "/event.capnp".Event;

const answer :Int32 = -42;
const greeting :Text = "hello \"you\"";

enum Color {
  red @0;
  darkGreen @1;
  blue @2;
}

struct Point {
  x @0 :Int32;
  y @1 :Int32 = 7;
  color @2 :Color = darkGreen;
}

struct Node {
  # A tree, and a structure that can contain itself.
  name @0 :Text;
  children @1 :List(Node);
  left @2 :Node;
  at @3 :Point;
}

struct Shape {
  area @0 :Float64 = 1.5;
  union {
    none @1 :Void;
    circle @2 :Float32;
    box :group {
      width @3 :UInt16;
      height @4 :UInt16;
      name @6 :Text;
    }
    corners @5 :List(Point);
  }
}

struct All {
  bit @0 :Bool = true;
  small @1 :Int8 = -3;
  medium @2 :UInt16 = 3;
  wide @3 :Int64;
  real @4 :Float32 = 0.5;
  data @5 :Data;
  text @6 :Text;
  tree @7 :Node;
  shape @8 :Shape;
  bits @9 :List(Bool);
  bytes @10 :List(UInt8);
  words @11 :List(UInt16);
  reals @12 :List(Float64);
  texts @13 :List(Text);
  blobs @14 :List(Data);
  grid @15 :List(List(Int32));
  colors @16 :List(Color);
  shapes @17 :List(Shape);
  events @18 :List(Event);
  event @19 :Event;
}

interface Counter {
  # A sum, with methods that fit 64 bytes.
  add @0 (number :Int64) -> (total :Int64);
  # Adds to the sum.
  watch @1 (event :Event, when :Int64) -> (former :Event);
  # Keeps an event that is signalled when the sum reaches a number, and gives the former one back.
  point @2 Point -> Point;
}

interface Echo {
  all @0 All -> All;
  # Gives everything back.
  open @1 (start :Int64, name :Text) -> (counter :Counter, name :Text);
  # Makes a sum, and gives a capability for it.
  length @2 (bytes :Data) -> (length :UInt64);
  stop @3 ();
  # Ends the service.
  die @4 ();
  # Ends the process.
  names @6 (client :Int8, status :Int8, params :Int8, results :Int8, int :Int8, call :Int8)
    -> (call :Int8, methods :Int8, results :Int8, which :Int8);
  # Names that the generated code has, too.
  missing @5 () -> (number :UInt32);
  # A method that no server of the tests has.
}
