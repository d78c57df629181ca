// Sockets with names in the file tree, and pairs of sockets.

//go:build capos

package syscall

// bindName gives the socket a name: an abstract one, or a file.
func (s *socket) bindName(name string) Errno {
	if name == "" {
		network.lastPort++
		name = "@" + itox(network.lastPort)
	}
	if name[0] == '@' {
		if network.names[name] != nil {
			return EADDRINUSE
		}
		if network.names == nil {
			network.names = map[string]*socket{}
		}
		network.names[name] = s
	} else if err := s.makeFile(name); err != 0 {
		return err
	}
	s.local, s.bound = endpoint{name: name}, true
	return 0
}

func itox(n int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>16&15], digits[n>>12&15], digits[n>>8&15], digits[n>>4&15],
		digits[n&15]})
}

func (s *socket) makeFile(path string) Errno {
	lockTree()
	defer tree.Unlock()
	p, err := walkAt(AT_FDCWD, path, false)
	switch {
	case err != 0:
		return err
	case p.node != nil || p.slash:
		return EADDRINUSE
	}
	if err := p.dir.mayChange(); err != 0 {
		return err
	}
	n, err := addNode(S_IFSOCK | 0o777)
	if err != 0 {
		return err
	}
	n.socket = s
	p.dir.add(p.name, n)
	p.dir.touch()
	p.dir.tellName(inCreate, p.name, n, 0)
	return 0
}

// findName returns the socket with that name.
func findName(name string) (*socket, Errno) {
	if name == "" {
		return nil, EINVAL
	}
	if name[0] == '@' {
		if s := network.names[name]; s != nil {
			return s, 0
		}
		return nil, ECONNREFUSED
	}
	lockTree()
	defer tree.Unlock()
	p, err := walkExistingAt(AT_FDCWD, name, true)
	switch {
	case err != 0:
		return nil, err
	case p.node.socket == nil || p.node.socket.closed:
		return nil, ECONNREFUSED
	}
	return p.node.socket, 0
}

// sendNamed sends to a socket with a name, or to the other one of a pair. It waits while the queue
// is full, so nothing is lost.
func (s *socket) sendNamed(o outgoing) (int, Errno) {
	receiver := s.peer
	if o.addressed {
		var err Errno
		if receiver, err = findName(o.to.name); err != 0 {
			return 0, err
		}
	}
	switch {
	case len(o.data) > s.sendSize()-unixBufferUse:
		return 0, EMSGSIZE
	case receiver == nil:
		return 0, ENOTCONN
	case receiver.closed && s.kind == SOCK_SEQPACKET:
		return 0, EPIPE
	case receiver.closed:
		return 0, ECONNREFUSED
	case receiver.readEnded:
		return 0, EPIPE
	case !receiver.take(datagram{from: s.local, files: o.files, head: packetHead{at: nowNs()}},
		o.data, s.sendSize()):
		s.waitFor(receiver)
		return 0, EAGAIN
	}
	return len(o.data), 0
}

func (s *socket) waitFor(receiver *socket) {
	if receiver.waitingSenders == nil {
		receiver.waitingSenders = map[*socket]struct{}{}
	}
	receiver.waitingSenders[s] = struct{}{}
	s.waitsFor = receiver
}
