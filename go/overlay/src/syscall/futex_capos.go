// Futexes by number: waiting for a word of memory to change.
//
// A wait blocks a goroutine. The memory of this process is its own, so a futex is known by its
// address, with or without FUTEX_PRIVATE_FLAG.

//go:build capos

package syscall

import (
	"sync"
	"sync/atomic"
)

const (
	futexWait       = 0
	futexWake       = 1
	futexRequeue    = 3
	futexCmpRequeue = 4
	futexWaitBits   = 9
	futexWakeBits   = 10

	futexPrivate  = 128
	futexRealtime = 256
	futexAnyBits  = ^uint32(0)
)

// futexes are the waiters of each address, oldest first.
var futexes struct {
	sync.Mutex
	waiters map[uintptr][]*futexWaiter
}

type futexWaiter struct {
	*sleeper
	address uintptr
	bits    uint32
	chosen  bool // by a wake
}

func numberedFutex(a *numberArgs) (uintptr, error) {
	if a[0] == 0 {
		return 0, EFAULT
	}
	if a[0]%4 != 0 {
		return 0, EINVAL
	}
	word, value := argument[uint32](a, 0), uint32(a[2])
	operation := a[1] &^ (futexPrivate | futexRealtime)
	switch operation {
	case futexWait, futexWaitBits:
		return 0, waitFutex(a, word, value, operation == futexWaitBits)
	case futexWake:
		return wakeFutex(a[0], value, futexAnyBits)
	case futexWakeBits:
		return wakeFutex(a[0], value, uint32(a[5]))
	case futexRequeue, futexCmpRequeue:
		return requeueFutex(a, word, value, operation == futexCmpRequeue)
	}
	return 0, ENOSYS
}

// waitFutex waits as long as the word has a value. Its time-out is relative without bits, and a
// point in time with them.
func waitFutex(a *numberArgs, word *uint32, value uint32, withBits bool) error {
	bits := futexAnyBits
	limit := argument[Timespec](a, 3)
	ns, err := limit.interval()
	if err != nil {
		return err
	}
	deadline := deadlineAfter(ns)
	if withBits {
		if bits = uint32(a[5]); bits == 0 {
			return EINVAL
		}
		if deadline = forever; ns >= 0 {
			deadline = ns
			if a[1]&futexRealtime != 0 {
				deadline -= nowNs() - runtime_nanotime()
			}
		}
	}
	f := &futexes
	w := &futexWaiter{newSleeper(), a[0], bits, false}
	f.Lock()
	defer f.Unlock()
	if atomic.LoadUint32(word) != value {
		return EAGAIN
	}
	if f.waiters == nil {
		f.waiters = map[uintptr][]*futexWaiter{}
	}
	f.waiters[w.address] = append(f.waiters[w.address], w)
	f.Unlock()
	w.sleep(deadline)
	f.Lock()
	if w.chosen {
		return nil
	}
	takeWaiters(w.address, func(other *futexWaiter) bool { return other == w })
	return ETIMEDOUT
}

// takeWaiters takes those out that are chosen. futexes is locked.
func takeWaiters(address uintptr, choose func(*futexWaiter) bool) {
	var kept []*futexWaiter
	for _, w := range futexes.waiters[address] {
		if !choose(w) {
			kept = append(kept, w)
		}
	}
	if len(kept) == 0 {
		delete(futexes.waiters, address)
	} else {
		futexes.waiters[address] = kept
	}
}

func wakeFutex(address uintptr, most, bits uint32) (uintptr, error) {
	if bits == 0 {
		return 0, EINVAL
	}
	futexes.Lock()
	defer futexes.Unlock()
	return wakeLocked(address, most, bits), nil
}

func wakeLocked(address uintptr, most, bits uint32) (woken uintptr) {
	if int32(most) < 1 {
		most = 1 // as on Linux
	}
	takeWaiters(address, func(w *futexWaiter) bool {
		if uint32(woken) >= most || w.bits&bits == 0 {
			return false
		}
		w.chosen = true
		w.wake()
		woken++
		return true
	})
	return woken
}

// requeueFutex wakes some waiters and lets others wait for another word.
func requeueFutex(a *numberArgs, word *uint32, most uint32, compare bool) (uintptr, error) {
	limit, to := uint32(a[3]), a[4]
	switch {
	case int32(most) < 0 || int32(limit) < 0 || to%4 != 0:
		return 0, EINVAL
	case to == 0:
		return 0, EFAULT
	}
	f := &futexes
	f.Lock()
	defer f.Unlock()
	if compare && atomic.LoadUint32(word) != uint32(a[5]) {
		return 0, EAGAIN
	}
	count := uintptr(0)
	if most > 0 {
		count = wakeLocked(a[0], most, futexAnyBits)
	}
	var moved []*futexWaiter
	takeWaiters(a[0], func(w *futexWaiter) bool {
		if uint32(len(moved)) >= limit || to == a[0] {
			return false
		}
		w.address = to
		moved = append(moved, w)
		return true
	})
	if len(moved) > 0 {
		f.waiters[to] = append(f.waiters[to], moved...)
	}
	if compare {
		count += uintptr(len(moved))
	}
	return count, nil
}
