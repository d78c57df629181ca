package main

// A user's schema as the generators see it. It is read from a CodeGeneratorRequest, like that of
// the kernel (schema.go), and may use more of Cap'n Proto: lists, nested structures, unions,
// floats, preset values. What it may not use is rejected with file and line.

import (
	"fmt"
	"math"
	"path"
	"strings"
)

// userFile is the file that was asked for.
type userFile struct {
	name       string // sum.capnp
	id         uint64
	imports    []string
	consts     []*userConst
	enums      []*userEnum
	structs    []*userStruct // each after those that it embeds
	interfaces []*userInterface
}

type userConst struct {
	path, doc string
	kind      typeKind
	bits      uint64
	text      string
}

type userEnum struct {
	path, doc string
	items     []item
}

// userStruct is a structure, a group, or the parameters or results of a method.
type userStruct struct {
	path, doc  string
	id         uint64
	dataWords  int
	pointers   int
	group      bool
	fields     []*userField
	unionCount int // fields of its union; 0: it has none
	unionNames []unionName
	unionAt    int // its tag, in units of 16 bits
	ordered    bool
}

// unionName is a field of a union, which may have no value.
type unionName struct {
	name string
	tag  int
}

// userType is the type of a field or of the items of a list.
type userType struct {
	kind     typeKind
	item     *userType // of a list
	of       *userStruct
	enumPath string
	pointed  bool // a structure that could contain what it is in
}

type userField struct {
	name, doc string
	path      string
	userType
	group  bool
	offset int
	preset uint64
	tag    int // in the union; -1: outside
}

type userInterface struct {
	path, doc string
	id        uint64
	methods   []*userMethod
}

type userMethod struct {
	name, doc, path string
	ordinal         int
	params, results *userStruct
}

// userLoader turns a request into a userFile. It keeps the structures that it has met.
type userLoader struct {
	request
	*userFile
	source  *source
	structs map[uint64]*userStruct
	used    map[uint64]bool // files
}

// loadUserSchema reads a request about one file, whose text tells the lines.
func loadUserSchema(message []byte, text *source) (*userFile, error) {
	r, err := readRequest(message)
	if err != nil {
		return nil, err
	}
	if len(r.files) != 1 {
		return nil, fmt.Errorf("%d files are asked for, and not one", len(r.files))
	}
	l := &userLoader{request: r, userFile: &userFile{name: path.Base(text.file)}, source: text,
		structs: map[uint64]*userStruct{}, used: map[uint64]bool{}}
	l.id = l.files[0].u64(0)
	if err := l.declarations(l.nodes[l.id]); err != nil {
		return nil, err
	}
	l.orderStructs()
	return l.userFile, l.importsOf(l.files[0])
}

// importsOf finds the files that declare structures and enums which this one uses.
func (l *userLoader) importsOf(file object) error {
	imports, err := file.list(1)
	if err != nil {
		return err
	}
	for _, i := range imports {
		name, err := i.text(0)
		if err != nil {
			return err
		}
		if l.used[i.u64(0)] {
			l.imports = append(l.imports, path.Base(name))
		}
	}
	return nil
}

// pathOf is the name of a declaration with those around it.
func (l *userLoader) pathOf(id uint64) string {
	node, found := l.nodes[id]
	if !found {
		return "unknown"
	}
	name, err := node.text(0)
	if err != nil {
		return "unknown"
	}
	_, declared, _ := strings.Cut(name, ":")
	return declared
}

func (l *userLoader) declarations(parent object) error {
	nested, err := parent.list(1)
	if err != nil {
		return err
	}
	for _, entry := range nested {
		node, found := l.nodes[entry.u64(0)]
		if !found {
			return fmt.Errorf("a declaration of %s is missing", l.name)
		}
		where := l.pathOf(entry.u64(0))
		if node.u8(36)&1 != 0 {
			return l.source.errorAt(where, "parameters of types are not supported")
		}
		if err := l.declaration(node, where); err != nil {
			return err
		}
		if err := l.declarations(node); err != nil {
			return err
		}
	}
	return nil
}

func (l *userLoader) declaration(node object, where string) error {
	id := node.u64(0)
	switch node.u16(12) {
	case 1:
		_, err := l.structOf(id)
		return err
	case 2:
		items, err := l.items(node)
		if err != nil {
			return err
		}
		l.enums = append(l.enums, &userEnum{path: where, doc: l.docs[id].own, items: items})
	case 3:
		return l.interfaceOf(node, where)
	case 4:
		return l.constOf(node, where)
	}
	return nil
}

