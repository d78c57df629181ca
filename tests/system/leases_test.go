//go:build capos

package system

import (
	"errors"
	"runtime/debug"
	"testing"
	"time"

	"capos.dev/capos"
)

// lent makes a lease for what a program holds, and a revocable copy of it.
func lent[T capos.Typed](t *testing.T, object capos.Held) (capos.Lease, T) {
	t.Helper()
	factory := granted[capos.LeaseFactory](t, "lease_factory")
	lease := must[capos.Lease](t)(factory.Create(object))
	copied := must[capos.LeaseCopy](t)(lease.Copy())
	return lease, capos.Of[T](copied.Capability)
}

// borrow uses what its parent has lent until that takes it back: the memory in an access, the event
// in a wait.
func borrow(string) {
	memory, err := grantedToChild[capos.MemoryObject]("memory").Bytes()
	inChild(err == nil, "mapping")
	memory[0] = 'b'
	event := grantedToChild[capos.Event]("event")
	inChild(event.Signal(1) == nil, "signal")
	_, err = event.Wait(2, time.Time{})
	inChild(err == capos.ErrRevoked, "the wait is revoked")
	inChild(event.Signal(1) == capos.ErrRevoked, "the event is revoked")
	inChild(faults(func() { memory[0] = 'c' }), "the memory is taken away")
}

func faults(access func()) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { faulted = recover() != nil }()
	access()
	return false
}

func TestLentToChild(t *testing.T) {
	before := heldBesides()
	event := must[capos.Event](t)(granted[capos.EventFactory](t, "event_factory").Create())
	object := must[capos.MemoryObject](t)(granted[capos.MemoryAllocator](t,
		"memory_allocator").Create(100))
	memory := must[[]byte](t)(object.Bytes())
	eventLease, lentEvent := lent[capos.Event](t, event)
	memoryLease, lentMemory := lent[capos.MemoryObject](t, object)
	cmd := startWith(t, "borrow",
		map[string]capos.Held{"memory": lentMemory, "event": lentEvent})
	if _, err := event.Wait(1, time.Now().Add(time.Minute)); err != nil || memory[0] != 'b' {
		t.Error(err, memory[0])
	}
	if err := errors.Join(memoryLease.Revoke(), eventLease.Revoke()); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil || memory[0] != 'b' {
		t.Error(err, memory[0])
	}
	if err := event.Signal(1); err != nil {
		t.Error("the lender's own goes on:", err)
	}
	if err := lentEvent.Signal(1); err != capos.ErrRevoked {
		t.Error(err)
	}
	if err := object.Free(memory); err != nil {
		t.Error(err)
	}
	for _, held := range []interface{ Close() error }{event, object, eventLease, memoryLease,
		lentEvent, lentMemory} {
		if err := held.Close(); err != nil {
			t.Error(err)
		}
	}
	checkHeld(t, before)
}

// The end of the lease, by a program that ends or closes it, takes copies back too.
func TestLeaseIsClosed(t *testing.T) {
	event := must[capos.Event](t)(granted[capos.EventFactory](t, "event_factory").Create())
	lease, copied := lent[capos.Event](t, event)
	inner, below := lent[capos.Event](t, copied)
	done := make(chan error)
	go func() {
		_, err := below.Wait(1, time.Time{})
		done <- err
	}()
	lease.Close()
	if err := <-done; err != capos.ErrRevoked {
		t.Error(err)
	}
	if err := inner.Revoke(); err != nil {
		t.Error(err)
	}
	for _, held := range []interface{ Close() error }{event, copied, inner, below} {
		held.Close()
	}
}
