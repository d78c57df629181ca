package batch

import (
	"testing"
	"time"

	"capos.dev/tools/internal/machine"
)

// A machine that counts instructions is given longer, unless the program says how long.
func TestLimit(t *testing.T) {
	for _, c := range []struct {
		timeout string
		counted bool
		want    time.Duration
	}{
		{"", false, time.Minute},
		{"", true, 5 * time.Minute},
		{"7s", false, 7 * time.Second},
		{"7s", true, 7 * time.Second},
	} {
		k := &collector{programs: []Program{{Timeout: c.timeout}},
			config: &machine.Config{ICount: c.counted}}
		if got := k.limit(); got != c.want {
			t.Errorf("timeout %q, counted %v: %v, expected %v", c.timeout, c.counted,
				got, c.want)
		}
	}
}
