//go:build capos

package runtime

// RaiseBesideEnded calls raiseproc while a thread that has ended is the first of the list.
func RaiseBesideEnded(sig uint32) {
	ended := new(m)
	ended.handle.Store(handleEnded)
	systemstack(func() {
		lock(&sched.lock)
		ended.alllink = allm
		allm = ended
		raiseproc(sig)
		allm = ended.alllink
		for mp := allm; mp != nil; mp = mp.alllink {
			mp.crashNotified.Store(0)
		}
		unlock(&sched.lock)
	})
}
