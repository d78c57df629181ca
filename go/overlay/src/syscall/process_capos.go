// The processes that this one started: waiting for them, ending them, what they used.
//
// A child is a Process capability under its process id. The id is a name inside this process only:
// that of a child until it has been waited for, that of the parent, and that of the process itself.

//go:build capos

package syscall

import (
	"sync"
	"unsafe"
)

// A child is a process that this one started and that nothing has waited for yet.
type child struct {
	process  capability
	relays   []*relay
	users    int    // calls that use the capability, and 1 while the child is in the table
	watched  bool   // a goroutine waits for its end on behalf of a wait for any child
	ended    bool   // for that goroutine
	killedBy Signal // the last one that may have killed it
}

var children struct {
	sync.Mutex
	changed sync.Cond // a child has ended, or is gone from the table
	byPid   map[int]*child
	used    Rusage // by those that were waited for
}

func addChild(process capability, relays []*relay) (pid int) {
	usage, _ := usageOf(process)
	pid = int(usage.processId)
	c := &children
	c.Lock()
	defer c.Unlock()
	if c.byPid == nil {
		c.byPid = map[int]*child{}
		c.changed.L = &c.Mutex
	}
	c.byPid[pid] = &child{process: process, relays: relays, users: 1}
	return pid
}

// drop ends a use of the capability. The table is locked.
func (c *child) drop() {
	if c.users--; c.users == 0 {
		runtime_release(c.process)
	}
}

func usageOf(process capability) (*abiProcessResources, Errno) {
	usage := new(abiProcessResources)
	answer := call(process, abiProcessUsage, uintptr(unsafe.Pointer(usage)),
		unsafe.Sizeof(*usage), 0, 0, 0)
	return usage, errnoOf(failure(answer))
}

func usageOfChildren() Rusage {
	children.Lock()
	defer children.Unlock()
	return children.used
}

// ---- waiting
// ------------------------------------------------------------------------------------------

// Wait4 waits for a child, or for any with -1 or 0. A process has ended when those that it started
// have ended too. The children of a process are killed when it ends.
func Wait4(pid int, wstatus *WaitStatus, options int, rusage *Rusage) (wpid int, err error) {
	if options&^(WNOHANG|WUNTRACED|WCONTINUED) != 0 {
		return -1, EINVAL
	}
	var e Errno
	if pid == -1 || pid == 0 {
		pid, e = waitAny(options&WNOHANG != 0)
	} else {
		e = waitFor(pid, options&WNOHANG != 0)
	}
	switch {
	case e == EAGAIN:
		return 0, nil
	case e != 0:
		return -1, e
	}
	status, usage, relays, e := reap(pid)
	if e != 0 {
		return -1, e
	}
	for _, r := range relays {
		r.finish()
	}
	if wstatus != nil {
		*wstatus = status
	}
	if rusage != nil {
		*rusage = usage
	}
	return pid, nil
}

// waitFor returns when the child has ended. EAGAIN: it has not.
func waitFor(pid int, poll bool) Errno {
	children.Lock()
	c := children.byPid[pid]
	if c == nil {
		children.Unlock()
		return ECHILD
	}
	c.users++
	children.Unlock()
	_, err := c.end(poll)
	children.Lock()
	defer children.Unlock()
	c.drop()
	return err
}

// end tells how the child ended. The caller counts as a user.
func (c *child) end(poll bool) (*abiProcessEnd, Errno) {
	end := new(abiProcessEnd)
	timeout := uintptr(abiWaitForever)
	if poll {
		timeout = 0
	}
	for {
		answer := callBlocking(c.process, abiProcessWait, timeout,
			uintptr(unsafe.Pointer(end)), unsafe.Sizeof(*end), 0, 0)
		switch number := failure(answer); number {
		case 0:
			return end, 0
		case abiErrorBase + abiErrorTimedOut:
			return nil, EAGAIN
		case abiErrorBase + abiErrorInterrupted:
		default:
			return nil, errnoOf(number)
		}
	}
}

// waitAny returns the id of a child that has ended. Each child is watched by a goroutine from the
// first such wait on.
func waitAny(poll bool) (int, Errno) {
	children.Lock()
	defer children.Unlock()
	for {
		if len(children.byPid) == 0 {
			return -1, ECHILD
		}
		for pid, c := range children.byPid {
			if c.ended || poll && c.hasEnded() {
				return pid, 0
			}
			if !c.watched && !poll {
				c.watched = true
				c.users++
				go c.watch()
			}
		}
		if poll {
			return -1, EAGAIN
		}
		children.changed.Wait()
	}
}

// hasEnded may be called with the table locked, because it does not wait.
func (c *child) hasEnded() bool {
	_, err := c.end(true)
	return err == 0
}

func (c *child) watch() {
	c.end(false)
	children.Lock()
	defer children.Unlock()
	c.ended = true
	c.drop()
	children.changed.Broadcast()
}

