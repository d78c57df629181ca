//go:build capos

package syscall

const NumbersEnd = numbersEnd

// HasNumber reports whether a call of Syscall with the number does anything.
func HasNumber(number uintptr) bool { return callOf(number) != nil }
