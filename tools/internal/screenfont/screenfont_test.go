package screenfont

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// glyph is one of a made-up font.
type glyph struct {
	code                              uint32
	width, height, left, bottom, size int16
	bits                              []byte
}

func makeFont(glyphs ...glyph) []byte {
	var file, data bytes.Buffer
	section := func(name string, payload []byte) {
		file.WriteString(name)
		binary.Write(&file, binary.BigEndian, uint32(len(payload)))
		file.Write(payload)
	}
	section("FILE", []byte("PFF2"))
	section("NAME", []byte("Test\x00"))
	section("ASCE", []byte{0, 14})
	start := file.Len() + 8 + indexEntrySize*len(glyphs) + 8
	var index bytes.Buffer
	for _, g := range glyphs {
		binary.Write(&index, binary.BigEndian, g.code)
		index.WriteByte(0)
		binary.Write(&index, binary.BigEndian, uint32(start+data.Len()))
		binary.Write(&data, binary.BigEndian, []int16{g.width, g.height, g.left, g.bottom,
			g.size})
		data.Write(g.bits)
	}
	section("CHIX", index.Bytes())
	file.WriteString("DATA\xff\xff\xff\xff")
	file.Write(data.Bytes())
	return file.Bytes()
}

func TestGlyphsFindTheirPlace(t *testing.T) {
	font, err := FromPFF2(makeFont(
		// from the base line, line 13, up
		glyph{'!', 1, 3, 4, 0, 8, []byte{0b10100000}},
		// down to the last line: two lines of three bits
		glyph{'x', 3, 2, 1, -2, 8, []byte{0b10101100}},
		glyph{0xe9, 8, 16, 0, -2, 8, bytes.Repeat([]byte{0x81, 0x18}, 8)}, // a whole cell
		glyph{'W', 9, 1, 0, 0, 9, []byte{0xff, 0xff}},                     // too wide
		glyph{'H', 1, 1, 0, 14, 8, []byte{0xff}},                          // too high
		glyph{0x20ac, 8, 1, 0, 0, 8, []byte{0xff}}, glyph{'\n', 8, 1, 0, 0, 8,
			[]byte{0xff}}))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, Size)
	want['!'*16+11], want['!'*16+13] = 0x08, 0x08
	want['x'*16+14], want['x'*16+15] = 0x50, 0x30
	copy(want[0xe9*16:], bytes.Repeat([]byte{0x81, 0x18}, 8))
	if !bytes.Equal(font, want) {
		for i := range font {
			if font[i] != want[i] {
				t.Errorf("glyph %#x line %d: %08b, expected %08b", i/16, i%16,
					font[i], want[i])
			}
		}
	}
}

func TestWrongFonts(t *testing.T) {
	good := makeFont(glyph{'A', 8, 16, 0, -2, 8, make([]byte, 16)})
	for size := range good {
		if _, err := FromPFF2(good[:size]); err == nil {
			t.Errorf("%d of %d bytes are taken for a font", size, len(good))
		}
	}
	for name, file := range map[string][]byte{
		"no glyphs":      makeFont(),
		"negative width": makeFont(glyph{'A', -8, 16, 0, 0, 8, make([]byte, 16)}),
		"too few bits":   makeFont(glyph{'A', 8, 16, 0, 0, 8, make([]byte, 15)}),
		"another format": append([]byte("FILE\x00\x00\x00\x04PFF1"), good[12:]...),
	} {
		if _, err := FromPFF2(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestInstalledFont(t *testing.T) {
	file, err := os.ReadFile("/usr/share/grub/unicode.pf2")
	if err != nil {
		t.Skip(err)
	}
	font, err := FromPFF2(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]rune{}
	for code := rune('!'); code < 0x7f; code++ {
		lines := string(font[code*GlyphHeight:][:GlyphHeight])
		if other, found := seen[lines]; found ||
			lines == string(make([]byte, GlyphHeight)) {
			t.Errorf("%q looks like %q, or like nothing", code, other)
		}
		seen[lines] = code
	}
}
