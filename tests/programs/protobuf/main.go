// Command protobuf describes messages, encodes and decodes them in three forms, and compares them.
// No generated code is needed, because the description is made at run time.
package main

import (
	"fmt"
	"log"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const orders = `name: "orders.proto" package: "shop" syntax: "proto3"
message_type: {
	name: "Order"
	field: {name: "id" number: 1 type: TYPE_UINT64 label: LABEL_OPTIONAL}
	field: {name: "item" number: 2 type: TYPE_STRING label: LABEL_REPEATED}
	field: {name: "price" number: 3 type: TYPE_DOUBLE label: LABEL_OPTIONAL}
	field: {name: "state" number: 4 type: TYPE_ENUM label: LABEL_OPTIONAL
		type_name: ".shop.State"}
	field: {name: "part" number: 5 type: TYPE_MESSAGE label: LABEL_REPEATED
		type_name: ".shop.Order"}
	field: {name: "raw" number: 6 type: TYPE_BYTES label: LABEL_OPTIONAL oneof_index: 0}
	field: {name: "delta" number: 7 type: TYPE_SINT32 label: LABEL_OPTIONAL oneof_index: 0}
	oneof_decl: {name: "rest"}
}
enum_type: {
	name: "State"
	value: {name: "NEW" number: 0} value: {name: "PAID" number: 1}
	value: {name: "SENT" number: 2}
}`

func main() {
	log.SetFlags(0)
	description := new(descriptorpb.FileDescriptorProto)
	check(prototext.Unmarshal([]byte(orders), description))
	file, err := protodesc.NewFile(description, nil)
	check(err)
	kind := dynamicpb.NewMessageType(file.Messages().ByName("Order"))
	forms(kind)
	large(kind)
	known()
	wrong(kind)
	description.MessageType[0].Field[3].TypeName = proto.String(".shop.Missing")
	_, err = protodesc.NewFile(description, nil)
	fmt.Println("wrong description:", masked(err))
}

// masked takes the difference out of an error that the library puts there, so that nobody depends
// on its text: one of two kinds of space, chosen by the program's hash.
func masked(err error) string { return strings.ReplaceAll(fmt.Sprint(err), "\u00a0", " ") }

func forms(kind protoreflect.MessageType) {
	m := kind.New().Interface()
	check(protojson.Unmarshal([]byte(`{"id":"18446744073709551615","item":["tea","Süßholz"],
		"price":-0.5,"state":"SENT","part":[{"id":1},{"delta":-77}],"raw":"AAEC/w=="}`), m))
	deterministic := proto.MarshalOptions{Deterministic: true}
	wire, err := deterministic.Marshal(m)
	check(err)
	fmt.Printf("%d bytes: %x\n", proto.Size(m), wire)
	for rest := wire; len(rest) > 0; {
		number, _, n := protowire.ConsumeField(rest)
		fmt.Print(" ", number, ":", n)
		rest = rest[max(n, 1):]
		if n < 0 {
			log.Fatal(protowire.ParseError(n))
		}
	}
	fmt.Println()
	again := kind.New().Interface()
	check(proto.Unmarshal(wire, again))
	fmt.Println("equal:", proto.Equal(m, again), m.ProtoReflect().WhichOneof(
		kind.Descriptor().Oneofs().Get(0)).Name())
	text, err := prototext.MarshalOptions{Multiline: true}.Marshal(again)
	check(err)
	fmt.Print(strings.ReplaceAll(string(text), ":  ", ": "))
	proto.Merge(again, m)
	wire, err = deterministic.Marshal(again)
	check(err)
	fmt.Println("merged:", len(wire))
}

func large(kind protoreflect.MessageType) {
	all := kind.New()
	parts := all.Mutable(kind.Descriptor().Fields().ByName("part")).List()
	id := kind.Descriptor().Fields().ByName("id")
	for i := range 20000 {
		part := parts.NewElement()
		part.Message().Set(id, protoreflect.ValueOfUint64(uint64(i)))
		parts.Append(part)
	}
	wire, err := proto.Marshal(all.Interface())
	check(err)
	again := kind.New()
	check(proto.Unmarshal(wire, again.Interface()))
	fmt.Println("large:", len(wire), proto.Equal(all.Interface(), again.Interface()))
}

func known() {
	value, err := structpb.NewStruct(map[string]any{"a": []any{1, "x", nil, true},
		"b": map[string]any{"c": 1e21}})
	check(err)
	inside, err := anypb.New(value)
	check(err)
	for _, m := range []proto.Message{value, inside, durationpb.New(-1500000000),
		&timestamppb.Timestamp{Seconds: 1767225599, Nanos: 1000},
		&fieldmaskpb.FieldMask{Paths: []string{"user.display_name", "photo"}}} {
		text, err := protojson.Marshal(m)
		check(err)
		fmt.Println(m.ProtoReflect().Descriptor().FullName(),
			strings.ReplaceAll(string(text), " ", ""))
	}
}

func wrong(kind protoreflect.MessageType) {
	m := kind.New().Interface()
	for _, text := range []string{`{"id":-1}`, `{"unknown":1}`, `{"state":"LOST"}`, `{"id":1`,
		`{"raw":"AA==","delta":1}`} {
		fmt.Println(text, masked(protojson.Unmarshal([]byte(text), m)))
	}
	for _, wire := range []string{"\x08", "\x12\x05abc", "\x12\x01\xff", "\x0f"} {
		fmt.Printf("%x %s\n", wire, masked(proto.Unmarshal([]byte(wire), m)))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
