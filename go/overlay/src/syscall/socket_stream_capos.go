// Connections: listening, connecting, accepting, and the bytes of a stream.

//go:build capos

package syscall

func (s *socket) listen(backlog int) Errno {
	network.Lock()
	defer network.Unlock()
	switch {
	case s.kind == SOCK_DGRAM:
		return EOPNOTSUPP
	case s.connected:
		return EINVAL
	case !s.bound && s.family == AF_UNIX:
		return EINVAL
	case !s.bound:
		if err := s.bindPort(endpoint{addr: s.anyAddress()}); err != 0 {
			return err
		}
	}
	if s.backlog = SOMAXCONN; backlog >= 0 {
		s.backlog = min(backlog, SOMAXCONN)
	}
	s.listening = true
	s.admit()
	return 0
}

func (s *socket) connect(to endpoint, block bool) Errno {
	if deadline, limited := s.limits.deadline(SO_SNDTIMEO, block); limited {
		return s.connectUntil(to, deadline)
	}
	return s.connectNow(to, block)
}

func (s *socket) connectNow(to endpoint, block bool) Errno {
	network.Lock()
	defer network.Unlock()
	switch {
	case s.connected && s.kind != SOCK_DGRAM:
		return EISCONN
	case s.listener != nil:
		return EALREADY
	case s.listening:
		return EINVAL
	case s.refused && s.pending.isSet():
		return s.pending.take()
	}
	if s.family != AF_UNIX {
		var err Errno
		if to, err = to.reachable(s); err != 0 {
			return err
		}
		if err := s.bindTowards(to); err != 0 {
			return err
		}
	}
	if s.kind == SOCK_DGRAM {
		return s.connectDatagrams(to)
	}
	return s.connectStream(to, block)
}

func (s *socket) connectStream(to endpoint, block bool) Errno {
	var listener *socket
	if s.family == AF_UNIX {
		var err Errno
		if listener, err = findName(to.name); err != 0 {
			return err
		}
	} else {
		listener = find(s.kind, to, s.local)
	}
	switch {
	case listener == nil || !listener.listening:
		return s.refuse(block)
	case listener.kind != s.kind:
		return EPROTOTYPE
	}
	s.remote, s.listener = to, listener
	listener.waiting = append(listener.waiting, s)
	listener.admit()
	if s.connected {
		return 0
	}
	if !block {
		return EINPROGRESS
	}
	for s.listener != nil {
		s.changed.Wait()
	}
	return s.pending.take()
}

// refuse ends an attempt to connect. A caller that does not wait learns of it later.
func (s *socket) refuse(block bool) Errno {
	if s.family == AF_UNIX {
		return ECONNREFUSED
	}
	s.refused = true
	if block {
		return ECONNREFUSED
	}
	s.pending.set(ECONNREFUSED)
	s.report()
	return EINPROGRESS
}

// admit makes connections of sockets that wait for room in the queue, while there is some.
func (s *socket) admit() {
	admitted := 0
	for admitted < len(s.waiting) && len(s.queue) <= s.backlog {
		s.establish(s.waiting[admitted])
		s.waiting[admitted] = nil
		admitted++
	}
	if s.waiting = s.waiting[admitted:]; admitted > 0 {
		s.reportEvents(evReadable)
	}
}

// establish makes the connection of a socket that connects to s.
func (s *socket) establish(from *socket) {
	accepted, _ := newSocket(s.family, s.kind, 0)
	accepted.buffers = s.buffers
	accepted.local, accepted.remote = from.remote, from.local
	joinSockets(from, accepted)
	s.queue = append(s.queue, accepted)
	from.listener = nil
	from.report()
}

// rejectWaiting ends the attempts to connect that wait.
func (s *socket) rejectWaiting() {
	for _, from := range s.waiting {
		from.listener, from.refused = nil, true
		from.pending.set(ECONNREFUSED)
		from.report()
	}
	s.waiting = nil
}

// giveUp ends an attempt to connect of a socket that is closed.
func (s *socket) giveUp() {
	if s.listener == nil {
		return
	}
	kept := s.listener.waiting[:0]
	for _, other := range s.listener.waiting {
		if other != s {
			kept = append(kept, other)
		}
	}
	clear(s.listener.waiting[len(kept):])
	s.listener.waiting, s.listener = kept, nil
	s.pending.set(ECONNABORTED)
}

func (s *socket) accept(block bool) (openSocket, Errno) {
	if deadline, limited := s.limits.deadline(SO_RCVTIMEO, block); limited {
		return s.acceptUntil(deadline)
	}
	return s.acceptNow(block)
}

func (s *socket) acceptNow(block bool) (openSocket, Errno) {
	network.Lock()
	defer network.Unlock()
	for s.listening && len(s.queue) == 0 && block {
		s.changed.Wait()
	}
	switch {
	case !s.listening:
		return nil, EINVAL
	case len(s.queue) == 0:
		return nil, EAGAIN
	}
	accepted := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.admit()
	return accepted, 0
}

func (s *socket) shutdown(how int) Errno {
	network.Lock()
	left, err := s.shutdownLocked(how)
	network.Unlock()
	letGoAll(left)
	return err
}

func (s *socket) shutdownLocked(how int) (left []*description, err Errno) {
	switch {
	case s.listening && how != SHUT_WR:
		left = s.stopListening()
		s.report()
		return left, 0
	case !s.connected:
		return nil, ENOTCONN
	case how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR:
		return nil, EINVAL
	}
	reading := how != SHUT_WR
	if in := s.in.Load(); reading && in != nil && s.family != AF_UNIX {
		// TCP has no way to tell the other side, which goes on sending.
		in.ignore()
		reading = false
	}
	s.end(reading, how != SHUT_RD)
	s.report()
	s.reportPeer()
	return nil, 0
}

// end closes one or both directions of a connection, each once.
func (s *socket) end(reading, writing bool) {
	if writing && !s.wroteEnd {
		s.wroteEnd = true
		if out := s.out.Load(); out != nil {
			out.close(O_WRONLY)
		}
	}
	if reading && !s.readEnded {
		s.readEnded = true
		s.reportSenders()
		if in := s.in.Load(); in != nil {
			in.close(O_RDONLY)
		}
	}
}

// stopListening resets the connections that were not accepted. It returns the files that had been
// sent through them.
func (s *socket) stopListening() (left []*description) {
	s.listening = false
	s.rejectWaiting()
	for _, waiting := range s.queue {
		waiting.abortive = true
		left = append(left, waiting.closeLocked()...)
	}
	s.queue = nil
	return left
}

// ---- bytes
// ------------------------------------------------------------------------------------------

func (s *socket) receiveBytes(p []byte, peek, block bool) (m message, err Errno) {
	in := s.in.Load()
	if in == nil {
		return m, ENOTCONN
	}
	m.n, m.files, err = in.receive(p, peek, block)
	if m.n > 0 {
		m.control = s.addCredentials(nil)
	}
	return m, err
}

func (s *socket) sendBytes(o outgoing, block bool) (int, Errno) {
	out := s.out.Load()
	switch {
	case out == nil:
		return 0, ENOTCONN
	case o.addressed:
		return 0, EISCONN
	}
	return out.send(o.data, o.files, block)
}
