package main

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"capos.dev/bench/measure"
)

// computeRows are whole programs in small. They hardly ever enter the kernel, so a difference
// between systems comes from the heap, the collector, and the timer interrupts.
func computeRows() []measure.Row {
	load := func(name string, run func() uint64) measure.Row {
		return measure.Row{Name: "compute." + name, Unit: measure.Total, Ops: 1,
			Prepare: dropLiveHeap, Run: func(int) uint64 { return run() }}
	}
	return []measure.Row{
		load("sort", sortNumbers),
		load("map", countWords),
		load("json", encodeRecords),
		load("sha256", func() uint64 { return hashBlocks(80) }),
		load("crc32", checksumBlocks),
		load("regexp", matchLines),
		load("fmt", formatLines),
		load("builder", buildStrings),
		load("flate", compressText),
		load("big", digitsOfPi),
		load("matrix", func() uint64 { return multiplyMatrices(160) }),
		load("trees", func() uint64 { return buildTrees(12, 30) }),
		load("mandelbrot", mandelbrot),
		load("sieve", sievePrimes),
	}
}

// generator is a small random number generator whose numbers are the same everywhere.
type generator uint64

func (g *generator) next() uint64 {
	*g ^= *g << 13
	*g ^= *g >> 7
	*g ^= *g << 17
	return uint64(*g)
}

func newGenerator() *generator {
	g := generator(0x9e3779b97f4a7c15)
	return &g
}

func digest(data []byte) uint64 {
	h := fnv.New64a()
	h.Write(data)
	return h.Sum64()
}

// text makes lines of made-up words.
func text(lines int) []byte {
	g := newGenerator()
	var b bytes.Buffer
	for range lines {
		for range 8 {
			for length := 2 + g.next()%7; length > 0; length-- {
				b.WriteByte('a' + byte(g.next()%26))
			}
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatUint(g.next()%100000, 10))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func sortNumbers() uint64 {
	g := newGenerator()
	numbers := make([]uint64, 100000)
	for i := range numbers {
		numbers[i] = g.next()
	}
	slices.Sort(numbers)
	return numbers[0] ^ numbers[len(numbers)/2] ^ numbers[len(numbers)-1]
}

func countWords() uint64 {
	g := newGenerator()
	counts := map[string]int{}
	for range 60000 {
		counts[strconv.FormatUint(g.next()%20000, 36)]++
	}
	sum := uint64(len(counts))
	for word, count := range counts {
		sum += uint64(len(word) * count)
	}
	return sum
}

// record is what encodeRecords writes and reads back.
type record struct {
	Name   string            `json:"name"`
	Number int64             `json:"number"`
	Scores []float64         `json:"scores"`
	Labels map[string]string `json:"labels"`
}

func encodeRecords() uint64 {
	g := newGenerator()
	records := make([]record, 500)
	for i := range records {
		records[i] = record{
			Name:   fmt.Sprintf("record %d", i),
			Number: int64(g.next() >> 1),
			Scores: []float64{float64(g.next()%1000) / 8, float64(i), 1.5},
			Labels: map[string]string{"kind": "test", "part": strconv.Itoa(i % 7)},
		}
	}
	data, err := json.Marshal(records)
	if err != nil {
		panic(err)
	}
	var back []record
	if err := json.Unmarshal(data, &back); err != nil {
		panic(err)
	}
	return digest(data) + uint64(len(back))
}

func hashBlocks(blocks int) uint64 {
	data := make([]byte, 16<<10)
	for range blocks {
		sum := sha256.Sum256(data)
		copy(data, sum[:])
	}
	return binary.LittleEndian.Uint64(data)
}

func checksumBlocks() uint64 {
	data := text(2000)
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := uint32(0)
	for range 40 {
		sum = crc32.Update(sum, crc32.IEEETable, data)
		sum = crc32.Update(sum, table, data)
	}
	return uint64(sum)
}

func matchLines() uint64 {
	pattern := regexp.MustCompile(`\b([a-m]+)([n-z]{2,})\s.*?(\d+)$`)
	sum := uint64(0)
	for line := range bytes.Lines(text(600)) {
		if m := pattern.FindSubmatchIndex(bytes.TrimSuffix(line, []byte("\n"))); m != nil {
			sum = sum*31 + uint64(m[2]) + uint64(m[5])
		}
	}
	return sum
}

func formatLines() uint64 {
	g := newGenerator()
	var b bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&b, "%5d %-12s %8.3f %x %v\n", i, "name", float64(i)/7, g.next(),
			[]int{i, i + 1})
	}
	return digest(b.Bytes())
}

