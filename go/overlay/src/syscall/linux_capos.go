// Functions that only linux has, for code outside the Go root, which sees the build tag linux.
//
// goport names what is missing here ("goport names") and generates constants and types. A function
// works over what the process holds, or fails as it does in a process without privileges (EPERM) or
// on a kernel without the call (ENOSYS). None succeeds without having done what it says.

//go:build capos

package syscall

import "unsafe"

// ---- files
// ------------------------------------------------------------------------------------------

func Creat(path string, mode uint32) (fd int, err error) {
	return Open(path, O_CREAT|O_WRONLY|O_TRUNC, mode)
}

func Fdatasync(fd int) error { return Fsync(fd) }

// SyncFileRange has no more to do than Fsync.
func SyncFileRange(fd int, off int64, n int64, flags int) error { return Fsync(fd) }

func Utime(path string, buf *Utimbuf) error {
	return UtimesNano(path, []Timespec{{Sec: buf.Actime}, {Sec: buf.Modtime}})
}

func Futimesat(dirfd int, path string, tv []Timeval) error {
	if len(tv) != 2 {
		return EINVAL
	}
	times := [2]Timespec{NsecToTimespec(tv[0].Nano()), NsecToTimespec(tv[1].Nano())}
	return utimensat(dirfd, path, &times, 0)
}

func Ustat(dev int, buf *Ustat_t) error { return ENOSYS }

// ---- events
// ------------------------------------------------------------------------------------------

// Pause waits without an end, because a signal is handled by another thread.
func Pause() error {
	for {
		runtime_sleep(1 << 62)
	}
}

// ---- the process
// ------------------------------------------------------------------------------------------

type SysProcIDMap struct {
	ContainerID int
	HostID      int
	Size        int
}

// Gettid returns the id of the process, which is that of its first thread on Linux.
func Gettid() (tid int) { return Getpid() }

func Tgkill(tgid int, tid int, sig Signal) error {
	if tgid != Getpid() || tid != Gettid() {
		return ESRCH
	}
	return Kill(tgid, sig)
}

func Setresuid(ruid, euid, suid int) error {
	return ownID(ownerUid, orOwn(ruid, ownerUid), orOwn(euid, ownerUid),
		orOwn(suid, ownerUid))
}

func Setresgid(rgid, egid, sgid int) error {
	return ownID(ownerGid, orOwn(rgid, ownerGid), orOwn(egid, ownerGid),
		orOwn(sgid, ownerGid))
}

func Setfsuid(uid int) error { return ownID(ownerUid, orOwn(uid, ownerUid)) }
func Setfsgid(gid int) error { return ownID(ownerGid, orOwn(gid, ownerGid)) }

// A function for all threads would have to run on each of them.

func AllThreadsSyscall(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err Errno) {
	return ^uintptr(0), 0, ENOSYS
}

func AllThreadsSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err Errno) {
	return ^uintptr(0), 0, ENOSYS
}

func Times(tms *Tms) (ticks uintptr, err error) {
	const ticksPerSecond = 100
	usage := new(Rusage)
	if err := Getrusage(RUSAGE_SELF, usage); err != nil {
		return ^uintptr(0), err
	}
	*tms = Tms{Utime: usage.Utime.Nano() / (1e9 / ticksPerSecond),
		Stime: usage.Stime.Nano() / (1e9 / ticksPerSecond)}
	return uintptr(nowNs() / (1e9 / ticksPerSecond)), nil
}

func Time(t *Time_t) (tt Time_t, err error) {
	tt = Time_t(nowNs() / 1e9)
	if t != nil {
		*t = tt
	}
	return tt, nil
}

// ---- the machine
// ------------------------------------------------------------------------------------------

// Sysinfo tells the memory of the machine. Nothing is told of its load.
func Sysinfo(info *Sysinfo_t) error {
	usage := memoryUsage()
	*info = Sysinfo_t{Uptime: runtime_nanotime() / 1e9, Unit: 1, Procs: 1,
		Totalram: uint64(usage.machinePages) * abiPageSize,
		Freeram:  uint64(usage.machineFreePages) * abiPageSize}
	return nil
}

// Only privileged processes may change the machine or look into other processes.

func Acct(path string) error                                                   { return EPERM }
func Adjtimex(buf *Timex) (state int, err error)                               { return -1, EPERM }
func Ioperm(from int, num int, on int) error                                   { return EPERM }
func Iopl(level int) error                                                     { return EPERM }
func Klogctl(typ int, buf []byte) (n int, err error)                           { return -1, EPERM }
func Mount(source, target, fstype string, flags uintptr, data string) error    { return EPERM }
func PivotRoot(newroot string, putold string) error                            { return EPERM }
func Reboot(cmd int) error                                                     { return EPERM }
func Setdomainname(p []byte) error                                             { return EPERM }
func Sethostname(p []byte) error                                               { return EPERM }
func Unshare(flags int) error                                                  { return EPERM }
func PtraceAttach(pid int) error                                               { return EPERM }
func PtraceCont(pid int, signal int) error                                     { return ESRCH }
func PtraceDetach(pid int) error                                               { return ESRCH }
func PtraceGetEventMsg(pid int) (msg uint, err error)                          { return 0, ESRCH }
func PtraceGetRegs(pid int, regsout *PtraceRegs) error                         { return ESRCH }
func PtracePeekData(pid int, addr uintptr, out []byte) (count int, err error)  { return 0, ESRCH }
func PtracePeekText(pid int, addr uintptr, out []byte) (count int, err error)  { return 0, ESRCH }
func PtracePokeData(pid int, addr uintptr, data []byte) (count int, err error) { return 0, ESRCH }
func PtracePokeText(pid int, addr uintptr, data []byte) (count int, err error) { return 0, ESRCH }
func PtraceSetOptions(pid int, options int) error                              { return ESRCH }
func PtraceSetRegs(pid int, regs *PtraceRegs) error                            { return ESRCH }
func PtraceSingleStep(pid int) error                                           { return ESRCH }
func PtraceSyscall(pid int, signal int) error                                  { return ESRCH }

