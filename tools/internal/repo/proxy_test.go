package repo

import "testing"

func TestUnreachable(t *testing.T) {
	if _, ok := Unreachable("dial tcp: lookup x: no such host"); !ok {
		t.Error("no network is not noticed")
	}
	if why, ok := Unreachable("undefined: unix.Open"); ok {
		t.Errorf("an error of the compiler is taken for no network: %s", why)
	}
}