func (l *userLoader) constOf(node object, where string) error {
	kind, err := node.child(3)
	if err != nil {
		return err
	}
	value, err := node.child(4)
	if err != nil {
		return err
	}
	c := &userConst{path: where, doc: l.docs[node.u64(0)].own, kind: typeKind(kind.u16(0))}
	switch c.kind {
	case typeText:
		c.text, err = value.text(0)
	case typeVoid, typeData, typeList, typeStruct, typeInterface, typeAnyPointer, typeEnum:
		return l.source.errorAt(where, "constants are numbers, Bool or Text")
	default:
		c.bits = presetOf(value, c.kind)
	}
	l.consts = append(l.consts, c)
	return err
}

// presetOf gives the bits of a number in a Value.
func presetOf(value object, kind typeKind) uint64 {
	switch kind {
	case typeBool:
		return uint64(value.u8(2) & 1)
	case typeInt8, typeUint8:
		return uint64(value.u8(2))
	case typeInt16, typeUint16, typeEnum:
		return uint64(value.u16(2))
	case typeInt32, typeUint32, typeFloat32:
		return uint64(value.u32(4))
	case typeInt64, typeUint64, typeFloat64:
		return value.u64(8)
	}
	return 0
}

// structOf gives a structure of this or of an imported file.
func (l *userLoader) structOf(id uint64) (*userStruct, error) {
	if s := l.structs[id]; s != nil {
		return s, nil
	}
	node, found := l.nodes[id]
	if !found {
		return nil, fmt.Errorf("a structure of %s is missing", l.name)
	}
	s := &userStruct{path: l.pathOf(id), doc: l.docs[id].own, id: id, group: node.u8(28)&1 != 0,
		dataWords: int(node.u16(14)), pointers: int(node.u16(24)),
		unionCount: int(node.u16(30)), unionAt: int(node.u32(32))}
	l.structs[id] = s
	if l.fileOf(id) == l.id {
		l.userFile.structs = append(l.userFile.structs, s)
	}
	if s.dataWords+s.pointers != 0 {
		l.used[l.fileOf(id)] = true
	}
	fields, err := node.list(3)
	if err != nil {
		return nil, err
	}
	for i, f := range fields {
		field, err := l.field(s, f)
		if err != nil {
			return nil, err
		}
		if field != nil {
			field.doc = l.docs[id].member(i)
			s.fields = append(s.fields, field)
		}
	}
	return s, nil
}

// scopesMax is more scopes than are in each other. A request may be damaged and have circles.
const scopesMax = 1000

// fileOf is the id of the file in which something is declared. A method's parameters have no scope.
func (l *userLoader) fileOf(id uint64) uint64 {
	for range scopesMax {
		node, found := l.nodes[id]
		if !found || node.u16(12) == 0 {
			return id
		}
		if node.u64(16) == 0 {
			return l.id
		}
		id = node.u64(16)
	}
	return l.id
}

// field is nil for one that has no value.
func (l *userLoader) field(s *userStruct, f object) (*userField, error) {
	name, err := f.text(0)
	if err != nil {
		return nil, err
	}
	field := &userField{name: name, path: s.path + "." + name, tag: int(f.u16(2) ^ 0xffff)}
	if field.tag == 0xffff {
		field.tag = -1
	} else {
		s.unionNames = append(s.unionNames, unionName{name, field.tag})
	}
	if f.u16(8) == 1 {
		field.group, field.kind = true, typeStruct
		field.of, err = l.structOf(f.u64(16))
		return field, err
	}
	t, err := f.child(2)
	if err != nil {
		return nil, err
	}
	if typeKind(t.u16(0)) == typeVoid {
		return nil, nil
	}
	field.offset = int(f.u32(4))
	if field.userType, err = l.typeOf(t, field.path); err != nil {
		return nil, err
	}
	value, err := f.child(3)
	if err != nil {
		return nil, err
	}
	if field.preset = presetOf(value, field.kind); f.u8(16)&1 != 0 && !field.number() {
		return nil, l.source.errorAt(field.path, "only numbers have default values")
	}
	return field, nil
}

func (l *userLoader) typeOf(t object, where string) (u userType, err error) {
	u.kind = typeKind(t.u16(0))
	switch u.kind {
	case typeEnum:
		u.enumPath = l.pathOf(t.u64(8))
		l.used[l.fileOf(t.u64(8))] = true
	case typeStruct:
		if node := l.nodes[t.u64(8)]; node.u8(36)&1 != 0 {
			return u, l.source.errorAt(where, "parameters of types are not supported")
		}
		u.of, err = l.structOf(t.u64(8))
	case typeList:
		inner, err := t.child(0)
		if err != nil {
			return u, err
		}
		item, err := l.typeOf(inner, where)
		if err != nil {
			return u, err
		}
		if item.kind == typeVoid {
			return u, l.source.errorAt(where, "lists of Void are not supported")
		}
		u.item = &item
	case typeAnyPointer:
		return u, l.source.errorAt(where, "AnyPointer is not supported; a capability has "+
			"the type of an interface")
	}
	return u, err
}

