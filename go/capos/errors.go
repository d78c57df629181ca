package capos

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// An Error is a number with which the kernel or a server says no. errors.Is finds the named ones,
// and for some of them also the error by which the standard library says the same.
type Error uint16

func (e Error) Error() string {
	if int(e) >= len(errorTexts) || errorTexts[e].name == "" {
		return "capos: unknown error"
	}
	return "capos: " + errorTexts[e].name + ": " + errorTexts[e].meaning
}

// Timeout is true for ErrTimedOut, as package net has it.
func (e Error) Timeout() bool { return e == ErrTimedOut }

// alike are errors of the standard library that mean the same. Of two for one Error, the first is
// what a server's error becomes.
var alike = [...]struct {
	own   Error
	other error
}{
	{ErrTimedOut, os.ErrDeadlineExceeded},
	{ErrTimedOut, context.DeadlineExceeded},
	{ErrCancelled, context.Canceled},
	{ErrNoRights, fs.ErrPermission},
	{ErrNotFound, fs.ErrNotExist},
	{ErrInvalidArgument, fs.ErrInvalid},
	{ErrUnimplemented, errors.ErrUnsupported},
	{ErrInvokeFailed, fs.ErrClosed},
}

// Is reports whether target means the same.
func (e Error) Is(target error) bool {
	for i := range alike {
		if alike[i].own == e && alike[i].other == target {
			return true
		}
	}
	return false
}

func asError(e Error) error {
	if e == 0 {
		return nil
	}
	return e
}

// codeOf gives the ErrorCode with which a call fails: that of the error itself, of what it means,
// or wrongState.
func codeOf(err error) uint64 {
	if err == nil {
		return 0
	}
	var e Error
	if errors.As(err, &e) && e > abiErrorBase && int(e) < len(errorTexts) {
		return uint64(e - abiErrorBase)
	}
	for i := range alike {
		if alike[i].own > abiErrorBase && errors.Is(err, alike[i].other) {
			return uint64(alike[i].own - abiErrorBase)
		}
	}
	return abiErrorWrongState
}
