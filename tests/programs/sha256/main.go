// Command sha256 hashes texts of all lengths with minio's sha256-simd and with Go's own package, in
// one piece, in several, and from a state that was kept.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"fmt"
	"io"
	"log"
	"strings"

	simd "github.com/minio/sha256-simd"
)

func main() {
	log.SetFlags(0)
	for _, text := range []string{"", "abc", strings.Repeat("a", 1000000)} {
		fmt.Printf("%x\n", simd.Sum256([]byte(text)))
	}
	data := make([]byte, 5000)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	all := simd.New()
	for n := range data {
		got, want := simd.Sum256(data[:n]), sha256.Sum256(data[:n])
		if got != want {
			log.Fatalf("%d bytes: %x, want %x", n, got, want)
		}
		all.Write(got[:])
	}
	fmt.Printf("%x of %d hashes\n", all.Sum(nil), len(data))
	inPieces(data)
	restored(data)
	fmt.Println(simd.Size, simd.BlockSize, all.Size(), all.BlockSize())
}

func inPieces(data []byte) {
	want := sha256.Sum256(data)
	for piece := 1; piece < 200; piece += 7 {
		h := simd.New()
		_, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{
			bytes.NewReader(data)}, make([]byte, piece))
		if err != nil || !bytes.Equal(h.Sum(nil), want[:]) {
			log.Fatalf("in pieces of %d bytes: %x, %v", piece, h.Sum(nil), err)
		}
	}
	fmt.Println("the same in pieces")
}

// restored goes on from the state of a hash that was kept, where the package can do that.
func restored(data []byte) {
	h := simd.New()
	h.Write(data[:1001])
	keeper, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		fmt.Println("states cannot be kept")
		return
	}
	state, err := keeper.MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}
	again := simd.New()
	if err := again.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		log.Fatal(err)
	}
	again.Write(data[1001:])
	h.Write(data[1001:])
	fmt.Println("the same from a state:", bytes.Equal(again.Sum(nil), h.Sum(nil)))
}
