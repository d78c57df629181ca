// The bytes of a file in memory.
//
// A file is a list of chunks with a bitmap of pages each. So holes cost nothing, and appending
// copies nothing. Bytes of the boot image are read where the kernel mapped them, until a write
// touches their page.

//go:build capos

package syscall

import (
	"math/bits"
	"unsafe"
)

const fileSizeMax = 1 << 46

// content is guarded by the lock of the tree. Bytes of a page beyond the size are zero, because a
// file that shrinks clears what it gives up.
type content struct {
	size    int64
	backing []byte  // of the boot image; under the chunks
	chunks  []chunk // ascending numbers
}

// A chunk is chunkSize bytes of a file from number*chunkSize on.
type chunk struct {
	number  int64
	address uintptr // of a slot
	present uint16  // the pages that are committed; the others are what the backing has
}

// pagesFrom is the bitmap of so many pages from the first on.
func pagesFrom(first, count int) uint16 { return uint16((1<<count - 1) << first) }

// bytes returns the memory of the chunk; only present pages may be touched.
func (c *chunk) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c.address)), chunkSize)
}

// find returns where the chunk of that number is or would be.
func (c *content) find(number int64) (i int, found bool) {
	low, high := 0, len(c.chunks)
	if high > 0 && c.chunks[high-1].number < number {
		return high, false // files grow at their ends
	}
	for low < high {
		middle := int(uint(low+high) / 2)
		if c.chunks[middle].number < number {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < len(c.chunks) && c.chunks[low].number == number
}

// ---- reading
// ------------------------------------------------------------------------------------------

// readAt copies bytes from the offset on and returns how many there were.
func (c *content) readAt(b []byte, offset int64) int {
	if offset >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-offset)]
	for done := 0; done < len(b); {
		start := offset + int64(done)
		piece := b[done:min(len(b), done+chunkSize-int(start%chunkSize))]
		if i, found := c.find(start / chunkSize); found {
			c.readChunk(&c.chunks[i], piece, int(start%chunkSize))
		} else {
			c.readBacking(piece, start)
		}
		done += len(piece)
	}
	return len(b)
}

// pagesAround is the bitmap of the pages that some bytes of a chunk lie in.
func pagesAround(within, size int) uint16 {
	first, end := within/abiPageSize, (within+size+abiPageSize-1)/abiPageSize
	return pagesFrom(first, end-first)
}

// readChunk reads from a chunk, page by page where some are missing.
func (c *content) readChunk(from *chunk, b []byte, within int) {
	if pagesAround(within, len(b))&^from.present == 0 {
		copy(b, from.bytes()[within:])
		return
	}
	for len(b) > 0 {
		n := min(len(b), abiPageSize-within%abiPageSize)
		if from.present>>(within/abiPageSize)&1 != 0 {
			copy(b[:n], from.bytes()[within:])
		} else {
			c.readBacking(b[:n], from.number*chunkSize+int64(within))
		}
		b, within = b[n:], within+n
	}
}

// readBacking fills b with what the boot image has there, and zeros.
func (c *content) readBacking(b []byte, offset int64) {
	n := 0
	if offset < int64(len(c.backing)) {
		n = copy(b, c.backing[offset:])
	}
	clear(b[n:])
}

// ---- writing
// ------------------------------------------------------------------------------------------

// writeAt stores b, growing the file as needed, and returns how much there was memory for.
func (c *content) writeAt(b []byte, offset int64) (done int) {
	for done < len(b) {
		start := offset + int64(done)
		piece := b[done:min(len(b), done+chunkSize-int(start%chunkSize))]
		n := c.writeChunk(piece, start/chunkSize, int(start%chunkSize))
		done += n
		if n < len(piece) {
			break
		}
	}
	if done > 0 {
		c.size = max(c.size, offset+int64(done))
	}
	return done
}

// writeChunk writes to one chunk.
func (c *content) writeChunk(b []byte, number int64, within int) int {
	i, found := c.find(number)
	if !found {
		slot := takeSlot()
		if slot == 0 {
			return 0
		}
		c.chunks = append(c.chunks, chunk{})
		copy(c.chunks[i+1:], c.chunks[i:])
		c.chunks[i] = chunk{number: number, address: slot}
	}
	into := &c.chunks[i]
	first, end := within/abiPageSize, (within+len(b)+abiPageSize-1)/abiPageSize
	if pagesFrom(first, end-first)&^into.present != 0 {
		end = first + c.populate(into, first, end-first)
		b = b[:max(0, min(len(b), end*abiPageSize-within))]
	}
	if into.present == 0 {
		freeSlots([]uintptr{into.address})
		c.chunks = append(c.chunks[:i], c.chunks[i+1:]...)
		return 0
	}
	return copy(into.bytes()[within:], b)
}

