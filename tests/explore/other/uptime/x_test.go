// Package uptime has a test that fails on a machine that has been on for some time, as one has that
// has run it before.
package uptime

import (
	"fmt"
	"testing"
	"time"
)

// begins is when machines are switched on that repeat.
var begins = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func TestYoung(t *testing.T) {
	time.Sleep(time.Second)
	if age := time.Since(begins); age > 4*time.Second {
		fmt.Println("the machine is old")
		t.Fatal("started too late")
	}
}
