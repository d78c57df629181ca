// Command badger writes, reads and reopens a key-value store on disk.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

func main() {
	log.SetFlags(0)
	with("store", fill)
	with("store", look)
}

func with(dir string, use func(*badger.DB)) {
	options := badger.DefaultOptions(dir).WithLogger(nil).WithMemTableSize(4 << 20).
		WithValueLogFileSize(8 << 20).WithBlockCacheSize(4 << 20).WithNumCompactors(2).
		WithValueThreshold(1 << 10)
	db, err := badger.Open(options)
	check(err)
	use(db)
	check(db.Close())
}

func value(i int) []byte { return bytes.Repeat([]byte(fmt.Sprint("value ", i, " ")), 20) }

func fill(db *badger.DB) {
	batch := db.NewWriteBatch()
	for i := range 20000 {
		check(batch.Set(fmt.Appendf(nil, "key/%05d", i), value(i)))
	}
	check(batch.Flush())
	check(db.Update(func(txn *badger.Txn) error {
		return errors.Join(txn.Delete([]byte("key/00007")),
			txn.Set([]byte("large"), make([]byte, 2<<20-1024)))
	}))
	a, b := db.NewTransaction(true), db.NewTransaction(true)
	for _, txn := range []*badger.Txn{a, b} {
		_, err := txn.Get([]byte("key/00001"))
		check(err)
		check(txn.Set([]byte("key/00001"), []byte("changed")))
	}
	fmt.Println("two transactions:", a.Commit(), "and", b.Commit())
	sequence, err := db.GetSequence([]byte("sequence"), 100)
	check(err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				_, err := sequence.Next()
				check(err)
			}
		})
	}
	all.Wait()
	next, err := sequence.Next()
	check(err)
	fmt.Println("the next of a sequence:", next)
	check(sequence.Release())
}

func look(db *badger.DB) {
	check(db.View(func(txn *badger.Txn) error {
		for _, key := range []string{"key/00001", "key/00007", "key/19999", "large"} {
			item, err := txn.Get([]byte(key))
			if err != nil {
				fmt.Println(key, err)
				continue
			}
			fmt.Println(key, item.ValueSize(), item.Version() > 0)
		}
		it := txn.NewIterator(badger.IteratorOptions{Reverse: true, PrefetchValues: true,
			PrefetchSize: 10, Prefix: []byte("key/")})
		defer it.Close()
		n, size := 0, 0
		for it.Seek([]byte("key/\xff")); it.ValidForPrefix([]byte("key/")); it.Next() {
			check(it.Item().Value(func(v []byte) error {
				n, size = n+1, size+len(v)
				return nil
			}))
		}
		fmt.Println(n, "keys with", size, "bytes")
		return nil
	}))
	var backup bytes.Buffer
	_, err := db.Backup(&backup, 0)
	check(err)
	with("copy", func(other *badger.DB) {
		check(other.Load(&backup, 16))
		check(other.View(func(txn *badger.Txn) error {
			item, err := txn.Get([]byte("key/00001"))
			check(err)
			v, err := item.ValueCopy(nil)
			fmt.Printf("restored: %s\n", v)
			return err
		}))
	})
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
