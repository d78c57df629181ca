// A log is written to a device, which may take less than it is given. Who writes a part has to go
// on, and TestOnce does not.
package shortwrite

import (
	"testing"

	"capos.dev/capos"
)

type device struct{ text []byte }

// Write tells how many bytes it has taken.
func (d *device) Write(data []byte) int {
	if len(data) > 1 && capos.Inject(2) == 2 {
		data = data[:len(data)/2]
	}
	d.text = append(d.text, data...)
	return len(data)
}

const line = "one\n"

func TestOnce(t *testing.T) {
	var d device
	for range 3 {
		d.Write([]byte(line))
	}
	if len(d.text) != 3*len(line) {
		t.Error("the log has lost a part of a line")
	}
}

func TestWhole(t *testing.T) {
	var d device
	for range 3 {
		for left := []byte(line); len(left) > 0; {
			left = left[d.Write(left):]
		}
	}
	if len(d.text) != 3*len(line) {
		t.Error("the log has lost a part of a line")
	}
}
