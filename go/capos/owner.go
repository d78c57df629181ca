package capos

import (
	"runtime"
	"slices"
	"sync"
)

// An owner is a goroutine that is locked to a thread and makes calls through its ring, for others.
// While it waits for the ends of calls it is inside the kernel, where only the end of a call wakes
// it. Therefore one of its calls is the alarm: a call to an endpoint of its own. Who has a request
// receives that call and answers it.
type owner struct {
	ring     ring
	endpoint Endpoint
	facet    Facet

	// Of the goroutine itself.
	calls map[uint64]*ringCall // outstanding, by their userData
	last  uint64               // userData given

	alarmSet    bool // the alarm is outstanding
	alarmFailed bool // it could not begin

	// Guarded by owners.mu.
	room    int  // how many calls it may begin besides
	useless bool // it begins none any more

	mu       sync.Mutex
	requests []*ringCall
	waiting  bool // it is inside the kernel, or about to be
	armed    bool // the alarm is outstanding, and no goroutine is answering it
	ended    bool // the goroutine takes no requests any more
}

// userData of submissions that are no calls of others.
const (
	ofGivingUp = iota
	ofAlarm
	lastReserved
)

// callsOfOwner is how many calls of others an owner may have outstanding.
const callsOfOwner = abiRingCallsMax - 1

var owners = struct {
	mu  sync.Mutex
	all []*owner
	of  map[uint32]use // by facets that have calls outstanding
}{of: map[uint32]use{}}

// use is that of a facet.
type use struct {
	owner *owner // of the call that began last
	calls int    // outstanding
}

// ownerFor gives an owner that can begin a call of a facet, and the one that had the call before,
// if that is another. The first owner stays, and others end when they have nothing to do.
func ownerFor(f Facet) (o, before *owner, err error) {
	owners.mu.Lock()
	defer owners.mu.Unlock()
	use := owners.of[f.id]
	if use.owner == nil || use.owner.useless || use.owner.room == 0 {
		before = use.owner
		if use.owner, err = ownerWithRoom(); err != nil {
			return nil, nil, err
		}
	}
	use.owner.room--
	use.calls++
	owners.of[f.id] = use
	return use.owner, before, nil
}

// ownerWithRoom is called with the lock held.
func ownerWithRoom() (*owner, error) {
	for _, o := range owners.all {
		if o.room > 0 {
			return o, nil
		}
	}
	o, err := newOwner()
	if err == nil {
		owners.all = append(owners.all, o)
		go o.run()
	}
	return o, err
}

// hasRoom is for a call that has ended.
func (o *owner) hasRoom(facet uint32) {
	owners.mu.Lock()
	defer owners.mu.Unlock()
	o.room++
	use := owners.of[facet]
	use.calls--
	owners.of[facet] = use
	if use.calls == 0 {
		delete(owners.of, facet)
	}
}

func newOwner() (*owner, error) {
	factory, err := Granted[EndpointFactory]("endpoint_factory")
	if err != nil {
		return nil, err
	}
	o := &owner{calls: map[uint64]*ringCall{}, last: lastReserved, room: callsOfOwner}
	if o.endpoint, err = factory.Create(1); err != nil {
		return nil, err
	}
	if o.facet, err = o.endpoint.MakeFacet(0); err != nil {
		o.endpoint.Close()
		return nil, err
	}
	return o, nil
}

// flush waits until the calls that were requested before have begun.
func (o *owner) flush() {
	c := &ringCall{flushes: true, done: make(chan struct{})}
	o.request(c)
	<-c.done
}

// request has the owner begin a call, or do what else a request is for.
func (o *owner) request(c *ringCall) {
	o.mu.Lock()
	if o.ended {
		o.mu.Unlock()
		if c.flushes {
			close(c.done)
		}
		return
	}
	o.requests = append(o.requests, c)
	wake := o.waiting && o.armed
	if wake {
		o.armed = false
	}
	o.mu.Unlock()
	if wake && !o.wake() {
		go o.wake()
	}
}

// wake answers the alarm, which is outstanding. It cannot on a thread that has a call to answer,
// which is that of a handler.
func (o *owner) wake() bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := new(Message)
	_, _, e := o.endpoint.receive(m)
	for e == ErrInterrupted {
		_, _, e = o.endpoint.receive(m)
	}
	if e == 0 {
		operate(abiOpcodeReply, &registers{})
	}
	return e != ErrWrongState
}

