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
	s.listening, s.backlog = true, max(1, min(backlog, SOMAXCONN))
	return 0
}

func (s *socket) connect(to endpoint) Errno {
	network.Lock()
	defer network.Unlock()
	if s.connected && s.kind != SOCK_DGRAM {
		return EISCONN
	}
	if s.listening {
		return EINVAL
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
	return s.connectStream(to)
}

func (s *socket) connectStream(to endpoint) Errno {
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
	case listener == nil || !listener.listening || len(listener.queue) >= listener.backlog:
		return ECONNREFUSED
	case listener.kind != s.kind:
		return EPROTOTYPE
	}
	accepted, _ := newSocket(listener.family, s.kind, 0)
	accepted.buffers = listener.buffers
	accepted.local, accepted.remote = to, s.local
	s.remote = to
	joinSockets(s, accepted)
	listener.queue = append(listener.queue, accepted)
	listener.report()
	return 0
}

func (s *socket) accept(block bool) (openSocket, Errno) {
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
	s.queue = s.queue[1:]
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
	if reading && s.in != nil && s.family != AF_UNIX {
		// TCP has no way to tell the other side, which goes on sending.
		s.in.ignore()
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
		if s.out != nil {
			s.out.close(O_WRONLY)
		}
	}
	if reading && !s.readEnded {
		s.readEnded = true
		s.reportSenders()
		if s.in != nil {
			s.in.close(O_RDONLY)
		}
	}
}

// stopListening resets the connections nobody accepted; it returns the files that had been sent
// through them.
func (s *socket) stopListening() (left []*description) {
	s.listening = false
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
	in, err := s.stream(true)
	if err != 0 {
		return m, err
	}
	m.n, m.files, err = in.receive(p, peek, block)
	return m, err
}

func (s *socket) sendBytes(o outgoing, block bool) (int, Errno) {
	out, err := s.stream(false)
	switch {
	case err != 0:
		return 0, err
	case o.addressed:
		return 0, EISCONN
	}
	return out.send(o.data, o.files, block)
}

// stream returns the pipe to read from or to write to.
func (s *socket) stream(reading bool) (*pipe, Errno) {
	network.Lock()
	defer network.Unlock()
	switch {
	case s.in == nil:
		return nil, ENOTCONN
	case reading:
		return s.in, 0
	case s.wroteEnd:
		return nil, EPIPE
	}
	return s.out, 0
}
