// Messages with vectors and control data, by Linux's numbers.

//go:build capos

package syscall

import "unsafe"

const (
	sysSendmmsg = 307
	sysRecvmmsg = 299

	messagesMax    = 1024       // of one call
	vectorsMax     = 1024       // of one message
	msgWaitForOne  = 0x10000    // recvmmsg waits for the first message only
	msgCloseOnExec = 0x40000000 // for descriptors that come along
)

// A messageEntry has the layout of Linux's struct mmsghdr.
type messageEntry struct {
	head   Msghdr
	length uint32
	_      [4]byte
}

var numberedMessages = [numbersEnd]numberedCall{
	SYS_SENDMSG: func(a *numberArgs) (uintptr, error) {
		return withMessage(a, func(head *Msghdr) (int, error) {
			return head.send(a.fd(0), a.fd(2))
		})
	},
	SYS_RECVMSG: func(a *numberArgs) (uintptr, error) {
		return withMessage(a, func(head *Msghdr) (int, error) {
			return head.receive(a.fd(0), a.fd(2))
		})
	},
	sysSendmmsg: numberedSendmmsg,
	sysRecvmmsg: numberedRecvmmsg,
}

func withMessage(a *numberArgs, call func(*Msghdr) (int, error)) (uintptr, error) {
	head, err := needed[Msghdr](a, 1)
	if err != nil {
		return 0, err
	}
	return number(call(head))
}

// vectors adds the buffers of a message to a list, and returns their length too.
func (h *Msghdr) vectors(buffers [][]byte) (_ [][]byte, size int, err error) {
	switch {
	case h.Iovlen > vectorsMax:
		return nil, 0, EMSGSIZE
	case h.Iovlen == 0:
		return nil, 0, nil
	case h.Iov == nil:
		return nil, 0, EFAULT
	}
	for _, v := range unsafe.Slice(h.Iov, int(h.Iovlen)) {
		if v.Len > 0 {
			buffers = append(buffers, unsafe.Slice(v.Base, int(v.Len)))
			size += int(v.Len)
		}
	}
	return buffers, size, nil
}

func (h *Msghdr) control() []byte {
	if h.Control == nil {
		return nil
	}
	return unsafe.Slice(h.Control, int(h.Controllen))
}

func (h *Msghdr) send(fd, flags int) (int, error) {
	var few [2][]byte
	buffers, size, err := h.vectors(few[:0])
	if err != nil {
		return -1, err
	}
	var data []byte
	if len(buffers) == 1 {
		data = buffers[0]
	} else {
		data = make([]byte, 0, size)
		for _, b := range buffers {
			data = append(data, b...)
		}
	}
	var to Sockaddr
	if h.Name != nil && h.Namelen > 0 {
		to = sockaddrAt(uintptr(unsafe.Pointer(h.Name)), uintptr(h.Namelen))
	}
	var c sentControl
	if control := h.control(); len(control) > 0 {
		if c, err = controlToSend(fd, control); err != nil {
			return -1, err
		}
	}
	if size == 0 && len(c.files) > 0 && !sendsDatagrams(fd) {
		letGoAll(c.files) // a stream carries descriptors with bytes only
		c.files = nil
	}
	n, err := sendMessage(fd, data, c, to, flags)
	if err != nil {
		letGoAll(c.files)
	}
	return n, err
}

func (h *Msghdr) receive(fd, flags int) (int, error) {
	var few [2][]byte
	buffers, size, err := h.vectors(few[:0])
	if err != nil {
		return -1, err
	}
	var data []byte
	if len(buffers) == 1 {
		data = buffers[0]
	} else {
		data = make([]byte, size)
	}
	m, family, given, err := receiveMessage(fd, data, flags)
	if err != nil {
		return -1, err
	}
	if left := data[:m.n]; len(buffers) > 1 {
		for _, b := range buffers {
			left = left[copy(b, left):]
		}
	}
	length := uint32(0)
	if h.Name != nil && m.from != (endpoint{}) {
		length = h.Namelen
		storeSockaddr(m.from.sockaddr(family), uintptr(unsafe.Pointer(h.Name)), &length)
	}
	h.Namelen = length
	n, complete := m.putControl(h.control())
	if !complete {
		given |= MSG_CTRUNC
	}
	h.Controllen = uint64(n)
	switch {
	case flags&msgCloseOnExec != 0:
		given |= msgCloseOnExec
	case len(m.files) > 0:
		h.keepOnExec()
	}
	h.Flags = int32(given)
	if flags&MSG_TRUNC != 0 && m.truncated {
		return m.size, nil
	}
	return m.n, nil
}

// keepOnExec takes close-on-exec from the descriptors that came.
func (h *Msghdr) keepOnExec() {
	messages, err := ParseSocketControlMessage(h.control())
	if err != nil {
		return
	}
	for i := range messages {
		fds, _ := ParseUnixRights(&messages[i])
		for _, fd := range fds {
			control(fd, F_SETFD, 0)
		}
	}
}

func (a *numberArgs) messages() ([]messageEntry, error) {
	count := min(a[2], messagesMax)
	switch {
	case count == 0:
		return nil, nil
	case a[1] == 0:
		return nil, EFAULT
	}
	return unsafe.Slice((*messageEntry)(pointerTo(a[1])), int(count)), nil
}

// numberedSendmmsg fails only if the first message does.
func numberedSendmmsg(a *numberArgs) (uintptr, error) {
	messages, err := a.messages()
	if err != nil {
		return 0, err
	}
	if _, _, e := socketOf(a.fd(0)); e != 0 {
		return 0, e
	}
	for i := range messages {
		n, err := messages[i].head.send(a.fd(0), a.fd(3))
		if err != nil {
			if i > 0 {
				err = nil
			}
			return uintptr(i), err
		}
		messages[i].length = uint32(n)
	}
	return uintptr(len(messages)), nil
}

// numberedRecvmmsg looks at its time-out after each message only, as Linux does.
func numberedRecvmmsg(a *numberArgs) (uintptr, error) {
	limit := argument[Timespec](a, 4)
	ns, err := limit.interval()
	if err != nil {
		return 0, err
	}
	messages, err := a.messages()
	if err != nil {
		return 0, err
	}
	if _, _, e := socketOf(a.fd(0)); e != 0 {
		return 0, e
	}
	deadline, flags := deadlineAfter(ns), a.fd(3)
	defer limit.spend(runtime_nanotime())
	for i := range messages {
		n, err := messages[i].head.receive(a.fd(0), flags&^msgWaitForOne)
		if err != nil {
			if i > 0 {
				err = nil
			}
			return uintptr(i), err
		}
		messages[i].length = uint32(n)
		if flags&msgWaitForOne != 0 {
			flags |= MSG_DONTWAIT
		}
		if runtime_nanotime() >= deadline {
			return uintptr(i + 1), nil
		}
	}
	return uintptr(len(messages)), nil
}
