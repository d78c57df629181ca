package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// interruption is the cause by which a signal ends an explore.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string { return fmt.Sprintf("interrupted (%v)", i.signal) }

// untilInterrupted gives a context that an interrupt or a terminate signal ends. The second one
// ends the command at once.
func untilInterrupted() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals)
		cancel(interruption{s})
	}()
	return ctx, func() { cancel(nil) }
}

// interruptedStatus is that of a shell for a command that a signal has ended: what was not tried
// may fail, so an explore without a failure so far is not one without a failure.
func interruptedStatus(ctx context.Context) int {
	var i interruption
	if errors.As(context.Cause(ctx), &i) {
		if number, ok := i.signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
	}
	return exploreBroken
}

// tellUntried names the targets that an interrupt has left out.
func tellUntried(targets []target) {
	var names []string
	for _, t := range targets {
		names = append(names, t.name)
	}
	if len(names) > 0 {
		fmt.Fprintf(os.Stderr, "capos: interrupted before %s\n", strings.Join(names, ", "))
	}
}
