// The bytes of a file in memory.
//
// A file is a map of chunks, so that holes cost nothing and appending never copies what is there.
// Bytes that come from the boot image are not copied: they are read where the kernel mapped them
// until a write touches their chunk.

//go:build capos

package syscall

const (
	chunkSize   = 64 << 10
	fileSizeMax = 1 << 46
)

// content is guarded by the lock of the tree. A chunk may be shorter than chunkSize; the rest of it
// reads as zero, and so do the bytes between its length and its capacity, because a file that
// shrinks clears what it gives up.
type content struct {
	size    int64
	backing []byte // of the boot image; under the chunks
	chunks  map[int64][]byte
}

// readAt copies bytes from the offset on and returns how many there were.
func (c *content) readAt(b []byte, offset int64) int {
	if offset >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-offset)]
	for done := 0; done < len(b); {
		number, within := (offset+int64(done))/chunkSize, int(
			(offset+int64(done))%chunkSize)
		piece := b[done:min(len(b), done+chunkSize-within)]
		source, present := c.chunks[number]
		if !present {
			source = c.backingChunk(number)
		}
		n := 0
		if within < len(source) {
			n = copy(piece, source[within:])
		}
		clear(piece[n:])
		done += len(piece)
	}
	return len(b)
}

// backingChunk returns what the boot image has of a chunk.
func (c *content) backingChunk(number int64) []byte {
	start := number * chunkSize
	if start >= int64(len(c.backing)) {
		return nil
	}
	return c.backing[start:min(int64(len(c.backing)), start+chunkSize)]
}

// writeAt stores all of b, growing the file as needed.
func (c *content) writeAt(b []byte, offset int64) {
	for done := 0; done < len(b); {
		number, within := (offset+int64(done))/chunkSize, int(
			(offset+int64(done))%chunkSize)
		piece := b[done:min(len(b), done+chunkSize-within)]
		copy(c.writableChunk(number, within+len(piece))[within:], piece)
		done += len(piece)
	}
	c.size = max(c.size, offset+int64(len(b)))
}

// writableChunk returns a chunk of its own of at least that length.
func (c *content) writableChunk(number int64, length int) []byte {
	chunk, present := c.chunks[number]
	if !present {
		chunk = c.backingChunk(number)
	}
	if !present || length > cap(chunk) {
		space := min(chunkSize, max(length, len(chunk), 2*cap(chunk), 512))
		grown := make([]byte, max(length, len(chunk)), space)
		copy(grown, chunk)
		chunk = grown
	} else if length > len(chunk) {
		chunk = chunk[:length]
	}
	if c.chunks == nil {
		c.chunks = map[int64][]byte{}
	}
	c.chunks[number] = chunk
	return chunk
}

// truncate sets the size. What a shrinking file gives up reads as zero should it grow again.
func (c *content) truncate(size int64) {
	if size >= c.size {
		c.size = size
		return
	}
	c.size = size
	c.backing = c.backing[:min(int64(len(c.backing)), size)]
	for number, chunk := range c.chunks {
		start := number * chunkSize
		if start >= size {
			delete(c.chunks, number)
		} else if kept := size - start; kept < int64(len(chunk)) {
			clear(chunk[kept:])
			c.chunks[number] = chunk[:kept]
		}
	}
}