func (t *userType) number() bool {
	return t.kind >= typeBool && t.kind <= typeFloat64 || t.kind == typeEnum
}

func (l *userLoader) interfaceOf(node object, where string) error {
	id := node.u64(0)
	it := &userInterface{path: where, doc: l.docs[id].own, id: id}
	declared, err := methods(node)
	if err == errExtends {
		return l.source.errorAt(where, "%v", err)
	}
	if err != nil {
		return err
	}
	for i, m := range declared {
		name, err := m.text(0)
		if err != nil {
			return err
		}
		md := &userMethod{name: name, path: where + "." + name, ordinal: i,
			doc: l.docs[id].member(i)}
		if generic, err := m.list(4); err != nil || len(generic) != 0 {
			return l.source.errorAt(md.path, "parameters of types are not supported")
		}
		if md.params, err = l.structOf(m.u64(8)); err != nil {
			return err
		}
		if md.results, err = l.structOf(m.u64(16)); err != nil {
			return err
		}
		it.methods = append(it.methods, md)
	}
	l.interfaces = append(l.interfaces, it)
	return nil
}

// reaches tells whether a structure may contain another, by structures and groups in it.
func reaches(from, to *userStruct, seen map[*userStruct]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, f := range from.fields {
		if f.kind == typeStruct && reaches(f.of, to, seen) {
			return true
		}
	}
	return false
}

// orderStructs finds what has to be pointed to, and puts a structure behind those it embeds.
func (l *userLoader) orderStructs() {
	for _, s := range l.structs {
		for _, f := range s.fields {
			f.pointed = f.kind == typeStruct && !f.group &&
				reaches(f.of, s, map[*userStruct]bool{})
		}
	}
	all := l.userFile.structs
	l.userFile.structs = nil
	for _, s := range all {
		l.order(s)
	}
}

func (l *userLoader) order(s *userStruct) {
	if s.ordered || l.fileOf(s.id) != l.id {
		return
	}
	s.ordered = true
	for _, f := range s.fields {
		if f.kind == typeStruct && !f.pointed {
			l.order(f.of)
		}
	}
	l.userFile.structs = append(l.userFile.structs, s)
}

// carriesMany is more capabilities than a message has.
const carriesMany = 8

// carries tells how many capabilities there may be in a structure.
func (s *userStruct) carries(seen map[*userStruct]bool) int {
	if seen[s] {
		return 0
	}
	seen[s] = true
	defer delete(seen, s)
	count := 0
	for _, f := range s.fields {
		count += f.userType.carries(seen)
	}
	return min(count, carriesMany)
}

func (t *userType) carries(seen map[*userStruct]bool) int {
	switch t.kind {
	case typeInterface:
		return 1
	case typeStruct:
		if n := t.of.carries(seen); n == 0 || !t.pointed {
			return n
		}
		return carriesMany
	case typeList:
		if t.item.carries(seen) != 0 {
			return carriesMany
		}
	}
	return 0
}

// boundedWords is the most words of a structure and of what it points to; 0: there is no bound that
// a uint16 can tell.
func (s *userStruct) boundedWords() int {
	behind, bounded := s.wordsBehind()
	words := s.dataWords + s.pointers + behind
	if !bounded || words > math.MaxUint16 {
		return 0
	}
	return words
}

// wordsBehind are those that a structure points to. A group shares the structure's own.
func (s *userStruct) wordsBehind() (words int, bounded bool) {
	for _, f := range s.fields {
		switch {
		case f.kind == typeText || f.kind == typeData || f.kind == typeList || f.pointed:
			return 0, false
		case f.kind == typeStruct:
			inner, bounded := f.of.wordsBehind()
			if !bounded {
				return 0, false
			}
			if !f.group {
				inner += f.of.dataWords + f.of.pointers
			}
			words += inner
		}
	}
	return words, true
}

// fitsRegisters tells whether a message of so many words holds the structure, with nothing behind
// it and one capability at most.
func (s *userStruct) fitsRegisters(words int) bool {
	caps := 0
	for _, f := range s.fields {
		switch {
		case f.group || f.kind == typeStruct || f.kind == typeText || f.kind == typeData ||
			f.kind == typeList:
			return false
		case f.kind == typeInterface:
			caps++
		}
	}
	return caps <= 1 && 1+s.dataWords+s.pointers <= words
}

// Words of a message in registers besides what is before the segment.
const (
	callWords   = 6
	answerWords = 7
)

func (m *userMethod) inRegisters() bool {
	return m.params.fitsRegisters(callWords) && m.results.fitsRegisters(answerWords)
}
