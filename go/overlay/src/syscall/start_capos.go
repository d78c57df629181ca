// Starting other programs.
//
// A child gets what users of package os/exec expect, and nothing else that its parent does not
// name: its descriptors, the boot image, and the capabilities that act on the process itself. What
// is said to its runtime besides arguments and environment is in records (started_capos.go).

//go:build capos

package syscall

import (
	"internal/strconv"
	"unsafe"
)

type SysProcAttr struct {
	// Grants names capabilities of the child besides those that every child gets, or in
	// their place. They are CapIds that this process holds, by the names in the child's CapSet.
	// With 0 the child does not get what it would get under that name.
	Grants map[string]uint32

	// OwnFiles makes the child see the boot image as it was, without a copy of what this
	// process has changed.
	OwnFiles bool

	Chroot     string
	Credential *Credential
	Ptrace     bool
	Setsid     bool
	Setpgid    bool
	Setctty    bool
	Noctty     bool
	Ctty       int
	Foreground bool
	Pgid       int

	// What only linux has.
	Pdeathsig                  Signal
	Cloneflags                 uintptr
	Unshareflags               uintptr
	UidMappings                []SysProcIDMap
	GidMappings                []SysProcIDMap
	GidMappingsEnableSetgroups bool
	AmbientCaps                []uintptr
	UseCgroupFD                bool
	CgroupFD                   int
	PidFD                      *int
}

type Credential struct {
	Uid         uint32
	Gid         uint32
	Groups      []uint32
	NoSetGroups bool
}

type ProcAttr struct {
	Dir   string
	Env   []string
	Files []uintptr
	Sys   *SysProcAttr
}

// Capability returns the CapId under a name in the CapSet of this process, 0 if it has none.
func Capability(name string) uint32 {
	capID, _ := runtime_startCapability(name)
	return capID
}

// inherited are the names of the capabilities that a child gets if its parent has them. They act on
// the child itself, tell of the machine, or make objects that the child is charged for. The
// console, the host's files and what services offer are not among them.
var inherited = [...]string{"vm", "memory_allocator", "thread_control", "thread_spawner", "park",
	"shared_park", "timer", "entropy", "boot", "system", "event_factory", "pipe_factory",
	"process_spawner", "endpoint_factory"}

// A starting is a process that is about to be started.
type starting struct {
	image  capability // of the executable
	offset uint64
	size   uint64
	copied bool // image is an object of this call's own

	arguments, environment []byte // NUL-terminated strings
	grants                 []abiSpawnGrant
	files                  []*description // held
	numbers                []int          // of these in the child
	relays                 []*relay
	theirs                 []capability // that only the child is to keep
}

func StartProcess(argv0 string, argv []string, attr *ProcAttr) (pid int, handle uintptr,
	err error) {
	pid, err = ForkExec(argv0, argv, attr)
	return pid, 0, err
}

// ForkExec starts the program at the path argv0, which is relative to the directory of the child.
func ForkExec(argv0 string, argv []string, attr *ProcAttr) (pid int, err error) {
	if attr == nil {
		attr = &ProcAttr{}
	}
	s := new(starting)
	defer s.end()
	for _, step := range [...]func() Errno{
		func() Errno { return attr.Sys.check() },
		func() Errno { return s.find(argv0, attr.Dir, attr.Sys) },
		func() Errno { return s.say(argv0, argv, attr.Env) },
		func() Errno { return s.handOn(attr.Files) },
		func() Errno { return s.grantAll(attr.Sys) },
	} {
		if e := step(); e != 0 {
			return -1, result(e)
		}
	}
	process, e := s.spawn()
	if e == EPERM && granted.processSpawner == 0 {
		return -1, notGranted("process_spawner")
	}
	if e != 0 {
		return -1, result(e)
	}
	return addChild(process, s.takeRelays()), nil
}

// notGranted is EPERM for a capability that this process was started without, by its name.
type notGranted string

func (name notGranted) Error() string {
	return EPERM.Error() + ": the program was started without \"" + string(name) +
		"\"; say in the manifest: grants: [\"" + string(name) + "\"]"
}

func (name notGranted) Unwrap() error { return EPERM }

// Exec would put another program in the place of this one.
func Exec(argv0 string, argv []string, envv []string) error { return ENOSYS }

