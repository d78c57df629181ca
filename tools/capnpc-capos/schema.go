package main

// The schema as the generators see it: constants, enums, fixed structures, message structures and
// interfaces, each in the order of the source, with the comments of the source. It is read from a
// CodeGeneratorRequest; the field offsets below are those of capnp's own schema.capnp.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Ids of the annotations in abi/schema/annotations.capnp.
const (
	annBlocks = 0xbfb0d9c14ff66dac
	annFixed  = 0xeb4e11e646192524
	annLength = 0xa4b9a8218739ca2f
	annWords  = 0x8aad0a7bd7ea16b9
	annGrants = 0x9d3fb1c7a5e80264
)

type typeKind int

// Type tags, numbered as in schema.capnp.
const (
	typeVoid typeKind = iota
	typeBool
	typeInt8
	typeInt16
	typeInt32
	typeInt64
	typeUint8
	typeUint16
	typeUint32
	typeUint64
	typeFloat32
	typeFloat64
	typeText
	typeData
	typeList
	typeEnum
	typeStruct
	typeInterface
	typeAnyPointer
)

type schema struct {
	consts     []*constant
	enums      []*enum
	structs    []*structure // fixed ones
	messages   []*structure // named message structures
	interfaces []*iface
	byID       map[uint64]*iface
	errors     *enum
	grants     []grant // by bit
	failing    []failing
}

// grant is an object that a program may start with.
type grant struct {
	name string // in the CapSet
	bit  int    // of BootProgram.grants
	it   *iface
}

type constant struct {
	name  string
	kind  typeKind
	value uint64
	doc   string
	fails []fail // of a system call
}

type enum struct {
	name  string
	doc   string
	items []item
}

type item struct {
	name, doc string
	fails     []fail // of an opcode
}

type structure struct {
	name      string
	doc       string
	size      int // fixed: bytes
	align     int
	dataWords int
	pointers  int
	fields    []field
}

type field struct {
	name   string
	doc    string
	kind   typeKind
	typeID uint64
	offset int // message: in units of the type's size, or pointer index; fixed: bytes
	array  int // fixed Data: elements
	elem   int // fixed: bytes of an element
}

type iface struct {
	name    string
	doc     string
	id      uint64
	methods []*method
}

type method struct {
	name        string
	doc         string
	description string // what of doc is not about single parameters, results and errors
	ordinal     int
	params      *structure
	results     *structure
	fails       []fail
	blocks      bool
}

// request is what the compiler hands over: declarations by their ids, and the files asked for.
type request struct {
	nodes map[uint64]object
	docs  map[uint64]docComments
	files []object
}

// loader turns a request into a schema.
type loader struct {
	request
	out *schema
}

type docComments struct {
	own     string
	members []string
}

func (d docComments) member(i int) string {
	if i < len(d.members) {
		return d.members[i]
	}
	return ""
}

// annotationsFile declares what annotations carry. Its structures are no messages of the interface.
const annotationsFile = "annotations.capnp"

// loadSchema reads a request. The schema holds the declarations of all requested files.
func loadSchema(message []byte) (*schema, error) {
	r, err := readRequest(message)
	if err != nil {
		return nil, err
	}
	l := &loader{request: r, out: &schema{byID: map[uint64]*iface{}}}
	for _, file := range l.files {
		name, err := file.text(0)
		if err != nil {
			return nil, err
		}
		if filepath.Base(name) == annotationsFile {
			continue
		}
		if err := l.walk(l.nodes[file.u64(0)], ""); err != nil {
			return nil, err
		}
	}
	if l.out.errors == nil {
		return nil, errors.New("the schema declares no enum ErrorCode")
	}
	if err := l.out.describeAll(); err != nil {
		return nil, err
	}
	return l.out, l.out.orderGrants()
}

func readRequest(message []byte) (r request, err error) {
	msg, err := parseMessage(message)
	if err != nil {
		return r, err
	}
	root, err := msg.root()
	if err != nil {
		return r, err
	}
	nodes, err := root.list(0)
	if err != nil {
		return r, err
	}
	r.nodes = map[uint64]object{}
	for _, n := range nodes {
		r.nodes[n.u64(0)] = n
	}
	if r.files, err = root.list(1); err != nil {
		return r, err
	}
	r.docs, err = readDocs(root)
	return r, err
}

func readDocs(root object) (map[uint64]docComments, error) {
	infos, err := root.list(3)
	if err != nil {
		return nil, err
	}
	docs := map[uint64]docComments{}
	for _, info := range infos {
		own, err := info.text(0)
		if err != nil {
			return nil, err
		}
		members, err := info.list(1)
		if err != nil {
			return nil, err
		}
		d := docComments{own: strings.TrimSpace(own)}
		for _, m := range members {
			text, err := m.text(0)
			if err != nil {
				return nil, err
			}
			d.members = append(d.members, strings.TrimSpace(text))
		}
		docs[info.u64(0)] = d
	}
	return docs, nil
}

