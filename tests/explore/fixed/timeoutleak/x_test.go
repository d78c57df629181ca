// The answer has a place to go when the deadline passed first.
package timeoutleak

import (
	"context"
	"testing"
	"time"
)

func ask(ctx context.Context, work func() int) (int, error) {
	answer := make(chan int, 1)
	go func() { answer <- work() }()
	select {
	case n := <-answer:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestAsk(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	n, err := ask(ctx, func() int { return 42 })
	if err == nil && n != 42 {
		t.Fatal(n)
	}
}