// run is the goroutine.
func (o *owner) run() {
	runtime.LockOSThread()
	o.ring = threadRing()
	for !o.isUseless() {
		o.begin(o.take())
		o.setAlarm()
		if (o.alarmSet || o.alarmFailed) && o.sleeps() {
			enterRing(1, o.sleepMax())
			o.awake()
		}
		if o.complete() {
			// Who waited for a call runs first. Inside the kernel the owner would keep
			// the P from it until sysmon looks.
			runtime.Gosched()
		}
	}
	o.end()
	runtime.UnlockOSThread()
}

// isUseless reports whether no call is outstanding or about to begin. None begins from then on.
func (o *owner) isUseless() bool {
	owners.mu.Lock()
	defer owners.mu.Unlock()
	if o.room != callsOfOwner || o == owners.all[0] {
		return false
	}
	owners.all = slices.DeleteFunc(owners.all, func(other *owner) bool { return o == other })
	o.useless = true
	return true
}

// end leaves the ring as it was. A goroutine that gives up a call that has ended may still be about
// to answer the alarm. The end of the endpoint ends its wait.
func (o *owner) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.begin(o.take()) // these are no calls
	if o.alarmSet {
		o.submit(abiSubmission{opcode: abiOpcodeFinish, userData: ofGivingUp,
			args: [6]uint64{ofAlarm}})
	}
	o.execute()
	o.facet.Close()
	o.endpoint.Close()
}

func (o *owner) take() []*ringCall {
	o.mu.Lock()
	defer o.mu.Unlock()
	requests := o.requests
	o.requests = nil
	return requests
}

func (o *owner) begin(requests []*ringCall) {
	for _, c := range requests {
		switch {
		case c.flushes:
			o.execute()
			close(c.done)
		case c.gaveUp != nil: // one that has ended is not found, by its userData
			o.submit(abiSubmission{opcode: abiOpcodeFinish, userData: ofGivingUp,
				args: [6]uint64{c.gaveUp.submission.userData}})
		default:
			o.last++
			c.submission.userData = o.last
			o.calls[o.last] = c
			o.submit(c.submission)
		}
	}
}

func (o *owner) submit(s abiSubmission) {
	if o.ring.waiting() == abiRingSubmissions {
		o.execute()
	}
	o.ring.push(s)
}

// execute has the kernel take what is in the ring. It stops for notifications and where there is no
// room for completions.
func (o *owner) execute() {
	for o.ring.waiting() != 0 {
		enterRing(0, 0)
		o.complete()
	}
}

// setAlarm begins what was submitted, and makes it possible to wake the owner, if it is not yet.
// The alarm fails for lack of memory only, or of calls in the process's budget.
func (o *owner) setAlarm() {
	wasSet := o.alarmSet
	if !wasSet {
		o.alarmSet, o.alarmFailed = true, false
		o.submit(abiSubmission{opcode: abiOpcodeEndpointCall, cap: o.facet.id,
			userData: ofAlarm, args: [6]uint64{4: abiWaitForever}})
	}
	o.execute()
	if !wasSet {
		o.mu.Lock()
		o.armed = o.alarmSet
		o.mu.Unlock()
	}
}

// sleeps reports whether there is nothing to do now, and that the next request has to wake.
func (o *owner) sleeps() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = len(o.requests) == 0
	return o.waiting
}

// sleepMax is how long the owner sleeps at most. Without the alarm it looks again soon.
func (o *owner) sleepMax() uintptr {
	if o.alarmSet {
		return uintptr(abiWaitForever)
	}
	const millisecond = 1e6
	return millisecond
}

func (o *owner) awake() {
	o.mu.Lock()
	o.waiting = false
	o.mu.Unlock()
}

// complete takes the completions that are there, and reports whether calls of others have ended.
func (o *owner) complete() (ended bool) {
	for {
		c, ok := o.ring.pop()
		switch {
		case !ok:
			return ended
		case c.userData == ofAlarm:
			o.alarmSet, o.alarmFailed = false, c.failure() != 0
		case c.userData != ofGivingUp:
			call := o.calls[c.userData]
			delete(o.calls, c.userData)
			o.hasRoom(call.submission.cap)
			call.end(&c)
			ended = true
		}
	}
}

func (c *ringCall) end(completion *abiCompletion) {
	c.status, c.size, c.came = completion.failure(), completion.size, c.caps.taken()
	close(c.done)
}