func buildStrings() uint64 {
	sum := uint64(0)
	for i := range 3000 {
		var b strings.Builder
		for word := range 40 {
			b.WriteString("word")
			b.WriteByte(byte('a' + (i+word)%26))
		}
		s := b.String()
		sum += uint64(strings.Count(s, "da")) + uint64(strings.LastIndex(s, "wordb"))
	}
	return sum
}

func compressText() uint64 {
	data := text(3000)
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 6)
	if err != nil {
		panic(err)
	}
	w.Write(data)
	w.Close()
	sum := digest(packed.Bytes())
	back, err := io.ReadAll(flate.NewReader(&packed))
	if err != nil || !bytes.Equal(back, data) {
		panic("what was compressed did not come back")
	}
	return sum
}

// digitsOfPi computes pi to some thousand digits with Machin's formula.
func digitsOfPi() uint64 {
	const digits = 3000
	unity := new(big.Int).Exp(big.NewInt(10), big.NewInt(digits+10), nil)
	inverseTangent := func(x int64) *big.Int {
		power := new(big.Int).Quo(unity, big.NewInt(x))
		sum := new(big.Int).Set(power)
		square, term := big.NewInt(x*x), new(big.Int)
		for n := int64(3); power.Sign() != 0; n += 2 {
			power.Neg(power.Quo(power, square))
			sum.Add(sum, term.Quo(power, big.NewInt(n)))
		}
		return sum
	}
	pi := inverseTangent(5)
	pi.Mul(pi, big.NewInt(4)).Sub(pi, inverseTangent(239)).Mul(pi, big.NewInt(4))
	return digest([]byte(pi.String()[:digits]))
}

func multiplyMatrices(size int) uint64 {
	a, b, c := make([]float64, size*size), make([]float64, size*size), make([]float64,
		size*size)
	for i := range a {
		a[i], b[i] = float64(i%17), float64(i%13)
	}
	for i := range size {
		for k := range size {
			factor := a[i*size+k]
			row, out := b[k*size:(k+1)*size], c[i*size:(i+1)*size]
			for j := range out {
				out[j] += factor * row[j]
			}
		}
	}
	sum := 0.0
	for _, x := range c {
		sum += x
	}
	return uint64(sum)
}

// mixIntegers is arithmetic in registers and one page of the stack: no allocation, so that no
// collector runs beside it, and no floating point, which emulators do in a short or a long way by
// flags that earlier results left in the thread's registers.
func mixIntegers(rounds int) uint64 {
	var table [512]uint64
	g := newGenerator()
	for range rounds {
		x := g.next()
		slot := &table[x%uint64(len(table))]
		*slot = *slot*0x9e3779b97f4a7c15 + x
	}
	sum := uint64(0)
	for _, x := range table {
		sum = sum*31 + x
	}
	return sum
}

// buildTrees makes and drops binary trees of the given depth: work for allocator and collector.
func buildTrees(depth, trees int) uint64 {
	var count func(t *node) uint64
	count = func(t *node) uint64 {
		if t == nil {
			return 0
		}
		return 1 + count(t.left) + count(t.right)
	}
	sum := uint64(0)
	for range trees {
		sum += count(grow(1<<depth - 1))
	}
	return sum
}

func mandelbrot() uint64 {
	const size, limit = 120, 200
	sum := uint64(0)
	for y := range size {
		for x := range size {
			c := complex(3*float64(x)/size-2, 3*float64(y)/size-1.5)
			z := complex128(0)
			n := 0
			for n < limit && real(z)*real(z)+imag(z)*imag(z) < 4 {
				z = z*z + c
				n++
			}
			sum += uint64(n)
		}
	}
	return sum
}

func sievePrimes() uint64 {
	const limit = 1 << 21
	composite := make([]bool, limit)
	count := uint64(0)
	for i := 2; i < limit; i++ {
		if composite[i] {
			continue
		}
		count++
		for multiple := i * i; multiple < limit; multiple += i {
			composite[multiple] = true
		}
	}
	return count
}