// check fails for what the child cannot be.
func (sys *SysProcAttr) check() Errno {
	switch {
	case sys == nil:
		return 0
	case sys.Setsid || sys.Setpgid || sys.Setctty || sys.Noctty || sys.Foreground ||
		sys.Pgid != 0 || sys.UseCgroupFD:
		return ENOSYS // there are no groups of processes
	case sys.Pdeathsig != 0 && sys.Pdeathsig != SIGKILL:
		return ENOSYS // SIGKILL is what every child gets
	case sys.Chroot != "" || sys.Ptrace || sys.Cloneflags != 0 || sys.Unshareflags != 0 ||
		len(sys.UidMappings)+len(sys.GidMappings)+len(sys.AmbientCaps) != 0:
		return EPERM
	}
	if c := sys.Credential; c != nil && (c.Uid != ownerUid || c.Gid != ownerGid) {
		return EPERM
	}
	if sys.PidFD != nil {
		*sys.PidFD = -1
	}
	return 0
}

// takeRelays lets the relays run. They need this process no longer to end.
func (s *starting) takeRelays() (running []*relay) {
	running, s.relays = s.relays, nil
	for _, r := range running {
		r.start()
	}
	return running
}

func (s *starting) end() {
	for _, c := range s.theirs {
		runtime_release(c)
	}
	for _, r := range s.relays {
		r.ours.close(0)
	}
	letGoAll(s.files)
	if s.copied {
		runtime_release(s.image)
	}
}

// ---- the executable
// ------------------------------------------------------------------------------------------

// find looks the executable up from the directory in which the child is to start, and tells of the
// files.
func (s *starting) find(path, dir string, sys *SysProcAttr) Errno {
	lockTree()
	defer tree.Unlock()
	from := tree.cwd
	if dir != "" {
		p, err := walkExistingAt(AT_FDCWD, dir, true)
		switch {
		case err != 0:
			return err
		case !p.node.isDir():
			return ENOTDIR
		case !p.node.allows(mayExecute):
			return EACCES
		}
		from = p.node
	}
	start, err := from.path()
	if err != 0 {
		return err
	}
	if hasNUL(path) {
		return EINVAL
	}
	p, err := walk(from, path, true)
	switch {
	case err != 0:
		return err
	case p.node == nil:
		return ENOENT
	case p.node.content == nil || !p.node.allows(mayExecute):
		return EACCES
	}
	in, err := p.dir.path()
	if err != 0 {
		return err
	}
	s.record("EXE", join(in, p.name))
	s.record("DIR", start)
	s.record("WRITABLE", writablePrefixes())
	if sys == nil || !sys.OwnFiles {
		if err := s.snapshotFiles(); err != 0 {
			return err
		}
	}
	return s.use(p.node.content)
}

// use takes the bytes where they are in the boot image, or a copy of them.
func (s *starting) use(c *content) Errno {
	s.size = uint64(c.size)
	if c.size == 0 {
		return ENOEXEC
	}
	if offset, ok := tree.boot.offsetOf(c); ok && offset%abiPageSize == 0 {
		s.image, s.offset = granted.boot, offset
		return 0
	}
	var err Errno
	s.image, err = makeObject(c.size, func(into []byte) { c.readAt(into, 0) })
	s.copied = err == 0
	return err
}

// offsetOf returns where the content lies in the boot image, if that has all of it.
func (b *bootImage) offsetOf(c *content) (offset uint64, ok bool) {
	if len(c.chunks) != 0 || c.size == 0 || int64(len(c.backing)) != c.size ||
		len(b.bytes) == 0 {
		return 0, false
	}
	first := uintptr(unsafe.Pointer(&b.bytes[0]))
	at := uintptr(unsafe.Pointer(&c.backing[0]))
	if at < first || at-first >= uintptr(len(b.bytes)) {
		return 0, false
	}
	return uint64(at - first), true
}

// ---- what is said to the child
// ------------------------------------------------------------------------------------------

func (s *starting) say(argv0 string, argv, env []string) Errno {
	if len(argv) == 0 {
		argv = []string{argv0}
	}
	for _, argument := range argv {
		if hasNUL(argument) {
			return EINVAL
		}
		s.arguments = append(append(s.arguments, argument...), 0)
	}
	for _, variable := range env {
		if hasNUL(variable) {
			return EINVAL
		}
		if !isRecord(variable) {
			s.environment = append(append(s.environment, variable...), 0)
		}
	}
	s.recordNumber("PARENT", Getpid())
	if len(s.arguments)+len(s.environment) > abiSpawnStringsMax {
		return E2BIG
	}
	return 0
}