// items are those of an enum.
func (r *request) items(node object) ([]item, error) {
	enumerants, err := node.list(3)
	if err != nil {
		return nil, err
	}
	var items []item
	for i, e := range enumerants {
		name, err := e.text(0)
		if err != nil {
			return nil, err
		}
		items = append(items, item{name: name, doc: r.docs[node.u64(0)].member(i)})
	}
	return items, nil
}

var errExtends = errors.New("an interface cannot extend another")

// methods are those of an interface, or errExtends.
func methods(node object) ([]object, error) {
	supers, err := node.list(4)
	if err != nil {
		return nil, err
	}
	if len(supers) != 0 {
		return nil, errExtends
	}
	return node.list(3)
}

// walk visits the declarations nested in a file, struct or interface, in the order of the source.
func (l *loader) walk(parent object, prefix string) error {
	nested, err := parent.list(1)
	if err != nil {
		return err
	}
	for _, entry := range nested {
		name, err := entry.text(0)
		if err != nil {
			return err
		}
		node, found := l.nodes[entry.u64(0)]
		if !found {
			return fmt.Errorf("%s: node is missing", name)
		}
		name = prefix + upperFirstIf(name, prefix != "")
		if err := l.declare(node, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := l.walk(node, name); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) declare(node object, name string) error {
	id := node.u64(0)
	switch node.u16(12) {
	case 1:
		s, err := l.structure(node, name)
		if err != nil {
			return err
		}
		size, fixed, err := annotation(node, 2, annFixed)
		if err != nil {
			return err
		}
		if !fixed {
			l.out.messages = append(l.out.messages, s)
			return nil
		}
		s.size = int(size.u32(4))
		l.out.structs = append(l.out.structs, s)
		return layOutFixed(s)
	case 2:
		items, err := l.items(node)
		if err != nil {
			return err
		}
		e := &enum{name: name, doc: l.docs[id].own, items: items}
		if name == "ErrorCode" {
			l.out.errors = e
		}
		l.out.enums = append(l.out.enums, e)
	case 3:
		return l.iface(node, name)
	case 4:
		return l.constant(node, name)
	}
	return nil
}

func (l *loader) constant(node object, name string) error {
	value, err := node.child(4)
	if err != nil {
		return err
	}
	c := &constant{name: name, kind: typeKind(value.u16(0)), doc: l.docs[node.u64(0)].own}
	switch c.kind {
	case typeUint8:
		c.value = uint64(value.u8(2))
	case typeUint16:
		c.value = uint64(value.u16(2))
	case typeUint32:
		c.value = uint64(value.u32(4))
	case typeUint64:
		c.value = value.u64(8)
	default:
		return errors.New("only unsigned constants are supported")
	}
	l.out.consts = append(l.out.consts, c)
	return nil
}

// structure reads fields in ordinal order. Unions, groups and explicit defaults have no meaning in
// this ABI.
func (l *loader) structure(node object, name string) (*structure, error) {
	id := node.u64(0)
	s := &structure{name: name, doc: l.docs[id].own, dataWords: int(node.u16(14)),
		pointers: int(node.u16(24))}
	if node.u16(30) != 0 {
		return nil, errors.New("unions are not supported")
	}
	fields, err := node.list(3)
	if err != nil {
		return nil, err
	}
	for i, f := range fields {
		text, err := f.text(0)
		if err != nil {
			return nil, err
		}
		if f.u16(8) != 0 {
			return nil, fmt.Errorf("field %s: groups are not supported", text)
		}
		if f.u8(16)&1 != 0 {
			return nil, fmt.Errorf("field %s: defaults are not supported", text)
		}
		t, err := f.child(2)
		if err != nil {
			return nil, err
		}
		fd := field{name: text, doc: l.docs[id].member(i), kind: typeKind(t.u16(0)),
			typeID: t.u64(8), offset: int(f.u32(4))}
		for _, a := range []struct {
			id   uint64
			elem int
		}{{annLength, 1}, {annWords, 8}} {
			value, present, err := annotation(f, 1, a.id)
			if err != nil {
				return nil, err
			}
			if present {
				fd.array, fd.elem = int(value.u32(4)), a.elem
			}
		}
		s.fields = append(s.fields, fd)
	}
	return s, nil
}

func annotation(node object, pointer int, id uint64) (value object, present bool, err error) {
	list, err := node.list(pointer)
	if err != nil {
		return object{}, false, err
	}
	for _, a := range list {
		if a.u64(0) == id {
			value, err = a.child(0)
			return value, true, err
		}
	}
	return object{}, false, nil
}

func (l *loader) iface(node object, name string) error {
	id := node.u64(0)
	it := &iface{name: name, doc: l.docs[id].own, id: id}
	declared, err := methods(node)
	if err != nil {
		return err
	}
	for i, m := range declared {
		md, err := l.method(m, i)
		if err != nil {
			return err
		}
		md.doc = l.docs[id].member(i)
		it.methods = append(it.methods, md)
	}
	l.out.interfaces = append(l.out.interfaces, it)
	l.out.byID[id] = it
	return l.grantsOf(node, it)
}

func (l *loader) method(m object, ordinal int) (*method, error) {
	name, err := m.text(0)
	if err != nil {
		return nil, err
	}
	md := &method{name: name, ordinal: ordinal}
	if md.params, err = l.structure(l.nodes[m.u64(8)], name+"Params"); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if md.results, err = l.structure(l.nodes[m.u64(16)], name+"Results"); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := checkMethod(md); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	_, md.blocks, err = annotation(m, 1, annBlocks)
	return md, err
}

// checkMethod rejects what neither codec nor compact form has a rule for.
func checkMethod(m *method) error {
	for _, f := range m.params.fields {
		if !f.scalar() && !f.bytes() {
			return fmt.Errorf("parameter %s: unsupported type", f.name)
		}
	}
	scalars := 0
	for _, f := range m.results.fields {
		switch {
		case f.scalar():
			scalars++
		case f.kind == typeData || f.kind == typeInterface:
		default:
			return fmt.Errorf("result %s: unsupported type", f.name)
		}
	}
	if len(m.results.fields) > 1 && scalars != len(m.results.fields) {
		return errors.New("a Data or capability result must be the only result")
	}
	return nil
}

func (f field) scalar() bool { return f.width() != 0 }
func (f field) bytes() bool  { return f.kind == typeText || f.kind == typeData }
func (f field) signed() bool { return f.kind >= typeInt8 && f.kind <= typeInt64 }

// width is the scalar's size in bytes, 0 for everything that is no integer.
func (f field) width() int {
	switch f.kind {
	case typeInt8, typeUint8:
		return 1
	case typeInt16, typeUint16, typeEnum:
		return 2
	case typeInt32, typeUint32:
		return 4
	case typeInt64, typeUint64:
		return 8
	}
	return 0
}

// registerWords is how many argument words a register call carries.
const registerWords = 5

// words is the number of argument words of the compact form.
func (m *method) words() int {
	n := 0
	for _, f := range m.params.fields {
		n++
		if f.bytes() {
			n++
		}
	}
	switch {
	case m.dataResult():
		n += 2
	case m.arrayResult():
		n++
	}
	return n
}

// arrayResult says that the results of the compact form go to an array: several, or one that could
// look like an error.
func (m *method) arrayResult() bool {
	r := m.results.fields
	return len(r) > 1 || len(r) == 1 && r[0].signed()
}

// plain says that the words of the compact form are the parameter structure as it is, and the
// result word the result structure, and that registers hold them all.
func (m *method) plain() bool {
	for _, f := range m.params.fields {
		if !f.scalar() {
			return false
		}
	}
	return len(m.params.fields) <= registerWords && !m.dataResult() && !m.capResult() &&
		!m.arrayResult()
}

// narrow says that a parameter has fewer bits than a word: its word needs a check.
func (m *method) narrow() bool {
	for _, f := range m.params.fields {
		if f.scalar() && f.width() < 8 {
			return true
		}
	}
	return false
}

func (m *method) dataResult() bool {
	return len(m.results.fields) == 1 && m.results.fields[0].kind == typeData
}

func (m *method) capResult() bool {
	return len(m.results.fields) == 1 && m.results.fields[0].kind == typeInterface
}

// layOutFixed computes C offsets and rejects a layout that any compiler would pad.
func layOutFixed(s *structure) error {
	offset := 0
	s.align = 1
	for i := range s.fields {
		f := &s.fields[i]
		size := f.width()
		if f.kind == typeData {
			if f.elem == 0 {
				return fmt.Errorf("field %s: Data needs $length or $words", f.name)
			}
			size = f.elem
		} else if f.elem != 0 || size == 0 {
			return fmt.Errorf("field %s: not a type of fixed layout", f.name)
		} else {
			f.elem, f.array = size, 0
		}
		if offset%size != 0 {
			return fmt.Errorf("field %s at offset %d is not aligned to %d", f.name,
				offset, size)
		}
		f.offset = offset
		s.align = max(s.align, size)
		offset += size * max(f.array, 1)
	}
	if offset != s.size {
		return fmt.Errorf("fields end at %d, $fixed says %d", offset, s.size)
	}
	if s.size%s.align != 0 {
		return fmt.Errorf("size %d is not a multiple of the alignment %d", s.size, s.align)
	}
	return nil
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "capnpc-capos:", err)
	os.Exit(1)
}
