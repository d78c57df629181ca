// Package screenfont makes the kernel's screen font, 256 glyphs of 8 by 16 pixels numbered as in
// ISO 8859-1, from a font in the format of the GRUB boot loader (PFF2), which every installation of
// it has.
package screenfont

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Dimensions of a glyph, and the size of the whole font as the kernel wants it: a byte for each
// line of each glyph.
const (
	GlyphWidth  = 8
	GlyphHeight = 16
	Size        = 256 * GlyphHeight
)

const (
	indexEntrySize = 9 // u32 code point, u8 compression, u32 offset in the file
	// u16 width, u16 height, i16 x, i16 y of the lower left corner, i16 advance
	glyphHeaderSize = 10
)

// pff2 is a font file: sections of a four letter name, a big-endian length and that many bytes; the
// last, DATA, goes on to the end.
type pff2 struct {
	file     []byte
	sections map[string][]byte
}

func parse(file []byte) (*pff2, error) {
	f := &pff2{file, map[string][]byte{}}
	for rest := file; len(rest) >= 8; {
		name, size := string(rest[:4]), uint64(binary.BigEndian.Uint32(rest[4:]))
		rest = rest[8:]
		if name == "DATA" {
			break
		}
		if size > uint64(len(rest)) {
			return nil, fmt.Errorf("the font's section %q reaches beyond its end", name)
		}
		f.sections[name], rest = rest[:size], rest[size:]
	}
	if string(f.sections["FILE"]) != "PFF2" || len(f.sections["ASCE"]) != 2 {
		return nil, errors.New("not a font of the GRUB boot loader")
	}
	return f, nil
}

// FromPFF2 gives the kernel's font. Characters that the file lacks, or whose glyphs are too large,
// are blank.
func FromPFF2(file []byte) ([]byte, error) {
	f, err := parse(file)
	if err != nil {
		return nil, err
	}
	font := make([]byte, Size)
	ascent := int(binary.BigEndian.Uint16(f.sections["ASCE"]))
	drawn := 0
	for index := f.sections["CHIX"]; len(
		index) >= indexEntrySize; index = index[indexEntrySize:] {
		code, offset := binary.BigEndian.Uint32(index), binary.BigEndian.Uint32(index[5:])
		if code <= ' ' || code >= 256 || code >= 0x7f && code < 0xa0 {
			continue
		}
		if err := f.draw(font[code*GlyphHeight:][:GlyphHeight], uint64(offset),
			ascent); err != nil {
			return nil, fmt.Errorf("the font's character %#x: %w", code, err)
		}
		drawn++
	}
	if drawn == 0 {
		return nil, errors.New("the font has no glyphs")
	}
	return font, nil
}

// draw puts the glyph at an offset of the file in its place: bits follow each other without regard
// to bytes.
func (f *pff2) draw(lines []byte, offset uint64, ascent int) error {
	if offset+glyphHeaderSize > uint64(len(f.file)) {
		return errors.New("it lies beyond the end")
	}
	header, bits := f.file[offset:][:glyphHeaderSize], f.file[offset+glyphHeaderSize:]
	number := func(offset int) int {
		return int(int16(binary.BigEndian.Uint16(header[offset:])))
	}
	width, height, left, bottom := number(0), number(2), number(4), number(6)
	if width < 0 || height < 0 || (width*height+7)/8 > len(bits) {
		return errors.New("it reaches beyond the end")
	}
	top := ascent - bottom - height
	if left < 0 || left+width > GlyphWidth || top < 0 || top+height > GlyphHeight {
		return nil
	}
	for i := range width * height {
		if bits[i/8]&(0x80>>(i%8)) != 0 {
			lines[top+i/width] |= 0x80 >> (left + i%width)
		}
	}
	return nil
}
