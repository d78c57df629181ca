// Package tested has a test with a race, and one without, for go test -race.
package tested

import "testing"

func TestQuiet(t *testing.T) {
	x, done := 0, make(chan bool)
	go func() { x = 1; close(done) }()
	<-done
	if x != 1 {
		t.Fatal("lost")
	}
}

func TestRacy(t *testing.T) {
	x, done := 0, make(chan bool)
	go func() { x = 1; close(done) }()
	x = 2
	<-done
	if x == 0 {
		t.Fatal("lost")
	}
}
