// Command goreader prints init's log until a service is given up: a client in Go of
// abi/schema/init.capnp.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"capos.dev/capos"
)

// event is InitEvent.
type event struct {
	Number   uint64
	Time     uint64 // nanoseconds since start
	Kind     uint32
	Code     int32
	Reserved uint64
	Service  [32]byte
}

const gaveUp = 4 // InitEventKind

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "goreader:", err)
		os.Exit(1)
	}
}

func run() error {
	log, err := capos.Granted[capos.Facet]("init_log")
	if err != nil {
		return err
	}
	var e event
	for e.Kind != gaveUp {
		m := capos.Message{Words: [8]uint64{e.Number + 1}}
		err := log.Call(&m, time.Time{})
		if errors.Is(err, capos.ErrNotFound) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		var words bytes.Buffer
		binary.Write(&words, binary.LittleEndian, m.Words)
		if err := binary.Read(&words, binary.LittleEndian, &e); err != nil {
			return err
		}
		if name, _, _ := bytes.Cut(e.Service[:], []byte{0}); string(name) == "brief" {
			fmt.Println(e.Kind, e.Code)
		}
	}
	return nil
}
