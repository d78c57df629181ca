package repo

import "strings"

// NoProxy begins the sentence with which something is left out that has to be fetched first.
const NoProxy = "no module proxy can be reached: "

// Unreachable tells from the go command's messages whether there was a network at all.
func Unreachable(messages string) (why string, ok bool) {
	for _, text := range []string{"no such host", "connection refused", "i/o timeout",
		"network is unreachable", "module lookup disabled", "connection reset",
		"TLS handshake timeout"} {
		if strings.Contains(messages, text) {
			return text, true
		}
	}
	return "", false
}
