// Which socket an address leads to.

//go:build capos

package syscall

import "sync"

const (
	ephemeralFirst = 32768
	ephemeralLast  = 60999
)

// An endpoint is the address of a socket: 16 bytes (IPv4 mapped into them) and a port, or a name.
type endpoint struct {
	addr [16]byte
	port int
	name string
}

// portKey is the place of a socket in the table. The kind tells TCP's ports from UDP's.
type portKey struct{ kind, port int }

var network struct {
	sync.Mutex
	ports    map[portKey][]*socket
	names    map[string]*socket // abstract names of AF_UNIX, which begin with "@"
	lastPort int
}

// ---- addresses
// ------------------------------------------------------------------------------------------

var loopback6 = [16]byte{15: 1}

func (e endpoint) isMapped() bool {
	return [10]byte(e.addr[:10]) == [10]byte{} && e.addr[10] == 0xff && e.addr[11] == 0xff
}

func (e endpoint) isWildcard() bool {
	return e.addr == [16]byte{} || e.addr == mapped([4]byte{})
}

func (e endpoint) isLoopback() bool {
	return e.addr == loopback6 || e.isMapped() && e.addr[12] == 127
}

// reachable returns the address to which a packet to e goes. The wildcard means this machine.
func (e endpoint) reachable(s *socket) (endpoint, Errno) {
	if e.isMapped() && s.v6only() {
		return e, ENETUNREACH
	}
	switch {
	case e.addr == [16]byte{}:
		e.addr = loopback6
	case e.isWildcard():
		e.addr = mapped([4]byte{127, 0, 0, 1})
	case !e.isLoopback():
		return e, ENETUNREACH
	}
	return e, 0
}

func (s *socket) v6only() bool {
	return s.family == AF_INET6 && s.options[option{IPPROTO_IPV6, IPV6_V6ONLY}] != 0
}

// receives reports whether packets to the address are for this socket.
func (s *socket) receives(to endpoint) bool {
	switch {
	case s.local.addr == to.addr:
		return true
	case !s.local.isWildcard():
		return false
	case s.local.isMapped():
		return to.isMapped()
	}
	return !to.isMapped() || !s.v6only()
}

// overlaps reports whether two sockets at the same port would both receive something.
func (s *socket) overlaps(other *socket) bool {
	if s.local.isWildcard() && other.local.isWildcard() {
		sameFamily := s.local.isMapped() == other.local.isMapped()
		return sameFamily || !s.v6only() && !other.v6only()
	}
	return s.receives(other.local) || other.receives(s.local)
}

func (s *socket) bind(local endpoint) Errno {
	network.Lock()
	defer network.Unlock()
	switch {
	case s.bound || s.connected:
		return EINVAL
	case s.family == AF_UNIX:
		return s.bindName(local.name)
	case !local.isWildcard() && !local.isLoopback(), local.isMapped() && s.v6only():
		return EADDRNOTAVAIL
	}
	return s.bindPort(local)
}

// bindPort enters the socket into the table, under an unused port when none is given.
func (s *socket) bindPort(local endpoint) Errno {
	s.local = local
	if local.port != 0 {
		if s.portTaken() {
			s.local = endpoint{}
			return EADDRINUSE
		}
	} else if !s.choosePort() {
		return EADDRNOTAVAIL
	}
	if network.ports == nil {
		network.ports = map[portKey][]*socket{}
	}
	key := portKey{s.kind, s.local.port}
	network.ports[key] = append(network.ports[key], s)
	s.bound = true
	return 0
}

func (s *socket) portTaken() bool {
	for _, other := range network.ports[portKey{s.kind, s.local.port}] {
		if s.overlaps(other) && !(s.shares() && other.shares()) {
			return true
		}
	}
	return false
}

// shares reports whether the socket leaves its port to others that want that, too.
func (s *socket) shares() bool { return s.has(SOL_SOCKET, SO_REUSEPORT) }

func (s *socket) choosePort() bool {
	for range ephemeralLast - ephemeralFirst + 1 {
		network.lastPort++
		if network.lastPort < ephemeralFirst || network.lastPort > ephemeralLast {
			network.lastPort = ephemeralFirst
		}
		s.local.port = network.lastPort
		if len(network.ports[portKey{s.kind, s.local.port}]) == 0 {
			return true
		}
	}
	return false
}

func (s *socket) anyAddress() [16]byte {
	if s.family == AF_INET {
		return mapped([4]byte{})
	}
	return [16]byte{}
}

// bindTowards gives an unbound socket a port at the loopback address of the other side's family,
// and a bound one that took all addresses this one.
func (s *socket) bindTowards(to endpoint) Errno {
	from := endpoint{addr: loopback6, port: s.local.port}
	if to.isMapped() {
		from.addr = mapped([4]byte{127, 0, 0, 1})
	}
	if !s.bound {
		return s.bindPort(from)
	}
	if s.local.isWildcard() {
		s.local.addr = from.addr
	}
	return 0
}

// find returns the socket that packets to the address are for. One that is bound to exactly this
// address goes before one that takes all, and a connected one takes packets of its peer only. Among
// those that share an address the sender's port decides.
func find(kind int, to, from endpoint) (found *socket) {
	for _, s := range network.ports[portKey{kind, to.port}] {
		if !s.receives(to) || kind == SOCK_DGRAM && s.connected && s.remote != from {
			continue
		}
		if found == nil || s.connected || !s.local.isWildcard() && !found.connected {
			found = s
		}
	}
	if found != nil && found.shares() {
		return found.sharer(from)
	}
	return found
}

// sharer gives the socket that takes what comes from an address to this one, or to others like it.
func (s *socket) sharer(from endpoint) *socket {
	var all []*socket
	for _, other := range network.ports[portKey{s.kind, s.local.port}] {
		if other.shares() && other.local == s.local && !other.connected &&
			(other.listening || !s.streams()) {
			all = append(all, other)
		}
	}
	if s.connected || len(all) == 0 {
		return s
	}
	return all[from.port%len(all)]
}

// unbind takes the socket out of the tables. A file that was its name stays and names nothing.
func (s *socket) unbind() {
	switch {
	case !s.bound:
	case s.family == AF_UNIX:
		if network.names[s.local.name] == s {
			delete(network.names, s.local.name)
		}
	default:
		key := portKey{s.kind, s.local.port}
		kept := network.ports[key][:0]
		for _, other := range network.ports[key] {
			if other != s {
				kept = append(kept, other)
			}
		}
		if network.ports[key] = kept; len(kept) == 0 {
			delete(network.ports, key)
		}
	}
}
