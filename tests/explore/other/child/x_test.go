// Package child has a test that starts its own binary, and wants nothing from it but what it says.
package child

import (
	"os"
	"os/exec"
	"testing"
)

const isChild = "IS_CHILD"

func TestHears(t *testing.T) {
	if os.Getenv(isChild) != "" {
		os.Stdout.WriteString("said")
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestHears$")
	cmd.Env = append(os.Environ(), isChild+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "said" {
		t.Fatalf("%q, %v", out, err)
	}
}
