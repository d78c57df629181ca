// What package net needs of capOS. The only interface is the loopback network, which every process
// has to itself.

//go:build capos

package net

import (
	"internal/stringslite"
	"os"
	"syscall"
	"time"
)

const readMsgFlags = 0

func setReadMsgCloseOnExec(oob []byte) {}

func sysSocket(family, sotype, proto int) (int, error) {
	s, err := socketFunc(family, sotype|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, proto)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return s, nil
}

func maxListenerBacklog() int { return syscall.SOMAXCONN }

var loopback = Interface{Index: 1, MTU: 65536, Name: "lo", Flags: FlagUp | FlagLoopback |
	FlagRunning}

func interfaceTable(ifindex int) ([]Interface, error) {
	if ifindex != 0 && ifindex != loopback.Index {
		return nil, nil
	}
	return []Interface{loopback}, nil
}

func interfaceAddrTable(ifi *Interface) ([]Addr, error) {
	if ifi != nil && ifi.Index != loopback.Index {
		return nil, nil
	}
	return []Addr{
		&IPNet{IP: IPv4(127, 0, 0, 1), Mask: CIDRMask(8, 32)},
		&IPNet{IP: IPv6loopback, Mask: CIDRMask(128, 128)},
	}, nil
}

func interfaceMulticastAddrTable(ifi *Interface) ([]Addr, error) { return nil, nil }

// ---- options
// ------------------------------------------------------------------------------------------

func setDefaultSockopts(s, family, sotype int, ipv6only bool) error {
	if family == syscall.AF_INET6 && sotype != syscall.SOCK_RAW {
		syscall.SetsockoptInt(s, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY,
			boolint(ipv6only))
	}
	if sotype == syscall.SOCK_DGRAM || sotype == syscall.SOCK_RAW {
		return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(s, syscall.SOL_SOCKET,
			syscall.SO_BROADCAST, 1))
	}
	return nil
}

func setDefaultListenerSockopts(s int) error {
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(s, syscall.SOL_SOCKET,
		syscall.SO_REUSEADDR, 1))
}

func setDefaultMulticastSockopts(s int) error {
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(s, syscall.SOL_SOCKET,
		syscall.SO_REUSEADDR, 1))
}

func setIPv4MulticastInterface(fd *netFD, ifi *Interface) error {
	ip, err := interfaceToIPv4Addr(ifi)
	if err != nil {
		return wrapSyscallError("setsockopt", err)
	}
	address := [4]byte(ip.To4())
	return wrapSyscallError("setsockopt", fd.pfd.SetsockoptInet4Addr(syscall.IPPROTO_IP,
		syscall.IP_MULTICAST_IF, address))
}

func setIPv4MulticastLoopback(fd *netFD, on bool) error {
	return wrapSyscallError("setsockopt", fd.pfd.SetsockoptInt(syscall.IPPROTO_IP,
		syscall.IP_MULTICAST_LOOP, boolint(on)))
}

// setKeepAliveOption sets one of the three keep-alive parameters. A negative value leaves the
// default.
func setKeepAliveOption(fd *netFD, option int, value int) error {
	if value < 0 {
		return nil
	}
	return wrapSyscallError("setsockopt", fd.pfd.SetsockoptInt(syscall.IPPROTO_TCP, option,
		value))
}

func keepAliveSeconds(d, byDefault time.Duration) int {
	switch {
	case d == 0:
		d = byDefault
	case d < 0:
		return -1
	}
	return int(roundDurationUp(d, time.Second))
}

func setKeepAliveIdle(fd *netFD, d time.Duration) error {
	return setKeepAliveOption(fd, syscall.TCP_KEEPIDLE, keepAliveSeconds(d,
		defaultTCPKeepAliveIdle))
}

func setKeepAliveInterval(fd *netFD, d time.Duration) error {
	return setKeepAliveOption(fd, syscall.TCP_KEEPINTVL, keepAliveSeconds(d,
		defaultTCPKeepAliveInterval))
}

func setKeepAliveCount(fd *netFD, n int) error {
	if n == 0 {
		n = defaultTCPKeepAliveCount
	}
	return setKeepAliveOption(fd, syscall.TCP_KEEPCNT, n)
}

// ---- names
// ------------------------------------------------------------------------------------------

// A lookup without a configured server asks this machine, where the program may run a server of its
// own. When it does not, the error says that no server is configured.
func init() {
	explainDNSError = func(conf *dnsConfig, name string, err error) error {
		e, ok := err.(*DNSError)
		if !ok || len(conf.servers) == 0 || &conf.servers[0] != &defaultNS[0] ||
			!stringslite.HasSuffix(e.Err, syscall.ECONNREFUSED.Error()) {
			return err
		}
		return &DNSError{Err: "no DNS server is configured (/etc/resolv.conf names none)",
			Name: name, IsTemporary: e.IsTemporary}
	}
}