// reap takes a child that has ended out of the table. Of several waits for it, one gets it.
func reap(pid int) (status WaitStatus, usage Rusage, relays []*relay, err Errno) {
	children.Lock()
	defer children.Unlock()
	c := children.byPid[pid]
	if c == nil {
		return 0, usage, nil, ECHILD
	}
	end, err := c.end(true)
	if err != 0 {
		return 0, usage, nil, err
	}
	if used, err := usageOf(c.process); err == 0 {
		usage.Utime = NsecToTimeval(int64(used.cpuTimeNs))
		usage.Maxrss = int64(used.peakPages) * abiPageSize / 1024
	}
	all := &children.used
	all.Utime = NsecToTimeval(all.Utime.Nano() + usage.Utime.Nano())
	all.Maxrss = max(all.Maxrss, usage.Maxrss)
	delete(children.byPid, pid)
	c.drop()
	children.changed.Broadcast()
	return c.statusOf(end), usage, c.relays, 0
}

// ---- how a process ended
// ------------------------------------------------------------------------------------------

// A WaitStatus is an exit code, or a signal in the low seven bits.
type WaitStatus uint32

// statusOf translates how a child ended.
func (c *child) statusOf(end *abiProcessEnd) WaitStatus {
	const bySignal = 1<<30 | 128 // the runtime's endedBySignal
	if end.kind == abiExitKindExited && end.code&^0x1f == bySignal {
		return WaitStatus(end.code & 0x1f)
	}
	if end.kind == abiExitKindExited {
		return WaitStatus(end.code&0xff) << 8
	}
	switch end.code {
	case abiNotificationKindPageFault, abiNotificationKindGeneralProtection:
		return WaitStatus(SIGSEGV)
	case abiNotificationKindDivide, abiNotificationKindFloatingPoint:
		return WaitStatus(SIGFPE)
	case abiNotificationKindIllegalInstruction:
		return WaitStatus(SIGILL)
	case abiNotificationKindBreakpoint:
		return WaitStatus(SIGTRAP)
	case abiNotificationKindAlignment:
		return WaitStatus(SIGBUS)
	case abiNotificationKindInterrupt:
		return WaitStatus(SIGINT)
	case abiNotificationKindQuit:
		return WaitStatus(SIGQUIT)
	}
	if c.killedBy != 0 {
		return WaitStatus(c.killedBy)
	}
	return WaitStatus(SIGKILL)
}

func (w WaitStatus) Exited() bool       { return w&0x7f == 0 }
func (w WaitStatus) Signaled() bool     { return w&0x7f != 0 }
func (w WaitStatus) Stopped() bool      { return false }
func (w WaitStatus) Continued() bool    { return false }
func (w WaitStatus) CoreDump() bool     { return false }
func (w WaitStatus) StopSignal() Signal { return -1 }
func (w WaitStatus) TrapCause() int     { return -1 }

func (w WaitStatus) ExitStatus() int {
	if !w.Exited() {
		return -1
	}
	return int(w>>8) & 0xff
}

func (w WaitStatus) Signal() Signal {
	if !w.Signaled() {
		return -1
	}
	return Signal(w & 0x7f)
}

// ---- signals
// ------------------------------------------------------------------------------------------

// signalOther sends a signal to another process. Over the parent a process has no rights. A program
// that takes no notifications has no handler for any signal, so what happens by default is done
// here. A process cannot be stopped.
func signalOther(pid int, sig Signal) Errno {
	children.Lock()
	defer children.Unlock()
	c := children.byPid[pid]
	switch {
	case c == nil && pid == start.parent && pid != 0:
		if sig == 0 {
			return 0
		}
		return EPERM
	case c == nil:
		return ESRCH
	case sig == 0:
		return 0
	case sig == SIGKILL:
		return c.kill(sig)
	case sig == SIGSTOP:
		return EOPNOTSUPP
	}
	if sig == SIGTERM {
		c.killedBy = sig
	}
	answer := call(c.process, abiProcessNotify, kindOf(sig), 0, 0, 0, 0)
	if failure(answer) == abiErrorBase+abiErrorWrongState {
		if ignoredByDefault(sig) {
			return 0
		}
		return c.kill(sig)
	}
	return errnoOf(failure(answer))
}

// signalChildren fails only where no child gets the signal.
func signalChildren(sig Signal) Errno {
	errno, sent := ESRCH, false
	for _, pid := range pidsOfChildren() {
		switch e := signalOther(pid, sig); {
		case e == 0:
			sent = true
		case e != ESRCH:
			errno = e
		}
	}
	if sent {
		return 0
	}
	return errno
}

func pidsOfChildren() (pids []int) {
	children.Lock()
	defer children.Unlock()
	for pid := range children.byPid {
		pids = append(pids, pid)
	}
	return pids
}

func (c *child) kill(sig Signal) Errno {
	c.killedBy = sig
	return errnoOf(failure(call(c.process, abiProcessKill, 0, 0, 0, 0, 0)))
}

// kindOf is the notification by which a signal comes to a process.
func kindOf(sig Signal) uintptr {
	switch sig {
	case SIGINT:
		return abiNotificationKindInterrupt
	case SIGQUIT:
		return abiNotificationKindQuit
	case SIGTERM:
		return abiNotificationKindTerminate
	}
	return abiNotifyUserFirst + uintptr(sig) - 1
}

func ignoredByDefault(sig Signal) bool {
	switch sig {
	case SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH:
		return true
	}
	return false
}
