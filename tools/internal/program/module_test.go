package program

import "testing"

func TestModuleNames(t *testing.T) {
	for given, want := range map[string]string{
		"example.com/prog@latest":       "prog",
		"example.com/prog/v4@v4.1.0":    "prog",
		"example.com/m/cmd/tool@v0.1.0": "tool",
		"example.com/v2@latest":         "example.com",
		"./file@1.go":                   "file@1",
		"dir/a@b":                       "a@b",
	} {
		if got := Name(given); got != want {
			t.Errorf("%s is called %s, not %s", given, got, want)
		}
	}
}
