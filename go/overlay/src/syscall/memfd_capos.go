// memfd_create: a file of the tree without a name, and seals, which forbid to change one.

//go:build capos

package syscall

const (
	memfdCloseOnExec = 1
	memfdMaySeal     = 2
	memfdHuge        = 4
	memfdNotExec     = 8
	memfdExec        = 16
	memfdNameMax     = 249

	fAddSeals = 1033
	fGetSeals = 1034

	sealSeals       = 1
	sealShrink      = 2
	sealGrow        = 4
	sealWrite       = 8
	sealFutureWrite = 16
	sealExec        = 32
	sealAll         = sealSeals | sealShrink | sealGrow | sealWrite | sealFutureWrite | sealExec

	sealable = 128 // the file can have seals; beside them in node.seals
)

func memfdCreate(name string, flags uint32) (int, error) {
	switch {
	case flags&^(memfdCloseOnExec|memfdMaySeal|memfdHuge|memfdNotExec|memfdExec) != 0,
		flags&memfdNotExec != 0 && flags&memfdExec != 0, len(name) > memfdNameMax:
		return -1, EINVAL
	case flags&memfdHuge != 0:
		return -1, ENOSYS
	}
	mode, seals := uint32(0o777), uint8(sealable|sealSeals)
	if flags&memfdNotExec != 0 {
		mode, seals = 0o666, sealable|sealExec
	} else if flags&memfdMaySeal != 0 {
		seals = sealable
	}
	lockTree()
	n, err := addNode(S_IFREG | mode)
	if err != 0 {
		tree.Unlock()
		return -1, err
	}
	n.links, n.opens, n.seals = 0, 1, seals
	n.target = "/memfd:" + name + " (deleted)"
	tree.Unlock()
	d := &description{file: &treeFile{node: n}, flags: O_RDWR}
	return installNew(d, flags&memfdCloseOnExec != 0)
}

// seals is fcntl for them.
func (d *description) seals(command, argument, access int) (int, Errno) {
	n := d.file.treeNode()
	if n == nil || n.seals&sealable == 0 {
		return -1, EINVAL
	}
	lockTree()
	defer tree.Unlock()
	switch added := uint8(argument); {
	case command == fGetSeals:
		return int(n.seals &^ sealable), 0
	case access == O_RDONLY || n.seals&sealSeals != 0:
		return -1, EPERM
	case argument&^sealAll != 0:
		return -1, EINVAL
	case added&sealWrite != 0 && isMappedForWriting(n):
		return -1, EBUSY
	default:
		n.seals |= added
	}
	return 0, 0
}

// mayWrite and maySize fail for what seals forbid.
func (n *node) mayWrite(end int64) Errno {
	if n.seals&(sealWrite|sealFutureWrite) != 0 || n.seals&sealGrow != 0 && end > n.size() {
		return EPERM
	}
	return 0
}

func (n *node) maySize(size int64) Errno {
	if n.seals&sealShrink != 0 && size < n.size() || n.seals&sealGrow != 0 && size > n.size() {
		return EPERM
	}
	return 0
}
