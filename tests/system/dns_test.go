//go:build capos

package system

import (
	"net"
	"strings"
	"testing"
)

// A lookup on a machine without a DNS server says that there is none instead of which one did not
// answer. Names of the machine need none.
func TestNoDNSServer(t *testing.T) {
	_, err := net.LookupHost("www.example.com")
	if err == nil || !strings.Contains(err.Error(),
		"lookup www.example.com: no DNS server is configured") {
		t.Error(err)
	}
	if _, err := net.LookupTXT("www.example.com"); err == nil || strings.Contains(err.Error(),
		"refused") {
		t.Error(err)
	}
	if hosts, err := net.LookupHost("localhost"); err != nil || len(hosts) == 0 {
		t.Error(hosts, err)
	}
}