func (r *PtraceRegs) PC() uint64      { return r.Rip }
func (r *PtraceRegs) SetPC(pc uint64) { r.Rip = pc }

// ---- sockets
// ------------------------------------------------------------------------------------------

// There are no sockets of these families, so the addresses fail with EAFNOSUPPORT.

func (*SockaddrLinklayer) isSockaddr() {}
func (*SockaddrNetlink) isSockaddr()   {}

func BindToDevice(fd int, device string) error     { return unsupportedOption(fd) }
func AttachLsf(fd int, i []SockFilter) error       { return unsupportedOption(fd) }
func DetachLsf(fd int) error                       { return unsupportedOption(fd) }
func LsfSocket(ifindex, proto int) (int, error)    { return -1, EPERM }
func SetLsfPromisc(name string, m bool) error      { return EPERM }
func NetlinkRIB(proto, family int) ([]byte, error) { return nil, EAFNOSUPPORT }

func LsfStmt(code, k int) *SockFilter { return &SockFilter{Code: uint16(code), K: uint32(k)} }

func LsfJump(code, k, jt, jf int) *SockFilter {
	return &SockFilter{Code: uint16(code), Jt: uint8(jt), Jf: uint8(jf), K: uint32(k)}
}

func GetsockoptIPMreqn(fd, level, opt int) (*IPMreqn, error) { return nil, unsupportedOption(fd) }

// GetsockoptUcred gives the identity of the other end, which is this process too.
func GetsockoptUcred(fd, level, opt int) (*Ucred, error) {
	s, _, e := socketOf(fd)
	if e != 0 {
		return nil, e
	}
	if level != SOL_SOCKET || opt != SO_PEERCRED || s.domain() != AF_UNIX {
		return nil, ENOPROTOOPT
	}
	ucred := ownCredentials()
	return &ucred, nil
}

func SetsockoptIPMreqn(fd, level, opt int, mreq *IPMreqn) error { return unsupportedOption(fd) }

// UnixCredentials makes a control message, which sendmsg takes if they are those of the process.
func UnixCredentials(ucred *Ucred) []byte {
	return addControl(nil, SOL_SOCKET, SCM_CREDENTIALS, *ucred)
}

func ParseUnixCredentials(m *SocketControlMessage) (*Ucred, error) {
	if m.Header.Level != SOL_SOCKET || m.Header.Type != SCM_CREDENTIALS ||
		len(m.Data) < SizeofUcred {
		return nil, EINVAL
	}
	ucred := *(*Ucred)(unsafe.Pointer(&m.Data[0]))
	return &ucred, nil
}

// ---- netlink messages
// ------------------------------------------------------------------------------------------

// ParseNetlinkMessage cuts a buffer into messages, each with a header and aligned to 4 bytes.
func ParseNetlinkMessage(b []byte) (messages []NetlinkMessage, err error) {
	for len(b) >= NLMSG_HDRLEN {
		head := (*NlMsghdr)(unsafe.Pointer(&b[0]))
		size := int(head.Len)
		if size < NLMSG_HDRLEN || size > len(b) {
			return nil, EINVAL
		}
		messages = append(messages, NetlinkMessage{*head, b[NLMSG_HDRLEN:size]})
		b = b[min(len(b), alignTo(size, NLMSG_ALIGNTO)):]
	}
	return messages, nil
}

// ParseNetlinkRouteAttr cuts the attributes out of a message about links, addresses or routes.
func ParseNetlinkRouteAttr(m *NetlinkMessage) (attrs []NetlinkRouteAttr, err error) {
	var skip int
	switch m.Header.Type {
	case RTM_NEWLINK, RTM_DELLINK:
		skip = SizeofIfInfomsg
	case RTM_NEWADDR, RTM_DELADDR:
		skip = SizeofIfAddrmsg
	case RTM_NEWROUTE, RTM_DELROUTE:
		skip = SizeofRtMsg
	default:
		return nil, EINVAL
	}
	if len(m.Data) < skip {
		return nil, EINVAL
	}
	for b := m.Data[skip:]; len(b) >= SizeofRtAttr; {
		head := (*RtAttr)(unsafe.Pointer(&b[0]))
		size := int(head.Len)
		if size < SizeofRtAttr || size > len(b) {
			return nil, EINVAL
		}
		attrs = append(attrs, NetlinkRouteAttr{*head, b[SizeofRtAttr:size]})
		b = b[min(len(b), alignTo(size, RTA_ALIGNTO)):]
	}
	return attrs, nil
}

func alignTo(n, unit int) int { return (n + unit - 1) &^ (unit - 1) }
