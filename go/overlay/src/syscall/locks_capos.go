// Advisory locks. The file tree belongs to one process, and record locks never conflict within one,
// so they always succeed.

//go:build capos

package syscall

func FcntlFlock(fd uintptr, cmd int, lk *Flock_t) error {
	if d, _ := descriptor(int(fd)); d == nil {
		return EBADF
	}
	switch cmd {
	case F_GETLK:
		lk.Type = F_UNLCK
	case F_SETLK, F_SETLKW:
	default:
		return EINVAL
	}
	return nil
}
