package capos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"testing"
	"time"
)

func TestErrors(t *testing.T) {
	for number := range errorTexts {
		e := Error(number)
		if (errorTexts[number].name == "") != (e.Error() == "capos: unknown error") {
			t.Error(number, e)
		}
	}
	if got := Error(4000).Error(); got != "capos: unknown error" {
		t.Error(got)
	}
	for _, c := range []struct{ err, target error }{{ErrTimedOut, os.ErrDeadlineExceeded},
		{ErrTimedOut, context.DeadlineExceeded}, {ErrNoRights, fs.ErrPermission},
		{ErrInvokeFailed, fs.ErrClosed}, {ErrUnimplemented, errors.ErrUnsupported}} {
		if !errors.Is(fmt.Errorf("x: %w", c.err), c.target) {
			t.Errorf("%v is not %v", c.err, c.target)
		}
	}
	if errors.Is(ErrTimedOut, fs.ErrClosed) || errors.Is(ErrBusy, ErrTimedOut) {
		t.Error("errors of other meanings are the same")
	}
	if !ErrTimedOut.Timeout() || ErrBusy.Timeout() || asError(0) != nil {
		t.Error("Timeout, or no error")
	}
}

// What a server's error becomes is an ErrorCode always, which the kernel demands.
func TestCodes(t *testing.T) {
	for err, want := range map[error]Error{
		ErrBusy: ErrBusy, fmt.Errorf("x: %w", ErrLimitReached): ErrLimitReached,
		fs.ErrInvalid: ErrInvalidArgument, context.Canceled: ErrCancelled,
		ErrInvokeFailed: ErrWrongState, Error(abiErrorBase): ErrWrongState,
		Error(len(errorTexts)): ErrWrongState, errors.New("other"): ErrWrongState,
	} {
		if got := codeOf(err); got != uint64(want-abiErrorBase) {
			t.Errorf("%v became %d", err, got)
		}
	}
	if codeOf(nil) != 0 {
		t.Error("no error became one")
	}
}

func TestDeadlines(t *testing.T) {
	for _, c := range []struct {
		now  int64
		left time.Duration
		want uint64
	}{{1000, 500, 1500}, {1000, -400, 600}, {1000, -5000, 0}, {1000, math.MinInt64, 0},
		{1, math.MaxInt64 - 1, math.MaxInt64}, {2, math.MaxInt64 - 1, abiWaitForever}} {
		if got := uint64(deadlineAfter(c.now, c.left)); got != c.want {
			t.Errorf("%v after %d is %d", c.left, c.now, got)
		}
	}
	if uint64(deadlineWord(time.Time{})) != abiWaitForever ||
		uint64(timeoutWord(time.Time{})) != abiWaitForever {
		t.Error("the zero time is a deadline")
	}
	if timeoutWord(time.Unix(1, 0)) != 0 || deadlineWord(time.Unix(1, 0)) != 0 {
		t.Error("a past deadline is not past")
	}
}

// Elsewhere nothing is granted, and everything says so.
func TestOtherSystems(t *testing.T) {
	if _, err := Granted[Event]("event"); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	event := Of[Event](FromID(7))
	if _, err := event.Wait(1, time.Time{}); err != ErrInvokeFailed || event.ID() != 7 {
		t.Error(err)
	}
	if err := Of[Facet](event.Capability).Call(new(Message), time.Time{}); !errors.Is(err,
		fs.ErrClosed) {
		t.Error(err)
	}
	if err := Of[Endpoint](event.Capability).Serve(HandlerFunc(nil),
		1); err != ErrInvokeFailed {
		t.Error(err)
	}
	var m Message
	m.Words[1] = 5
	if m.Bytes()[8] != 5 {
		t.Error(m.Bytes())
	}
}
