// Command random greets a machine that gives random bytes: it draws from the system's generator and
// from the runtime's, and compares both with truly random bytes. On a machine without any source of
// entropy it does not even start.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/bits"
	fast "math/rand/v2"
	"os"
)

const words = 1 << 16

func main() {
	data := make([]byte, 8*words)
	if _, err := rand.Read(data); err != nil {
		fail("crypto/rand: %v", err)
	}
	check("crypto/rand", func(i int) uint64 { return binary.LittleEndian.Uint64(data[8*i:]) })
	check("the runtime's generator", func(int) uint64 { return fast.Uint64() })
	fmt.Println("hello from a machine with entropy")
}

// check finds words that come twice, and a share of ones that is off by more than ten standard
// deviations.
func check(source string, word func(i int) uint64) {
	seen := make(map[uint64]bool, words)
	ones := 0
	for i := range words {
		w := word(i)
		if seen[w] {
			fail("%s gives %#x twice", source, w)
		}
		seen[w] = true
		ones += bits.OnesCount64(w)
	}
	// a word's deviation is 4, that of 2^16 words 256 times as much
	const expected, tolerance = 32 * words, 10 * 4 * 256
	if ones < expected-tolerance || ones > expected+tolerance {
		fail("%s: %d of %d bits are ones", source, ones, 64*words)
	}
}

func fail(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}
