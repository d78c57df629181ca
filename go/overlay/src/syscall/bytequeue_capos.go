// The bytes that wait in a pipe or a connection.

//go:build capos

package syscall

const (
	segmentMin = 512
	segmentMax = 64 << 10
)

// A byteQueue keeps bytes in segments. So memory of bytes that were read is freed while others
// wait, and growing copies nothing. A new segment is as large as all that waits at that time.
type byteQueue struct {
	segments [][]byte // oldest first; written up to their lengths
	start    int      // bytes of the first segment that were read
	count    int      // bytes that wait
	spare    []byte   // the largest segment that was read
}

func (q *byteQueue) put(b []byte) {
	q.count += len(b)
	for {
		if last := len(q.segments) - 1; last >= 0 {
			s := q.segments[last]
			n := copy(s[len(s):cap(s)], b)
			q.segments[last] = s[:len(s)+n]
			if n == len(b) {
				return
			}
			b = b[n:]
		}
		q.segments = append(q.segments, q.segment())
	}
}

// segment returns an empty segment that takes all that waits, if it may be that large.
func (q *byteQueue) segment() []byte {
	size := segmentMin
	for size < q.count && size < segmentMax {
		size *= 2
	}
	if s := q.spare; cap(s) >= size {
		q.spare = nil
		return s[:0]
	}
	return make([]byte, 0, size)
}

// look copies the oldest bytes. There must be that many.
func (q *byteQueue) look(b []byte) {
	n := copy(b, q.segments[0][q.start:])
	for i := 1; n < len(b); i++ {
		n += copy(b[n:], q.segments[i])
	}
}

// drop forgets the n oldest bytes.
func (q *byteQueue) drop(n int) {
	q.count -= n
	q.start += n
	if q.count == 0 {
		q.rest()
		return
	}
	read := 0
	for q.start >= len(q.segments[read]) {
		q.start -= len(q.segments[read])
		if cap(q.segments[read]) > cap(q.spare) {
			q.spare = q.segments[read]
		}
		read++
	}
	if read > 0 {
		kept := copy(q.segments, q.segments[read:])
		clear(q.segments[kept:])
		q.segments = q.segments[:kept]
	}
}

// rest keeps one of the segments that were read, for bytes to come.
func (q *byteQueue) rest() {
	last := len(q.segments) - 1
	q.segments[0], q.start = q.segments[last][:0], 0
	if last > 0 {
		clear(q.segments[1:])
		q.segments, q.spare = q.segments[:1], nil
	}
}