// populate commits pages of a chunk and copies their bytes from the backing. It returns how many of
// them from the first on are present then.
func (c *content) populate(into *chunk, first, count int) int {
	missing := pagesFrom(first, count) &^ into.present
	allowed := allowPages(bits.OnesCount16(missing))
	for bits.OnesCount16(missing&pagesFrom(first, count)) > allowed {
		count--
	}
	count = commit(into.address+uintptr(first)*abiPageSize, count)
	missing &= pagesFrom(first, count)
	into.present |= missing
	fileMemory.pages += bits.OnesCount16(missing)
	fileMemory.allowance -= bits.OnesCount16(missing)
	start := into.number * chunkSize
	for page := first; page < first+count && start < int64(len(c.backing)); page++ {
		if missing>>page&1 != 0 {
			within := page * abiPageSize
			c.readBacking(into.bytes()[within:within+abiPageSize], start+int64(within))
		}
	}
	return count
}

// ---- giving up
// ------------------------------------------------------------------------------------------

// truncate sets the size. The part that a shrinking file gives up reads as zero if it grows again.
func (c *content) truncate(size int64) {
	if size >= c.size {
		c.size = size
		return
	}
	c.size = size
	c.backing = c.backing[:min(int64(len(c.backing)), size)]
	i, found := c.find(size / chunkSize)
	if found && size%chunkSize != 0 {
		c.chunks[i].cut(int(size % chunkSize))
		i++
	}
	slots := make([]uintptr, 0, len(c.chunks)-i)
	for _, given := range c.chunks[i:] {
		slots = append(slots, given.address)
		fileMemory.pages -= bits.OnesCount16(given.present)
	}
	freeSlots(slots)
	c.chunks = c.chunks[:i]
}

// cut gives up what a chunk has from an offset in it on.
func (c *chunk) cut(within int) {
	kept := (within + abiPageSize - 1) / abiPageSize
	if given := c.present &^ pagesFrom(0, kept); given != 0 {
		decommit(c.address+uintptr(kept)*abiPageSize, chunkPages-kept)
		c.present &^= given
		fileMemory.pages -= bits.OnesCount16(given)
	}
	if within%abiPageSize != 0 && c.present>>(kept-1)&1 != 0 {
		clear(c.bytes()[within : kept*abiPageSize])
	}
}

// ---- holes
// ------------------------------------------------------------------------------------------

// stored returns how many bytes of memory and of the boot image the file takes.
func (c *content) stored() (total int64) {
	own := 0
	overlaid := 0 // pages of the backing that are not read any more
	backed := (int64(len(c.backing)) + abiPageSize - 1) / abiPageSize
	for i := range c.chunks {
		present := c.chunks[i].present
		own += bits.OnesCount16(present)
		if under := backed - c.chunks[i].number*chunkPages; under > 0 {
			overlaid += bits.OnesCount16(present & pagesFrom(0, int(min(under,
				chunkPages))))
		}
	}
	if overlaid == 0 {
		return int64(own)*abiPageSize + int64(len(c.backing))
	}
	return (int64(own-overlaid) + backed) * abiPageSize
}

// nextData returns the first offset from the given one on at which bytes are stored. It returns the
// size if there is none.
func (c *content) nextData(offset int64) int64 {
	if offset < int64(len(c.backing)) {
		return offset
	}
	i, _ := c.find(offset / chunkSize)
	for ; i < len(c.chunks); i++ {
		start := c.chunks[i].number * chunkSize
		first := int(max(offset-start, 0) / abiPageSize)
		if present := c.chunks[i].present >> first; present != 0 {
			page := first + bits.TrailingZeros16(present)
			return min(max(offset, start+int64(page)*abiPageSize), c.size)
		}
	}
	return c.size
}

// nextHole returns the first offset from the given one on at which nothing is stored. The end of
// the file is such an offset.
func (c *content) nextHole(offset int64) int64 {
	if backed := int64(len(c.backing)); offset < backed {
		offset = (backed + abiPageSize - 1) &^ (abiPageSize - 1)
	}
	for offset < c.size {
		i, found := c.find(offset / chunkSize)
		if !found {
			return offset
		}
		first := int(offset%chunkSize) / abiPageSize
		run := bits.TrailingZeros16(^(c.chunks[i].present >> first))
		if run == 0 {
			return offset
		}
		offset = c.chunks[i].number*chunkSize + int64(first+run)*abiPageSize
		if first+run < chunkPages {
			break
		}
	}
	return min(offset, c.size)
}
