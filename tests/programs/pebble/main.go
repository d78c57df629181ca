// Command pebble writes, reads and reopens a key-value store on disk, with compactions, a
// checkpoint, a lock that holds, and a log that is played again.
package main

import (
	"bytes"
	"fmt"
	"log"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/bloom"
	"github.com/cockroachdb/pebble/vfs"
)

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

func (silent) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

func open(dir string) (*pebble.DB, error) {
	return pebble.Open(dir, &pebble.Options{FS: vfs.Default, Logger: silent{},
		MemTableSize: 256 << 10, Cache: pebble.NewCache(1 << 20), BytesPerSync: 64 << 10,
		Levels: []pebble.LevelOptions{{FilterPolicy: bloom.FilterPolicy(10),
			Compression: pebble.SnappyCompression}}})
}

func main() {
	log.SetFlags(0)
	db, err := open("store")
	check(err)
	_, err = open("store")
	fmt.Println("a second opening fails:", err != nil)
	fill(db)
	check(db.Checkpoint("copy", pebble.WithFlushedWAL()))
	check(db.Set([]byte("last"), []byte("only in the log"), pebble.Sync))
	check(db.Close())
	for _, dir := range []string{"store", "copy"} {
		db, err := open(dir)
		check(err)
		look(db)
		check(db.Close())
	}
}

func fill(db *pebble.DB) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 16)
	for start := 0; start < 20000; start += 1000 {
		batch := db.NewBatch()
		for i := start; i < start+1000; i++ {
			check(batch.Set(fmt.Appendf(nil, "key/%05d", i*7919%20000),
				append(fmt.Append(nil, i, " "), value...), nil))
		}
		check(batch.Commit(pebble.NoSync))
	}
	snapshot := db.NewSnapshot()
	defer snapshot.Close()
	check(db.DeleteRange([]byte("key/10000"), []byte("key/15000"), pebble.Sync))
	check(db.Merge([]byte("key/00000"), []byte(" and more"), pebble.NoSync))
	check(db.Flush())
	check(db.Compact([]byte("key"), []byte("last"), true))
	_, _, err := db.Get([]byte("key/12345"))
	before, closer, err2 := snapshot.Get([]byte("key/12345"))
	check(err2)
	fmt.Printf("deleted: %v, in the snapshot %.12q\n", err, before)
	check(closer.Close())
	m := db.Metrics()
	fmt.Println("compacted:", m.Compact.Count > 0, "flushed:", m.Flush.Count > 0)
}

func look(db *pebble.DB) {
	iterator, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("key/")})
	check(err)
	n, size := 0, 0
	for iterator.First(); iterator.Valid(); iterator.Next() {
		n, size = n+1, size+len(iterator.Value())
	}
	iterator.SeekLT([]byte("key/15000"))
	fmt.Printf("%d keys with %d bytes, %s is before key/15000\n", n, size, iterator.Key())
	check(iterator.Close())
	first, closer, err := db.Get([]byte("key/00000"))
	check(err)
	fmt.Printf("%s\n", first)
	check(closer.Close())
	last, closer, err := db.Get([]byte("last"))
	fmt.Printf("%q %v\n", last, err)
	if err == nil {
		check(closer.Close())
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