func (s *starting) record(name, value string) {
	s.environment = append(s.environment, recordPrefix...)
	s.environment = append(append(s.environment, name...), '=')
	s.environment = append(append(s.environment, value...), 0)
}

func (s *starting) recordNumber(name string, value int) { s.record(name, strconv.Itoa(value)) }

func hasNUL(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] == 0 {
			return true
		}
	}
	return false
}

// ---- capabilities
// ------------------------------------------------------------------------------------------

// handOn gives the child its descriptors: the files, by their numbers there.
func (s *starting) handOn(files []uintptr) Errno {
	for fd, number := range files {
		if number == ^uintptr(0) {
			continue
		}
		d := hold(int(number))
		if d == nil {
			return EBADF
		}
		s.files = append(s.files, d)
		s.numbers = append(s.numbers, fd)
		kind, err := s.kindOf(d, fd, int(number))
		if err != 0 {
			return err
		}
		_, flags := entryOf(int(number))
		s.record("FD", strconv.Itoa(fd)+" "+strconv.Itoa(flags)+" "+kind)
	}
	return 0
}

// kindOf returns what the record of a descriptor says of its file. A description that has another
// descriptor in the child already is one there too.
func (s *starting) kindOf(d *description, fd, number int) (kind string, err Errno) {
	for i, earlier := range s.files[:len(s.files)-1] {
		if _, isConsole := d.file.(*console); earlier == d && !isConsole {
			return "same " + strconv.Itoa(s.numbers[i]), 0
		}
	}
	_, flags := entryOf(number)
	return d.file.handOn(s, fd, flags)
}

// grant gives the child a capability under a name.
func (s *starting) grant(name string, c capability) {
	g := abiSpawnGrant{cap: uint32(c)}
	copy(g.name[:], name)
	s.grants = append(s.grants, g)
}

func (s *starting) grantAll(sys *SysProcAttr) Errno {
	var named map[string]uint32
	if sys != nil {
		named = sys.Grants
	}
	for _, name := range inherited {
		if c := Capability(name); c != 0 && !holds(named, name) {
			s.grant(name, capability(c))
		}
	}
	for name, c := range named {
		if name == "" || len(name) > abiSpawnGrantNameMax || hasNUL(name) {
			return EINVAL
		}
		if c != 0 {
			s.grant(name, capability(c))
		}
	}
	return 0
}

func holds(named map[string]uint32, name string) bool {
	_, ok := named[name]
	return ok
}

// spawn makes the kernel start the process, which is charged to this one page by page.
func (s *starting) spawn() (capability, Errno) {
	if granted.processSpawner == 0 {
		return 0, EPERM
	}
	type request struct {
		image, offset, size    uint64
		arguments              unsafe.Pointer
		argumentsSize          uint64
		environment            unsafe.Pointer
		environmentSize        uint64
		grants                 unsafe.Pointer
		grantsSize, pages, how uint64
		limits                 unsafe.Pointer
		limitsSize             uint64
	}
	r := &request{
		image: uint64(s.image), offset: s.offset, size: s.size,
		arguments:       unsafe.Pointer(unsafe.SliceData(s.arguments)),
		argumentsSize:   uint64(len(s.arguments)),
		environment:     unsafe.Pointer(unsafe.SliceData(s.environment)),
		environmentSize: uint64(len(s.environment)),
		grants:          unsafe.Pointer(unsafe.SliceData(s.grants)),
		grantsSize:      uint64(len(s.grants)) * uint64(unsafe.Sizeof(abiSpawnGrant{})),
		how:             abiSpawnShared,
	}
	answer := callBlocking(granted.processSpawner, abiProcessSpawnerSpawn,
		uintptr(unsafe.Pointer(r)), 0, 0, 0, 0)
	switch number := failure(answer); number {
	case 0:
		return capability(answer), 0
	case abiErrorBase + abiErrorInvalidArgument, abiErrorBase + abiErrorWrongState:
		return 0, ENOEXEC // the rest was checked
	case abiErrorBase + abiErrorNoSlots, abiErrorBase + abiErrorLimitReached,
		abiErrorBase + abiErrorNoThreads:
		return 0, EAGAIN
	case abiErrorBase + abiErrorNotFound:
		return 0, EINVAL // of SysProcAttr.Grants
	default:
		return 0, errnoOf(number)
	}
}
