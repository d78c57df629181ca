package batch

import (
	"testing"
	"time"

	"capos.dev/tools/internal/machine"
)

// A machine that has waited for the host has as much longer, once; one that has not is ended.
func TestPatience(t *testing.T) {
	const limit = 100 * time.Millisecond
	for _, starved := range []time.Duration{0, 3 * limit} {
		ended := make(chan time.Time, 1)
		waited := time.Hour // before the program
		p := &patience{waited: func() time.Duration { return waited },
			expire: func() { ended <- time.Now() }}
		began := time.Now()
		p.restart(limit)
		p.mu.Lock()
		waited += starved
		p.mu.Unlock()
		took := (<-ended).Sub(began)
		p.stop()
		if least := limit + starved - patienceGrain; took < least {
			t.Errorf("ended after %v, expected %v at least", took, least)
		}
	}
}

// The time of the program before does not count, even if its timer has just run out.
func TestPatienceOfTheNext(t *testing.T) {
	ended := false
	p := &patience{waited: func() time.Duration { return 0 }, expire: func() { ended = true }}
	p.restart(time.Hour)
	p.look()
	p.stop()
	if ended {
		t.Error("a program was ended that had just begun")
	}
}

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
