// Two transfers in opposite directions take the two locks in one order.
package lockorder

import (
	"sync"
	"testing"
)

type account struct {
	id    int
	mu    sync.Mutex
	cents int
}

func transfer(from, to *account, cents int) {
	first, second := from, to
	if second.id < first.id {
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	from.cents -= cents
	to.cents += cents
}

func TestTransfers(t *testing.T) {
	a, b := &account{id: 1, cents: 100}, &account{id: 2, cents: 100}
	var wg sync.WaitGroup
	wg.Go(func() { transfer(a, b, 1) })
	wg.Go(func() { transfer(b, a, 2) })
	wg.Wait()
	if a.cents+b.cents != 200 {
		t.Fatal(a.cents, b.cents)
	}
}
